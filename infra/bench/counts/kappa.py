"""Our worker, measured: from the first record that a process takes to the last acknowledged write of its rows, as its own state says."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from connectors import kafka
from infra.bench.bed import WORKERS, Bed, workers
from infra.bench.processes import Measured
from infra.bench.results import Run
from infra.errors import StackError
from infra.progress import Report
from infra.settings import Settings
from infra.state import read_state
from schemas import views
from schemas.topics import PRODUCT_VIEW

BEGIN_SECONDS, STILL_SECONDS, SAY_SECONDS = 90.0, 60.0, 10.0
LOOK_SECONDS = 0.2

# What a worker says of itself, by its name.
States = dict[str, dict[str, Any]]


def run(bed: Bed, contestant: str, number: int, events: int, report: Report) -> Run:
    """Counts all events of the load with one process or two, from nothing. Raises KappaError if they do not get to the end."""
    names = WORKERS[: int(contestant[-1])]
    bed.empty()
    with workers(bed, names) as running:
        wait_for_the_last(bed, running, events, report)
        states = last_words(bed.settings, running)
        begin, end = span(states)
        cpu_seconds = sum(process.cpu.at(end) - process.cpu.at(states[process.name]["first_event_at"] or end) for process in running)
    return Run(contestant, number, events, end - begin, cpu_seconds, result=counted(bed, events))


def span(states: States) -> tuple[float, float]:
    """When the first of all workers took its first event, and when the last one had its last write acknowledged, in Unix seconds."""
    begins = [state["first_event_at"] for state in states.values() if state["first_event_at"]]
    return min(begins), max(state["last_write_at"] for state in states.values())


def wait_for_the_last(bed: Bed, running: Sequence[Measured], events: int, report: Report) -> None:
    """Comes back when all offsets are committed, which follows the last write; reports at every look. Raises StackError if they come to a stop."""
    before, moved_at = 0, time.monotonic()
    while (done := sum(kafka.committed(bed.settings.kafka, bed.group, [bed.topic]).values())) < events:
        if done != before:
            before, moved_at = done, time.monotonic()
        report("counting", done / events, f"{done:,} of {events:,} events")
        for process in running:
            process.check()
        patience = STILL_SECONDS if done else BEGIN_SECONDS
        if time.monotonic() - moved_at > patience:
            raise StackError(f"{running[0].name} has committed nothing for {patience:.0f} s, {done:,} events counted", f"see {running[0].log}")
        time.sleep(LOOK_SECONDS)


def last_words(settings: Settings, running: Sequence[Measured]) -> States:
    """What each worker said of itself after everything was committed; it does so every second. Raises StackError if one does not."""
    done_at, states = time.time(), States()
    while len(states) < len(running):
        for process in running:
            process.check()
            state = read_state(settings.home, process.name)
            if state and datetime.fromisoformat(state["updated_at"]).timestamp() > done_at:
                states[process.name] = state
        if time.time() > done_at + SAY_SECONDS:
            raise StackError(f"{running[0].name} has not said how it does for {SAY_SECONDS:.0f} s", f"see {running[0].log}")
        time.sleep(LOOK_SECONDS)
    return states


def counted(bed: Bed, events: int) -> int:
    """The sum of the rows; if the views of product views do not agree, that of one that is wrong."""
    sums = [sum_of_rows(bed, f"{bed.keyspace}.{view.name}") for view in views.COUNTS if view.topic == PRODUCT_VIEW]
    return next((total for total in sums if total != events), events)


def sum_of_rows(bed: Bed, table: str) -> int:
    """The sum of `view_count` over a table, row by row: an aggregate of so many rows could take longer than Cassandra allows."""
    with bed.admin() as session:
        return sum(int(count) for (count,) in session.execute(f"SELECT view_count FROM {table}").rows)
