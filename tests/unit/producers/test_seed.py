from producers import seed
from producers.words import CATEGORIES
from schemas.shop_tables import PRODUCTS, USER


def test_the_same_seed_gives_the_same_shop() -> None:
    assert seed.users(1, 50) == seed.users(1, 50)
    assert seed.products(1, 50) == seed.products(1, 50)
    assert seed.users(1, 50) != seed.users(2, 50)


def test_a_larger_shop_begins_with_the_smaller_one() -> None:
    assert seed.users(1, 100)[:50] == seed.users(1, 50)
    assert seed.products(1, 100)[:50] == seed.products(1, 50)


def test_all_product_names_differ_however_many_there_are() -> None:
    names = [product["name"] for product in seed.products(1, 2000)]
    assert len(set(names)) == len(names)


def test_a_product_is_of_its_category() -> None:
    for product in seed.products(1, 200):
        things, kinds = CATEGORIES[product["category"]]
        assert product["name"].startswith(kinds)
        assert product["name"].endswith(things)


def test_rows_have_the_columns_of_their_tables_and_fit_them() -> None:
    rows_by_table = ((USER, seed.users(1, 2000)), (PRODUCTS, seed.products(1, 2000)))
    for table, rows in rows_by_table:
        for row in rows:
            assert (table.primary_key, *row) == table.column_names
            for column, text in row.items():
                assert 0 < len(text) <= table.length(column)
