import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from connectors.hadoop.manifest_store import ManifestStore
from connectors.kafka import client as kafka
from connectors.kafka.client import Watermarks
from connectors.runtime.settings import Settings, load
from infra.cli.versions import catch_up as module
from infra.cli.versions.catch_up import (
    REQUEST,
    CatchUp,
    catch_up,
    end_offset,
    is_behind,
    log_ends,
    offsets_ahead,
)
from schemas.errors import Unavailable
from schemas.manifest import EMPTY_MANIFEST, Manifest

ORDERS = "cdc.eCommerce.orders"
OFFSETS = {ORDERS: {0: 10}, "productview": {0: 5, 1: 7}}
MANIFEST = replace(EMPTY_MANIFEST, version=4, offsets=OFFSETS)


class Versions:
    """Version 4 is the newest."""

    def numbers(self) -> list[int]:
        return [3, 4]

    def read(self, number: int) -> Manifest:
        assert number == 4
        return MANIFEST


VERSIONS = cast(ManifestStore, Versions())


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"KAPPA_HOME": str(tmp_path), "KAPPA_CONFIG": "/none.toml"})


def report(settings: Settings, **state: Any) -> None:
    (settings.home / "run").mkdir(exist_ok=True)
    (settings.home / "run" / "compactor.json").write_text(json.dumps(state))


@pytest.mark.parametrize(
    ("partition", "end", "behind"),
    [
        ((ORDERS, 0), 10, False),
        ((ORDERS, 0), 11, True),
        ((ORDERS, 1), 1, True),
        (("cdc.eCommerce.new", 0), 1, True),
    ],
)
def test_a_version_is_behind_an_end_that_it_does_not_reach(
    partition: tuple[str, int], end: int, behind: bool
) -> None:
    assert is_behind(MANIFEST, partition, end) is behind
    assert end_offset(MANIFEST, ("productview", 1)) == 7


def test_a_topic_is_held_up_to_where_all_its_tables_are() -> None:
    offsets = {"cdc.shop.a b": {0: 7}, "cdc.shop.a_b": {0: 9}}
    manifest = replace(MANIFEST, offsets=offsets)
    assert end_offset(manifest, ("cdc.shop.a_b", 0)) == 7


@pytest.mark.parametrize(
    ("state", "ends", "published"),
    [
        pytest.param({"version": 4}, {(ORDERS, 0): 10}, True, id="reached"),
        pytest.param({"version": 4}, {(ORDERS, 0): 11}, False, id="not reached"),
        pytest.param({"version": 3}, {(ORDERS, 0): 10}, False, id="not shown by Hive yet"),
        pytest.param({}, {(ORDERS, 0): 10}, False, id="the compactor has not reported"),
        pytest.param(
            {"version": 4, "refused": {ORDERS: "zero date"}},
            {(ORDERS, 0): 99, ("productview", 0): 5},
            True,
            id="a refused table is left out",
        ),
    ],
)
def test_a_version_is_published_if_it_holds_all_ends_and_hive_shows_it(
    settings: Settings,
    state: dict[str, Any],
    ends: dict[tuple[str, int], int],
    published: bool,
) -> None:
    report(settings, **state)
    version = CatchUp(settings, VERSIONS, dict(ends)).published_version()
    assert version == (MANIFEST if published else None)


def test_what_is_awaited_is_said_with_the_compactors_report(settings: Settings) -> None:
    progress = CatchUp(settings, VERSIONS, {(ORDERS, 0): 11, ("productview", 0): 6})
    assert progress.problem() == (
        f"a version with {ORDERS}, productview; the compactor: it has not reported yet"
    )
    report(settings, version=3, detail="merging")
    reached = CatchUp(settings, VERSIONS, {})
    assert reached.problem() == (
        "a version with everything, shown by Hive; the compactor: merging"
    )


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> None:
    """A log with orders, clicks, an empty topic, and topics that the warehouse does not take."""
    watermarks = {
        (ORDERS, 0): Watermarks(0, 12, 12),
        ("productview", 0): Watermarks(0, 5, 9),
        ("productview", 1): Watermarks(3, 3, 3),
    }

    def offsets(cluster: Any, topics: list[str]) -> dict[tuple[str, int], Watermarks]:
        return {place: marks for place, marks in watermarks.items() if place[0] in topics}

    topics = [
        ORDERS,
        "productview",
        "_connect_offsets",
        "cdc.eCommerce.größe",
        "cdc.other.x",
    ]
    monkeypatch.setattr(kafka, "list_topics", lambda cluster: topics)
    monkeypatch.setattr(kafka, "offsets", offsets)


def test_the_ends_are_those_of_partitions_with_records(
    settings: Settings, log: None
) -> None:
    assert log_ends(settings) == {(ORDERS, 0): 12, ("productview", 0): 5}
    assert offsets_ahead(settings, MANIFEST) == 2


def test_the_compactor_is_asked_and_awaited(
    settings: Settings, log: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    report(settings, version=4, detail="idle")
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)
    with pytest.raises(Unavailable, match=f"a version with {ORDERS}; the compactor: idle"):
        catch_up(settings, VERSIONS, 0.05)
    assert (settings.home / "run" / REQUEST).exists()
    monkeypatch.setitem(OFFSETS[ORDERS], 0, 12)
    assert catch_up(settings, VERSIONS, 0.05) is MANIFEST


@pytest.mark.parametrize(
    ("state", "seconds_left", "is_published"),
    [
        ({"refused": {ORDERS: "it is read again"}, "healing": [ORDERS]}, 10, False),
        ({"refused": {ORDERS: "it is read again"}, "healing": [ORDERS]}, -1, True),
        ({"refused": {ORDERS: "why"}, "healing": []}, 10, True),
        ({"refused": {}, "healing": []}, 10, True),
    ],
    ids=["it heals", "it takes too long", "it does not heal", "it has healed"],
)
def test_a_table_that_heals_by_itself_is_awaited_for_a_while(
    settings: Settings, state: dict[str, Any], seconds_left: float, is_published: bool
) -> None:
    report(settings, version=4, **state)
    deadline = time.monotonic() + seconds_left
    progress = CatchUp(settings, VERSIONS, {(ORDERS, 0): 10}, deadline)
    assert (progress.published_version() is MANIFEST) is is_published
