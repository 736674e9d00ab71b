"""One table that cannot be read keeps no other from it; tests/integration/test_reread.py reads."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.control.reread_request import RereadRequest
from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.mysql.client import SqlRefused
from connectors.mysql.table_description import MysqlTable
from connectors.runtime.secrets import make_secrets
from connectors.runtime.settings import load
from schemas.errors import ContractError, Unavailable
from schemas.manifest import EMPTY_MANIFEST, TableBase
from spark.reread import table_reading
from spark.reread.table_reading import TableReading
from tests.unit.connectors.debezium.capture_rules.protected_tables import table


class Connection:
    """A connection of a snapshot."""

    def __init__(self) -> None:
        self.is_open = True


class Snapshots:
    """Consistent snapshots by one connection each."""

    def __init__(self) -> None:
        self.readers: tuple[Connection, ...] = ()
        self.begun = 0
        self.begun_at = ""
        self.gtids = ""
        self.position_before = (1, 4)

    @contextmanager
    def snapshot(self, *_: object) -> Iterator["Snapshots"]:
        self.readers = (Connection(),)
        self.begun += 1
        self.begun_at = datetime.now(UTC).isoformat(timespec="milliseconds")
        time.sleep(0.002)
        yield self


class Manifests:
    """The store of a warehouse without a version."""

    def __init__(self, *_: object) -> None:
        self.newest = lambda: EMPTY_MANIFEST


def read_table(request: RereadRequest, connection: Any, _view: object, *_: object) -> None:
    """Read a table: `refused` is refused by MySQL, `strange` has a value of no type."""
    if not connection.is_open:
        raise Unavailable("MySQL does not answer")
    if request.topic == "refused":
        raise SqlRefused("Tablespace has been discarded for table", "", 1814)
    if request.topic == "strange":
        connection.is_open = False  # in the middle of the rows
        raise ContractError("no date")


@pytest.mark.parametrize(
    ("topics", "snapshots"),
    [
        (["a", "refused", "b"], 1),
        (["a", "strange", "b", "strange", "refused", "c"], 3),
        (["strange"], 1),
    ],
)
def test_a_table_that_cannot_be_read_keeps_no_other_from_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, topics: list[str], snapshots: int
) -> None:
    views = Snapshots()
    make_secrets(tmp_path)
    monkeypatch.setattr(table_reading, "snapshot", views.snapshot)
    monkeypatch.setattr(table_reading, "ManifestStore", Manifests)
    monkeypatch.setattr(table_reading, "READERS", 1)
    settings = load({"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path)})
    reading = TableReading(settings, "1", lambda *_: None)
    monkeypatch.setattr(reading, "_read_table", read_table)
    result = reading.read([RereadRequest(topic, "why", "1", "now") for topic in topics])
    unreadable = {"refused", "strange"}
    assert result.topics == [topic for topic in topics if topic not in unreadable]
    assert result.failures.keys() == unreadable.intersection(topics)
    assert views.begun == snapshots


def new_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, views: Snapshots
) -> TableReading:
    """Return a reading of tables as they are in some snapshots."""
    make_secrets(tmp_path)
    monkeypatch.setattr(table_reading, "snapshot", views.snapshot)
    monkeypatch.setattr(table_reading, "ManifestStore", Manifests)
    settings = load({"HOME": str(tmp_path), "KAPPA_HOME": str(tmp_path)})
    return TableReading(settings, "1", lambda *_: None)


def test_a_table_is_read_as_of_the_beginning_of_its_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = Snapshots()
    reading = new_reading(tmp_path, monkeypatch, views)
    bases: list[TableBase] = []
    monkeypatch.setattr(reading._store, "commit", lambda _, base: bases.append(base))
    monkeypatch.setattr(reading, "_describe", lambda *_: None)
    monkeypatch.setattr(reading, "_check_statements", lambda *_: None)
    topics = ["cdc.eCommerce.orders", "cdc.eCommerce.user"]
    reading.read([RereadRequest(topic, "why", "1", "now") for topic in topics])
    # What the binlog watch lost after that is not in it.
    assert [base.read_at <= views.begun_at for base in bases] == [True, True]


def test_a_protected_column_is_not_read_by_a_name_that_it_has_got_a_moment_ago(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {
        "HOME": str(tmp_path),
        "KAPPA_HOME": str(tmp_path),
        "KAPPA_MYSQL_MASK_COLUMNS": "user.email",
    }
    make_secrets(tmp_path)
    settings = load(environment, tmp_path / "none.toml")
    monkeypatch.setattr(table_reading, "ManifestStore", Manifests)
    tables = {"user": table("id", "email")}
    monkeypatch.setattr(AppliedRules, "_read_tables", lambda _: tables)
    rules = AppliedRules(settings)
    change = rules.next_change()
    assert change is not None
    rules.write(change)
    described = MysqlTable(database="eCommerce", name="user", columns=())
    monkeypatch.setattr(table_reading, "describe_table", lambda *_: described)
    reading = TableReading(settings, "1", lambda *_: None)
    connection: Any = Connection()
    assert reading._describe(connection, "user") == described
    described = replace(described, engine="BLACKHOLE")
    assert reading._describe(connection, "user") is None
    described = replace(described, engine="InnoDB")
    # log:capture has not looked at the tables since.
    tables["user"] = table("id", "mail")
    with pytest.raises(ContractError, match="mail is new"):
        reading._describe(connection, "user")


def test_a_table_whose_columns_have_swapped_names_is_not_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = new_reading(tmp_path, monkeypatch, Snapshots())
    refused_tables: dict[str, str] = {}
    monkeypatch.setattr(AppliedRules, "refused_now", lambda _: refused_tables)
    described = MysqlTable(database="eCommerce", name="user", columns=())
    monkeypatch.setattr(table_reading, "describe_table", lambda *_: described)
    monkeypatch.setattr(reading, "_write_table", lambda base, *_: base)

    def see_statement(*_: object) -> None:
        refused_tables["user"] = "its column note may have the values of user.email"

    monkeypatch.setattr(reading, "_check_statements", see_statement)
    result = reading.read([RereadRequest("cdc.eCommerce.user", "why", "1", "now")])
    assert result.topics == []
    assert "may have the values" in result.failures["cdc.eCommerce.user"]
