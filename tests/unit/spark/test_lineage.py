"""Where tables come from: names and stretches between statements."""

import pytest

from infra.errors import ContractError
from schemas.statements import START, Declared, Kind, Shape, Statement
from spark.lineage import Lineage, Start, dropped, lineages, void

SHAPE = Shape((Declared("id", "INT"),), ("id",))
WIDE = Shape((Declared("id", "INT"), Declared("c", "INT", default="5")), ("id",))


def said(offset: int, kind: Kind, table: str, to: str = "", shape: Shape | None = SHAPE, text: str = "") -> Statement:
    return Statement(offset, (1, offset * 10), kind, table, text, to, None if kind in (Kind.RENAME, Kind.DROP) else shape)


def by_name(found: list[Lineage]) -> dict[str, Lineage]:
    return {one.name: one for one in found}


def test_a_new_table_begins_with_its_creation() -> None:
    (one,) = lineages([said(1, Kind.CREATE, "t")], {}, ["t"])
    assert (one.name, one.base, one.stretches[0].after) == ("t", None, (1, 10))


def test_a_table_that_a_snapshot_found_and_one_that_nothing_is_known_of_begin_at_the_start() -> None:
    found = by_name(lineages([said(1, Kind.FOUND, "t")], {}, ["t", "u"]))
    assert found["t"].stretches[0].after == found["u"].stretches[0].after == START


def test_a_renamed_table_goes_on_from_the_published_one_and_takes_the_changes_under_both_names() -> None:
    (one,) = lineages([said(5, Kind.RENAME, "t", "u")], {"t": Start(3, "t")}, ["t"])
    assert (one.name, one.base) == ("u", "t")
    assert [(stretch.name, stretch.after, stretch.until) for stretch in one.stretches] == [("t", START, (1, 50)), ("u", (1, 50), None)]


def test_tables_that_swap_their_names_swap_what_they_go_on_from() -> None:
    swap = [said(5, Kind.RENAME, "a", "x"), said(6, Kind.RENAME, "b", "a"), said(7, Kind.RENAME, "x", "b")]
    found = by_name(lineages(swap, {"a": Start(0, "a"), "b": Start(0, "b")}, ["a", "b"]))
    assert (found["a"].base, found["b"].base) == ("b", "a")


def test_a_table_made_anew_goes_on_from_nothing() -> None:
    published = {"t": Start(3, "t")}
    found = lineages([said(5, Kind.DROP, "t"), said(6, Kind.CREATE, "t")], published, ["t"])
    assert [(one.name, one.base) for one in found] == [("t", None)]
    assert dropped(published, found) == {"t"}


def test_a_creation_that_only_makes_sure_of_a_table_changes_nothing() -> None:
    (one,) = lineages([said(5, Kind.CREATE, "t", text="CREATE TABLE IF NOT EXISTS t (id INT)")], {"t": Start(3, "t")}, ["t"])
    assert one.base == "t"


def test_what_a_published_table_includes_is_not_carried_out_again() -> None:
    past = [said(1, Kind.CREATE, "t"), said(2, Kind.DROP, "t"), said(3, Kind.CREATE, "t")]
    (one,) = lineages(past, {"t": Start(4, "t")}, ["t"])
    assert (one.base, one.plain) == ("t", True)


def test_new_columns_wait_for_the_first_change_that_has_them() -> None:
    history = [said(1, Kind.CREATE, "t"), said(5, Kind.ALTER, "t", shape=WIDE, text="ALTER TABLE t ADD c INT DEFAULT 5")]
    (one,) = lineages(history, {"t": Start(3, "t")}, ["t"])
    stretches, waiting = one.carried({"t": (1, 40)})
    assert (len(stretches), stretches[0].carry.added, waiting) == (1, (), Start(5, "t"))
    stretches, waiting = one.carried({"t": (1, 60)})
    assert (len(stretches), stretches[0].carry.added, waiting) == (2, (("c", "5"),), None)


def test_a_statement_that_waits_is_found_again_under_the_name_that_the_table_had_then() -> None:
    history = [
        said(1, Kind.CREATE, "t"),
        said(5, Kind.ALTER, "t", shape=WIDE, text="ALTER TABLE t ADD c INT DEFAULT 5"),
        said(6, Kind.RENAME, "t", "u"),
    ]
    (one,) = lineages(history, {"u": Start(5, "t")}, ["t", "u"])
    assert (one.name, one.base) == ("u", "u")
    assert one.stretches[0].carry.added == (("c", "5"),)


def test_a_statement_that_rows_do_not_get_over_is_named_with_the_way_on() -> None:
    text = "ALTER TABLE t MODIFY id VARCHAR(9)"
    history = [said(1, Kind.CREATE, "t"), said(5, Kind.ALTER, "t", shape=Shape((Declared("id", "VARCHAR", 9),), ("id",)), text=text)]
    (one,) = lineages(history, {"t": Start(3, "t")}, ["t"])
    with pytest.raises(ContractError, match=r"table t: `ALTER TABLE t MODIFY id VARCHAR\(9\)`: the values of column id change") as stopped:
        one.check()
    assert "CREATE TABLE new LIKE t" in stopped.value.hint


def test_what_a_gone_table_left_in_its_topic_binds_nobody() -> None:
    found = lineages([said(1, Kind.CREATE, "t"), said(5, Kind.DROP, "t"), said(6, Kind.CREATE, "t"), said(7, Kind.DROP, "u")], {}, ["t"])
    assert void(["t", "u"], found)["t"] == (1, 60)
    assert void(["t", "u"], found)["u"] > (10**6, 0)
