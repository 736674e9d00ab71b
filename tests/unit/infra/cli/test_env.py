from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.cassandra.generations import Definition, Generation
from connectors.runtime.secrets import make_secrets
from connectors.runtime.settings import Settings, load
from infra.cli.env import active_keyspace, as_lines, connections
from schemas.errors import Unavailable


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    make_secrets(tmp_path)
    return load({"KAPPA_HOME": str(tmp_path), "KAPPA_CONFIG": "/none.toml"})


@pytest.fixture
def without_cassandra(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise Unavailable("Cassandra does not answer", "see ./kappa status")

    monkeypatch.setattr(cassandra, "connect", refuse)


@pytest.mark.parametrize(("admin", "role"), [(False, "reader"), (True, "admin")])
def test_readers_get_the_readers_log_ins_and_the_owner_all(
    settings: Settings, without_cassandra: None, admin: bool, role: str
) -> None:
    systems = connections(settings, admin)
    for system in ("mysql", "cassandra"):
        login = settings.login(f"{system}.{role}")
        assert systems[system]["user"] == login.user
        assert systems[system]["password"] == login.password


def test_the_keyspace_is_that_of_the_active_generation(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def connect(*_: Any) -> Any:
        yield None

    rules = Definition(window_ms=1, horizon_ms=1, ahead_ms=1)
    generation = Generation(2, "ecommerce_g2", "live", rules)
    monkeypatch.setattr(cassandra, "connect", connect)
    monkeypatch.setattr(generations, "active", lambda session, base: generation)
    assert active_keyspace(settings) == "ecommerce_g2"


def test_without_cassandra_the_keyspace_is_the_first_generations(
    settings: Settings, without_cassandra: None
) -> None:
    assert active_keyspace(settings) == "ecommerce"


def test_the_lines_are_aligned() -> None:
    systems = {"mysql": {"host": "h", "port": 1}, "shop": {"url": "u"}}
    assert as_lines(systems) == "mysql.host  h\nmysql.port  1\nshop.url    u"
