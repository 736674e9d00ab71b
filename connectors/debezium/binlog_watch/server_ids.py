"""The numbers under which the stack's readers of the binary log are replicas of MySQL. Pure."""

from connectors.debezium.connector_config import SERVER_ID_BASE
from connectors.runtime.settings import Settings

# Above Debezium's own (SERVER_ID_BASE + port_base) for every port base, which is below 65,536.
SERVER_ID_OFFSET = 100_000
# For a short look into the log beside the watch.
EXCLUSION_OFFSET = 100_000


def server_id(settings: Settings) -> int:
    """Return the number under which the watch is a replica of MySQL; Debezium has another."""
    return SERVER_ID_BASE + SERVER_ID_OFFSET + settings.port_base


def reader_ids(settings: Settings) -> dict[int, str]:
    """Return the numbers under which the stack reads MySQL's log, with their readers' names."""
    watch_id = server_id(settings)
    return {
        SERVER_ID_BASE + settings.port_base: "Debezium",
        watch_id: "log:binlog-watch",
        watch_id + EXCLUSION_OFFSET: "log:capture",
    }
