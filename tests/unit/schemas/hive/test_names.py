"""Names of MySQL as Hive can have them."""

import pytest

from schemas.hive.names import column_names, name_hash, readable_table_name


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("orders", "orders"),
        ("c18_Cart", "c18_cart"),
        ("my table$", "my_table_"),
        ("a-b.c", "a_b_c"),
        ("käufe", "k_ufe"),
        ("客户", f"t_{name_hash('客户')}"),
        ("заказы", f"t_{name_hash('заказы')}"),
        ("_", f"t_{name_hash('_')}"),
        ("2026", "2026"),
    ],
)
def test_a_table_has_a_name_of_letters_that_hive_knows(table: str, expected: str) -> None:
    assert readable_table_name(table) == expected


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["id", "orderedAt"], ("id", "orderedAt")),
        (["created-at", "1st", "größe"], ("created_at", "_1st", "gr__e")),
        (
            ["net-price", "net_price", "net price"],
            (
                f"net_price_{name_hash('net-price')}",
                "net_price",
                f"net_price_{name_hash('net price')}",
            ),
        ),
        (["价格", "名称"], (f"___{name_hash('价格')}", f"___{name_hash('名称')}")),
        (["价格", "id"], ("__", "id")),
        (["Net-Price", "net_price"], (f"Net_Price_{name_hash('Net-Price')}", "net_price")),
        ([], ()),
    ],
)
def test_each_column_of_a_table_has_a_name_of_its_own(
    columns: list[str], expected: tuple[str, ...]
) -> None:
    names = column_names(columns)
    assert names == expected
    assert len({name.lower() for name in names}) == len(columns)
    assert column_names(columns[::-1]) == expected[::-1], "in whatever order"
