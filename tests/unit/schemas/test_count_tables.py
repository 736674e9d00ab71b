import re

import pytest

from schemas import count_tables


def test_the_product_views_table_is_what_readers_were_promised() -> None:
    assert count_tables.create_table(count_tables.PRODUCT_VIEWS, "ecommerce") == (
        "CREATE TABLE IF NOT EXISTS ecommerce.product_view "
        "(product_id bigint, created_at timestamp, kafka_partition int, view_count bigint, "
        "last_offset bigint, "
        "PRIMARY KEY ((product_id), created_at, kafka_partition)) "
        "WITH CLUSTERING ORDER BY (created_at DESC, kafka_partition ASC) "
        "AND comment = 'How often was a product looked at, window by window (ten seconds)?'"
    )


def test_a_row_is_written_with_its_offset_as_its_time() -> None:
    assert count_tables.upsert(count_tables.ORDER_VIEWS, "shop") == (
        "INSERT INTO shop.order_view (order_id, created_at, kafka_partition, view_count, "
        "last_offset) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
    )


def test_rows_of_many_products_are_read_at_once() -> None:
    assert count_tables.select_rows(count_tables.ORDER_VIEWS, "shop") == (
        "SELECT order_id, view_count, last_offset FROM shop.order_view WHERE order_id IN ? AND "
        "created_at = ? AND kafka_partition = ?"
    )


def test_each_generation_but_the_first_has_a_keyspace_of_its_own() -> None:
    assert [count_tables.keyspace_of("shop", number) for number in (1, 2)] == [
        "shop",
        "shop_g2",
    ]


@pytest.mark.parametrize("view", count_tables.VIEWS, ids=lambda view: view.name)
def test_a_view_s_example_asks_its_table_by_its_key(view: count_tables.View) -> None:
    assert f"FROM {view.name} WHERE {view.partition_key.name} = " in view.example
    assert any(re.search(rf"\b{column.name}\b", view.example) for column in view.values)


@pytest.mark.parametrize("view", count_tables.VIEWS, ids=lambda view: view.name)
def test_a_view_says_which_question_it_answers(view: count_tables.View) -> None:
    assert view.question.endswith("?")
    assert count_tables.create_table(view, "shop").count("comment = '") == 1
