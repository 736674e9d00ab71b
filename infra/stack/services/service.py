"""What a service is: one process of the stack, said as data, with the few functions that only it knows."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

from infra.artifacts import Artifacts
from infra.settings import Settings


@dataclass(frozen=True)
class Host:
    """The machine a stack runs on: its settings, what was downloaded for it, and its Java."""

    settings: Settings
    artifacts: Artifacts
    java_home: Path

    def conf(self, *parts: str) -> Path:
        """A path among the generated configuration."""
        return self.settings.home.joinpath("conf", *parts)

    def data(self, *parts: str) -> Path:
        """A path among the servers' data."""
        return self.settings.home.joinpath("data", *parts)

    def write(self, path: Path, text: str, mode: int = 0o644) -> Path:
        """`path`, holding `text`, with that mode; folders are made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=mode)
        path.chmod(mode)
        path.write_text(text)
        return path


def host_for_probes(settings: Settings) -> Host:
    """A host without files: probes reach servers by address."""
    nowhere = Artifacts(**{field.name: Path() for field in fields(Artifacts)})
    return Host(settings, nowhere, Path())


def nothing(host: Host) -> None:
    """For services that need no preparation."""


@dataclass(frozen=True)
class Service:
    """One process: `zone:name` is its supervisor program, `name` its log, client id and consumer group.

    Order of calls: when everything in `after` is ready, `prepare` (writes configuration, formats empty data folders), then the process
    starts, then `probe` is repeated until it stops raising, then `initialise` (creates what the service must hold). All are repeatable.
    """

    name: str
    zone: str
    command: Callable[[Host], list[str]]
    probe: Callable[[Host], None]
    after: tuple[str, ...] = ()
    prepare: Callable[[Host], None] = nothing
    initialise: Callable[[Host], None] = nothing
    environment: Callable[[Host], dict[str, str]] = field(default=lambda host: {})
    group: str = ""  # the settings group that, given as external, replaces this process
    only_ours: bool = False  # nobody outside the stack talks to it, so there is nothing to probe when its group is external
    ready_seconds: float = 120
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    traffic: bool = False

    @property
    def program(self) -> str:
        """Supervisor's name of it."""
        return f"{self.zone}:{self.name}"
