"""Our workers in the benchmarks of counting, timed by what their state files say.

The time is from the first record that a worker consumes to the last acknowledged write of its rows.
"""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.bench.counts.throughput_results import Run
from infra.bench.harness.processes import MeasuredProcess
from infra.bench.harness.sandbox import WORKERS, Sandbox, running_workers
from infra.bench.harness.stall_timer import StallTimer
from infra.terminal.progress_line import Report
from schemas import count_tables
from schemas.errors import StackError
from schemas.topics import PRODUCT_VIEW

BEGIN_SECONDS = 90.0
STALL_SECONDS = 60.0
STATE_SECONDS = 10.0
POLL_SECONDS = 0.2

# The state of each worker, by its name.
States = dict[str, dict[str, Any]]


def run(
    sandbox: Sandbox, implementation: str, number: int, events: int, report: Report
) -> Run:
    """Count all events of the load with one worker or two, from nothing.

    Raises KappaError if they do not finish.
    """
    names = WORKERS[: int(implementation[-1])]
    sandbox.reset_counts()
    with running_workers(sandbox, names) as workers:
        wait_until_counted(sandbox, workers, events, report)
        states = final_states(sandbox.settings, workers)
        begin, end = counting_span(states)
        cpu_seconds = 0.0
        for worker in workers:
            first_event_at = states[worker.name]["first_event_at"] or end
            cpu_seconds += worker.cpu.seconds_at(end) - worker.cpu.seconds_at(
                first_event_at
            )
    return Run(
        implementation=implementation,
        round=number,
        events=events,
        seconds=end - begin,
        cpu_seconds=cpu_seconds,
        result=counted_events(sandbox, events),
    )


def counting_span(states: States) -> tuple[float, float]:
    """Return the first event's time of all workers, and the last acknowledged write's.

    Both are in Unix seconds.
    """
    begins = [
        state["first_event_at"] for state in states.values() if state["first_event_at"]
    ]
    ends = [state["last_write_at"] for state in states.values()]
    return min(begins), max(ends)


def wait_until_counted(
    sandbox: Sandbox,
    workers: Sequence[MeasuredProcess],
    events: int,
    report: Report,
    *,
    poll_seconds: float = POLL_SECONDS,
    stall_seconds: float = STALL_SECONDS,
) -> None:
    """Wait until all events are committed, which follows the last write.

    `report` is called at every poll. Raises StackError if a worker ends, or if nothing is committed
    within `stall_seconds`.
    """
    timer = StallTimer()
    while (committed := sandbox.committed_events()) < events:
        stalled_seconds = timer.update(committed)
        report("counting", committed / events, f"{committed:,} of {events:,} events")
        for worker in workers:
            worker.check()
        limit_seconds = stall_seconds if committed else max(stall_seconds, BEGIN_SECONDS)
        if stalled_seconds > limit_seconds:
            raise StackError(
                f"{workers[0].name} has committed nothing for {limit_seconds:.0f} s, "
                f"{committed:,} events counted",
                f"see {workers[0].log}",
            )
        time.sleep(poll_seconds)


def final_states(settings: Settings, workers: Sequence[MeasuredProcess]) -> States:
    """Return what each worker says about itself after everything is committed.

    Workers write their state every second. Raises StackError if one does not.
    """
    committed_at = time.time()
    states = States()
    for worker in workers:

        def state_after_commit(name: str = worker.name) -> dict[str, Any] | None:
            state = read_state(settings.home, name)
            if state is None:
                return None
            updated_at = datetime.fromisoformat(state["updated_at"]).timestamp()
            return state if updated_at > committed_at else None

        states[worker.name] = worker.wait_until(
            state_after_commit,
            timeout_seconds=STATE_SECONDS,
            what=f"{worker.name} to write its state",
            poll_seconds=POLL_SECONDS,
        )
    return states


def counted_events(sandbox: Sandbox, events: int) -> int:
    """Return the sum of the rows; if one view of product views is wrong, its sum."""
    for view in count_tables.COUNTS:
        if view.topic == PRODUCT_VIEW:
            total = sum_of_rows(sandbox, f"{sandbox.keyspace}.{view.name}")
            if total != events:
                return total
    return events


def sum_of_rows(sandbox: Sandbox, table: str) -> int:
    """Return the sum of `view_count` over a table.

    It is computed here, since an aggregate of so many rows might take longer than Cassandra allows.
    """
    with sandbox.admin() as session:
        rows = session.execute(f"SELECT view_count FROM {table}").rows
        return sum(int(count) for (count,) in rows)
