"""Small reports of all benchmarks, and the sections of the page that they are written into."""

from typing import Any

from connectors.runtime.settings import ROOT
from infra.bench.capture.process_usage import Usage
from infra.bench.capture.snapshot_report import SnapshotReport, SnapshotRun, TableSet
from infra.bench.capture.stream_report import HeldRate, OfferedLoad, StreamReport
from infra.bench.capture.thread_dumps import Profile
from infra.bench.counts.latency_report import LatencyFigures, LatencyReport
from infra.bench.counts.memory_report import MemoryReport, MemoryRun
from infra.bench.counts.scaling_report import ScalingReport, WorkerGroup
from infra.bench.counts.throughput_results import Run, ThroughputReport
from infra.bench.report import pages
from infra.bench.warehouse.freshness_report import FreshnessReport, RateFigures
from infra.bench.warehouse.merge_results import MergeReport, MergeRun, Scan
from infra.bench.warehouse.replay_report import BYTES, OURS, TYPED, ReplayReport, ReplayRun

PAGE = ROOT / "docs" / pages.PAGE
MACHINE = {
    "processor": "a processor",
    "cores": "2",
    "memory": "24 GB",
    "system": "a system",
    "python": "3.11.7",
}
CIRCUMSTANCES: dict[str, Any] = {
    "at": "2026-03-01T12:00:00+00:00",
    "machine": MACHINE,
    "versions": {"kafka": "4"},
}


def counting_run(
    implementation: str, number: int, seconds: float, cpu_seconds: float, result: int
) -> Run:
    return Run(
        implementation=implementation,
        round=number,
        events=1000,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        result=result,
    )


RUNS = [
    counting_run("ours-1", 1, 1.0, 0.5, 1000),
    counting_run("plain", 1, 2.0, 2.0, 1000),
    Run(implementation="faust", round=1, events=1000, failure="it ended"),
    counting_run("ours-1", 2, 0.8, 0.5, 1000),
    counting_run("plain", 2, 1.6, 2.0, 998),
]
THROUGHPUT = ThroughputReport(**CIRCUMSTANCES, events=1000, runs=RUNS)

LATENCY_FIGURES = LatencyFigures(
    rate=1000,
    reached_rate=1000,
    probes=400,
    p50=21.0,
    p95=40.2,
    p99=55.0,
    longest=60.0,
    lost_probes=0,
    uncommitted=10,
    cpu={"worker": 0.2, "producer": 0.05, "prober": 0.3},
)
LATENCY = LatencyReport(**CIRCUMSTANCES, max_rate=100_000, rates=[LATENCY_FIGURES])

MEMORY_RUN = MemoryRun(
    products=1_000_000,
    events=2_000_000,
    seconds=99.5,
    peak_mb=700.4,
    again_seconds=8.1,
    again_peak_mb=650.2,
    lost=0,
)
MEMORY = MemoryReport(**CIRCUMSTANCES, rows_kept=100_000, runs=[MEMORY_RUN])

ONE_WORKER = WorkerGroup(
    workers=1,
    events=2_000_000,
    seconds=20.0,
    cpu_seconds=4.0,
    counted=3_000_000,
    load=3_000_000,
)
TWO_WORKERS = WorkerGroup(
    workers=2,
    events=1_800_000,
    seconds=10.0,
    cpu_seconds=4.5,
    counted=3_000_000,
    load=3_000_000,
)
SCALING = ScalingReport(**CIRCUMSTANCES, share=0.2, groups=[ONE_WORKER, TWO_WORKERS])


def merge_run(name: str, number: int, days: int, seconds: float, size: int) -> MergeRun:
    return MergeRun(
        name=name, round=number, days=days, seconds=seconds, bytes=size, files=3
    )


MERGES = [
    merge_run("ours", 1, 1, 0.4, 1_000_000),
    merge_run("delta", 1, 1, 2.0, 2_000_000),
    merge_run("ours", 2, 1, 0.5, 1_000_000),
    merge_run("delta", 2, 1, 1.0, 2_000_000),
    merge_run("ours", 1, 50, 1.0, 9_000_000),
    MergeRun(name="delta", round=1, days=50, failure="it ended"),
]
SCANS = [Scan("ours", 0.2, 50, 0, (1, 2)), Scan("delta", 0.4, 60, 0, (1, 2))]
COMPACTION = MergeReport(
    **CIRCUMSTANCES, rows=5_000_000, changes=20_000, merges=MERGES, scans=SCANS
)

RATE_FIGURES = RateFigures(
    rate=1000,
    reached_rate=900,
    transactions=4000,
    versions=12,
    topic_p50=0.03,
    topic_p95=0.09,
    hive_p50=2.5,
    hive_p95=4.1,
    hive_longest=5.0,
    lost_transactions=1,
    controls=5,
    wrong_controls=1,
)
FRESHNESS = FreshnessReport(**CIRCUMSTANCES, interval_seconds=5.0, rates=[RATE_FIGURES])


def replay_run(
    implementation: str, number: int, seconds: float, rows: int, expected: int
) -> ReplayRun:
    return ReplayRun(
        implementation=implementation,
        round=number,
        records=1000,
        seconds=seconds,
        cpu_seconds=2 * seconds,
        rows=rows,
        expected=expected,
    )


REPLAY = ReplayReport(
    **CIRCUMSTANCES,
    records=1000,
    runs=[
        replay_run(OURS, 1, 2.0, 500, 500),
        replay_run(TYPED, 1, 4.0, 1000, 1000),
        replay_run(BYTES, 1, 1.0, 999, 1000),
        replay_run(OURS, 2, 1.0, 500, 500),
        replay_run(TYPED, 2, 2.0, 1000, 1000),
    ],
)


SNAPSHOT_RUN = SnapshotRun(
    tables=TableSet(title="one table", tables=1, rows_per_table=1000, with_peer=True),
    seconds=4.0,
    limit_seconds=2.0,
    counted_rows=1000,
    count_seconds=0.5,
    usage={"MySQL": Usage(1.0, 300), "compactor": Usage(2.0, 800)},
    peer_seconds=20.0,
)
MANY_TABLES = SnapshotRun(
    tables=TableSet(title="tables", tables=10, rows_per_table=100),
    seconds=4.0,
    limit_seconds=2.0,
    counted_rows=990,
    count_seconds=0.5,
)
SNAPSHOT = SnapshotReport(
    **CIRCUMSTANCES, interval_seconds=3.0, readers=2, runs=[SNAPSHOT_RUN, MANY_TABLES]
)

OFFERED = OfferedLoad(
    changes=600_000,
    seconds=30.0,
    drain_seconds=31.0,
    mysql_rate=20_000,
    topic_rate=12_000,
    hive_rate=10_000,
    binlog_rate=100_000,
    usage={"Connect": Usage(80, 900)},
    profile=Profile(50, {"task": 40.0}, {"Avro": 30.0, "other": 10.0}),
)
HELD_RATE = HeldRate(
    share=0.9,
    rate=9000,
    reached_rate=9000,
    growth=200,
    backlog=(20_000, 30_000),
    freshness=RATE_FIGURES,
    usage={
        "Connect": Usage(70, 800),
        "Kafka": Usage(20, 900),
        "compactor": Usage(30, 1000),
    },
)
SUSTAINED_RATE = HeldRate(
    share=0.5,
    rate=5000,
    reached_rate=5000,
    growth=3,
    backlog=(10_000, 10_000),
    freshness=RATE_FIGURES,
    usage={"Connect": Usage(70, 800)},
)
STREAM = StreamReport(
    **CIRCUMSTANCES,
    interval_seconds=3.0,
    rows=200_000,
    seconds=180.0,
    offered=OFFERED,
    held=[HELD_RATE, SUSTAINED_RATE],
)


def section_of(command: str, page: str) -> str:
    """Return the page's section of a command."""
    after_heading = page.split(f"`./kappa bench {command}`\n", 1)[1]
    return after_heading.split("\n## ")[0]
