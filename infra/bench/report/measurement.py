"""The facts that all measurements state: time, machine and versions."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """A whole measurement. `at` is ISO UTC; `infra.bench.harness.machine` has the other two."""

    at: str
    machine: dict[str, str]
    versions: dict[str, str]

    def facts(self) -> dict[str, Any]:
        """Return the measurement for JSON."""
        return {"at": self.at, "machine": self.machine, "versions": self.versions}


@dataclass(frozen=True)
class Implementation:
    """One of the implementations that a benchmark compares.

    `name` is its name in the command and in JSON, `title` its name for people, `description` what
    it does with its load.
    """

    name: str
    title: str
    description: str


def now() -> str:
    """Return the time for a measurement's `at`."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def ratio_text(ratio: float | None) -> str:
    """Return a ratio in three figures, such as `2.45 ×` or `14 ×`; a dash for None."""
    if ratio is None:
        return "—"
    return f"{ratio:.2f} ×" if ratio < 10 else f"{ratio:.0f} ×"
