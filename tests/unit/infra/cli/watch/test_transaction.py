from infra.cli.watch.record import Record
from infra.cli.watch.transaction import Transaction


def record(topic, partition, offset, timestamp_ms, **content):
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        **content,
    )


GTID = "3e11fa47-71ca-11e1-9e33-c80aa9429562:23"


def marked(status, parts=None):
    return Record(
        topic="cdc.transaction",
        partition=0,
        offset=0,
        timestamp_ms=0,
        value={"status": status, "data_collections": parts},
        gtid=GTID,
    )


def test_a_transaction_is_complete_when_all_changes_that_its_end_states_were_read():
    transaction = Transaction(GTID.upper())
    topics = {"cdc.eCommerce.orders", "cdc.eCommerce.completed_orders"}
    parts = [
        {"data_collection": "eCommerce.orders", "event_count": 1},
        {"data_collection": "eCommerce.completed_orders", "event_count": 1},
    ]
    assert transaction.includes(marked("BEGIN"))
    assert transaction.includes(record("cdc.eCommerce.orders", 0, 0, 0, gtid=GTID))
    assert transaction.includes(marked("END", parts))
    assert not transaction.is_complete(topics)
    assert not transaction.includes(
        Record(
            topic="cdc.eCommerce.completed_orders",
            partition=0,
            offset=0,
            timestamp_ms=0,
            gtid="another:1",
        )
    )
    assert not transaction.is_complete(topics)
    assert transaction.includes(
        Record(
            topic="cdc.eCommerce.completed_orders",
            partition=0,
            offset=0,
            timestamp_ms=0,
            gtid=GTID,
        )
    )
    assert transaction.is_complete(topics)


def test_changes_of_tables_that_are_not_watched_are_not_awaited():
    transaction = Transaction(GTID)
    transaction.includes(
        marked("END", [{"data_collection": "eCommerce.user", "event_count": 3}])
    )
    assert transaction.is_complete({"cdc.eCommerce.orders"})


def test_a_transaction_is_complete_although_kafka_does_not_take_its_tables_name():
    transaction = Transaction(GTID)
    transaction.includes(
        marked("END", [{"data_collection": "eCommerce.größen", "event_count": 1}])
    )
    assert not transaction.is_complete({"cdc.eCommerce.gr__en"})
    transaction.includes(record("cdc.eCommerce.gr__en", 0, 0, 0, gtid=GTID))
    assert transaction.is_complete({"cdc.eCommerce.gr__en"})
