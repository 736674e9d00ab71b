"""A peer, measured: a script that knows nothing of the project. A file tells it what to count; it tells when it begins and ends."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from connectors import kafka
from connectors.cassandra_setup import create_keyspace
from infra.bench.bed import PEER_MARK, Bed, foreign_environment
from infra.bench.ours import sum_of_rows
from infra.bench.processes import Measured, started
from infra.bench.results import Run
from infra.errors import StackError
from infra.progress import Report
from infra.settings import ROOT
from infra.supervision import log_file
from schemas.events import CONTRACTS, SUBJECT_ID
from schemas.topics import PRODUCT_VIEW

SCRIPTS = {
    "plain": "plain_loop.py",
    "plain-rows": "plain_loop.py",
    "quix": "quix_streams.py",
    "bytewax": "bytewax_flow.py",
    "faust": "faust_agent.py",
}
BATCH_ROWS = {"plain": 100, "plain-rows": 1}  # those that write into Cassandra: rows per request
FOREIGN = ("quix", "bytewax", "faust")  # those that need packages which the project does not have
BEGIN_SECONDS, STILL_SECONDS, RESULT_SECONDS = 120.0, 120.0, 30.0
TICK_SECONDS = 0.2


def run(bed: Bed, contestant: str, number: int, python: Path, report: Report, events: int) -> Run:
    """Has a peer count all events of the load, from nothing. Raises KappaError if it does not get to the end."""
    if contestant in BATCH_ROWS:
        _make_table(bed)
    with tempfile.TemporaryDirectory(prefix="kappa-bench-") as name:
        folder = Path(name)
        file = folder / "task.json"
        file.touch(mode=0o600)  # it holds a password
        file.write_text(json.dumps(task(bed, contestant, events, folder)))
        script = ROOT / "infra" / "bench" / "peers" / SCRIPTS[contestant]
        log = log_file(bed.settings, f"bench-{contestant}")
        with started(contestant, [str(python), str(script), str(file)], foreign_environment(os.environ), folder, log) as process:
            _wait(process, events, report)
            facts = process.facts
            cpu_seconds = process.cpu.at(facts["last_at"]) - process.cpu.at(facts["first_at"])
    result = sum_of_rows(bed, plain_table(bed)) if contestant in BATCH_ROWS else facts["result"]
    return Run(contestant, number, events, facts["last_at"] - facts["first_at"], cpu_seconds, result=result)


def python_of(contestant: str, foreign: Path | None) -> Path:
    """The interpreter of a peer: the project's own, with the very versions that the project uses, where it has what the peer needs."""
    return foreign if foreign and contestant in FOREIGN else Path(sys.executable)


def task(bed: Bed, contestant: str, events: int, folder: Path) -> dict[str, Any]:
    """What a peer is told: where the log and the table are, the schema, and what its group and topics are to be called."""
    name = f"{PEER_MARK}-{contestant}-{os.urandom(4).hex()}"
    return {
        "name": name,
        "topic": bed.topic,
        "partitions": kafka.list_topics(bed.settings.kafka)[bed.topic],
        "events": events,
        "kafka": kafka.client_config(bed.settings.kafka, name),
        "schema": plain_schema(CONTRACTS[PRODUCT_VIEW]),
        "subject": SUBJECT_ID[PRODUCT_VIEW],
        "time": "viewed_at",
        "window_ms": bed.settings.counts.window_seconds * 1000,
        "state_dir": str(folder / "state"),
        "cassandra": _cassandra(bed, BATCH_ROWS[contestant]) if contestant in BATCH_ROWS else None,
    }


def plain_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The contract without its logical types: fastavro then gives times as integers, sooner than it makes dates of them."""
    fields = [{"name": field["name"], "type": _physical(field["type"])} for field in schema["fields"]]
    return {"type": schema["type"], "name": schema["name"], "namespace": schema["namespace"], "fields": fields}


def _physical(kind: Any) -> Any:
    return kind["type"] if isinstance(kind, dict) and "logicalType" in kind else kind


def plain_table(bed: Bed) -> str:
    """The plain loop's table."""
    return f"{bed.keyspace}_plain.product_view"


def _make_table(bed: Bed) -> None:
    keyspace = f"{bed.keyspace}_plain"
    bed.drop_keyspace(keyspace)
    with bed.admin() as session:
        session.execute(create_keyspace(bed.settings.cassandra, keyspace))
        columns = "product_id bigint, created_at timestamp, kafka_partition int, view_count bigint"
        session.execute(f"CREATE TABLE {plain_table(bed)} ({columns}, PRIMARY KEY (product_id, created_at, kafka_partition))")
        session.execute(f"GRANT MODIFY ON TABLE {plain_table(bed)} TO {bed.settings.login('cassandra.counts').user}")


def _cassandra(bed: Bed, batch_rows: int) -> dict[str, Any]:
    server, login = bed.settings.cassandra, bed.settings.login("cassandra.counts")
    hosts = [host.strip() for host in server.host.split(",")]
    access = {"hosts": hosts, "port": server.port, "user": login.user, "password": login.password}
    return access | {"table": plain_table(bed), "batch_rows": batch_rows}


def _wait(process: Measured, events: int, report: Report) -> None:
    """Comes back when the peer has told its result."""
    heard_at = time.monotonic()
    while "result" not in process.facts:
        if process.heard.wait(TICK_SECONDS):
            process.heard.clear()
            heard_at = time.monotonic()
        process.check()
        done = process.facts.get("events", 0)
        report("counting", done / events, f"{done:,} of {events:,} events")
        patience = STILL_SECONDS if process.facts else BEGIN_SECONDS
        if time.monotonic() - heard_at > patience:
            raise StackError(f"{process.name} has said nothing for {patience:.0f} s, {done:,} events counted", f"see {process.log}")
