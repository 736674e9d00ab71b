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


def test_a_table_was_read_once_a_later_version_has_other_files_of_it() -> None:
    assert not was_read_again(table(3, 9), table(3, 9))
    assert was_read_again(table(4, 9), table(3, 9))
    assert not was_read_again(NOT_SHOWN, table(3, 9))
