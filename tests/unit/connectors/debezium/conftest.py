"""A Connect to talk to, and the settings of a stack that uses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.runtime.settings import Settings, load
from tests.unit.connectors.debezium.connect_cluster import Cluster, serve_cluster


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def url(cluster: Cluster) -> Iterator[str]:
    with serve_cluster(cluster) as url:
        yield url


@pytest.fixture
def settings(url: str, tmp_path: Path) -> Settings:
    return load(
        {"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path), "KAPPA_CONNECT_URL": url},
        tmp_path / "none.toml",
    )
