import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from connectors.cassandra.generations import Definition, Generation
from connectors.kafka import client as kafka
from connectors.kafka.client import Watermarks
from connectors.runtime.settings import Settings, load
from infra.cli.replay import builders as module
from infra.cli.replay.builders import Builders, PartProgress, conversion_part, counts_part
from schemas.errors import StackError

GENERATION = Generation(2, "shop_g2", "building", Definition(1, 1, 1))
WATERMARKS = {
    ("productview", 0): Watermarks(10, 20, 25),
    ("productview", 1): Watermarks(0, 5, 5),
    ("orderview", 0): Watermarks(7, 7, 7),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for folder in ("run", "logs"):
        (tmp_path / folder).mkdir()
    return load(
        {
            "KAPPA_HOME": str(tmp_path),
            "KAPPA_CONFIG": "/none.toml",
            "KAPPA_COUNTS_WORKERS": "2",
        }
    )


def progress(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    committed: dict[tuple[str, int], int],
) -> PartProgress:
    def committed_by(cluster: Any, group: str, topics: Any) -> dict[tuple[str, int], int]:
        assert group == "counts-2"
        return committed

    monkeypatch.setattr(kafka, "committed", committed_by)
    monkeypatch.setattr(kafka, "offsets", lambda cluster, topics: WATERMARKS)
    return PartProgress(settings, counts_part(settings), GENERATION)


def test_each_part_has_its_workers_topics_and_group(settings: Settings) -> None:
    counts = counts_part(settings)
    conversion = conversion_part(settings)
    assert counts.workers == ("counts", "counts-2")
    assert conversion.workers == ("conversion",)
    assert conversion.topics == ("productview", "cdc.eCommerce.orders")
    assert counts.group(GENERATION) == "counts-2"
    assert conversion.group(GENERATION) == "conversion-2"


@pytest.mark.parametrize(
    ("committed", "records", "lag"),
    [
        ({}, 0, 15),
        ({("productview", 0): 12}, 2, 13),
        ({("productview", 0): 20, ("productview", 1): 5}, 15, 0),
        ({("productview", 0): 24}, 14, 5),
    ],
    ids=["nothing", "a part", "everything", "beyond the stable end"],
)
def test_the_progress_of_a_part_is_counted_from_the_first_records(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    committed: dict[tuple[str, int], int],
    records: int,
    lag: int,
) -> None:
    part_progress = progress(settings, monkeypatch, committed)
    assert part_progress.records() == records
    assert part_progress.lag() == lag


@pytest.mark.parametrize(
    ("committed", "has_reached"),
    [
        ({("productview", 0): 20, ("productview", 1): 5}, True),
        ({("productview", 0): 21, ("productview", 1): 6}, True),
        ({("productview", 0): 20}, False),
        ({("productview", 0): 19, ("productview", 1): 5}, False),
    ],
)
def test_the_end_of_the_log_is_reached_in_every_partition_with_records(
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    committed: dict[tuple[str, int], int],
    has_reached: bool,
) -> None:
    part_progress = progress(settings, monkeypatch, committed)
    ends = part_progress.log_ends()
    assert ends == {("productview", 0): 20, ("productview", 1): 5}
    assert part_progress.has_reached(ends) is has_reached


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (None, "starting"),
        ({"detail": "connecting"}, "connecting"),
        (
            {"events": 12345, "events_per_second": 1000.4, "lag": 7},
            "12,345 clicks, 1,000/s, 7 to go",
        ),
    ],
)
def test_the_builder_reports_for_people(
    settings: Settings, state: dict[str, Any] | None, text: str
) -> None:
    if state is not None:
        (settings.home / "run" / "replay.json").write_text(json.dumps(state))
    assert PartProgress(settings, counts_part(settings), GENERATION).text() == text


def python_that(settings: Settings, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    """Let the builders' Python run a shell command, which has their arguments."""
    script = settings.home / "python"
    script.write_text(f"#!/bin/sh\n{command}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    monkeypatch.setattr(module, "POLL_SECONDS", 0.01)


def test_builders_run_for_the_block_with_their_generation(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    python_that(settings, monkeypatch, 'echo "$@" $$; exec sleep 60')
    log = settings.home / "logs" / "replay.log"
    stale_state = settings.home / "run" / "replay.json"
    stale_state.write_text('{"detail": "of an earlier replay"}')
    builders = Builders(settings, GENERATION)
    with builders.running(counts_part(settings)):
        builders.wait(lambda: log.exists() and log.read_text().endswith("\n"), 10)
        *arguments, pid = log.read_text().split()
        assert arguments == ["-m", "processors.counts", "replay", "--generation", "2"]
        assert not stale_state.exists()
        os.kill(int(pid), 0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_builder_that_ends_is_an_error_that_names_its_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    python_that(settings, monkeypatch, "exit 3")
    builders = Builders(settings, GENERATION)
    with builders.running(counts_part(settings)), pytest.raises(StackError) as raised:
        builders.wait(lambda: False, 10)
    assert str(raised.value) == "the process replay ended with 3"
    assert raised.value.hint == f"see {settings.home / 'logs' / 'replay.log'}"


def test_a_wait_ends_with_what_the_builders_report(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    python_that(settings, monkeypatch, "exec sleep 60")
    builders = Builders(settings, GENERATION)
    started_at = time.monotonic()
    with builders.running(counts_part(settings)):
        (settings.home / "run" / "replay.json").write_text('{"detail": "reading"}')
        with pytest.raises(
            StackError, match="build the new generation say replay: reading"
        ):
            builders.wait(lambda: False, 0.1)
    assert time.monotonic() - started_at < 10
