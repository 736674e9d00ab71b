"""Kafka Connect's REST interface: a connector's configuration, its state, and restarts."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from connectors.retry import wait_until
from schemas.errors import Refused, Unavailable

RUNNING = "RUNNING"
FAILED = "FAILED"
STOPPED = "STOPPED"
STOP_SECONDS = 30.0
# The parts of an offset of Debezium's that count from the beginning of a transaction.
WITHIN_TRANSACTION = ("event", "row")
SEE_CONNECT = "see ./kappa logs connect"
CAUSE = "Caused by: "
# Debezium's io.debezium.relational.RelationalSnapshotChangeEventSource.
SNAPSHOT_FAILURE = re.compile(
    r"Snapshotting of table (?P<table>.+?)(?: chunk \S+)? failed(?=: |$)"
)
# The converter's words about a record that it cannot write, such as one whose schema is refused.
CONVERSION_FAILURE = re.compile(r"Failed to serialize \w+ data from topic \S+")


@dataclass(frozen=True)
class ComponentState:
    """The state of a connector or of one of its tasks.

    `state` is in Connect's words; `error` is the innermost cause in its stack trace, one line,
    empty if it has not failed. If a snapshot could not read a table, it says which.
    """

    state: str
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether it has stopped; Connect does not restart it."""
        return self.state == FAILED


@dataclass(frozen=True)
class Status:
    """The states of a connector and of its tasks, in the tasks' order."""

    connector: ComponentState
    tasks: tuple[ComponentState, ...]

    @property
    def running(self) -> bool:
        """Whether the connector and at least one task run, and none has failed."""
        if self.connector.state != RUNNING or not self.tasks:
            return False
        return all(task.state == RUNNING for task in self.tasks)

    @property
    def failed(self) -> bool:
        """Whether the connector or a task has failed."""
        return bool(self._failures())

    @property
    def error(self) -> str:
        """The cause of the first failure; empty if nothing has failed."""
        failures = self._failures()
        return failures[0].error if failures else ""

    def _failures(self) -> list[ComponentState]:
        return [
            component for component in (self.connector, *self.tasks) if component.failed
        ]


class ConnectApi:
    """A Connect cluster at a base URL.

    Every call raises Unavailable if Connect does not answer, is starting or is rebalancing.
    """

    def __init__(self, url: str, timeout_seconds: float = 10) -> None:
        self.url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds

    def ready(self) -> bool:
        """Whether the worker is ready. `/` answers before it is, so this lists the connectors."""
        try:
            self.connectors()
        except Unavailable:
            return False
        return True

    def connectors(self) -> list[str]:
        """Return the names of all connectors."""
        return list(self._json("GET", "/connectors", "listing the connectors"))

    def config(self, name: str) -> dict[str, str] | None:
        """Return a connector's configuration, or None if there is no such connector."""
        response = self._request("GET", f"{_path(name)}/config")
        if response.status_code == 404:
            return None
        return dict(self._content(response, f"reading connector {name}"))

    def put_config(self, name: str, config: Mapping[str, str]) -> bool:
        """Create or change a connector's configuration. Returns whether anything changed.

        Raises Refused, with the connector's own reason, if it does not accept the configuration.
        """
        new_config = {**config, "name": name}
        if self.config(name) == new_config:
            return False
        self._json(
            "PUT", f"{_path(name)}/config", f"configuring connector {name}", new_config
        )
        return True

    def status(self, name: str) -> Status | None:
        """Return the state of a connector and its tasks, or None if Connect does not know it."""
        response = self._request("GET", f"{_path(name)}/status")
        if response.status_code == 404:
            return None
        body = self._content(response, f"reading the status of connector {name}")
        tasks = tuple(_component_state(task) for task in body.get("tasks", []))
        return Status(_component_state(body["connector"]), tasks)

    def gtids(self, name: str) -> str | None:
        """Return the transactions of which a connector has written everything, as a GTID set.

        None if it has not committed a position yet.
        """
        for position in self._positions(name):
            if position.get("gtids"):
                return str(position["gtids"])
        return None

    def position(self, name: str) -> tuple[int, int] | None:
        """Return the binlog position (file number, offset) up to which everything is written.

        None if the connector has not committed a position yet.
        """
        for position in self._positions(name):
            if position.get("file"):
                _, _, file_number = str(position["file"]).rpartition(".")
                return int(file_number), int(position["pos"])
        return None

    def offset(self, name: str) -> dict[str, Any] | None:
        """Return where a connector continues, in Debezium's words; None if it has not begun."""
        return next(iter(self._positions(name)), None)

    def is_in_snapshot(self, name: str) -> bool:
        """Return whether a connector has written a part of a full snapshot only.

        The position says INCREMENTAL while a table is read again beside the stream.
        """
        kinds = [str(position.get("snapshot") or "") for position in self._positions(name)]
        return any(kind and kind.upper() != "INCREMENTAL" for kind in kinds)

    def restart_connector(self, name: str) -> None:
        """Restart the connector itself, not its tasks."""
        self._json("POST", f"{_path(name)}/restart", f"restarting connector {name}")

    def restart_task(self, name: str, number: int) -> None:
        """Restart one task."""
        path = f"{_path(name)}/tasks/{number}/restart"
        self._json("POST", path, f"restarting task {number} of {name}")

    def stop(self, name: str) -> None:
        """Stop a connector's tasks; it stays stopped until it is resumed."""
        self._json("PUT", f"{_path(name)}/stop", f"stopping connector {name}")

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """Stop a connector for a block. Raises Unavailable if its tasks do not end in time.

        If one has failed, it continues at the beginning of the transaction that it was in. The
        position cannot be trusted: Debezium's reader counts on for a while after it has failed, and
        skips so many events at the next start, those of other transactions among them.
        """
        status = self.status(name)
        self.stop(name)
        try:
            wait_until(
                lambda: self._is_stopped(name),
                timeout_seconds=STOP_SECONDS,
                what=f"connector {name} to stop",
            )
            if status is not None and status.failed:
                self._rewind(name)
            yield
        finally:
            self.resume(name)

    def is_within_transaction(self, name: str) -> bool:
        """Return whether the position is in the middle of a transaction."""
        return any(_is_within_transaction(offset) for offset in self._positions(name))

    def _is_stopped(self, name: str) -> bool:
        status = self.status(name)
        return status is not None and status.connector.state == STOPPED and not status.tasks

    def _rewind(self, name: str) -> None:
        """Set the position of a stopped connector to the beginning of its transaction."""
        action = f"setting the position of connector {name}"
        entries = []
        for entry in self._json("GET", f"{_path(name)}/offsets", action)["offsets"]:
            if _is_within_transaction(entry.get("offset") or {}):
                offset = {
                    key: value
                    for key, value in entry["offset"].items()
                    if key not in WITHIN_TRANSACTION
                }
                entries.append({**entry, "offset": offset})
        if entries:
            self._json("PATCH", f"{_path(name)}/offsets", action, {"offsets": entries})

    def forget_offsets(self, name: str) -> None:
        """Have a stopped connector begin again. Raises Refused while its tasks are stopping."""
        self._json(
            "DELETE", f"{_path(name)}/offsets", f"resetting the offsets of connector {name}"
        )

    def resume(self, name: str) -> None:
        """Start a stopped connector."""
        self._json("PUT", f"{_path(name)}/resume", f"resuming connector {name}")

    def delete(self, name: str) -> None:
        """Remove a connector if it exists; its offsets stay."""
        response = self._request("DELETE", _path(name))
        if response.status_code != 404:
            self._content(response, f"removing connector {name}")

    def _positions(self, name: str) -> list[dict[str, Any]]:
        action = f"reading the position of connector {name}"
        body = self._json("GET", f"{_path(name)}/offsets", action)
        return [entry["offset"] for entry in body["offsets"] if entry.get("offset")]

    def _json(
        self, method: str, path: str, action: str, body: Mapping[str, Any] | None = None
    ) -> Any:
        return self._content(self._request(method, path, body), action)

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> requests.Response:
        try:
            return requests.request(
                method, self.url + path, json=body, timeout=self._timeout_seconds
            )
        except requests.RequestException as error:
            raise Unavailable(
                f"Connect at {self.url} does not answer ({type(error).__name__})",
                "see ./kappa status and ./kappa logs connect",
            ) from error

    def _content(self, response: requests.Response, action: str) -> Any:
        """Return a response's JSON, None if it is empty. Raises Unavailable, Refused.

        A conflict (409) is a rebalance, which ends soon.
        """
        if response.ok:
            try:
                return response.json() if response.content else None
            except requests.RequestException as error:
                raise Unavailable(
                    f"Connect at {self.url}: {action}: the answer is no JSON", SEE_CONNECT
                ) from error
        status = response.status_code
        message = f"Connect at {self.url}: {action}: {status} {_reason(response)}"
        if status >= 500 or status == 409:
            raise Unavailable(message, SEE_CONNECT)
        raise Refused(message, SEE_CONNECT)


def _is_within_transaction(offset: Mapping[str, Any]) -> bool:
    """Whether an offset of Debezium's counts events of a transaction, and none of a snapshot."""
    has_count = any(offset.get(key) for key in WITHIN_TRANSACTION)
    return has_count and not offset.get("snapshot")


def _path(name: str) -> str:
    return f"/connectors/{quote(name, safe='')}"


def _component_state(body: Mapping[str, Any]) -> ComponentState:
    trace = str(body.get("trace") or "").strip().splitlines()
    return ComponentState(str(body["state"]), _innermost_cause(trace) if trace else "")


def _innermost_cause(trace: list[str]) -> str:
    """Return the innermost cause of a stack trace; the outermost only says that a task failed.

    The table that a snapshot could not read, and the topic of a record that could not be written,
    are in others.
    """
    causes = [line.strip().removeprefix(CAUSE) for line in trace if line.startswith(CAUSE)]
    if not causes:
        return trace[0].strip()
    places = [
        match[0]
        for cause in causes[:-1]
        if (match := SNAPSHOT_FAILURE.search(cause) or CONVERSION_FAILURE.search(cause))
    ]
    return ": ".join([*places[-1:], causes[-1]])


def _reason(response: requests.Response) -> str:
    try:
        text = str(response.json()["message"])
    except (requests.RequestException, KeyError, TypeError):
        text = response.text
    return " ".join(text.split())[:500]
