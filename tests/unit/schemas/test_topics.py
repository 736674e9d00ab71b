import pytest

from schemas.topics import (
    change_topic,
    kafka_topic,
    source_table,
    table_of,
    table_topics,
    topic_of_collection,
)


@pytest.mark.parametrize(
    ("table", "topic"),
    [
        ("orders", "cdc.eCommerce.orders"),
        ("my table$", "cdc.eCommerce.my_table_"),
        ("größen", "cdc.eCommerce.gr__en"),
        ("a-b_c.d", "cdc.eCommerce.a-b_c.d"),
    ],
)
def test_a_table_has_the_topic_in_kafka_that_debezium_gives_it(
    table: str, topic: str
) -> None:
    own_topic = change_topic("eCommerce", table)
    assert kafka_topic(own_topic) == topic
    assert topic_of_collection(f"eCommerce.{table}") == own_topic
    assert source_table(own_topic) == table
    assert table_of(own_topic, "eCommerce") == table
    assert kafka_topic(topic) == topic


def test_a_topic_in_kafka_has_no_more_characters_than_kafka_allows() -> None:
    assert len(kafka_topic(change_topic("d" * 200, "t" * 64))) == 249


@pytest.mark.parametrize(
    ("existing", "tables", "expected"),
    [
        (["cdc.shop.a_b"], ["a_b"], ["cdc.shop.a_b"]),
        (["cdc.shop.a_b"], [], ["cdc.shop.a_b"]),
        (["cdc.shop.a_b"], ["a b"], ["cdc.shop.a b"]),
        (
            ["cdc.shop.a_b", "productview", "cdc.transaction"],
            ["a_b", "a b", "a$b", "empty"],
            [
                "cdc.shop.a b",
                "cdc.shop.a$b",
                "cdc.shop.a_b",
                "productview",
                "cdc.transaction",
            ],
        ),
        (["cdc.shop.___"], ["客户们", "订单们"], ["cdc.shop.客户们", "cdc.shop.订单们"]),
        (["cdc.other.a_b"], ["a b"], ["cdc.other.a_b"]),
    ],
)
def test_a_topic_in_kafka_has_the_tables_that_are_known(
    existing: list[str], tables: list[str], expected: list[str]
) -> None:
    assert table_topics(existing, tables, "shop") == expected


def test_a_database_whose_name_kafka_cannot_have_has_its_topics() -> None:
    assert table_topics(["cdc.caf_.orders"], [], "café") == ["cdc.café.orders"]


def test_a_topic_belongs_to_the_database_in_its_name() -> None:
    assert table_of("cdc.eCommerce.orders", "eCommerce") == "orders"
    assert table_of("cdc.caf_.orders", "café") == "orders"
    assert table_of("cdc.other.orders", "eCommerce") is None
    assert table_of("cdc.transaction", "eCommerce") is None
    assert source_table("cdc.eCommerce.a.b") == "a.b"
