"""Kafka Connect's REST interface: a connector's configuration, its state, and the restart of what has failed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import requests

from infra.errors import Refused, Unavailable

RUNNING = "RUNNING"
FAILED = "FAILED"
STOPPED = "STOPPED"


@dataclass(frozen=True)
class Part:
    """A connector or one of its tasks: `state` as Connect says it, `error` the first line of its stack trace (empty if it has not failed)."""

    state: str
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether it has stopped and will not start again by itself."""
        return self.state == FAILED


@dataclass(frozen=True)
class Status:
    """A connector and its tasks, in the tasks' order."""

    connector: Part
    tasks: tuple[Part, ...]

    @property
    def running(self) -> bool:
        """Whether the connector and at least one task run, and none has failed."""
        return self.connector.state == RUNNING and bool(self.tasks) and all(task.state == RUNNING for task in self.tasks)

    @property
    def failed(self) -> bool:
        """Whether the connector or a task has failed."""
        return any(part.failed for part in (self.connector, *self.tasks))

    @property
    def error(self) -> str:
        """The first failure's first line; empty if nothing has failed."""
        return next((part.error for part in (self.connector, *self.tasks) if part.failed), "")


class ConnectApi:
    """A Connect cluster at a base URL. Every call raises Unavailable if it does not answer, is starting or is rebalancing."""

    def __init__(self, url: str, timeout_seconds: float = 10) -> None:
        self.url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds

    def ready(self) -> bool:
        """Whether the worker does its work: `/` answers before it does, so this asks for the connectors."""
        try:
            self.connectors()
        except Unavailable:
            return False
        return True

    def connectors(self) -> list[str]:
        """The names of all connectors."""
        return list(self._json("GET", "/connectors", "listing the connectors"))

    def config(self, name: str) -> dict[str, str] | None:
        """A connector's configuration, or None if there is no such connector."""
        answer = self._ask("GET", f"{_path(name)}/config")
        return None if answer.status_code == 404 else dict(self._checked(answer, f"reading connector {name}"))

    def put_config(self, name: str, config: Mapping[str, str]) -> bool:
        """Creates or changes a connector so that it has this configuration. Returns whether anything changed.

        Raises Refused, with the connector's own reason, if it does not accept the configuration.
        """
        wanted = {**config, "name": name}
        if self.config(name) == wanted:
            return False
        self._json("PUT", f"{_path(name)}/config", f"configuring connector {name}", wanted)
        return True

    def status(self, name: str) -> Status | None:
        """What a connector and its tasks do, or None if Connect does not know it (yet)."""
        answer = self._ask("GET", f"{_path(name)}/status")
        if answer.status_code == 404:
            return None
        body = self._checked(answer, f"asking after connector {name}")
        return Status(_part(body["connector"]), tuple(_part(task) for task in body.get("tasks", [])))

    def gtids(self, name: str) -> str | None:
        """The transactions of which a connector has written everything, as MySQL's GTID set; None if it has not got so far."""
        return next((str(place["gtids"]) for place in self._places(name) if place.get("gtids")), None)

    def position(self, name: str) -> tuple[int, int] | None:
        """The place in MySQL's binary log (file's number, position) up to which a connector has written everything; None if it has not got so far."""
        found = ((str(place["file"]).rpartition(".")[2], place["pos"]) for place in self._places(name) if place.get("file"))
        return next(((int(number), int(position)) for number, position in found), None)

    def _places(self, name: str) -> list[dict[str, Any]]:
        offsets = self._json("GET", f"{_path(name)}/offsets", f"asking where connector {name} is")["offsets"]
        return [place["offset"] for place in offsets if place.get("offset")]

    def restart_connector(self, name: str) -> None:
        """Restarts the connector itself, not its tasks."""
        self._json("POST", f"{_path(name)}/restart", f"restarting connector {name}")

    def restart_task(self, name: str, number: int) -> None:
        """Restarts one task."""
        self._json("POST", f"{_path(name)}/tasks/{number}/restart", f"restarting task {number} of {name}")

    def stop(self, name: str) -> None:
        """Ends a connector's tasks; it stays, stopped, until it is resumed."""
        self._json("PUT", f"{_path(name)}/stop", f"stopping connector {name}")

    def forget_offsets(self, name: str) -> None:
        """Has a stopped connector begin anew. Raises Refused while its tasks are still ending."""
        self._json("DELETE", f"{_path(name)}/offsets", f"resetting the offsets of connector {name}")

    def resume(self, name: str) -> None:
        """Starts a stopped connector."""
        self._json("PUT", f"{_path(name)}/resume", f"resuming connector {name}")

    def delete(self, name: str) -> None:
        """Removes a connector; its offsets stay. That it does not exist is fine."""
        answer = self._ask("DELETE", _path(name))
        if answer.status_code != 404:
            self._checked(answer, f"removing connector {name}")

    def _json(self, method: str, path: str, doing: str, body: Mapping[str, str] | None = None) -> Any:
        return self._checked(self._ask(method, path, body), doing)

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> requests.Response:
        try:
            return requests.request(method, self.url + path, json=body, timeout=self._timeout_seconds)
        except requests.RequestException as error:
            raise Unavailable(
                f"Connect at {self.url} does not answer ({type(error).__name__})", "see ./kappa status and ./kappa logs connect"
            ) from error

    def _checked(self, answer: requests.Response, doing: str) -> Any:
        """The answer's JSON, None if it is empty. A conflict (409) is a rebalance: it passes."""
        if answer.ok:
            return answer.json() if answer.content else None
        what = f"Connect at {self.url}: {doing}: {answer.status_code} {_reason(answer)}"
        if answer.status_code >= 500 or answer.status_code == 409:
            raise Unavailable(what, "see ./kappa logs connect")
        raise Refused(what, "see ./kappa logs connect")


def _path(name: str) -> str:
    return f"/connectors/{quote(name, safe='')}"


def _part(body: Mapping[str, Any]) -> Part:
    lines = str(body.get("trace") or "").strip().splitlines()
    return Part(str(body["state"]), _plain_cause(lines) if lines else "")


def _plain_cause(trace: list[str]) -> str:
    """What went wrong, in one line: the innermost cause of a stack trace, since the outermost only says that the task failed."""
    causes = [line.strip().removeprefix("Caused by: ") for line in trace if line.startswith("Caused by: ")]
    return causes[-1] if causes else trace[0].strip()


def _reason(answer: requests.Response) -> str:
    try:
        text = str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        text = answer.text
    return " ".join(text.split())[:500]
