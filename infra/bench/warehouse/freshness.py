"""The measurement of the warehouse's freshness: how long after a change is sent to MySQL it is in its topic, and readable in Hive, at three rates."""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from random import Random
from typing import Any

from connectors import mysql
from connectors.mysql import Connection
from infra import maven
from infra.answers import plain
from infra.bench.freshness_watch import Sightings, watching
from infra.bench.latency import percentile
from infra.bench.machine import machine, version_in_pom
from infra.errors import StackError
from infra.progress import Line
from infra.settings import Settings
from infra.steps import Steps
from schemas.tables import quoted

TABLE = "bench_freshness"
RATES = (10, 100, 1_000)  # changes per second
MOST_TRANSACTIONS = 100  # per second; beyond that, transactions have more changes
ROWS = 10_000
WARM_UP_SECONDS, MEASURED_SECONDS = 10.0, 40.0
COME_SECONDS, LAST_SECONDS = 120.0, 60.0
LOOK_SECONDS = 0.1
SERVERS = {"kafka": ("kafka", "kafka_2.13"), "debezium": ("debezium", "debezium-connector-mysql")}
PACKAGES = ("pyspark", "pyarrow", "confluent-kafka")


@dataclass(frozen=True)
class Rate:
    """What was found at one rate. Seconds from before the statement was sent until all of its transaction was in the topic, and readable in Hive.

    `reached` is what MySQL took per second; `versions` came meanwhile; `lost` transactions never showed; of `controls`, real queries for a row
    of a version just shown, `wrong` did not give it.
    """

    rate: int
    reached: int
    transactions: int
    versions: int
    topic_p50: float
    topic_p95: float
    hive_p50: float
    hive_p95: float
    hive_most: float
    lost: int
    controls: int
    wrong: int


@dataclass(frozen=True)
class FreshnessReport:
    """A whole measurement; `interval` is the setting `spark.interval_seconds`: how often a version is begun.

    `load` is the machine's load average of the last minute at the end: what else it did is in the figures.
    """

    at: str
    machine: dict[str, str]
    versions: dict[str, str]
    interval: float
    rates: list[Rate] = field(default_factory=list)
    load: float = 0.0

    def facts(self) -> dict[str, Any]:
        """The report as JSON has it."""
        found: dict[str, Any] = plain(asdict(self))
        return found


def measure(settings: Settings, steps: Steps, seconds: float = MEASURED_SECONDS) -> FreshnessReport:
    """The whole measurement, in a table of its own that leaves MySQL and Hive afterwards (its topic and its archive stay).

    Raises StackError if the table does not come to Hive at all; Unavailable.
    """
    report = FreshnessReport(datetime.now(UTC).isoformat(timespec="seconds"), machine(), _versions(), settings.spark.interval_seconds)
    numbers = count(1)
    with watching(settings, TABLE) as seen, _table(settings) as connection:
        with steps.waiting("waiting for the table in Hive"):
            _wait(lambda: seen.all_shown([0]), COME_SECONDS, "the table did not come to Hive", seen)
        for rate in RATES:
            report.rates.append(_at_rate(Writer(connection, rate, numbers), seen, seconds, steps))
    return replace(report, load=round(os.getloadavg()[0], 1))


def _versions() -> dict[str, str]:
    servers = {name: version_in_pom((maven.POMS / f"{pom}.xml").read_text(), artifact) for name, (pom, artifact) in SERVERS.items()}
    return servers | {name: version(name) for name in PACKAGES}


@contextmanager
def _table(settings: Settings) -> Iterator[Connection]:
    """The table with its rows, for as long as it is measured."""
    with mysql.connect(settings.mysql, settings.login("mysql.admin"), settings.mysql.database) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {quoted(TABLE)}")
        connection.execute(f"CREATE TABLE {quoted(TABLE)} (id INT PRIMARY KEY, n BIGINT NOT NULL, note VARCHAR(60) NOT NULL)")
        try:
            with connection.transaction():
                connection.insert(TABLE, [{"id": number, "n": 0, "note": "a row like those of a shop"} for number in range(ROWS)])
            yield connection
        finally:
            connection.execute(f"DROP TABLE {quoted(TABLE)}")


class Writer:
    """Transactions at a steady rate: each is sent when it is due, however long the one before it took."""

    def __init__(self, connection: Connection, rate: int, numbers: Iterator[int]) -> None:
        self._connection, self.rate, self._numbers = connection, rate, numbers
        self.per_second = min(rate, MOST_TRANSACTIONS)
        self._changes, self._random = rate // self.per_second, Random(5)

    def run(self, seconds: float, line: Line, sent: dict[int, float], rows: dict[int, int]) -> float:
        """Writes for so long; notes when each transaction was sent, and one row of it. How many seconds it took."""
        begin = time.monotonic()
        for place in range(round(seconds * self.per_second)):
            while (ahead := begin + place / self.per_second - time.monotonic()) > 0:
                time.sleep(ahead)
            number, ids = next(self._numbers), self._random.sample(range(ROWS), self._changes)
            sent[number], rows[number] = time.monotonic(), ids[0]
            marks = ", ".join(["%s"] * len(ids))
            self._connection.execute(f"UPDATE {quoted(TABLE)} SET n = %s WHERE id IN ({marks})", (number, *ids))
            line(f"{self.rate:,}/s:", place / (seconds * self.per_second), "")
        return time.monotonic() - begin


def _at_rate(writer: Writer, seen: Sightings, seconds: float, steps: Steps) -> Rate:
    warming: dict[int, float] = {}
    sent: dict[int, float] = {}
    with steps.download() as line:
        writer.run(WARM_UP_SECONDS, line, warming, seen.rows)
        before = seen.controls, seen.wrong
        took = writer.run(seconds, line, sent, seen.rows)
        _wait(lambda: seen.all_shown(sent), LAST_SECONDS, "", seen)
    found = summed_up(writer.rate, len(sent) / took * writer.rate / writer.per_second, sent, seen.logged, seen.shown_at)
    found = replace(found, controls=seen.controls - before[0], wrong=seen.wrong - before[1])
    steps.say(f"{writer.rate:,} changes/s: {in_words(found)}")
    return found


def summed_up(rate: int, reached: float, sent: Mapping[int, float], logged: Mapping[int, float], shown_at: Mapping[int, float]) -> Rate:
    """The figures of one rate, from when each transaction was sent, in the topic and shown (by its number, in seconds)."""
    topic = [logged[number] - at for number, at in sent.items() if number in logged]
    hive = [shown_at[number] - at for number, at in sent.items() if number in shown_at]
    versions = len({shown_at[number] for number in sent if number in shown_at})
    (topic_p50, topic_p95), (hive_p50, hive_p95, most) = _shares(topic, (0.5, 0.95)), _shares(hive, (0.5, 0.95, 1.0))
    lost = len(sent) - len(hive)
    return Rate(rate, round(reached), len(sent), versions, topic_p50, topic_p95, hive_p50, hive_p95, most, lost, controls=0, wrong=0)


def _shares(values: Sequence[float], shares: Iterable[float]) -> list[float]:
    return [round(percentile(values, share), 3) if values else math.nan for share in shares]


def in_words(found: Rate) -> str:
    """One rate in one line."""
    lost = f", {found.lost} never shown" if found.lost else ""
    wrong = f", {found.wrong} of {found.controls} queries did not give the row" if found.wrong else ""
    return (
        f"in the topic after {found.topic_p50 * 1000:.0f} ms (p95 {found.topic_p95 * 1000:.0f} ms), in Hive after {found.hive_p50:.1f} s "
        f"(p95 {found.hive_p95:.1f} s), {found.versions} versions{lost}{wrong}"
    )


def _wait(done: Callable[[], bool], within: float, otherwise: str, seen: Sightings) -> None:
    """Raises StackError after so long, if there is something to say about it."""
    deadline = time.monotonic() + within
    while not done():
        seen.check()
        if time.monotonic() > deadline:
            if otherwise:
                raise StackError(f"{otherwise} within {within:.0f} s", "see ./kappa status")
            return
        time.sleep(LOOK_SECONDS)
