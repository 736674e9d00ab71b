"""`kappa bench` itself: what it refuses, and what it leaves behind when it is terminated."""

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from connectors.runtime.settings import ROOT, load
from infra.bench import command
from infra.bench.command import bench, deliver
from infra.bench.counts.throughput_report import present
from infra.bench.report import pages
from infra.bench.report.presentation import Presentation
from tests.unit.infra.bench.sample_reports import PAGE, THROUGHPUT

TERMINATED = r"""
import subprocess, sys, time
from pathlib import Path
from infra.bench.command import bench
from infra.bench.harness.processes import measured_process

CHILD = "import os, time; print(f'{{\"pid\": {os.getpid()}}}', flush=True); time.sleep(300)"

@bench.command()
def measurement() -> None:
    here = Path(sys.argv[2])
    child = [sys.executable, "-c", CHILD]
    with measured_process("a worker", child, {}, here, here / "log") as worker:
        worker.has_facts.wait()
        print(worker.facts["pid"], flush=True)
        time.sleep(300)

bench(["measurement"], obj=None)
"""


@pytest.fixture
def presentation() -> Presentation:
    return present(THROUGHPUT)


@pytest.mark.parametrize("name", ["counts", "compact"])
def test_a_part_of_a_measurement_is_not_written_on_the_page(name: str) -> None:
    only = {"counts": "plain", "compact": "delta"}[name]
    result = CliRunner().invoke(bench, [name, "--write", "--only", only])
    assert result.exit_code == 2
    assert "leave out --only" in result.output


def test_without_a_stack_the_command_says_what_it_needs(tmp_path: Path) -> None:
    environment = {
        "KAPPA_HOME": str(tmp_path),
        "KAPPA_CONFIG": str(tmp_path / "none.toml"),
        "KAPPA_PORT_BASE": "2900",
    }
    result = CliRunner().invoke(bench, ["compact"], obj=load(environment))
    assert result.exit_code == 1
    assert "does not answer" in str(result.exception)
    assert "the running stack" in str(result.exception)


def test_a_measurement_that_is_terminated_ends_what_it_started(tmp_path: Path) -> None:
    measuring = subprocess.Popen(
        [sys.executable, "-c", TERMINATED, "x", str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert measuring.stdout is not None
    worker = int(measuring.stdout.readline())
    assert psutil.pid_exists(worker)
    measuring.terminate()
    assert measuring.wait(30) == 143
    assert not psutil.pid_exists(worker)


def test_a_report_is_printed_as_a_table_or_as_json(
    presentation: Presentation, capsys: pytest.CaptureFixture[str]
) -> None:
    deliver(THROUGHPUT, presentation, json_=False, write=False)
    assert "plain loop" in capsys.readouterr().out
    deliver(THROUGHPUT, presentation, json_=True, write=False)
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(THROUGHPUT.facts()))


def test_a_report_is_written_on_the_page_only_if_asked_for(
    presentation: Presentation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / pages.PAGE
    page.write_text(PAGE.read_text())
    monkeypatch.setattr(command, "DOCS", tmp_path)
    deliver(THROUGHPUT, presentation, json_=True, write=False)
    assert page.read_text() == PAGE.read_text()
    deliver(THROUGHPUT, presentation, json_=True, write=True)
    assert "500 · 625" in page.read_text()
