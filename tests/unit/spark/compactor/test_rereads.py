"""From the request to read a table again to the version that shows it."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest

from connectors.control.reread_request import READERS, RereadRequests
from schemas.gtid import gtid_set
from schemas.manifest import EMPTY_MANIFEST, LaggingTopic, Manifest, TableBase
from spark.compactor.rereads import FIRST_PAUSE_SECONDS, LEFT_OUT, Rereads, reached_gtids
from tests.unit.spark.reread.test_adopt import BASE, NO_TABLE, PUBLISHED, TOPIC, gtids

GOES_ON = replace(PUBLISHED, lagging_topics={})
REASON = "a statement is not certain"


class Reader:
    """A child process that reads tables, and its exit code."""

    def __init__(self) -> None:
        self.code: int | None = None

    def poll(self) -> int | None:
        return self.code


@dataclass
class World:
    """Requests on disk, bases in memory, children that do nothing, and a clock."""

    requests: RereadRequests
    bases: dict[tuple[str, str], TableBase] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    children: list[Reader] = field(default_factory=list)
    started: list[list[str]] = field(default_factory=list)
    readers: list[str] = field(default_factory=list)
    now: float = 1000.0

    def find(self, topic: str, request: str) -> TableBase | None:
        return self.bases.get((topic, request))

    def remove_attempts(self, topic: str, request: str, needed: set[str]) -> None:
        self.removed.append(request)

    def start(self, reader: str, topics: Sequence[str]) -> Reader:
        self.readers.append(reader)
        self.started.append(list(topics))
        self.children.append(Reader())
        return self.children[-1]

    def rereads(self) -> Rereads:
        return Rereads(self.requests, self, self.start, "eCommerce", lambda: self.now)

    def request_id(self) -> str:
        return self.requests.all()[TOPIC].id

    def read(self, base: TableBase = BASE) -> None:
        self.bases[TOPIC, self.request_id()] = base


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(RereadRequests(tmp_path))


def test_a_refused_table_is_requested_and_its_topic_waits(world: World) -> None:
    rereads = world.rereads()
    rereads.request({TOPIC: REASON, "cdc.transaction": "no table", "orderview": "no table"})
    assert list(world.requests.all()) == [TOPIC]
    assert REASON in rereads.waiting_topics()[TOPIC]


def test_tables_left_out_of_the_snapshot_are_requested_until_they_were_read(
    world: World,
) -> None:
    rereads = world.rereads()
    rereads.request_left_out(EMPTY_MANIFEST, [TOPIC])
    first_request = world.requests.all()[TOPIC]
    assert first_request.reason == LEFT_OUT
    rereads.request_left_out(GOES_ON, [TOPIC])
    assert world.requests.all()[TOPIC] == first_request, "it is requested already"
    world.requests.remove(first_request)
    rereads.request_left_out(replace(GOES_ON, bases={"orders": BASE}), [TOPIC])
    assert world.requests.all() == {}


def test_nothing_is_read_before_a_version_says_that_the_topic_lags_behind(
    world: World,
) -> None:
    rereads = world.rereads()
    rereads.request({TOPIC: REASON})
    rereads.read_next(GOES_ON)
    assert world.started == []
    rereads.read_next(PUBLISHED)
    rereads.read_next(PUBLISHED)
    assert world.started == [[TOPIC]], "one child for a request"


def test_what_was_read_waits_for_the_other_tables_and_then_goes_into_a_version(
    world: World,
) -> None:
    rereads = world.rereads()
    rereads.request({TOPIC: REASON})
    world.read()
    assert rereads.ready(PUBLISHED, gtid_set(gtids(19))) == {}
    assert rereads.is_waiting_for_cut
    assert rereads.ready(PUBLISHED, gtid_set(gtids(20))) == {"orders": BASE}
    rereads.finish(replace(PUBLISHED, bases={"orders": BASE}))
    assert world.requests.all() == {}
    assert rereads.waiting_topics() == {}
    assert not rereads.is_waiting_for_cut


def test_a_compactor_killed_after_the_commit_does_not_read_again(world: World) -> None:
    world.rereads().request({TOPIC: REASON})
    world.read()
    published = replace(GOES_ON, bases={"orders": BASE})
    assert world.rereads().ready(published, gtid_set(gtids(30))) == {}
    assert world.requests.all() == {}


def test_a_table_that_was_read_twice_at_one_gtid_set_is_shown_as_it_was_read_last(
    world: World,
) -> None:
    """It may have changed: other rules of capture, or rows that a session did not log."""
    rereads = world.rereads()
    rereads.request({TOPIC: REASON})
    again = replace(BASE, read_at="2026-01-02T00:00:00.000+00:00")
    world.read(again)
    published = replace(PUBLISHED, bases={"orders": BASE})
    assert rereads.ready(published, gtid_set(gtids(30))) == {"orders": again}
    rereads.finish(replace(PUBLISHED, bases={"orders": again}))
    assert world.requests.all() == {}


def test_what_was_read_while_the_topic_went_on_is_read_anew(world: World) -> None:
    rereads = world.rereads()
    rereads.request({TOPIC: REASON})
    earlier = world.request_id()
    world.read()
    assert rereads.ready(GOES_ON, gtid_set(gtids(30))) == {}
    assert world.request_id() != earlier


def test_a_newer_request_is_not_answered_by_what_was_read_before(world: World) -> None:
    rereads = world.rereads()
    rereads.request({TOPIC: REASON})
    world.read()
    assert rereads.ready(PUBLISHED, gtid_set(gtids(30)))
    world.requests.add(TOPIC, "once more")
    assert rereads.ready(PUBLISHED, gtid_set(gtids(30))) == {}
    rereads.finish(replace(PUBLISHED, bases={"orders": BASE}))
    assert list(world.requests.all()) == [TOPIC]


def test_a_table_that_mysql_does_not_have_is_finished_once_a_version_knows(
    world: World,
) -> None:
    rereads = world.rereads()
    rereads.request({TOPIC: REASON})
    world.read(NO_TABLE)
    assert rereads.ready(PUBLISHED, gtid_set(gtids(30))) == {"orders": NO_TABLE}
    rereads.finish(replace(PUBLISHED, tables={}))
    assert list(world.requests.all()) == [TOPIC], "it was not published before either"
    rereads.finish(replace(PUBLISHED, tables={}, bases={"orders": NO_TABLE}))
    assert world.requests.all() == {}


def test_no_table_waits_for_a_large_one_that_is_being_read(world: World) -> None:
    rereads = world.rereads()
    names = ["user", "products", "completed_orders"]
    topics = [TOPIC, *(f"cdc.eCommerce.{name}" for name in names)]
    lagging = dict.fromkeys(topics, PUBLISHED.lagging_topics[TOPIC])
    manifest = replace(PUBLISHED, lagging_topics=lagging)
    for topic in topics:
        rereads.request({topic: REASON})
        rereads.read_next(manifest)
        rereads.read_next(manifest)
    assert world.started == [[topic] for topic in topics[:3]]
    assert tuple(world.readers) == READERS
    world.children[1].code = 0
    rereads.read_next(manifest)
    assert world.started[3:] == [sorted(topics[i] for i in (1, 3))], "one was not found"
    assert world.readers[3] == READERS[1]


def test_a_table_that_is_requested_while_it_is_read_is_read_once_more(world: World) -> None:
    rereads = world.rereads()
    rereads.request({TOPIC: REASON})
    rereads.read_next(PUBLISHED)
    rereads.reject(TOPIC, "a statement came")
    rereads.read_next(PUBLISHED)
    rereads.read_next(PUBLISHED)
    assert world.started == [[TOPIC], [TOPIC]]


def test_a_child_that_fails_is_started_again_after_a_pause(world: World) -> None:
    rereads = world.rereads()
    rereads.request({TOPIC: REASON})
    rereads.read_next(PUBLISHED)
    world.children[0].code = 1
    rereads.read_next(PUBLISHED)
    assert len(world.started) == 1
    world.now += 60
    rereads.read_next(PUBLISHED)
    assert len(world.started) == 2


def test_a_table_that_cannot_be_read_does_not_delay_the_next_one(world: World) -> None:
    rereads = world.rereads()
    other_topic = "cdc.eCommerce.user"
    both = {**PUBLISHED.lagging_topics, other_topic: PUBLISHED.lagging_topics[TOPIC]}
    manifest = replace(PUBLISHED, lagging_topics=both)
    rereads.request({TOPIC: REASON})
    for _ in range(12):
        rereads.read_next(manifest)
        world.children[-1].code = 1
        world.now += 60
    rereads.read_next(manifest)
    attempts = len(world.started)
    rereads.request({other_topic: REASON})
    world.now += 1
    rereads.read_next(manifest)
    assert world.started[attempts:] == [[other_topic]]


def test_a_table_that_is_refused_again_and_again_is_read_more_and_more_rarely(
    world: World,
) -> None:
    rereads = world.rereads()
    times = []
    for _ in range(100):
        rereads.request({TOPIC: REASON})
        if world.requests.all():
            times.append(world.now)
            world.requests.remove(world.requests.all()[TOPIC])
        world.now += 1
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert pauses[0] == FIRST_PAUSE_SECONDS
    assert pauses == sorted(pauses)
    assert len(pauses) == 4


@pytest.mark.parametrize(
    ("published", "connector", "expected"),
    [
        (replace(EMPTY_MANIFEST, gtid=gtids(5)), "", gtids(5)),
        (replace(EMPTY_MANIFEST, gtid=gtids(5)), gtids(8), gtids(8)),
        (EMPTY_MANIFEST, "", ""),
    ],
)
def test_transactions_without_rows_are_reached_when_the_connector_has_them(
    published: Manifest, connector: str, expected: str
) -> None:
    assert str(reached_gtids(published, connector)) == expected


def test_a_lagging_topic_of_another_table_is_not_read(world: World) -> None:
    rereads = world.rereads()
    rereads.request({TOPIC: REASON})
    other = replace(GOES_ON, lagging_topics={"cdc.eCommerce.user": LaggingTopic(1, "")})
    rereads.read_next(other)
    assert world.started == []
