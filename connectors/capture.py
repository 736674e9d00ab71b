"""Process log:capture — keeps change capture going: the connector configured, its failed tasks restarted, its readers never stuck.

Connect does not restart a task that has failed, and does not notice a hanging transaction; both happen when MySQL, Kafka or the
registry are away for a while. What this process does and finds stands in `run/capture.json`, for `kappa status`.
"""

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from connectors import debezium, kafka
from connectors.connect import RUNNING, STOPPED, ConnectApi, Status
from connectors.registry import SchemaRegistry
from connectors.transactions import OFFSETS_TOPIC, TransactionTool, Wait, stuck, waits
from infra.errors import KappaError, Unavailable
from infra.process import begin
from infra.settings import Settings
from infra.state import ProcessState, State, read_state
from schemas.topics import CHANGE_PREFIX, KEEP_EVERYTHING, Topic

NAME = "capture"
POLL_SECONDS = 2.0
CONFIGURE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 60.0
# A task that has run for this long has recovered: its next failure is the first of a new series.
RECOVERED_SECONDS = 180.0
KEPT_REPAIRS = 10
# How the converters say that the registry refused a schema (Apicurio's, Confluent's).
REFUSED_SCHEMA = ("incompatible", "ruleviolation", "409")
# How Debezium says that it has lost what it knew of the tables' columns, without which it can read no further in the binary log.
LOST_HISTORY = ("history topic is missing", "history topic or its content", "schema isn't known to this connector")

log = logging.getLogger(NAME)


def next_restart(history: Sequence[float], now: float) -> float:
    """When the next restart may happen, given the times of the earlier ones: at once, then after 1, 2, 4, … 60 seconds.

    A pause between restarts of more than RECOVERED_SECONDS ends a series.
    """
    series, later = 0, now
    for at in reversed(history):
        if later - at > RECOVERED_SECONDS:
            break
        series, later = series + 1, at
    return history[-1] + min(2.0 ** (series - 1), LONGEST_PAUSE_SECONDS) if series else now


class Capture:
    """The keeper of one connector. Each `step` looks once, and does what is due."""

    def __init__(self, settings: Settings, tool: TransactionTool | None) -> None:
        """`tool` ends hanging transactions; without it they are only reported."""
        self._settings = settings
        self._name = settings.connect.connector
        self._connect = ConnectApi(settings.connect.url, timeout_seconds=4)
        self._registry = SchemaRegistry(settings.registry.url, timeout_seconds=4)
        self._free: set[str] = set()
        self._tool = tool
        self._state = ProcessState(settings.home, NAME)
        said = read_state(settings.home, NAME) or {}
        self._restarts, self._anew = int(said.get("restarts", 0)), bool(said.get("anew"))
        self._history: deque[float] = deque(maxlen=32)
        self._configured_at = float("-inf")
        self._status: Status | None = None
        self._last_error = ""
        self._next_try: float | None = None
        self._waits: dict[tuple[str, int], Wait] = {}
        self._repairs: deque[dict[str, object]] = deque(maxlen=KEPT_REPAIRS)

    def step(self, now: float) -> None:
        """Configures, tends and unblocks; one that cannot be done now does not keep the others from it."""
        self._status = None
        duties = (self._configure, self._tend, self._unblock)
        problems = [problem for duty in duties if (problem := _attempt(duty, now))]
        failed = next((problem for problem in problems if not isinstance(problem, Unavailable)), None)
        if failed:
            self._report("failed", f"{failed}; {failed.hint}" if failed.hint else str(failed))
        elif problems:
            self._report("waiting", str(problems[0]))
        elif self._anew:
            self._report("waiting", f"the schema history of connector {self._name} is lost: it takes a new snapshot, which stands for all before it")
        elif self._status and self._status.failed:
            again = f"restart {self._restarts + 1} at {_time(self._next_try)[11:19]} UTC" if self._next_try else "to be restarted"
            self._report("failed", f"connector {self._name} failed, {again}: {self._status.error}")
        elif self._status and self._status.running:
            self._report("running", f"connector {self._name} runs, {self._restarts} restarts so far")
        else:
            self._report("waiting", f"connector {self._name} is {self._described()}")

    def _configure(self, now: float) -> None:
        """The topics that the connector needs keep everything, and the connector is configured as it should be."""
        if now - self._configured_at < CONFIGURE_SECONDS:
            return
        kafka.ensure_topics(self._settings.kafka, debezium.started_topics())
        if self._connect.put_config(self._name, self._wanted_config()):
            log.info("connector %s configured", self._name)
        names = self._change_topics()
        kafka.check_topics(self._settings.kafka, [Topic(name, 1, KEEP_EVERYTHING) for name in names])
        self._free_schemas(names)
        self._configured_at = now

    def _free_schemas(self, topics: Sequence[str]) -> None:
        """The registry takes whatever schema a table gets: it is MySQL's to decide, and a refusal would end capture for every table."""
        wanted = {f"{topic}-{side}" for topic in topics for side in ("key", "value")} - self._free
        if not wanted:
            return
        for subject in wanted.intersection(self._registry.subjects()):
            self._registry.set_compatibility(subject, "NONE")
            self._free.add(subject)

    def _wanted_config(self) -> dict[str, str]:
        if not self._settings.connect.external:
            return debezium.connector_config(self._settings)
        password = self._settings.login("mysql.debezium").password
        return debezium.connector_config(self._settings, password, debezium.sasl_jaas(self._settings.kafka))

    def _tend(self, now: float) -> None:
        """Restarts what has failed, when it is time to; has it begin anew if a restart cannot help."""
        self._status = status = self._connect.status(self._name)
        if status is not None and (self._anew or any(words in status.error for words in LOST_HISTORY)):
            self._begin_anew(status, now)
            return
        if status is None or not status.failed:
            self._next_try = None
            if status is None:
                self._configured_at = float("-inf")
            return
        self._last_error = status.error
        if any(word in status.error.lower() for word in REFUSED_SCHEMA):
            self._free.clear()
            self._configured_at = float("-inf")
        self._next_try = next_restart(self._history, now)
        if now < self._next_try:
            return
        self._history.append(now)
        self._restarts += 1
        log.warning("restarting connector %s (restart %d): %s", self._name, self._restarts, status.error)
        if status.connector.failed:
            self._connect.restart_connector(self._name)
        for number, task in enumerate(status.tasks):
            if task.failed:
                self._connect.restart_task(self._name, number)
        self._next_try = next_restart(self._history, now)

    def _begin_anew(self, status: Status, now: float) -> None:
        """A new snapshot. Columns as they are now (Debezium's recovery mode) might be wrong for what is still to be read, and nobody would notice."""
        if not self._anew:
            self._last_error, self._anew = status.error, True
            log.warning("connector %s is to take a new snapshot: %s", self._name, status.error)
        if status.connector.state != STOPPED:
            self._connect.stop(self._name)
            return
        kafka.ensure_topics(self._settings.kafka, debezium.started_topics())
        self._connect.forget_offsets(self._name)
        self._connect.resume(self._name)
        self._anew = False
        self._repairs.append({"at": _time(now), "anew": self._last_error})

    def _unblock(self, now: float) -> None:
        """Ends hanging transactions in the topics that the connector writes."""
        # If Kafka does not answer, the count starts again when it does: a coordinator that loads its state must not be misread.
        before, self._waits = self._waits, {}
        self._waits = waits(before, kafka.offsets(self._settings.kafka, [*self._change_topics(), OFFSETS_TOPIC]), now)
        late = stuck(self._waits, now)
        if not late:
            return
        names = ", ".join(f"{topic}[{partition}]" for topic, partition in late)
        log.warning("nothing more can be read in %s: its last stable offset stands still", names)
        if self._tool is None:
            raise KappaError(f"a transaction hangs in {names}", "give KAPPA_KAFKA_LIB, the folder of Kafka's jars, so that it can be ended")
        ended = self._tool.abort_hanging(late)
        self._waits = {place: wait for place, wait in self._waits.items() if place not in late}
        if ended:
            log.warning("ended hanging transactions at %s", ", ".join(ended))
            self._repairs.append({"at": _time(now), "ended": ended})

    def _change_topics(self) -> list[str]:
        """Every topic that the connector writes for others to read: changes, transactions, and its DDL."""
        names = kafka.list_topics(self._settings.kafka)
        return [name for name in names if name == CHANGE_PREFIX or name.startswith(f"{CHANGE_PREFIX}.")]

    def _described(self) -> str:
        if self._status is None:
            return "not known to Connect yet"
        if self._status.connector.state != RUNNING:
            return self._status.connector.state
        return f"running, its tasks are {', '.join(task.state for task in self._status.tasks) or 'not started yet'}"

    def _report(self, state: State, detail: str) -> None:
        self._state.report(
            state,
            detail,
            connector=self._status.connector.state if self._status else None,
            tasks=[task.state for task in self._status.tasks] if self._status else [],
            restarts=self._restarts,
            last_error=self._last_error,
            next_try_at=_time(self._next_try) if self._next_try else None,
            repairs=list(self._repairs),
            anew=self._anew,
        )


def _attempt(duty: Callable[[float], None], now: float) -> KappaError | None:
    """Does a duty; what kept it from being done is for the report, and for the next step to try again."""
    try:
        duty(now)
    except KappaError as error:
        return error
    return None


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")


def main() -> None:
    """Runs until SIGTERM."""
    settings, stop = begin(NAME)
    jars, java_home = os.environ.get("KAPPA_KAFKA_LIB"), os.environ.get("JAVA_HOME")
    java = Path(java_home, "bin", "java") if java_home else Path("java")
    capture = Capture(settings, TransactionTool(settings.kafka, java, Path(jars)) if jars else None)
    while not stop.is_set():
        capture.step(time.time())
        stop.wait(POLL_SECONDS)
    log.info("stopped")


if __name__ == "__main__":
    main()
