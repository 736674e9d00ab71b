"""`kappa bench`: the benchmarks of docs/benchmarks.md, each with its peers or its limit.

Modules of a benchmark are imported when it runs, since some need Spark or Cassandra.
"""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import click

from connectors.runtime.settings import ROOT, Settings
from infra.bench import options
from infra.bench.counts.throughput_results import NAMES as COUNTING_NAMES
from infra.bench.options import as_json, keep, write
from infra.bench.report.measurement import Measurement
from infra.bench.report.presentation import Presentation, show
from infra.bench.report.presentation import write as write_page
from infra.bench.warehouse.merge_results import NAMES as MERGE_NAMES
from infra.bench.warehouse.merge_results import USUAL_ROWS
from infra.terminal.command_group import CommandGroup
from infra.terminal.progress_steps import ProgressSteps

DOCS = ROOT / "docs"
# Columns of a report that is not printed on a terminal, wide enough for its table.
FILE_COLUMNS = 170


@click.group(cls=CommandGroup, no_args_is_help=True)
def bench() -> None:
    """Measure the running stack: each measurement with its peers or its limit in the same run."""
    # As after Ctrl-C, the processes of the measurement end, and its topics and tables are removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


@bench.command()
@options.number("--events", 1_000_000, 10_000, "Size of the load.")
@options.number("--rounds", 2, 1, "How often each counts it, in turn.")
@options.only(COUNTING_NAMES)
@as_json
@write
@keep
@click.pass_obj
def counts(
    settings: Settings,
    events: int,
    rounds: int,
    only: Sequence[str],
    json_: bool,
    write: bool,
    keep: bool,
) -> None:
    """Count the same clicks with Kappa's worker, a plain loop, Quix Streams, Bytewax and stock
    Faust, one after the other.

    Exit code 1 if one of them failed or Kappa's counts are not exact.
    """
    options.refuse_part(write, only)
    from infra.bench.counts.throughput import ThroughputPlan, measure
    from infra.bench.counts.throughput_report import present

    plan = ThroughputPlan(events=events, rounds=rounds, only=only, keep=keep)
    with _undisturbed_stack(settings):
        report = measure(settings, plan, ProgressSteps())
    deliver(report, present(report), json_, write)
    sys.exit(1 if report.has_failed else 0)


@bench.command()
@as_json
@write
@keep
@click.pass_obj
def latency(settings: Settings, json_: bool, write: bool, keep: bool) -> None:
    """Time clicks from their sending until Cassandra answers with them, at 1,000/s, 10,000/s and
    80 % of the most that a worker can do.

    Before that the worker and the servers are warmed up by a minute at 10,000/s, which has its own
    row in the report. The most is as ./kappa bench counts last measured it; if it has not been run,
    it is measured first. Exit code 1 if a click never came.
    """
    from infra.bench.counts.latency import measure
    from infra.bench.counts.latency_report import present

    with _undisturbed_stack(settings):
        report = measure(settings, ProgressSteps(), keep)
    deliver(report, present(report), json_, write)
    sys.exit(1 if any(figures.lost_probes for figures in report.all_figures) else 0)


@bench.command()
@options.number("--products", 1_000_000, 1000, "How many products the larger load has.")
@as_json
@write
@click.pass_obj
def memory(settings: Settings, products: int, json_: bool, write: bool) -> None:
    """Measure a worker's memory while it counts as many clicks on 1,000 as on 1,000,000 products,
    then kill it, and time its return.

    Exit code 1 if a click was lost.
    """
    from infra.bench.counts.memory import measure
    from infra.bench.counts.memory_report import present

    # Some products come a second time, when their rows must be read again.
    clicks = products + products // 4
    sizes = [(1000, clicks), (products, clicks)]
    with _undisturbed_stack(settings):
        report = measure(settings, sizes, ProgressSteps())
    deliver(report, present(report), json_, write)
    sys.exit(1 if any(run.lost for run in report.runs) else 0)


@bench.command()
@options.number("--events", 8_000_000, 100_000, "Size of the load.")
@click.option(
    "--share",
    default=0.1,
    show_default=True,
    type=click.FloatRange(0.05, 1.0),
    help="How much of a core each worker may use.",
)
@as_json
@write
@click.pass_obj
def scale(settings: Settings, events: int, share: float, json_: bool, write: bool) -> None:
    """Count the same clicks with one, two and four workers that share the partitions, each held to
    the same share of a core.

    So a small machine shows what more workers do where there are more cores. Exit code 1 if the
    counts are not exact.
    """
    from infra.bench.counts.scaling import measure
    from infra.bench.counts.scaling_report import present

    with _undisturbed_stack(settings):
        report = measure(settings, events, share, ProgressSteps())
    deliver(report, present(report), json_, write)
    sys.exit(0 if all(group.exact for group in report.groups) else 1)


@bench.command()
@options.number("--rows", USUAL_ROWS, 100_000, "Orders in the table, 100,000 a day.")
@options.number("--changes", 20_000, 1000, "Changes of each batch.")
@options.number("--rounds", 2, 1, "How often each merges each batch, in turn.")
@options.only(MERGE_NAMES)
@click.option(
    "--updates-only",
    is_flag=True,
    help="Change only orders that exist, so that Spark's MERGE needs no outer join.",
)
@as_json
@write
@click.pass_obj
def compact(
    settings: Settings,
    rows: int,
    changes: int,
    rounds: int,
    only: Sequence[str],
    updates_only: bool,
    json_: bool,
    write: bool,
) -> None:
    """Merge the same changes into the same orders with Kappa, Spark with Iceberg, Delta and plain
    Parquet, and read them, one after the other.

    Batches touch 1, 5 and 50 days. Exit code 1 if one of them failed or the tables differ in the
    end.
    """
    options.refuse_part(write, only)
    from infra.bench.harness.sandbox import only_benchmark
    from infra.bench.warehouse.merge import MergeBench, MergePlan, require_hdfs
    from infra.bench.warehouse.merge_report import present, require_place

    if write:
        require_place(rows, updates_only, DOCS)
    require_hdfs(settings)
    plan = MergePlan(
        rows=rows, changes=changes, rounds=rounds, only=only, updates_only=updates_only
    )
    with only_benchmark(settings):
        report = MergeBench(settings, plan, ProgressSteps()).run()
    deliver(report, present(report), json_, write)
    sys.exit(1 if report.failures or not report.has_same_rows else 0)


@bench.command()
@as_json
@write
@click.pass_obj
def freshness(settings: Settings, json_: bool, write: bool) -> None:
    """Time changes from MySQL until they are in their topic and until Hive shows them, at 10, 100
    and 1,000 changes per second.

    Exit code 1 if a change was never shown, or a query did not give what was shown.
    """
    from infra.bench.warehouse.freshness import measure
    from infra.bench.warehouse.freshness_report import present

    with _undisturbed_stack(settings):
        report = measure(settings, ProgressSteps())
    deliver(report, present(report), json_, write)
    sys.exit(1 if report.has_failed else 0)


@bench.command()
@options.number("--records", 500_000, 10_000, "Changes to replay.")
@options.number("--rounds", 2, 1, "How often each does it, in turn.")
@as_json
@write
@keep
@click.pass_obj
def replay(
    settings: Settings, records: int, rounds: int, json_: bool, write: bool, keep: bool
) -> None:
    """Build a table from the archive as a replay does, against plain Spark that copies the same
    changes from Kafka into Parquet.

    Exit code 1 if the table does not have the rows that the changes leave.
    """
    from infra.bench.warehouse.replay import measure
    from infra.bench.warehouse.replay_report import present

    with _undisturbed_stack(settings):
        report = measure(settings, records, rounds, keep, ProgressSteps())
    deliver(report, present(report), json_, write)
    sys.exit(1 if any(run.rows != run.expected for run in report.runs) else 0)


@bench.command()
@options.number("--rows", 5_000_000, 1000, "Rows of the large table.")
@options.number("--tables", 100, 1, "How many tables are read together.")
@options.number("--table-rows", 20_000, 10, "Rows of each of them.")
@options.number("--peer-rows", 200_000, 1000, "Rows of the table that Debezium reads too.")
@as_json
@write
@click.pass_obj
def snapshot(
    settings: Settings,
    rows: int,
    tables: int,
    table_rows: int,
    peer_rows: int,
    json_: bool,
    write: bool,
) -> None:
    """Time the reading of tables that MySQL has already until Hive shows them: a large one, and
    many, beside MySQL alone and Debezium's own snapshot.

    Exit code 1 if Hive counts other rows than MySQL has.
    """
    from infra.bench.capture.snapshot import SnapshotPlan, measure
    from infra.bench.capture.snapshot_report import present

    plan = SnapshotPlan(
        rows=rows, tables=tables, table_rows=table_rows, peer_rows=peer_rows
    )
    with _undisturbed_stack(settings):
        report = measure(settings, plan, ProgressSteps())
    deliver(report, present(report), json_, write)
    sys.exit(1 if report.has_failed else 0)


@bench.command()
@options.number("--rows", 200_000, 10_000, "Rows of the table.")
@options.number("--seconds", 180, 20, "How long each rate is held.")
@options.number("--offer-seconds", 60, 10, "How long changes are written without a limit.")
@click.option(
    "--profile",
    is_flag=True,
    help="Also say where Connect's time goes, by thread dumps; they cost some of it.",
)
@as_json
@write
@click.pass_obj
def stream(
    settings: Settings,
    rows: int,
    seconds: int,
    offer_seconds: int,
    profile: bool,
    json_: bool,
    write: bool,
) -> None:
    """Find how many changes per second come from MySQL to Hive without growing lag, beside the
    reading of the binary log alone.

    Changes are written without a limit, then at 90 % and 50 % of what arrived; at 75 % too if the
    lag grew. Exit code 1 if a change was never shown, or a query did not give what was shown.
    """
    from infra.bench.capture.stream import StreamPlan, measure
    from infra.bench.capture.stream_report import present

    plan = StreamPlan(
        rows=rows, seconds=seconds, offer_seconds=offer_seconds, with_profile=profile
    )
    with _undisturbed_stack(settings):
        report = measure(settings, plan, ProgressSteps())
    deliver(report, present(report), json_, write)
    sys.exit(1 if report.has_failed else 0)


@bench.command()
@options.number("--runs", 5, 1, "How often each command is started.")
@as_json
@write
@click.pass_obj
def start(settings: Settings, runs: int, json_: bool, write: bool) -> None:
    """Time the start of every command before it does its work; needs no running stack.

    Exit code 1 if help takes more than 0.3 CPU seconds or a command more than 0.6.
    """
    from infra.bench.command_line.start import measure
    from infra.bench.command_line.start_report import present

    report = measure(settings, runs, ProgressSteps())
    deliver(report, present(report), json_, write)
    sys.exit(0 if report.is_quick else 1)


@contextmanager
def _undisturbed_stack(settings: Settings) -> Iterator[None]:
    """Keep other measurements off the stack, which must be running.

    Raises KappaError if it is not, or if another measurement runs.
    """
    from infra.bench.harness.sandbox import only_benchmark, require_running

    require_running(settings)
    with only_benchmark(settings):
        yield


def deliver(
    measurement: Measurement, presentation: Presentation, json_: bool, write: bool
) -> None:
    """Print a report, and write its part of the page if asked to.

    Raises KappaError if the page has no place for it.
    """
    if json_:
        click.echo(json.dumps(measurement.facts(), indent=1))
    else:
        from rich.console import Console

        show(presentation, Console(width=None if sys.stdout.isatty() else FILE_COLUMNS))
    if write:
        write_page(measurement, presentation, DOCS)
