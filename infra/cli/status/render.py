"""`kappa status` for people."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

HEADINGS = ("process", "state", "pid", "up", "memory", "")
RIGHT_ALIGNED = ("pid", "up", "memory")
TROUBLE_CHARACTERS = 90
# A repaired drift is news for a day.
DRIFT_SHOWN = timedelta(days=1)
NO_REPORT = "has not reported yet"


def show(status: Mapping[str, Any], console: Console) -> None:
    """Print the table of processes, then a line for each concern."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in RIGHT_ALIGNED else "left")
    for process in status["processes"]:
        table.add_row(*map(_as_it_is, process_row(process)))
    console.print(table)
    console.print(f"\nmemory    {status['memory_mb']} MB resident in all")
    for line in concern_lines(status, datetime.now(UTC)):
        console.print(line, highlight=False, markup=False)


def _as_it_is(cell: Text | str) -> Text:
    """Return a text that is no markup: names of tables and errors may have brackets."""
    return Text(cell) if isinstance(cell, str) else cell


def process_row(process: Mapping[str, Any]) -> tuple[Text | str, ...]:
    """Return a process's cells under HEADINGS."""
    memory_mb = process["memory_mb"]
    trouble = process["trouble"] or ""
    return (
        process["name"],
        _state(process),
        str(process["pid"] or ""),
        duration(process["up_seconds"]),
        "" if memory_mb is None else f"{memory_mb} MB",
        trouble[:TROUBLE_CHARACTERS],
    )


def _state(process: Mapping[str, Any]) -> Text:
    if process["ready"]:
        return Text("ready", "green")
    state = process["state"]
    colour = "yellow" if state in ("STARTING", "RUNNING") else "red"
    return Text(state.lower(), colour)


def concern_lines(status: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Yield the lines on capture, counts, warehouse, proof and dead letters."""
    yield f"capture   {status['capture'].get('detail', NO_REPORT)}"
    yield from counts_lines(status["counts"])
    yield f"warehouse {warehouse_line(status['warehouse'], now)}"
    for topic, table in status["rereads"].items():
        yield f"          {topic}: {reread_text(table)}"
    for table, reason in status["warehouse"].get("refused_by_hive", {}).items():
        yield f"          {table} is not up to date: {reason}"
    for line in proof_lines(status["proof"], now):
        yield f"          {line}"
    dead_letters = status["dead_letters"]
    counts = [f"{topic} {count}" for topic, count in dead_letters.items() if count]
    yield f"dead      {', '.join(counts) or 'none'}"


def counts_lines(counts: Mapping[str, Any]) -> Iterator[str]:
    """Yield the generation and its lag, whether it is outdated, and a line for each worker."""
    generation = counts["generation"] or "unknown"
    yield f"counts    generation {generation}, {counts['lag'] or 0} clicks not counted yet"
    if counts["outdated"]:
        yield (
            "          the settings ask for other windows or horizons than it has: ./kappa "
            "replay counts builds a generation with them"
        )
    for name, state in counts["workers"].items():
        yield f"          {name}: {worker_line(state)}"


def worker_line(state: Mapping[str, Any]) -> str:
    """Return what a worker of the counts reports, and its lag in the partitions that have any."""
    line = str(state.get("detail", NO_REPORT))
    if "last_write_ms" in state:
        line += f"; last write {state['last_write_ms']} ms"
    lag_by_partition = state.get("lag_by_partition", {})
    lags = [f"{partition} {lag}" for partition, lag in lag_by_partition.items() if lag]
    return f"{line}; behind in {', '.join(lags)}" if lags else line


def warehouse_line(state: Mapping[str, Any], now: datetime) -> str:
    """Return the newest version, its age and its GTID set."""
    detail = str(state.get("detail", NO_REPORT))
    if "created_at" not in state:
        return detail
    age = _age(state["created_at"], now)
    return f"{detail}; published {age} ago, at GTID {state.get('gtid') or 'none yet'}"


def reread_text(table: Mapping[str, Any]) -> str:
    """Return why a table is not replicated, and how far its re-read is."""
    reason = str(table["reason"])
    if "rows" not in table:
        return reason
    rows = f"{table['rows']:,} of about {table['estimated_rows']:,} rows"
    speed = f"{table['rows_per_second']:,} rows/s"
    return f"{reason}; {rows} read, {speed}, {duration(int(table['seconds_left']))} left"


def proof_lines(proof: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Yield when the warehouse was last proven equal to MySQL, and what a later proof showed."""
    proven = proof.get("proven")
    if proven:
        yield (
            f"proven equal to MySQL {_age(proven['at'], now)} ago, at GTID {proven['gtid']} "
            f"(version {proven['version']}, {proven['rows']:,} rows)"
        )
    else:
        yield "not proven equal to MySQL yet: ./kappa verify warehouse"
    last = proof.get("last")
    zero_dates = (last or {}).get("zero_dates", {})
    if zero_dates:
        counts = [f"{table} {count:,}" for table, count in zero_dates.items()]
        yield f"zero dates that are NULL in Hive: {', '.join(counts)}"
    if last and not last["equal"]:
        problems = [f"{table} differs" for table in last["differing"]]
        problems += [f"{table} could not be compared" for table in last["unproven"]]
        if problems:
            yield f"the last proof, {_age(last['at'], now)} ago: {', '.join(problems)}"
    if drift := proof.get("drift"):
        yield from drift_lines(drift, now)


def drift_lines(drift: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Yield what Hive had other than the manifest; none of what was found long ago."""
    if now - datetime.fromisoformat(drift["at"]) > DRIFT_SHOWN:
        return
    yield f"Hive and the manifest, {_age(drift['at'], now)} ago: {drift['repair']}"
    yield from (f"  {text}" for text in drift["found"])
    further = drift["count"] - len(drift["found"])
    if further > 0:
        yield f"  and {further:,} more"


def _age(at: str, now: datetime) -> str:
    return duration(int((now - datetime.fromisoformat(at)).total_seconds()))


def duration(seconds: int | None) -> str:
    """Return a duration in the unit that fits: `119 s`, `59 min`, `3 h`; empty for None."""
    if seconds is None:
        return ""
    if seconds < 120:
        return f"{seconds} s"
    hours = seconds // 3600
    if hours < 2:
        return f"{seconds // 60} min"
    return f"{hours} h"
