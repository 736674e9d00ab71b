"""The measurement of a worker's memory and of its return: many clicks, each on another product than those before, so that every row is new."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from connectors import kafka
from connectors.kafka import errors, producer
from infra.answers import plain
from infra.bench import load
from infra.bench.bed import WORKERS, Bed, workers
from infra.bench.machine import machine, versions
from infra.bench.ours import sum_of_rows
from infra.bench.processes import Measured
from infra.errors import StackError
from infra.progress import Line
from infra.settings import Settings
from infra.state import read_state
from infra.steps import Steps
from schemas import views
from schemas.topics import PRODUCT_VIEW

SUFFIX = "memory"
# So far apart that following clicks are of products that are nothing to each other; no factor of the numbers of products.
STRIDE = 7919
MORE = 50_000
STILL_SECONDS, LOOK_SECONDS = 120.0, 0.05


@dataclass(frozen=True)
class Held:
    """What a worker took for clicks on so many products: its largest resident memory, and how long it was at it.

    `again_seconds` is from the start of the process that followed its `kill -9` to the first acknowledged write of newly counted clicks, and
    `lost` how many clicks the rows then lack, once all are counted.
    """

    products: int
    events: int
    seconds: float
    peak_mb: float
    again_seconds: float
    again_peak_mb: float
    lost: int


@dataclass(frozen=True)
class MemoryReport:
    """A whole measurement; `rows_kept` is the setting that bounds the rows in memory."""

    at: str
    machine: dict[str, str]
    versions: dict[str, str]
    rows_kept: int
    held: list[Held] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """The report as JSON has it."""
        found: dict[str, Any] = plain(asdict(self))
        return found


def clicks(events: int, products: int, end_ms: int, seed: int) -> Iterator[load.Click]:
    """So many views of so many products in turn, spread over the ten minutes before `end_ms`."""
    random = Random(seed)
    for number in range(events):
        at_ms = end_ms - load.SPREAD_MS + number * load.SPREAD_MS // events
        yield load.random_click(random, at_ms) | {"product_id": number * STRIDE % products}


def measure(settings: Settings, sizes: list[tuple[int, int]], steps: Steps) -> MemoryReport:
    """The whole measurement, for some numbers of products and events; everything made for it is removed, whatever happens.

    Raises KappaError if a worker does not get to the end.
    """
    bed = Bed(settings, SUFFIX)
    report = MemoryReport(datetime.now(UTC).isoformat(timespec="seconds"), machine(), versions(settings), settings.counts.rows_kept)
    try:
        for products, events in sizes:
            with steps.download() as line:
                report.held.append(_with(bed, products, events, line))
            steps.say(in_words(report.held[-1]))
    finally:
        with steps.waiting("removing the topics and tables of the measurement"):
            bed.remove()
    return report


def in_words(held: Held) -> str:
    """One measurement in one line."""
    exact = f"{held.lost:,} clicks lost" if held.lost else "exact"
    return (
        f"{held.events:,} clicks on {held.products:,} products: at most {held.peak_mb:.0f} MB; counting again {held.again_seconds:.1f} s after "
        f"kill -9, at most {held.again_peak_mb:.0f} MB; {exact}"
    )


def _with(bed: Bed, products: int, events: int, line: Line) -> Held:
    load.make_topic(bed.settings.kafka, bed.topic)
    bed.empty()
    _send(bed, clicks(events, products, int(time.time() * 1000), 1), events, line)
    begin = time.monotonic()
    with workers(bed, [WORKERS[0]]) as (worker,):
        _counted(bed, worker, events, line)
        seconds, peak_mb = time.monotonic() - begin, worker.peak_mb()
        worker.kill()
    _send(bed, clicks(MORE, products, int(time.time() * 1000), 2), MORE, line)
    began_at = time.time()
    with workers(bed, [WORKERS[0]]) as (worker,):
        again_at = _first_write(bed, worker)
        _counted(bed, worker, events + MORE, line)
        again_mb = worker.peak_mb()
    line("adding up the rows", None, "")
    totals = [sum_of_rows(bed, f"{bed.keyspace}.{view.name}") for view in views.COUNTS if view.topic == PRODUCT_VIEW and view.window_ms is None]
    return Held(products, events, round(seconds, 1), peak_mb, round(again_at - began_at, 1), again_mb, events + MORE - totals[0])


def _send(bed: Bed, made: Iterator[load.Click], events: int, line: Line) -> None:
    encode, log = load.encoder(bed.settings).encode, producer(bed.settings.kafka, load.CLIENT)
    for number, click in enumerate(made):
        load.send(log, bed.topic, encode(click), load.key(click))
        if number % load.TELL_EVERY == 0:
            log.poll(0)
            line("making the load", number / events, f"{number:,} of {events:,} events")
    with errors(f"writing {bed.topic}"):
        log.flush(load.WAIT_SECONDS)


def _counted(bed: Bed, worker: Measured, events: int, line: Line) -> None:
    """Comes back when all is committed."""
    before, moved_at = 0, time.monotonic()
    while (done := sum(kafka.committed(bed.settings.kafka, bed.group, [bed.topic]).values())) < events:
        before, moved_at = (done, time.monotonic()) if done > before else (before, moved_at)
        line("counting", done / events, f"{done:,} of {events:,} events, {worker.peak_mb():.0f} MB")
        worker.check()
        if time.monotonic() - moved_at > STILL_SECONDS:
            raise StackError(f"{worker.name} has committed nothing for {STILL_SECONDS:.0f} s, {done:,} events counted", f"see {worker.log}")
        time.sleep(LOOK_SECONDS)


def _first_write(bed: Bed, worker: Measured) -> float:
    """When the first write was acknowledged, in Unix seconds."""
    deadline = time.monotonic() + STILL_SECONDS
    while not (at := float((read_state(bed.settings.home, worker.name) or {}).get("last_write_at", 0))):
        worker.check()
        if time.monotonic() > deadline:
            raise StackError(f"{worker.name} has written nothing for {STILL_SECONDS:.0f} s", f"see {worker.log}")
        time.sleep(LOOK_SECONDS)
    return at
