"""A service: one process of the stack as data, with the few functions that only it needs."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path

from connectors.runtime.settings import Settings
from infra.install.artifacts import Artifacts


@dataclass(frozen=True)
class Host:
    """The machine of a stack: its settings, its downloaded files and its Java."""

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
        """Write `text` into `path`, in folders that may be missing, and return the path."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=mode)
        path.chmod(mode)
        path.write_text(text)
        return path


def host_for_probes(settings: Settings) -> Host:
    """Return a host without files: probes reach servers by address."""
    nowhere = Artifacts(**{field.name: Path() for field in fields(Artifacts)})
    return Host(settings, nowhere, Path())


def no_preparation(host: Host) -> None:
    """Do nothing."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """One process.

    `zone:name` is its supervisor program; `name` is its log, client id and consumer group. Order of
    calls: when everything in `after` is ready, `prepare` (writes configuration, formats empty data
    folders), then the process starts, then `probe` is repeated until it stops raising, then
    `initialise` (creates what the service must hold). All can be repeated.
    """

    name: str
    zone: str
    command: Callable[[Host], list[str]]
    probe: Callable[[Host], None]
    after: tuple[str, ...] = ()
    prepare: Callable[[Host], None] = no_preparation
    initialise: Callable[[Host], None] = no_preparation
    environment: Callable[[Host], dict[str, str]] = field(default=lambda host: {})
    group: str = ""  # the settings group that, given as external, replaces this process
    # no client outside the stack uses it: without its group there is nothing to probe
    only_ours: bool = False
    ready_seconds: float = 120
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    traffic: bool = False

    @property
    def program(self) -> str:
        """Return its name in supervisor."""
        return f"{self.zone}:{self.name}"
