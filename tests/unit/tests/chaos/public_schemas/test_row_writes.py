from collections import Counter
from random import Random

from tests.chaos.ddl_schedules.table_state import ColumnState, TableState
from tests.chaos.public_schemas.row_writes import LENIENT, STRICT, RowWrites

NUMBERED = ColumnState(name="id", type="int", nullable=False, numbered=True)
KEY = ColumnState(name="id", type="smallint", nullable=False)
COLUMNS = (
    ColumnState(name="a`b", type="varchar(20)"),
    ColumnState(name="kind", type="enum('a','b')", nullable=False),
    ColumnState(name="total", type="int", generated=True),
)
WITH_KEY = TableState(name="t", columns=(KEY, *COLUMNS), key=("id",))
WITH_NUMBER = TableState(name="t", columns=(NUMBERED, *COLUMNS), key=("id",))
WITHOUT_KEY = TableState(name="t", columns=COLUMNS)
TABLES = (WITH_KEY, WITH_NUMBER, WITHOUT_KEY)


def statements(table: TableState, *, is_loading: bool) -> list[str]:
    writes = RowWrites(Random(1))
    return [writes.write(table, is_loading=is_loading) for _ in range(300)]


def test_rows_are_inserted_copied_changed_and_deleted() -> None:
    for table in TABLES:
        verbs = Counter(
            " ".join(text.split()[:2]) for text in statements(table, is_loading=False)
        )
        expected = {"INSERT INTO", "INSERT IGNORE", "REPLACE INTO", "UPDATE `t`"}
        assert {*verbs} == expected | {"DELETE FROM"}


def test_a_generated_column_is_never_written() -> None:
    for table in TABLES:
        for text in statements(table, is_loading=False):
            assert "`total`" not in text


def test_a_table_is_not_disturbed_while_it_is_loaded() -> None:
    for table in TABLES:
        for text in statements(table, is_loading=True):
            assert text.startswith(("UPDATE", "INSERT INTO"))
            assert "SET `id`" not in text
    numbered = statements(WITH_NUMBER, is_loading=True)
    assert all(text.startswith("UPDATE") for text in numbered)


def test_only_tables_with_a_certain_key_get_values_that_do_not_fit() -> None:
    writes = RowWrites(Random(1))
    dated = TableState(
        name="t",
        columns=(ColumnState(name="on", type="date"),),
        key=("on",),
    )
    assert {writes.sql_mode(WITH_KEY) for _ in range(100)} == {STRICT, LENIENT}
    for table in (WITHOUT_KEY, dated):
        assert {writes.sql_mode(table) for _ in range(100)} == {STRICT}
