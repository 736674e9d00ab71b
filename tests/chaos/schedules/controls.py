"""Other ways of counting, put through the same schedules: they must be seen to miscount, or the
schedules would see nothing.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.cassandra.bootstrap import create_keyspace
from connectors.cassandra.generations import Definition
from connectors.kafka import client as kafka
from connectors.kafka.readers.range_consumer import RangeConsumer
from connectors.runtime.settings import Settings
from infra.verify.counts.verify import Ends
from schemas import topics
from tests.chaos.schedules.counting import Compared, recounted


class Control:
    """Counts views by product, of one topic, and nothing else."""

    plain = mortal = True
    module = ""
    workers_wanted = 2

    def __init__(self, settings: Settings, suffix: str) -> None:
        self._settings = settings
        self.suffix = suffix
        self.group = f"control-{suffix}"
        self.topic = f"{topics.PRODUCT_VIEW}.{suffix}"
        self.topics = {topics.PRODUCT_VIEW: self.topic}
        self.workers = [f"{suffix}-{number + 1}" for number in range(self.workers_wanted)]
        self._at_end = ExitStack()

    def command(self, name: str) -> Sequence[str]:
        return [
            f"tests.chaos.schedules.{self.module}",
            name,
            self.topic,
            self.group,
            *self.arguments(),
        ]

    def arguments(self) -> Sequence[str]:
        """Of the program, besides its name, topic and group."""
        return []

    def prepare(self) -> Definition:
        self._rules = generations.definition(self._settings.counts)
        return self._rules

    def counted(self) -> Mapping[int, int]:
        """What it says, by product."""
        raise NotImplementedError

    def compare(self, ends: Ends) -> Compared:
        clicks = recounted(
            self._settings, self._rules, topics.PRODUCT_VIEW, self.topic, ends
        )
        due = Counter(
            product for found in clicks.values() for product in found.subjects.tolist()
        )
        found = self.counted()
        return Compared(
            len(due),
            [
                f"product {one}: {found.get(one, 0)} instead of {due[one]}"
                for one in due
                if due[one] != found.get(one)
            ],
        )

    def close(self) -> None:
        self._at_end.close()


class CounterColumns(Control):
    """Cassandra's COUNTER columns."""

    module = "counter_columns"

    @property
    def _table(self) -> str:
        return f"{self._settings.cassandra.keyspace}_{self.suffix}.views"

    def arguments(self) -> Sequence[str]:
        return [self._table]

    def prepare(self) -> Definition:
        self._session = self._at_end.enter_context(
            cassandra.connect(
                self._settings.cassandra, self._settings.login("cassandra.admin")
            )
        )
        self._session.execute(
            create_keyspace(self._settings.cassandra, self._table.partition(".")[0])
        )
        self._session.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} (product_id bigint PRIMARY KEY, "
            "view_count counter)"
        )
        return super().prepare()

    def counted(self) -> Mapping[int, int]:
        return dict(
            self._session.execute(f"SELECT product_id, view_count FROM {self._table}").rows
        )


class FaustTable(Control):
    """A table of Faust's: its changelog says what is in it."""

    module = "faust_table"
    workers_wanted = 1

    def counted(self) -> Mapping[int, int]:
        changelog = f"{self.group}-counts-changelog"
        held = kafka.offsets(self._settings.kafka, [changelog])
        ranges = {
            partition: range(there.low, there.stable) for partition, there in held.items()
        }
        with RangeConsumer(self._settings.kafka, "chaos", ranges) as consumer:
            records = list(consumer.records())
        return {
            int(json.loads(record.key() or b"")): json.loads(record.value() or b"")
            for record in records
        }
