"""Where tables come from: names and periods between statements."""

from dataclasses import replace

import pytest

from schemas.ddl.statements import (
    START,
    ColumnDefinition,
    DdlStatement,
    StatementKind,
    TableSchema,
)
from schemas.errors import ContractError
from schemas.manifest import DdlPosition
from spark.merge.ddl_lineage import (
    TableLineage,
    dropped_tables,
    obsolete_positions,
    table_lineages,
)

SHAPE = TableSchema((ColumnDefinition("id", "INT"),), ("id",))
WIDE = TableSchema((ColumnDefinition("id", "INT"), ColumnDefinition("c", "INT")), ("id",))


def said(
    offset: int,
    kind: StatementKind,
    table: str,
    to: str = "",
    shape: TableSchema | None = SHAPE,
    text: str = "",
    only_if_absent: bool = False,
) -> DdlStatement:
    return DdlStatement(
        only_if_absent=only_if_absent,
        offset=offset,
        position=(1, offset * 10),
        kind=kind,
        table=table,
        text=text,
        to=to,
        shape=None if kind in (StatementKind.RENAME, StatementKind.DROP) else shape,
    )


def by_name(found: list[TableLineage]) -> dict[str, TableLineage]:
    return {one.name: one for one in found}


def test_a_new_table_begins_with_its_creation() -> None:
    (one,) = table_lineages([said(1, StatementKind.CREATE, "t")], {}, ["t"])
    assert (one.name, one.base, one.periods[0].after) == ("t", None, (1, 10))


def test_a_table_that_a_snapshot_found_and_one_that_nothing_is_known_of_begin_at_the_start() -> (
    None
):
    found = by_name(table_lineages([said(1, StatementKind.FOUND, "t")], {}, ["t", "u"]))
    assert found["t"].periods[0].after == found["u"].periods[0].after == START


def test_a_renamed_table_continues_the_published_one_with_changes_under_both_names() -> (
    None
):
    (one,) = table_lineages(
        [said(5, StatementKind.RENAME, "t", "u")], {"t": DdlPosition(3, "t")}, ["t"]
    )
    assert (one.name, one.base) == ("u", "t")
    assert [(period.name, period.after, period.until) for period in one.periods] == [
        ("t", START, (1, 50)),
        ("u", (1, 50), None),
    ]


def test_a_renamed_table_keeps_the_key_that_it_had_under_its_old_name() -> None:
    other_key = TableSchema((ColumnDefinition("uid", "INT"),), ("uid",))
    statements = [
        said(1, StatementKind.CREATE, "t"),
        said(2, StatementKind.RENAME, "t", "u"),
        said(
            3,
            StatementKind.ALTER,
            "u",
            shape=other_key,
            text="ALTER TABLE u RENAME COLUMN id TO uid",
        ),
    ]
    (lineage,) = table_lineages(statements, {}, [])
    assert [period.key for period in lineage.periods] == [("id",), ("id",), ("uid",)]


def test_tables_that_swap_their_names_swap_what_they_go_on_from() -> None:
    swap = [
        said(5, StatementKind.RENAME, "a", "x"),
        said(6, StatementKind.RENAME, "b", "a"),
        said(7, StatementKind.RENAME, "x", "b"),
    ]
    found = by_name(
        table_lineages(
            swap, {"a": DdlPosition(0, "a"), "b": DdlPosition(0, "b")}, ["a", "b"]
        )
    )
    assert (found["a"].base, found["b"].base) == ("b", "a")


def test_a_table_made_anew_goes_on_from_nothing() -> None:
    published = {"t": DdlPosition(3, "t")}
    found = table_lineages(
        [said(5, StatementKind.DROP, "t"), said(6, StatementKind.CREATE, "t")],
        published,
        ["t"],
    )
    assert [(one.name, one.base) for one in found] == [("t", None)]
    assert dropped_tables(published, found) == {"t"}


def test_a_creation_that_only_makes_sure_of_a_table_changes_nothing() -> None:
    (one,) = table_lineages(
        [said(5, StatementKind.CREATE, "t", only_if_absent=True)],
        {"t": DdlPosition(3, "t")},
        ["t"],
    )
    assert one.base == "t"


def test_what_a_published_table_includes_is_not_carried_out_again() -> None:
    past = [
        said(1, StatementKind.CREATE, "t"),
        said(2, StatementKind.DROP, "t"),
        said(3, StatementKind.CREATE, "t"),
    ]
    (one,) = table_lineages(past, {"t": DdlPosition(4, "t")}, ["t"])
    assert (one.base, len(one.periods)) == ("t", 1)


def test_new_columns_wait_for_the_first_change_that_has_them() -> None:
    history = [
        said(1, StatementKind.CREATE, "t"),
        said(
            5,
            StatementKind.ALTER,
            "t",
            shape=WIDE,
            text="ALTER TABLE t ADD c INT DEFAULT 5",
        ),
    ]
    (one,) = table_lineages(history, {"t": DdlPosition(3, "t")}, ["t"])
    periods, waiting = one.periods_with_changes({"t": (1, 40)})
    assert (len(periods), periods[0].conversion.added, waiting) == (
        1,
        (),
        DdlPosition(5, "t"),
    )
    periods, waiting = one.periods_with_changes({"t": (1, 60)})
    assert (len(periods), periods[0].conversion.added, waiting) == (2, (("c", "5"),), None)


def test_a_statement_that_waits_is_found_again_under_the_name_that_the_table_had_then() -> (
    None
):
    history = [
        said(1, StatementKind.CREATE, "t"),
        said(
            5,
            StatementKind.ALTER,
            "t",
            shape=WIDE,
            text="ALTER TABLE t ADD c INT DEFAULT 5",
        ),
        said(6, StatementKind.RENAME, "t", "u"),
    ]
    (one,) = table_lineages(history, {"u": DdlPosition(5, "t")}, ["t", "u"])
    assert (one.name, one.base) == ("u", "u")
    assert one.periods[0].conversion.added == (("c", "5"),)


def altered_and_renamed(first: int, *, together: bool) -> list[DdlStatement]:
    """A table `t` that gets a column, and the name `u` in the same statement or in the next."""
    alteration = said(
        first,
        StatementKind.ALTER,
        "t",
        shape=WIDE,
        text="ALTER TABLE t ADD c INT DEFAULT 5",
    )
    renaming = said(first if together else first + 1, StatementKind.RENAME, "t", "u")
    return [said(1, StatementKind.CREATE, "t"), alteration, renaming]


@pytest.mark.parametrize("together", [True, False])
def test_a_table_that_is_renamed_while_a_statement_waits_keeps_its_rows(
    together: bool,
) -> None:
    history = altered_and_renamed(5, together=together)
    (first,) = table_lineages(history, {"t": DdlPosition(3, "t")}, ["t"])
    periods, waiting = first.periods_with_changes({})
    assert (first.base, len(periods), waiting) == ("t", 1, DdlPosition(5, "t"))
    assert waiting is not None
    (second,) = table_lineages(history, {"u": waiting}, ["t", "u"])
    periods, waiting = second.periods_with_changes({"u": (1, 90)})
    assert (second.name, second.base, waiting) == ("u", "u", None)
    assert periods[0].conversion.added == (("c", "5"),)


def test_a_table_does_not_wait_if_its_changes_may_be_hidden_behind_those_of_another() -> (
    None
):
    history = [
        *altered_and_renamed(5, together=False),
        said(7, StatementKind.RENAME, "new", "t"),
    ]
    published = {"t": DdlPosition(3, "t"), "new": DdlPosition(3, "new")}
    lineage = by_name(table_lineages(history, published, ["t", "new"]))["u"]
    periods, waiting = lineage.periods_with_changes({"t": (1, 40)})
    assert (len(periods), waiting) == (1, DdlPosition(5, "t"))
    with pytest.raises(ContractError, match="table u had the name t, which another"):
        lineage.periods_with_changes({"t": (1, 80)})


WAITING_ON_ITS_WAY = (
    said(1, StatementKind.CREATE, "d"),
    said(5, StatementKind.ALTER, "d", shape=WIDE, text="ALTER TABLE d ADD c INT"),
    said(6, StatementKind.RENAME, "d", "t"),
    said(7, StatementKind.RENAME, "t", "c"),
    said(8, StatementKind.RENAME, "b", "t"),
)


def test_a_table_that_waits_is_not_taken_for_one_that_has_its_name_later() -> None:
    published = {"c": DdlPosition(5, "d"), "t": DdlPosition(9, "t")}
    found = by_name(table_lineages(WAITING_ON_ITS_WAY, published, ["b", "c", "d", "t"]))
    assert {name: lineage.base for name, lineage in found.items()} == {"c": "c", "t": "t"}


@pytest.mark.parametrize("later", [[], [said(9, StatementKind.RENAME, "c", "e")]])
def test_a_table_that_was_read_again_under_its_new_name_replaces_the_one_that_waited(
    later: list[DdlStatement],
) -> None:
    published = {"d": DdlPosition(5, "d"), "c": DdlPosition(9, "c")}
    found = table_lineages([*WAITING_ON_ITS_WAY, *later], published, ["c", "d"])
    assert [(lineage.name, lineage.base) for lineage in found if lineage.base] == [
        ("e" if later else "c", "c")
    ]
    assert dropped_tables(published, found) == {"d"}


def test_a_statement_that_rows_do_not_get_over_is_named() -> None:
    text = "ALTER TABLE t\n MODIFY id VARCHAR(9)"
    history = [
        said(1, StatementKind.CREATE, "t"),
        said(
            5,
            StatementKind.ALTER,
            "t",
            shape=TableSchema((ColumnDefinition("id", "VARCHAR", length=9),), ("id",)),
            text=text,
        ),
    ]
    (one,) = table_lineages(history, {"t": DdlPosition(3, "t")}, ["t"])
    with pytest.raises(
        ContractError,
        match=r"table t: `ALTER TABLE t MODIFY id VARCHAR\(9\)`: the values of column id change",
    ):
        one.check()


def test_a_published_table_continues_the_one_that_had_its_name_before() -> None:
    history = [
        said(1, StatementKind.CREATE, "s"),
        said(5, StatementKind.RENAME, "s", "t"),
        said(7, StatementKind.ALTER, "t", text="ALTER TABLE t FORCE"),
    ]
    (lineage,) = table_lineages(history, {"t": DdlPosition(6, "t")}, ["s", "t"])
    assert (lineage.base, len(lineage.periods)) == ("t", 2)


def test_a_table_from_another_database_is_to_be_read() -> None:
    text = "RENAME TABLE outside.t TO shop.t"
    arrival = said(5, StatementKind.ARRIVED, "t", text=text)
    history = [said(1, StatementKind.CREATE, "t"), arrival]
    (lineage,) = table_lineages(history, {"t": DdlPosition(3, "t")}, ["t"])
    assert (lineage.base, lineage.has_unknown_rows) == (None, True)
    assert not any(period.contains((1, 40)) for period in lineage.periods)
    assert lineage.periods[-1].contains((1, 60))
    assert obsolete_positions(["t"], [lineage]) == {"t": (1, 50)}
    with pytest.raises(
        ContractError, match=r"`RENAME TABLE outside.t TO shop.t`: it comes"
    ):
        lineage.check()


def test_a_published_table_needs_no_further_reading() -> None:
    arrival = said(5, StatementKind.ARRIVED, "t", text="RENAME TABLE outside.t TO shop.t")
    (lineage,) = table_lineages([arrival], {"t": DdlPosition(6, "t")}, ["t"])
    assert (lineage.base, lineage.has_unknown_rows) == ("t", False)
    lineage.check()


def test_a_table_whose_creation_is_unknown_is_to_be_read_at_its_first_statement() -> None:
    alteration = said(5, StatementKind.ALTER, "t", text="ALTER TABLE t ADD c INT")
    (lineage,) = table_lineages([alteration], {}, ["t"])
    assert lineage.has_unknown_rows
    with pytest.raises(ContractError, match="Debezium does not know the table's columns"):
        lineage.check()


def test_a_table_whose_creation_is_unknown_is_to_be_read_under_its_new_name() -> None:
    statements = [
        said(1, StatementKind.CREATE, "t"),
        said(4, StatementKind.RENAME, "t", "t_old"),
        said(5, StatementKind.RENAME, "t_new", "t"),
    ]
    found = by_name(table_lineages(statements, {"t_old": DdlPosition(5, "t_old")}, ["t"]))
    assert {name: lineage.has_unknown_rows for name, lineage in found.items()} == {
        "t_old": False,
        "t": True,
    }
    with pytest.raises(ContractError, match="does not say how the table was created"):
        found["t"].check()
    published = {"t_old": DdlPosition(5, "t_old"), "t": DdlPosition(6, "t")}
    found = by_name(table_lineages(statements, published, ["t"]))
    assert not found["t"].has_unknown_rows


def test_an_alter_of_unknown_columns_is_not_skipped() -> None:
    history = [
        said(1, StatementKind.CREATE, "t", shape=None),
        said(5, StatementKind.ALTER, "t", text="ALTER TABLE t ADD c INT"),
    ]
    (lineage,) = table_lineages(history, {"t": DdlPosition(3, "t")}, ["t"])
    assert "does not know" in lineage.periods[0].conversion.problem


def test_a_database_that_is_dropped_takes_all_its_tables() -> None:
    published = {"t": DdlPosition(3, "t"), "u": DdlPosition(3, "u")}
    history = [
        said(4, StatementKind.CREATE, "v"),
        said(5, StatementKind.DROP_ALL, ""),
        said(6, StatementKind.CREATE, "u"),
    ]
    lineages = table_lineages(history, published, ["t", "u", "v"])
    assert [(lineage.name, lineage.base) for lineage in lineages] == [("u", None)]
    assert dropped_tables(published, lineages) == {"t", "u"}


def test_a_name_that_is_taken_again_was_left_by_its_table() -> None:
    """Debezium does not log that a table goes into another database."""
    published = {"t": DdlPosition(3, "t"), "new": DdlPosition(3, "new")}
    renaming = said(5, StatementKind.RENAME, "new", "t")
    (lineage,) = table_lineages([renaming], published, ["t", "new"])
    assert (lineage.name, lineage.base) == ("t", "new")
    assert dropped_tables(published, [lineage]) == {"t"}


def test_a_schema_remembers_computed_columns_over_an_alter() -> None:
    history = [
        said(1, StatementKind.CREATE, "t", shape=replace(SHAPE, may_compute=True)),
        said(5, StatementKind.ALTER, "t", text="ALTER TABLE t FORCE"),
        said(
            6,
            StatementKind.ALTER,
            "t",
            shape=TableSchema((ColumnDefinition("id", "BIGINT"),), ("id",)),
            text="ALTER TABLE t MODIFY id BIGINT",
        ),
    ]
    (lineage,) = table_lineages(history, {"t": DdlPosition(3, "t")}, ["t"])
    problems = [period.conversion.problem for period in lineage.periods]
    assert problems[0] == ""
    assert "MySQL may compute other values" in problems[1]


def test_the_columns_of_a_table_that_a_creation_found_are_not_certain() -> None:
    copy = replace(WIDE, key=())
    statements = [
        said(1, StatementKind.CREATE, "t"),
        said(
            2,
            StatementKind.CREATE,
            "t",
            shape=copy,
            text="CREATE TABLE IF NOT EXISTS t LIKE u",
            only_if_absent=True,
        ),
        said(3, StatementKind.ALTER, "t", shape=copy, text="ALTER TABLE t ADD INDEX (c)"),
    ]
    (lineage,) = table_lineages(statements, {}, [])
    with pytest.raises(ContractError, match="Debezium does not know"):
        lineage.check()


def test_what_a_gone_table_left_in_its_topic_binds_nobody() -> None:
    found = table_lineages(
        [
            said(1, StatementKind.CREATE, "t"),
            said(5, StatementKind.DROP, "t"),
            said(6, StatementKind.CREATE, "t"),
            said(7, StatementKind.DROP, "u"),
        ],
        {},
        ["t"],
    )
    assert obsolete_positions(["t", "u"], found)["t"] == (1, 60)
    assert obsolete_positions(["t", "u"], found)["u"] > (10**6, 0)


@pytest.mark.parametrize(
    "lost",
    [
        said(5, StatementKind.ALTER, "t", text="ALTER TABLE t FROBNICATE"),
        said(5, StatementKind.ALTER, "t", shape=None, text="ALTER TABLE t FORCE"),
    ],
    ids=["not understood", "not described"],
)
def test_a_schema_that_may_be_wrong_is_not_trusted_again(lost: DdlStatement) -> None:
    history = [
        said(1, StatementKind.CREATE, "t"),
        lost,
        said(6, StatementKind.ALTER, "t", text="ALTER TABLE t FORCE"),
        said(7, StatementKind.DROP, "t"),
        said(8, StatementKind.CREATE, "t"),
        said(9, StatementKind.ALTER, "t", text="ALTER TABLE t FORCE"),
    ]
    published = {"t": DdlPosition(3, "t")}
    (lineage,) = table_lineages(history[:3], published, ["t"])
    assert "does not know" in lineage.periods[1].conversion.problem
    (lineage,) = table_lineages(history, published, ["t"])
    assert [period.conversion.problem for period in lineage.periods] == ["", ""]
