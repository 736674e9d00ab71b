from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from connectors.cassandra.client import Rows
from connectors.cassandra.generations import Definition, Generation
from infra.cli.replay.compare_generations import Comparison, comparable, compare

RULES = Definition(window_ms=10_000, horizon_ms=1000, ahead_ms=1000)
LIVE = Generation(1, "shop", "live", RULES)
NEW = Generation(2, "shop_g2", "building", RULES)


@dataclass
class Session:
    """Tables by keyspace; only `product_view_total` has rows."""

    totals: dict[str, list[tuple[Any, ...]]] = field(
        default_factory=lambda: {"shop": [], "shop_g2": []}
    )

    def execute(self, cql: str) -> Rows:
        keyspace, table = cql.rpartition(" ")[2].split(".")
        return Rows([], self.totals[keyspace] if table == "product_view_total" else [])


def compared(live: list[tuple[Any, ...]], new: list[tuple[Any, ...]]) -> Comparison:
    """What comes out for rows (product, partition, views, last offset)."""
    return compare(Session({"shop": live, "shop_g2": new}), LIVE, NEW, lambda: None)  # type: ignore[arg-type]


def test_equal_rows_are_equal() -> None:
    found = compared([(7, 0, 3, 9)], [(7, 0, 3, 9)])
    assert (found.compared, found.differing, found.in_motion) == (1, 0, 0)


@pytest.mark.parametrize("new", [[], [(7, 0, 4, 9)], [(7, 0, 2, 8)], [(7, 1, 3, 9)]])
def test_a_row_that_counts_otherwise_is_missing_or_is_behind_differs(
    new: list[tuple[Any, ...]],
) -> None:
    found = compared([(7, 0, 3, 9)], new)
    assert found.differing == 1
    assert (
        "product_view_total (7, 0): 3 up to offset 9 in the live generation" in found.text()
    )


def test_a_row_that_is_further_in_the_new_generation_is_in_motion() -> None:
    found = compared([(7, 0, 3, 9)], [(7, 0, 4, 12)])
    assert (found.compared, found.differing, found.in_motion) == (0, 0, 1)


def test_what_the_new_generation_counts_until_it_has_caught_up_is_compared() -> None:
    session = Session({"shop": [(7, 0, 3, 9)], "shop_g2": []})

    def catch_up() -> None:
        session.totals["shop_g2"] = [(7, 0, 3, 9)]

    assert compare(session, LIVE, NEW, catch_up).differing == 0  # type: ignore[arg-type]


def test_only_tables_by_the_same_rules_are_compared() -> None:
    other_windows = replace(NEW, definition=replace(RULES, window_ms=30_000))
    names = {view.name for view in comparable(LIVE, other_windows)}
    assert "product_view_by_minute" in names
    assert not {"product_view", "order_view"} & names
    assert comparable(LIVE, replace(NEW, definition=replace(RULES, horizon_ms=5))) == []
    assert "nothing" in Comparison().text()
