from connectors.debezium.binlog_watch.server_ids import (
    EXCLUSION_OFFSET,
    reader_ids,
    server_id,
)
from connectors.debezium.connector_config import SERVER_ID_BASE, connector_config
from connectors.runtime.settings import load


def test_no_watch_is_a_replica_under_the_number_of_a_connector() -> None:
    lowest = load({"KAPPA_PORT_BASE": "1024"})
    assert server_id(lowest) > SERVER_ID_BASE + 65_535


def test_every_reader_of_the_log_is_listed_with_its_number() -> None:
    settings = load({"HOME": "/", "KAPPA_PORT_BASE": "30000"})
    debezium_id = int(connector_config(settings, "", "")["database.server.id"])
    watch_id = server_id(settings)
    assert reader_ids(settings) == {
        debezium_id: "Debezium",
        watch_id: "log:binlog-watch",
        watch_id + EXCLUSION_OFFSET: "log:capture",
    }
