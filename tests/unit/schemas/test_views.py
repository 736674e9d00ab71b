import re

import pytest

from schemas import views


def test_the_product_views_table_is_what_readers_were_promised() -> None:
    assert views.create_table(views.PRODUCT_VIEWS, "ecommerce") == (
        "CREATE TABLE IF NOT EXISTS ecommerce.product_view "
        "(product_id bigint, created_at timestamp, kafka_partition int, view_count bigint, last_offset bigint, "
        "PRIMARY KEY ((product_id), created_at, kafka_partition)) "
        "WITH CLUSTERING ORDER BY (created_at DESC, kafka_partition ASC) "
        "AND comment = 'How often was a product looked at, window by window?'"
    )


def test_a_row_is_written_with_its_offset_as_its_time() -> None:
    assert views.upsert(views.ORDER_VIEWS, "shop") == (
        "INSERT INTO shop.order_view (order_id, created_at, kafka_partition, view_count, last_offset) VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"
    )


def test_a_row_is_read_by_its_whole_key() -> None:
    assert views.select_row(views.ORDER_VIEWS, "shop") == (
        "SELECT view_count, last_offset FROM shop.order_view WHERE order_id = ? AND created_at = ? AND kafka_partition = ?"
    )


def test_who_has_seen_more_of_the_log_wins() -> None:
    assert views.write_time(1, 5) > views.write_time(1, 4)
    assert views.write_time(2, 0) > views.write_time(1, 2**47)
    assert views.write_time(1, -1) > 0


@pytest.mark.parametrize("view", views.VIEWS, ids=lambda view: view.name)
def test_a_view_s_example_asks_its_table_by_its_subject(view: views.View) -> None:
    assert f"FROM ecommerce.{view.name} WHERE {view.subject.name} = " in view.example
    assert re.search(rf"\b{views.VIEW_COUNT.name}\b", view.example)
