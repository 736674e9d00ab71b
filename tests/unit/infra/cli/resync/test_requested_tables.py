"""Which tables `kappa resync` requests."""

from collections.abc import Sequence

import pytest

from infra.cli.resync.requested_tables import selected_tables
from schemas.errors import UsageError

TABLES = ["orders", "products", "user"]


@pytest.mark.parametrize(
    ("tables", "all_tables", "expected"),
    [
        (["orders"], False, ["orders"]),
        (["user", "orders", "user"], False, ["user", "orders"]),
        ([], True, TABLES),
    ],
)
def test_named_tables_or_all(
    tables: Sequence[str], all_tables: bool, expected: Sequence[str]
) -> None:
    assert selected_tables(tables, all_tables, TABLES, "eCommerce") == expected


@pytest.mark.parametrize(
    ("tables", "all_tables", "problem"),
    [
        ([], False, "name the tables"),
        (["orders"], True, "name the tables"),
        (["ordres"], False, "did you mean orders"),
        (["x"], False, "no table eCommerce.x"),
    ],
)
def test_a_wrong_request_is_an_error_at_once(
    tables: Sequence[str], all_tables: bool, problem: str
) -> None:
    with pytest.raises(UsageError) as error:
        selected_tables(tables, all_tables, TABLES, "eCommerce")
    assert problem in f"{error.value} {error.value.hint}"
