from collections import Counter
from collections.abc import Iterator, Mapping

import pytest

from tests.chaos.ddl_schedules.clauses import CLAUSE_KINDS
from tests.chaos.ddl_schedules.generator import (
    CHANGE_KINDS,
    CHANGES,
    WRITES,
    DdlSchedule,
    mark,
    table_name,
)
from tests.chaos.ddl_schedules.spelling import ANSI_QUOTES, COMMENTS, NO_BACKSLASH
from tests.chaos.ddl_schedules.statement import Statement
from tests.chaos.ddl_schedules.table_state import ColumnState, TableState
from tests.chaos.ddl_schedules.writes import WRITE_KINDS

SEED = 14
SCHEDULES = 80
COLUMNS = (
    ColumnState(name="id", type="int", nullable=False, numbered=True),
    ColumnState(name="qty", type="decimal(6,2)", has_default=True),
    ColumnState(name="größe", type="enum('a','b')"),
    ColumnState(name="note", type="varchar(20)"),
    ColumnState(name="total", type="int", generated=True),
)


class Tables:
    """A catalogue in which a schedule always finds the same two tables."""

    def __init__(self, name: str) -> None:
        partitioned = TableState(
            name=f"{name}_b",
            columns=COLUMNS,
            key=("id",),
            partitions=("p0", "p1"),
            method="RANGE",
            indexes=("ix",),
        )
        plain = TableState(name=name, columns=COLUMNS, key=("id",), indexes=("ix",))
        self._tables = {name: plain, f"{name}_b": partitioned}

    def tables(self) -> Mapping[str, TableState]:
        return self._tables


def statements(seed: int, number: int) -> Iterator[Statement]:
    schedule = DdlSchedule(seed, number, Tables(table_name(seed, number)))
    yield from schedule.begin()
    yield from schedule.play(CHANGES, WRITES)
    yield from schedule.end()


@pytest.fixture(scope="module")
def many() -> list[Statement]:
    """The statements of many schedules."""
    return [each for number in range(SCHEDULES) for each in statements(SEED, number)]


def test_a_seed_and_a_number_determine_every_statement() -> None:
    assert list(statements(SEED, 3)) == list(statements(SEED, 3))
    assert list(statements(SEED, 3)) != list(statements(SEED, 4))
    assert list(statements(SEED, 3)) != list(statements(SEED + 1, 3))


def test_schedules_reach_every_kind_of_change_clause_and_write(
    many: list[Statement],
) -> None:
    kinds = {kind for statement in many for kind in statement.kinds}
    assert {*CHANGE_KINDS, *CLAUSE_KINDS, *WRITE_KINDS} <= kinds
    assert {"commit", "rollback"} <= kinds


def test_statements_have_comments_of_every_kind_and_names_in_either_quotes(
    many: list[Statement],
) -> None:
    texts = [statement.text for statement in many]
    for comment in COMMENTS:
        assert any(comment in text for text in texts), comment
    assert {ANSI_QUOTES, NO_BACKSLASH} <= {statement.sql_mode for statement in many}
    ansi = [each.text for each in many if each.sql_mode == ANSI_QUOTES]
    assert any('ADD "' in text or 'COLUMN "' in text for text in ansi)
    assert any("ALTER TABLE `" in text for text in texts)


def test_some_statements_have_several_clauses(many: list[Statement]) -> None:
    counts = Counter[int]()
    for statement in many:
        counts[sum(kind in CLAUSE_KINDS for kind in statement.kinds)] += 1
    assert {1, 2, 3} <= set(counts)


def test_some_schedules_have_only_statements_of_certain_effect() -> None:
    certain_schedules = 0
    for number in range(20):
        changes = set[str]()
        for statement in statements(SEED, number):
            changes.update(statement.kinds)
        clauses = [CLAUSE_KINDS[kind] for kind in changes if kind in CLAUSE_KINDS]
        certain_schedules += all(clause.certain for clause in clauses)
    assert 3 <= certain_schedules <= 17


def test_the_programs_that_migrate_tables_end_with_the_atomic_rename() -> None:
    texts = [each.text for number in range(40) for each in statements(SEED, number)]
    assert any(text.startswith("rename /* gh-ost */ table") for text in texts)
    assert any(text.startswith("CREATE TRIGGER `pt_osc_") for text in texts)
    assert any("_new` TO `" in text for text in texts)


def test_writes_are_between_the_changes() -> None:
    schedule = DdlSchedule(SEED, 5, Tables(table_name(SEED, 5)))
    is_write = [bool(each.table) for each in schedule.play(CHANGES, WRITES)]
    assert sum(is_write) >= WRITES
    assert True in is_write[: is_write.index(False) + 20]


def test_versions_come_between_some_statements(many: list[Statement]) -> None:
    assert {each.pause_seconds > 0 for each in many} == {True, False}


def test_no_schedule_takes_the_tables_of_another() -> None:
    names = [table_name(SEED, number) for number in range(200)]
    for number, name in enumerate(names):
        assert mark(SEED, number) in name
        assert sum(mark(SEED, number) in other for other in names) == 1
    assert any(not name.isidentifier() for name in names)
