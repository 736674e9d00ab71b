"""A peer in the counting benchmark: a script that knows nothing of the project.

A file tells it what to count; it prints when it begins and ends.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from connectors.cassandra.bootstrap import create_keyspace
from connectors.kafka import client as kafka
from connectors.runtime.process import foreign_environment
from connectors.runtime.settings import ROOT
from infra.bench.counts.kappa import sum_of_rows
from infra.bench.counts.throughput_results import Run
from infra.bench.harness.processes import MeasuredProcess, measured_process
from infra.bench.harness.sandbox import PEER_MARK, Sandbox
from infra.bench.harness.stall_timer import StallTimer
from infra.stack.supervisor import log_file
from infra.terminal.progress_line import Report
from schemas.errors import StackError
from schemas.events import CONTRACTS, SUBJECT_ID
from schemas.topics import PRODUCT_VIEW

FOLDER = ROOT / "infra" / "bench" / "peers"
SCRIPTS = {
    "plain": "plain_loop.py",
    "plain-rows": "plain_loop.py",
    "quix": "quix_streams.py",
    "bytewax": "bytewax_flow.py",
    "faust": "faust_agent.py",
}
# Peers that write into Cassandra, and how many rows each request has.
BATCH_ROWS = {"plain": 100, "plain-rows": 1}
# Peers that run in the peers' environment.
FOREIGN = ("quix", "bytewax", "faust")
BEGIN_SECONDS = 120.0
STALL_SECONDS = 120.0
POLL_SECONDS = 0.2


def run(
    sandbox: Sandbox, name: str, number: int, python: Path, report: Report, events: int
) -> Run:
    """Have a peer count all events of the load, from nothing.

    Raises KappaError if it does not finish.
    """
    if name in BATCH_ROWS:
        _recreate_table(sandbox)
    with tempfile.TemporaryDirectory(prefix="kappa-bench-") as folder_name:
        folder = Path(folder_name)
        task_file = folder / "task.json"
        task_file.touch(mode=0o600)  # it holds a password
        task_file.write_text(json.dumps(task(sandbox, name, events, folder)))
        command = [str(python), str(FOLDER / SCRIPTS[name]), str(task_file)]
        environment = foreign_environment(os.environ)
        log = log_file(sandbox.settings, f"bench-{name}")
        with measured_process(name, command, environment, folder, log) as process:
            _wait_for_result(process, events, report)
            begin = process.facts["first_at"]
            end = process.facts["last_at"]
            result = process.facts["result"]
            cpu_seconds = process.cpu.seconds_at(end) - process.cpu.seconds_at(begin)
    if name in BATCH_ROWS:
        result = sum_of_rows(sandbox, plain_table(sandbox))
    return Run(
        implementation=name,
        round=number,
        events=events,
        seconds=end - begin,
        cpu_seconds=cpu_seconds,
        result=result,
    )


def python_of(name: str, foreign_python: Path | None) -> Path:
    """Return the interpreter of a peer.

    It is the project's own where that has what the peer needs, so that both use the same versions.
    """
    if foreign_python is not None and name in FOREIGN:
        return foreign_python
    return Path(sys.executable)


def task(sandbox: Sandbox, name: str, events: int, folder: Path) -> dict[str, Any]:
    """Return what a peer is told: the log, the table, the schema, and names of group and topics."""
    settings = sandbox.settings
    run_name = f"{PEER_MARK}-{name}-{os.urandom(4).hex()}"
    partitions = kafka.list_topics(settings.kafka)[sandbox.topic]
    cassandra = None
    if name in BATCH_ROWS:
        cassandra = _cassandra_task(sandbox, BATCH_ROWS[name])
    return {
        "name": run_name,
        "topic": sandbox.topic,
        "partitions": partitions,
        "events": events,
        "kafka": kafka.client_config(settings.kafka, run_name),
        "schema": plain_schema(CONTRACTS[PRODUCT_VIEW]),
        "subject": SUBJECT_ID[PRODUCT_VIEW],
        "time": "viewed_at",
        "window_ms": settings.counts.window_seconds * 1000,
        "state_dir": str(folder / "state"),
        "cassandra": cassandra,
    }


def plain_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the contract without its logical types.

    fastavro then reads times as integers, which is faster than making datetimes of them.
    """
    fields = []
    for field in schema["fields"]:
        fields.append({"name": field["name"], "type": _physical_type(field["type"])})
    return {
        "type": schema["type"],
        "name": schema["name"],
        "namespace": schema["namespace"],
        "fields": fields,
    }


def _physical_type(avro_type: Any) -> Any:
    if isinstance(avro_type, dict) and "logicalType" in avro_type:
        return avro_type["type"]
    return avro_type


def plain_keyspace(sandbox: Sandbox) -> str:
    """Return the keyspace of the plain loop."""
    return f"{sandbox.keyspace}_plain"


def plain_table(sandbox: Sandbox) -> str:
    """Return the table of the plain loop."""
    return f"{plain_keyspace(sandbox)}.product_view"


def _recreate_table(sandbox: Sandbox) -> None:
    settings = sandbox.settings
    keyspace = plain_keyspace(sandbox)
    table = plain_table(sandbox)
    user = settings.login("cassandra.counts").user
    columns = (
        "product_id bigint, created_at timestamp, kafka_partition int, view_count bigint"
    )
    key = "product_id, created_at, kafka_partition"
    sandbox.drop_keyspace(keyspace)
    with sandbox.admin() as session:
        session.execute(create_keyspace(settings.cassandra, keyspace))
        session.execute(f"CREATE TABLE {table} ({columns}, PRIMARY KEY ({key}))")
        session.execute(f"GRANT MODIFY ON TABLE {table} TO {user}")


def _cassandra_task(sandbox: Sandbox, batch_rows: int) -> dict[str, Any]:
    server = sandbox.settings.cassandra
    login = sandbox.settings.login("cassandra.counts")
    return {
        "hosts": [host.strip() for host in server.host.split(",")],
        "port": server.port,
        "user": login.user,
        "password": login.password,
        "table": plain_table(sandbox),
        "batch_rows": batch_rows,
    }


def _wait_for_result(process: MeasuredProcess, events: int, report: Report) -> None:
    """Wait until the peer has printed its result.

    Raises StackError if it ends before, or prints nothing for too long.
    """
    timer = StallTimer()
    messages = 0
    while "result" not in process.facts:
        if process.has_facts.wait(POLL_SECONDS):
            process.has_facts.clear()
            messages += 1
        process.check()
        counted_events = process.facts.get("events", 0)
        report(
            "counting", counted_events / events, f"{counted_events:,} of {events:,} events"
        )
        limit_seconds = STALL_SECONDS if process.facts else BEGIN_SECONDS
        if timer.update(messages) > limit_seconds:
            raise StackError(
                f"{process.name} has printed nothing for {limit_seconds:.0f} s, "
                f"{counted_events:,} events counted",
                f"see {process.log}",
            )
