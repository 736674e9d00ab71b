import pytest

from schemas import shop_tables


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (shop_tables.USER, ("id", "name", "address")),
        (shop_tables.PRODUCTS, ("product_id", "category", "name")),
        (shop_tables.ORDERS, ("order_id", "user_id", "product_id", "orderedAt", "status")),
        (shop_tables.COMPLETED_ORDERS, ("order_id", "completedAt", "status")),
    ],
    ids=lambda value: value.name if isinstance(value, shop_tables.Table) else "",
)
def test_the_shop_has_the_columns_of_the_design(table, columns):
    assert table.column_names == columns


def test_a_completed_order_is_declared_in_mysql_with_its_keys():
    assert shop_tables.create_table(shop_tables.COMPLETED_ORDERS).splitlines() == [
        "CREATE TABLE IF NOT EXISTS `completed_orders` (",
        "  `order_id` BIGINT NOT NULL,",
        "  `completedAt` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,",
        "  `status` ENUM('0','1') NOT NULL DEFAULT '1',",
        "  PRIMARY KEY (`order_id`),",
        "  CONSTRAINT `completed_orders_order_id` FOREIGN KEY (`order_id`) REFERENCES `orders` "
        "(`order_id`)",
        ") ENGINE=InnoDB DEFAULT CHARSET=utf8mb4",
    ]


def test_ids_are_given_out_by_the_table_that_owns_them():
    owners = {
        table.name
        for table in shop_tables.TABLES
        for column in table.columns
        if column.auto_increment
    }
    assert owners == {"user", "products", "orders"}


def test_a_table_comes_after_the_tables_that_it_refers_to():
    seen: set[str] = set()
    for table in shop_tables.TABLES:
        assert {key.table for key in table.foreign_keys} <= seen
        seen.add(table.name)


def test_no_row_vanishes_behind_the_back_of_the_binlog():
    assert not any(
        "CASCADE" in shop_tables.create_table(table) for table in shop_tables.TABLES
    )


def test_a_name_cannot_break_out_of_its_quotes():
    assert shop_tables.quoted("a`b") == "`a``b`"


def test_the_length_of_a_text_column_is_known():
    assert shop_tables.USER.length("address") == 255
