"""What is put through the schedules, and the verdict on it: every row of the live counts against a
recount of the topics.

The recount is that of `kappa verify counts`, which shares no code with what it judges. On top of
it, sketches are compared exactly, and every record that counts nowhere must lie among the dead
letters, and no other.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Protocol

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.cassandra.bootstrap import prepare_counts
from connectors.cassandra.generations import Definition
from connectors.kafka import client as kafka
from connectors.kafka.readers.range_consumer import RangeConsumer
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.settings import Settings
from infra.verify.counts import read_log, recount
from infra.verify.counts.cassandra_columns import Tables, rows_of
from infra.verify.counts.event_groups import Events
from infra.verify.counts.recount import Rows
from infra.verify.counts.verify import EVENT_VIEWS, Ends, window_of
from schemas import count_tables, events, topics
from tests.chaos.schedules.sketches import estimated

Clicks = Mapping[int, Events]


@dataclass
class Compared:
    """How many rows were compared, and a line about each that is wrong, and about each letter that
    is missing or too many.
    """

    rows: int = 0
    wrong: list[str] = field(default_factory=list)


class Counting(Protocol):
    """A way of counting. `plain`: it knows nothing of late clicks, poison or order views, and is
    given none.

    `mortal`: trouble may end its workers, and whoever watches starts them anew.
    """

    plain: bool
    mortal: bool

    @property
    def group(self) -> str: ...
    @property
    def topics(self) -> Mapping[str, str]: ...
    @property
    def workers(self) -> Sequence[str]: ...
    def command(self, name: str) -> Sequence[str]: ...
    def prepare(self) -> Definition: ...
    def compare(self, ends: Ends) -> Compared: ...
    def close(self) -> None: ...


class LiveCounts:
    """The product's own counts, beside those of the stack's shop."""

    plain = mortal = False

    def __init__(self, settings: Settings, suffix: str) -> None:
        self._settings = settings
        self._suffix = suffix
        self.group = f"counts.{suffix}"
        self.keyspace = f"{settings.cassandra.keyspace}_{suffix}"
        self.topics = {topic: f"{topic}.{suffix}" for topic in topics.CLICK_TOPICS}
        self.workers = [f"{suffix}-{number}" for number in (1, 2, 3)]
        self._at_end = ExitStack()

    def command(self, name: str) -> Sequence[str]:
        return ["processors.counts", name, "--beside", self._suffix]

    def prepare(self) -> Definition:
        """Makes the tables; returns the rules that the counts follow."""
        with cassandra.connect(
            self._settings.cassandra, self._settings.login("cassandra.admin")
        ) as admin:
            prepare_counts(admin, self._settings, self.keyspace)
        self._session = self._at_end.enter_context(
            cassandra.connect(
                self._settings.cassandra, self._settings.login("cassandra.reader")
            )
        )
        self._rules = generations.active(self._session, self.keyspace).definition
        return self._rules

    def compare(self, ends: Ends) -> Compared:
        """Everything there is, up to those ends of the topics, all of which are committed. Raises
        Unavailable.
        """
        compared = Compared()
        tables = Tables(self._session, self.keyspace)
        stored = {view: rows_of(view, tables.columns(view)) for view in EVENT_VIEWS}
        for contract, topic in self.topics.items():
            clicks = recounted(self._settings, self._rules, contract, topic, ends)
            mine = {
                partition: end for (name, partition), end in ends.items() if name == topic
            }
            for view in (view for view in EVENT_VIEWS if view.topic == contract):
                outcome = recount.compare(
                    view, window_of(view, self._rules.window_ms), stored[view], clicks, mine
                )
                compared.rows += outcome.rows
                compared.wrong += [difference.text() for difference in outcome.differences]
            if contract == topics.PRODUCT_VIEW:
                compared.wrong += wrong_sketches(stored[count_tables.VIEWERS], clicks)
            compared.wrong += self._wrong_letters(topic, mine, clicks)
        return compared

    def _wrong_letters(
        self, topic: str, ends: Mapping[int, int], clicks: Clicks
    ) -> list[str]:
        """Records that do not count and are not set aside, or the other way round."""
        due = {
            (partition, offset)
            for partition, end in ends.items()
            for offset in set(range(end)) - set(clicks[partition].offsets.tolist())
        }
        dead = topics.dead_topic(topic)
        found = set()
        held = kafka.offsets(self._settings.kafka, [dead])
        ranges = {partition: range(there.stable) for partition, there in held.items()}
        with RangeConsumer(self._settings.kafka, "chaos", ranges) as consumer:
            for message in consumer.records():
                headers = dict(message.headers() or [])
                found.add((int(headers["partition"]), int(headers["offset"])))
        missing = [
            f"{topic}[{partition}]@{offset} is not set aside"
            for partition, offset in sorted(due - found)
        ]
        return missing + [
            f"{topic}[{partition}]@{offset} is set aside, but counts"
            for partition, offset in sorted(found - due)
        ]

    def close(self) -> None:
        self._at_end.close()


def recounted(
    settings: Settings, rules: Definition, contract: str, topic: str, ends: Ends
) -> Clicks:
    """The clicks of a topic that count, by partition."""
    spans = {
        partition: (0, end) for (name, partition), end in ends.items() if name == topic
    }
    decoder = read_log.ClickDecoder(
        SchemaRegistry(settings.registry.url), events.SUBJECT_ID[contract]
    )
    rule = read_log.Rule(rules.horizon_ms, rules.ahead_ms)
    return read_log.clicks(
        settings.kafka,
        spans,
        decoder,
        rule,
        read_log.ReadProgress(topic, sum(ends.values())),
    )


def wrong_sketches(rows: Rows, clicks: Clicks) -> list[str]:
    """The estimated numbers of viewers that are not those of the users up to each row's offset."""
    users: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    for partition, found in clicks.items():
        hours = found.viewed_ms - found.viewed_ms % count_tables.HOUR_MS
        for subject, hour, offset, user in zip(
            *(
                column.tolist()
                for column in (found.subjects, hours, found.offsets, found.users)
            ),
            strict=True,
        ):
            users.setdefault((subject, hour, partition), []).append((offset, user))
    wrong = []
    for *key, value, last_offset in zip(
        *(column.tolist() for column in vars(rows).values()), strict=True
    ):
        due = estimated(
            {user for offset, user in users.get(tuple(key), ()) if offset <= last_offset}
        )
        if value != due:
            wrong.append(
                f"viewers of product {key[0]} in hour {key[1]} in partition {key[2]} up to "
                f"{last_offset}: Cassandra {value}, log {due}"
            )
    return wrong
