"""The counts rebuilt from the log beside the live ones, and switched in under readers.

No count that a reader sees becomes smaller.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.cassandra.generations import Generation
from connectors.runtime.settings import Settings
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import state
from tests.recount import assert_cassandra_agrees_with_the_topics

# Between two readings of all products, so that the reader leaves Cassandra to the replay.
PAUSE_SECONDS = 0.2


def live_generation(settings: Settings) -> Generation:
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.reader")
    ) as session:
        return generations.active(session, settings.cassandra.keyspace)


class Reader(threading.Thread):
    """Reads the total views of every product again and again, each time in the active generation.

    `steps_back` are the counts that became smaller.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.settings = settings
        self.stop = threading.Event()
        self.steps_back: list[str] = []
        self.generations: list[int] = []

    def run(self) -> None:
        previous_views = Counter[int]()
        login = self.settings.login("cassandra.reader")
        with cassandra.connect(self.settings.cassandra, login) as session:
            while not self.stop.wait(PAUSE_SECONDS):
                generation = generations.active(session, self.settings.cassandra.keyspace)
                self.generations.append(generation.number)
                views = total_views(session, generation)
                for product, count in previous_views.items():
                    if views[product] < count:
                        step = f"product {product} went from {count} to {views[product]}"
                        self.steps_back.append(f"{step} in generation {generation.number}")
                previous_views = views


def total_views(session: cassandra.Session, generation: Generation) -> Counter[int]:
    """Return the total views of each product."""
    views = Counter[int]()
    cql = f"SELECT product_id, view_count FROM {generation.keyspace}.product_view_total"
    for product, count in session.execute(cql).rows:
        views[product] += count
    return views


@contextmanager
def reading(settings: Settings) -> Iterator[Reader]:
    """Run a reader within the block, and fail if a count became smaller for it."""
    reader = Reader(settings)
    reader.start()
    yield reader
    reader.stop.set()
    reader.join(30)
    assert not reader.steps_back, reader.steps_back[:5]


def replay_counts(stack: Stack, *options: str) -> dict[str, Any]:
    """Return what `kappa replay counts --json` prints."""
    result = stack.kappa("replay", "counts", *options, "--json", check=True)
    return dict(json.loads(result.stdout))


def test_a_replay_by_the_same_rules_gives_the_same_counts_and_can_be_rolled_back(
    stack: Stack,
) -> None:
    settings = stack.settings
    before = live_generation(settings).number
    with reading(settings) as reader:
        rebuilt = replay_counts(stack, "--no-switch")
        assert not rebuilt["switched"]
        assert live_generation(settings).number == before
        assert rebuilt["comparison"]["compared"] > 0
        assert rebuilt["comparison"]["differing"] == 0, rebuilt["comparison"]
        generation = rebuilt["generation"]
        result = stack.kappa("replay", "counts", check=True)
        assert f"continuing with generation {generation}" in result.stderr
        assert live_generation(settings).number == generation
        rollback = replay_counts(stack, "--rollback")
        assert rollback["generation"] == before
        assert live_generation(settings).number == before
    assert {before, generation} <= set(reader.generations)
    assert_cassandra_agrees_with_the_topics(settings)


def test_counts_by_other_rules_are_rebuilt_while_the_live_ones_continue(
    stack: Stack,
) -> None:
    settings = stack.settings
    before = live_generation(settings)
    environment = stack.environment | {"KAPPA_COUNTS_WINDOW_SECONDS": "30"}
    stack_with_other_rules = replace(stack, environment=environment)
    assert "kappa replay counts" in stack_with_other_rules.kappa("status").stdout
    events = state(settings, "counts")["events"]
    comparison = replay_counts(stack_with_other_rules)["comparison"]
    assert live_generation(settings).definition.window_ms == 30_000
    assert "product_view" not in comparison["views"], (
        "windows of another length are other rows"
    )
    assert comparison["differing"] == 0, comparison
    cql = "SELECT created_at FROM product_view LIMIT 200"
    result = stack.kappa("query", "cassandra", "--json", cql, check=True)
    seconds = {window["created_at"][17:19] for window in json.loads(result.stdout)}
    assert seconds <= {"00", "30"}
    eventually(
        lambda: 0 < state(settings, "counts")["events"] != events,
        within=60,
        because="the workers count the new generation",
    )
    assert_cassandra_agrees_with_the_topics(settings)
    assert replay_counts(stack, "--rollback")["generation"] == before.number


@pytest.mark.parametrize(
    "options", [("--rollback", "--from", "1h"), ("--from", "yesterday")]
)
def test_a_replay_with_contradictory_or_wrong_options_changes_nothing(
    stack: Stack, options: tuple[str, ...]
) -> None:
    before = live_generation(stack.settings).number
    result = stack.kappa("replay", "counts", *options)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert live_generation(stack.settings).number == before
