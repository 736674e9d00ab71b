import pytest

from infra.bench.capture.shown_tables import (
    NOT_SHOWN,
    ShownTable,
    has_change_after,
    shown_table,
    was_read_again,
)
from schemas.gtid import gtid_set

SERVER = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def table(version: int, last_number: int) -> ShownTable:
    return ShownTable(version, gtid_set(f"{SERVER}:1-{last_number}"))


def test_a_table_has_its_version_and_transactions_in_its_properties() -> None:
    properties = {"kappa.version": "7", "kappa.gtid": f"{SERVER}:1-9"}
    assert shown_table(properties) == table(7, 9)
    assert shown_table({}) == NOT_SHOWN


def test_a_new_table_is_shown_once_it_has_a_later_transaction() -> None:
    assert not has_change_after(NOT_SHOWN, SERVER, 9)
    assert not has_change_after(table(3, 9), SERVER, 9)
    assert has_change_after(table(3, 10), SERVER, 9)


@pytest.mark.parametrize(
    ("now", "is_read"), [(table(3, 9), False), (table(4, 8), False), (table(4, 9), True)]
)
def test_a_table_was_read_if_it_is_another_one_with_all_transactions(
    now: ShownTable, is_read: bool
) -> None:
    transactions = gtid_set(f"{SERVER}:1-9")
    assert was_read_again(now, table(3, 9), transactions) == is_read
