"""The peers of the counting benchmark: what they share with the project, and what not."""

import io
import re
import sys
from pathlib import Path

import fastavro
import pytest

from connectors.runtime.settings import ROOT
from infra.bench.counts.peer import FOLDER, SCRIPTS, plain_schema, python_of
from infra.bench.counts.throughput_results import NAMES
from infra.bench.harness import click_load
from infra.bench.harness.machine import PEERS_LOCK, locked_versions
from schemas.events import CONTRACTS
from schemas.topics import PRODUCT_VIEW

CONTRACT = CONTRACTS[PRODUCT_VIEW]
OWN_FOLDERS = {"infra", "connectors", "schemas", "processors", "producers", "spark"}


def test_the_peers_read_the_clicks_with_the_contract_they_are_given() -> None:
    click = next(click_load.clicks(1, 1_800_000_000_000))
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(CONTRACT), click)
    stream.seek(0)
    schema = fastavro.parse_schema(plain_schema(CONTRACT))
    assert fastavro.schemaless_reader(stream, schema, None) == click


def test_there_is_a_script_for_each_peer() -> None:
    assert set(SCRIPTS) == {name for name in NAMES if not name.startswith("ours")}


@pytest.mark.parametrize("script", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_a_peer_imports_nothing_of_the_project(script: Path) -> None:
    pattern = r"^\s*(?:from|import) ([a-z_]+)"
    modules = re.findall(pattern, script.read_text(), re.MULTILINE)
    assert not OWN_FOLDERS & set(modules)


@pytest.mark.parametrize("name", ["fastavro", "faust-streaming"])
def test_the_peers_have_the_same_release_of_what_they_share_with_the_project(
    name: str,
) -> None:
    peer_versions = locked_versions(PEERS_LOCK.read_text())
    own_versions = locked_versions((ROOT / "requirements.lock").read_text())
    assert peer_versions[name] == own_versions[name]


def test_the_lock_file_of_the_peers_has_what_they_ask_for() -> None:
    lock = locked_versions(PEERS_LOCK.read_text())
    requirements = (FOLDER / "requirements.in").read_text()
    names = set(re.findall(r"^[a-z-]+", requirements, re.MULTILINE))
    assert {"quixstreams", "bytewax", "faust-streaming"} <= names <= set(lock)


def test_a_peer_runs_in_the_project_s_environment_where_that_has_what_it_needs() -> None:
    foreign_python = Path("/cache/peers/bin/python")
    assert python_of("quix", foreign_python) == foreign_python
    assert python_of("plain", foreign_python) == Path(sys.executable)
