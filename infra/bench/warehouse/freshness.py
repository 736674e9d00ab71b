"""The freshness benchmark: how long a change takes from MySQL to its topic and to Hive.

It measures at three rates.
"""

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import count
from random import Random

from connectors.mysql import client as mysql
from connectors.mysql.client import Connection
from connectors.retry import FOREVER, wait_until
from connectors.runtime.settings import Settings
from infra.bench.counts.latency_report import percentile
from infra.bench.harness.machine import machine, version_in_pom
from infra.bench.report.measurement import now
from infra.bench.warehouse.freshness_observer import Observations, running_observers
from infra.bench.warehouse.freshness_report import (
    MEASURED_SECONDS,
    FreshnessReport,
    RateFigures,
)
from infra.install import maven
from infra.terminal.progress_line import Report
from infra.terminal.progress_steps import ProgressSteps
from schemas.errors import StackError
from schemas.shop_tables import quoted

TABLE = "bench_freshness"
RATES = (10, 100, 1_000)  # changes per second
# Per second; at higher rates a transaction has several changes.
MAX_TRANSACTIONS = 100
ROWS = 10_000
NOTE = "a row like those of a shop"
WARM_UP_SECONDS = 10.0
TABLE_SECONDS = 120.0
LAST_SECONDS = 60.0
POLL_SECONDS = 0.1
SERVERS = {
    "kafka": ("kafka", "kafka_2.13"),
    "debezium": ("debezium", "debezium-connector-mysql"),
}
PACKAGES = ("pyspark", "pyarrow", "confluent-kafka")


def measure(
    settings: Settings, steps: ProgressSteps, seconds: float = MEASURED_SECONDS
) -> FreshnessReport:
    """Run the benchmark in a table that is removed from MySQL and Hive afterwards.

    The table's topic and archive stay. Raises StackError if the table does not appear in Hive;
    Unavailable.
    """
    report = FreshnessReport(
        at=now(),
        machine=machine(),
        versions=versions(),
        interval_seconds=settings.spark.interval_seconds,
    )
    numbers = count(1)
    with (
        running_observers(settings, TABLE) as observations,
        freshness_table(settings) as connection,
    ):
        with steps.waiting("waiting for the table in Hive"):
            wait_until(
                lambda: observations.are_shown([0]),
                timeout_seconds=TABLE_SECONDS,
                poll_seconds=POLL_SECONDS,
                what="the table to come to Hive",
                hint="see ./kappa status",
                error=StackError,
                on_poll=observations.check,
            )
        for rate in RATES:
            writer = Writer(connection, rate, numbers)
            figures = _measure_rate(writer, observations, seconds, steps)
            report.rates.append(figures)
    return replace(report, load_average=round(os.getloadavg()[0], 1))


def versions() -> dict[str, str]:
    """Return the versions of the servers on a change's way, and of our packages there."""
    numbers = {}
    for name, (pom, artifact) in SERVERS.items():
        numbers[name] = version_in_pom((maven.POMS / f"{pom}.xml").read_text(), artifact)
    for name in PACKAGES:
        numbers[name] = version(name)
    return numbers


@contextmanager
def freshness_table(settings: Settings) -> Iterator[Connection]:
    """Create the table with its rows for the block; yield a connection to its database."""
    table = quoted(TABLE)
    columns = "id INT PRIMARY KEY, n BIGINT NOT NULL, note VARCHAR(60) NOT NULL"
    login = settings.login("mysql.admin")
    with mysql.connect(settings.mysql, login, settings.mysql.database) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {table}")
        connection.execute(f"CREATE TABLE {table} ({columns})")
        try:
            rows = [{"id": number, "n": 0, "note": NOTE} for number in range(ROWS)]
            with connection.transaction():
                connection.insert(TABLE, rows)
            yield connection
        finally:
            # Over another connection: Ctrl-C may have broken off a statement of that one.
            with mysql.connect(settings.mysql, login, settings.mysql.database) as cleaner:
                cleaner.execute(f"DROP TABLE IF EXISTS {table}")


@dataclass
class Transactions:
    """When each transaction was sent, by its number, and in how many seconds all were."""

    sent_at: dict[int, float] = field(default_factory=dict)
    seconds: float = 0.0


class Writer:
    """Transactions at a steady rate: each is sent when it is due, however long the last one took.

    `rate` is in changes per second; transactions have consecutive numbers.
    """

    def __init__(self, connection: Connection, rate: int, numbers: Iterator[int]) -> None:
        self._connection = connection
        self.rate = rate
        self._numbers = numbers
        self._transactions_per_second = min(rate, MAX_TRANSACTIONS)
        self._changes = rate // self._transactions_per_second
        self._random = Random(5)

    def run(self, seconds: float, rows: dict[int, int], line: Report) -> Transactions:
        """Write for so many seconds, and add one row of each transaction to `rows`."""
        total = round(seconds * self._transactions_per_second)
        transactions = Transactions()
        begin = time.monotonic()
        for index in range(total):
            _sleep_until(begin + index / self._transactions_per_second)
            self._write(transactions, rows)
            line(f"{self.rate:,}/s:", index / total, "")
        transactions.seconds = time.monotonic() - begin
        return transactions

    def reached_rate(self, transactions: Transactions) -> float:
        """Return the changes per second that MySQL took."""
        return len(transactions.sent_at) * self._changes / transactions.seconds

    def _write(self, transactions: Transactions, rows: dict[int, int]) -> None:
        number = next(self._numbers)
        ids = self._random.sample(range(ROWS), self._changes)
        placeholders = ", ".join(["%s"] * len(ids))
        statement = f"UPDATE {quoted(TABLE)} SET n = %s WHERE id IN ({placeholders})"
        rows[number] = ids[0]
        transactions.sent_at[number] = time.monotonic()
        self._connection.execute(statement, (number, *ids))


def _sleep_until(at: float) -> None:
    while (seconds := at - time.monotonic()) > 0:
        time.sleep(seconds)


def _measure_rate(
    writer: Writer, observations: Observations, seconds: float, steps: ProgressSteps
) -> RateFigures:
    with steps.download() as line:
        writer.run(WARM_UP_SECONDS, observations.rows, line)
        controls_before = observations.controls
        wrong_controls_before = observations.wrong_controls
        transactions = writer.run(seconds, observations.rows, line)
        _wait_for_last_rows(observations, transactions)
    figures = rate_figures(
        writer.rate, writer.reached_rate(transactions), transactions.sent_at, observations
    )
    figures = replace(
        figures,
        controls=observations.controls - controls_before,
        wrong_controls=observations.wrong_controls - wrong_controls_before,
    )
    steps.say(f"{writer.rate:,} changes/s: {figures.summary()}")
    return figures


def _wait_for_last_rows(observations: Observations, transactions: Transactions) -> None:
    """Wait until all transactions are shown; those that are not in time count as lost."""
    deadline = time.monotonic() + LAST_SECONDS

    def is_over() -> bool:
        return observations.are_shown(transactions.sent_at) or time.monotonic() > deadline

    wait_until(
        is_over,
        timeout_seconds=FOREVER,
        poll_seconds=POLL_SECONDS,
        what="the last rows",
        on_poll=observations.check,
    )


def rate_figures(
    rate: int, reached_rate: float, sent_at: Mapping[int, float], observations: Observations
) -> RateFigures:
    """Return the figures of transactions that were sent at times in seconds, by their number."""
    logged_at = observations.logged_at
    shown_at = observations.shown_at
    topic_seconds = []
    hive_seconds = []
    versions = set()
    for number, at in sent_at.items():
        if number in logged_at:
            topic_seconds.append(logged_at[number] - at)
        if number in shown_at:
            hive_seconds.append(shown_at[number] - at)
            versions.add(shown_at[number])
    return RateFigures(
        rate=rate,
        reached_rate=round(reached_rate),
        transactions=len(sent_at),
        versions=len(versions),
        topic_p50=_rounded_percentile(topic_seconds, 0.5),
        topic_p95=_rounded_percentile(topic_seconds, 0.95),
        hive_p50=_rounded_percentile(hive_seconds, 0.5),
        hive_p95=_rounded_percentile(hive_seconds, 0.95),
        hive_longest=_rounded_percentile(hive_seconds, 1.0),
        lost_transactions=len(sent_at) - len(hive_seconds),
    )


def _rounded_percentile(values: Sequence[float], share: float) -> float:
    return round(percentile(values, share), 3) if values else math.nan
