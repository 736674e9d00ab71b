"""`kappa bench`: the measurements of docs/benchmarks.md, each with its peers or its limit in the same run."""

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import click
from rich.console import Console

from infra.bench.compact_results import NAMES as MERGERS
from infra.bench.compact_results import USUAL_ROWS
from infra.bench.results import NAMES
from infra.settings import ROOT, Settings
from infra.steps import Steps
from infra.suggesting import Suggesting

as_json = click.option("--json", "json_", is_flag=True, help="Print JSON.")
write = click.option("--write", is_flag=True, help="Write the report into docs/benchmarks.md.")
keep = click.option("--keep", is_flag=True, help="Leave the topics and tables of the measurement behind.")


@click.group(cls=Suggesting, no_args_is_help=True)
def bench() -> None:
    """Measure the running stack: each measurement with its peers or its limit in the same run."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # as Ctrl-C: its processes end, its topics and tables go


@bench.command()
@click.option("--events", default=1_000_000, show_default=True, type=click.IntRange(min=10_000), help="Size of the load.")
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(min=1), help="How often each counts it, in turn.")
@click.option("--only", multiple=True, metavar="NAME", type=click.Choice(NAMES), help=f"Only these: {', '.join(NAMES)}. Can be repeated.")
@as_json
@write
@keep
@click.pass_obj
def counts(settings: Settings, events: int, rounds: int, only: Sequence[str], json_: bool, write: bool, keep: bool) -> None:
    """Count the same clicks with Kappa's worker, a plain loop, Quix Streams, Bytewax and stock Faust, one after the other.

    Exit code 1 if one of them failed or Kappa's counts are not exact.
    """
    if write and only:
        raise click.UsageError("--write is for a whole measurement: leave out --only")
    from infra.bench import counts_report
    from infra.bench.bed import alone, require_running
    from infra.bench.counts import Wanted, measure

    require_running(settings)
    with alone(settings):
        report = measure(settings, Wanted(events, rounds, only, keep), Steps())
    deliver(report, counts_report, json_, write)
    wrong = [run for run in report.runs if run.failure or (run.contestant.startswith("ours") and not run.exact)]
    sys.exit(1 if wrong else 0)


@bench.command()
@as_json
@write
@keep
@click.pass_obj
def latency(settings: Settings, json_: bool, write: bool, keep: bool) -> None:
    """Time clicks from their sending until Cassandra answers with them, at 1,000/s, 10,000/s and 80 % of the most that a worker can do.

    Before that the worker and the servers are run in by a minute at 10,000/s, which the report has in a row of its own. The most is as
    ./kappa bench counts last found it; if it has not been run, it is measured first. Exit code 1 if a click never came.
    """
    from infra.bench import latency_report
    from infra.bench.bed import alone, require_running
    from infra.bench.latency import measure

    require_running(settings)
    with alone(settings):
        report = measure(settings, Steps(), keep)
    deliver(report, latency_report, json_, write)
    sys.exit(1 if any(found.lost for found in report.measured) else 0)


@bench.command()
@click.option("--products", default=1_000_000, show_default=True, type=click.IntRange(min=1000), help="How many products the larger load has.")
@as_json
@write
@click.pass_obj
def memory(settings: Settings, products: int, json_: bool, write: bool) -> None:
    """Weigh a worker while it counts as many clicks on 1,000 as on 1,000,000 products, then kill it, and time its return.

    Exit code 1 if a click was lost.
    """
    from infra.bench import memory_report
    from infra.bench.bed import alone, require_running
    from infra.bench.memory import measure

    require_running(settings)
    with alone(settings):
        clicks = products + products // 4  # some products a second time, when their rows have to be read again
        report = measure(settings, [(1000, clicks), (products, clicks)], Steps())
    deliver(report, memory_report, json_, write)
    sys.exit(1 if any(held.lost for held in report.held) else 0)


@bench.command()
@click.option("--events", default=8_000_000, show_default=True, type=click.IntRange(min=100_000), help="Size of the load.")
@click.option("--share", default=0.1, show_default=True, type=click.FloatRange(0.05, 1.0), help="How much of a core each worker may take.")
@as_json
@write
@click.pass_obj
def scale(settings: Settings, events: int, share: float, json_: bool, write: bool) -> None:
    """Count the same clicks with one, two and four workers that share the partitions, each held to the same share of a core.

    So a small machine shows what more workers do where there are more cores. Exit code 1 if the counts are not exact.
    """
    from infra.bench import scale_report
    from infra.bench.bed import alone, require_running
    from infra.bench.scale import measure

    require_running(settings)
    with alone(settings):
        report = measure(settings, events, share, Steps())
    deliver(report, scale_report, json_, write)
    sys.exit(0 if all(group.exact for group in report.groups) else 1)


@bench.command()
@click.option("--rows", default=USUAL_ROWS, show_default=True, type=click.IntRange(min=100_000), help="Orders in the table, 100,000 a day.")
@click.option("--changes", default=20_000, show_default=True, type=click.IntRange(min=1000), help="Changes of each batch.")
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(min=1), help="How often each merges each batch, in turn.")
@click.option("--only", multiple=True, metavar="NAME", type=click.Choice(MERGERS), help=f"Only these: {', '.join(MERGERS)}. Can be repeated.")
@click.option("--updates-only", is_flag=True, help="No order goes or comes, so that Spark's MERGE needs no outer join.")
@as_json
@write
@click.pass_obj
def compact(settings: Settings, rows: int, changes: int, rounds: int, only: Sequence[str], updates_only: bool, json_: bool, write: bool) -> None:
    """Merge the same changes into the same orders with Kappa, Spark with Iceberg, Delta and plain Parquet, and read them, one after the other.

    Batches touch 1, 5 and 50 days. Exit code 1 if one of them failed or the tables differ in the end.
    """
    if write and only:
        raise click.UsageError("--write is for a whole measurement: leave out --only")
    from infra.bench import compact_report
    from infra.bench.bed import alone
    from infra.bench.compact import Bench, Wanted, require_hdfs

    if write:
        compact_report.require_place(rows, updates_only, ROOT / "docs")
    require_hdfs(settings)
    with alone(settings):
        report = Bench(settings, Wanted(rows, changes, rounds, only, updates_only), Steps()).run()
    deliver(report, compact_report, json_, write)
    sys.exit(1 if not report.same or any(merged.failure for merged in report.merges) else 0)


@bench.command()
@as_json
@write
@click.pass_obj
def freshness(settings: Settings, json_: bool, write: bool) -> None:
    """Time changes from MySQL until they are in their topic and until Hive shows them, at 10, 100 and 1,000 changes per second.

    Exit code 1 if a change was never shown, or a query did not give what was shown.
    """
    from infra.bench import freshness_report
    from infra.bench.bed import alone, require_running
    from infra.bench.freshness import measure

    require_running(settings)
    with alone(settings):
        report = measure(settings, Steps())
    deliver(report, freshness_report, json_, write)
    sys.exit(1 if any(found.lost or found.wrong for found in report.rates) else 0)


@bench.command()
@click.option("--records", default=500_000, show_default=True, type=click.IntRange(min=10_000), help="Changes to replay.")
@click.option("--rounds", default=2, show_default=True, type=click.IntRange(min=1), help="How often each does it, in turn.")
@as_json
@write
@keep
@click.pass_obj
def replay(settings: Settings, records: int, rounds: int, json_: bool, write: bool, keep: bool) -> None:
    """Build a table from the archive as a replay does, against plain Spark that copies the same changes from Kafka into Parquet.

    Exit code 1 if the table has not the rows that the changes leave.
    """
    from infra.bench import replay_report
    from infra.bench.bed import alone, require_running
    from infra.bench.replay import measure

    require_running(settings)
    with alone(settings):
        report = measure(settings, records, rounds, keep, Steps())
    deliver(report, replay_report, json_, write)
    sys.exit(1 if any(run.rows != run.expected for run in report.runs) else 0)


class Report(Protocol):
    """A whole measurement."""

    def facts(self) -> dict[str, Any]: ...


R = TypeVar("R", bound=Report, contravariant=True)


class Pages(Protocol[R]):
    """What tells a report: a module."""

    def show(self, report: R, console: Console) -> None: ...
    def write(self, report: R, folder: Path) -> None: ...


def deliver(report: R, pages: Pages[R], json_: bool, write: bool) -> None:
    """Prints a report, as wide as its tables need where there is no terminal, and writes its part of the page if asked to."""
    if json_:
        click.echo(json.dumps(report.facts(), indent=1))
    else:
        pages.show(report, Console(width=None if sys.stdout.isatty() else 170))
    if write:
        pages.write(report, ROOT / "docs")
