"""Reads the tables of some topics from MySQL again, once: a child process of the compactor.

Run as `python -m spark.reread READER TOPIC…`. It ends with its parent. Its progress is in
`run/<READER>.json`.
"""

import os
import sys
from uuid import uuid4

from connectors.control.reread_request import RereadRequest, RereadRequests
from connectors.mysql.client import connect
from connectors.runtime import settings as settings_module
from connectors.runtime.logging_setup import start_logging
from connectors.runtime.process_state import ProcessState
from connectors.runtime.settings import Settings
from schemas.errors import KappaError
from schemas.topics import source_table
from spark.reread.table_reading import ProgressReport, TableReading

PROCESS = "reread"
FAILED = 1
ROW_ESTIMATES = (
    "SELECT table_name AS name, table_rows AS table_rows FROM information_schema.tables "
    "WHERE table_schema = %s"
)


class ParentEnded(Exception):
    """The compactor has ended; another one starts another reading."""


def main() -> None:
    """Read the tables. Exits with FAILED if one could not be read; the compactor tries again."""
    settings = settings_module.load(os.environ)
    log = start_logging(PROCESS)
    parent = os.getppid()
    requests = RereadRequests(settings.home).all()
    reader, *topics = sys.argv[1:]
    selected = [requests[topic] for topic in topics if topic in requests]
    if not selected:
        return
    state = ProcessState(settings.home, reader)
    report = ProgressReport(_estimates(settings, selected))

    def note(topic: str, rows: int) -> None:
        if os.getppid() != parent:
            raise ParentEnded
        report.note(topic, rows)
        state.report("running", "reading from MySQL", tables=report.figures())

    try:
        result = TableReading(settings, uuid4().hex[:8], note).read(selected)
    except KappaError as error:
        log.warning("tables are not read: %s", error)
        raise SystemExit(FAILED) from error
    except ParentEnded:
        return
    finally:
        state.report("waiting", "reads no table", tables={})
    for topic in result.topics:
        log.info("read %s: %s", source_table(topic), report.figures().get(topic, {}))
    for topic, reason in result.failures.items():
        log.warning("%s is not read: %s", source_table(topic), reason)
    if result.failures:
        raise SystemExit(FAILED)


def _estimates(settings: Settings, requests: list[RereadRequest]) -> dict[str, int]:
    database = settings.mysql.database
    with connect(settings.mysql, settings.login("mysql.verifier"), database) as connection:
        rows = connection.query(ROW_ESTIMATES, (database,))
    estimates = {str(row["name"]): int(row["table_rows"] or 0) for row in rows}
    return {
        request.topic: estimates.get(source_table(request.topic), 0) for request in requests
    }


if __name__ == "__main__":
    main()
