"""The counts made anew from the log beside the live ones, and switched in under readers who see no step back."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from connectors import cassandra, generations
from connectors.generations import Generation
from infra.settings import Settings
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import state
from tests.recount import assert_cassandra_agrees_with_the_topics


def live(settings: Settings) -> Generation:
    with cassandra.connect(settings.cassandra, settings.login("cassandra.reader")) as session:
        return generations.active(session, settings.cassandra.keyspace)


class Reader(threading.Thread):
    """Reads what every product was looked at altogether, over and over, in the generation that is to be read; remembers each step back."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(daemon=True)
        self.settings, self.stop = settings, threading.Event()
        self.steps_back: list[str] = []
        self.generations: list[int] = []

    def run(self) -> None:
        seen: dict[int, int] = {}
        with cassandra.connect(self.settings.cassandra, self.settings.login("cassandra.reader")) as session:
            while not self.stop.is_set():
                generation = generations.active(session, self.settings.cassandra.keyspace)
                self.generations.append(generation.number)
                views: dict[int, int] = {}
                for product, count in session.execute(f"SELECT product_id, view_count FROM {generation.keyspace}.product_view_total").rows:
                    views[product] = views.get(product, 0) + count
                wrong = {p: (n, views.get(p, 0)) for p, n in seen.items() if views.get(p, 0) < n}
                self.steps_back += [f"product {p} went from {n} to {m} in generation {generation.number}" for p, (n, m) in wrong.items()]
                seen = views


@contextmanager
def reading(settings: Settings) -> Iterator[Reader]:
    reader = Reader(settings)
    reader.start()
    yield reader
    reader.stop.set()
    reader.join(30)
    assert not reader.steps_back, reader.steps_back[:5]


def test_a_replay_by_the_same_rules_says_the_same_and_can_be_taken_back(stack: Stack) -> None:
    before = live(stack.settings).number
    with reading(stack.settings) as reader:
        built = json.loads(stack.kappa("replay", "counts", "--no-switch", "--json", check=True).stdout)
        assert (built["switched"], live(stack.settings).number) == (False, before)
        assert built["comparison"]["compared"] > 0
        assert built["comparison"]["differing"] == 0, built["comparison"]
        done = stack.kappa("replay", "counts", check=True)
        assert f"going on with generation {built['generation']}" in done.stderr
        assert live(stack.settings).number == built["generation"]
        back = json.loads(stack.kappa("replay", "counts", "--rollback", "--json", check=True).stdout)
        assert (back["generation"], live(stack.settings).number) == (before, before)
    assert {before, built["generation"]} <= set(reader.generations)
    assert_cassandra_agrees_with_the_topics(stack.settings)


def test_counts_by_other_rules_are_made_by_a_replay_while_the_live_ones_go_on(stack: Stack) -> None:
    before = live(stack.settings)
    other = replace(stack, environment=stack.environment | {"KAPPA_COUNTS_WINDOW_SECONDS": "30"})
    assert "kappa replay counts" in other.kappa("status").stdout
    counted = state(stack.settings, "counts")["events"]
    done = json.loads(other.kappa("replay", "counts", "--json", check=True).stdout)
    assert live(stack.settings).definition.window_ms == 30_000
    assert "product_view" not in done["comparison"]["views"], "windows of another length are other rows"
    assert done["comparison"]["differing"] == 0, done["comparison"]
    windows = json.loads(stack.kappa("query", "cassandra", "--json", "SELECT created_at FROM product_view LIMIT 200", check=True).stdout)
    assert {window["created_at"][17:19] for window in windows} <= {"00", "30"}
    eventually(lambda: 0 < state(stack.settings, "counts")["events"] != counted, within=60, because="the workers count the new generation")
    assert_cassandra_agrees_with_the_topics(stack.settings)
    assert json.loads(stack.kappa("replay", "counts", "--rollback", "--json", check=True).stdout)["generation"] == before.number


@pytest.mark.parametrize("words", [("--rollback", "--from", "1h"), ("--from", "yesterday")])
def test_a_replay_that_makes_no_sense_changes_nothing(stack: Stack, words: tuple[str, ...]) -> None:
    before = live(stack.settings).number
    done = stack.kappa("replay", "counts", *words)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert live(stack.settings).number == before
