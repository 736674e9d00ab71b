"""One row's history by `kappa explain`, and the warehouse as of a time, on a running stack."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psutil
import pytest

from connectors.hadoop import hiveserver2
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.mysql.client import Connection, connect
from infra.cli.explain.lookup import explained_row
from infra.cli.explain.render import as_data
from infra.stack.supervisor import Supervisor
from infra.terminal.progress_line import silent
from schemas.errors import KappaError, Refused, UsageError, WarehouseError
from schemas.gtid import gtid_set
from schemas.manifest import Manifest
from spark.history.as_of import version_as_of
from spark.publish.version_database import pin
from tests.compare import rows_in_hive
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import answers

# Hive has it in lower case. A new name each time, since the log keeps the changes of older ones.
TABLE = f"Hs_Parcels_{uuid4().hex[:6]}"
IN_HIVE = TABLE.lower()


@dataclass
class Parcels:
    """The table, whose rows changed in two steps of one transaction each, and in a third one.

    `first` and `second` are versions that hold the steps; the second step began at `second_at`.
    """

    stack: Stack
    mysql: Connection
    first: Manifest
    second: Manifest
    second_at: datetime

    @property
    def versions(self) -> tuple[int, int]:
        """The versions that brought the first two steps."""
        return self.first.tables[IN_HIVE].version, self.second.tables[IN_HIVE].version

    def explain(self, key: str) -> dict[str, Any]:
        return dict(as_data(explained_row(self.stack.settings, TABLE, key, silent)))

    def rows(self, version: int) -> list[tuple[Any, ...]]:
        """Return all rows of the table in a version as Hive reads them, sorted."""
        database = pin(self.stack.settings, version)
        sql = f"SELECT id, box, note FROM {database}.{IN_HIVE}"
        return sorted(hiveserver2.query(self.stack.settings.hive, sql).rows)


def versions(stack: Stack) -> ManifestStore:
    return ManifestStore(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root)


def current_version(stack: Stack) -> Manifest:
    """Return a version with everything logged so far."""
    result = stack.kappa("compact", "--now", "--json", check=True)
    return versions(stack).read(json.loads(result.stdout)["version"])


@pytest.fixture(scope="module")
def parcels(stack: Stack) -> Iterator[Parcels]:
    """Rows with a compound key.

    The first version has them inserted. The second has them changed (also in their key), deleted
    and inserted again. A later change is in no version.
    """
    settings = stack.settings
    compactor = psutil.Process(Supervisor(settings).processes()["compactor"].pid)
    with connect(
        settings.mysql, settings.login("mysql.admin"), settings.mysql.database
    ) as mysql:
        mysql.execute(
            f"CREATE TABLE {TABLE} "
            "(id INT, box VARCHAR(10), note VARCHAR(20), PRIMARY KEY (id, box))"
        )
        with mysql.transaction():
            rows = "(1, 'a,b', 'one'), (2, 'x', 'two'), (3, 'x', 'three')"
            mysql.execute(f"INSERT INTO {TABLE} VALUES {rows}")
            mysql.execute(f"UPDATE {TABLE} SET note = 'uno' WHERE id = 1")
        first = current_version(stack)
        second_at = datetime.now(UTC)
        with mysql.transaction():
            mysql.execute(f"UPDATE {TABLE} SET id = id + 10 WHERE id < 3")
            mysql.execute(f"UPDATE {TABLE} SET note = 'eins' WHERE id = 11")
            mysql.execute(f"DELETE FROM {TABLE} WHERE id = 12")
            mysql.execute(f"INSERT INTO {TABLE} VALUES (2, 'x', 'again')")
        second = current_version(stack)
        compactor.suspend()
        mysql.execute(f"UPDATE {TABLE} SET note = 'behind' WHERE id = 11")
        yield Parcels(stack, mysql, first, second, second_at)
        compactor.resume()
        mysql.execute(f"DROP TABLE {TABLE}")
    eventually(
        lambda: answers(settings, "compactor"), within=60, because="the compactor continues"
    )


def steps(explanation: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return each change as its operation and the note before and after."""
    short_changes = []
    for change in explanation["changes"]:
        before = change["before"] or {}
        after = change["after"] or {}
        short_changes.append((change["op"], before.get("note"), after.get("note")))
    return short_changes


def test_a_row_is_followed_over_a_change_of_its_key_with_the_version_of_each_change(
    parcels: Parcels,
) -> None:
    def explanation_with_all_changes() -> dict[str, Any] | None:
        explanation = parcels.explain('1,"a,b"')
        return explanation if len(explanation["changes"]) == 6 else None

    explanation = eventually(
        explanation_with_all_changes, within=30, because="the last change is logged"
    )
    changes = explanation["changes"]
    assert steps(explanation) == [
        ("insert", None, "one"),
        ("update", "one", "uno"),
        ("delete", "uno", None),
        ("insert", None, "uno"),
        ("update", "uno", "eins"),
        ("update", "eins", "behind"),
    ]
    first, second = parcels.versions
    versions_of_changes = [change["version"] for change in changes]
    assert versions_of_changes == [first, first, second, second, second, None]
    assert [change["in_a_version"] for change in changes] == [True] * 5 + [False]
    assert changes[2]["moved_to"] == ("11", "a,b")
    assert changes[3]["moved_from"] == ("1", "a,b")
    assert parcels.explain('11,"a,b"')["changes"] == changes, "from either key"
    gtids = [change["gtid"] for change in changes]
    assert [gtids.index(gtid) for gtid in gtids] == [0, 0, 2, 2, 2, 5], "three transactions"
    offsets = [change["offset"] for change in changes]
    assert offsets == sorted(offsets)


def test_the_row_of_now_is_shown_in_mysql_and_in_the_newest_version(
    parcels: Parcels,
) -> None:
    (now,) = parcels.explain('1,"a,b"')["now"]
    assert now["key"] == {"id": "11", "box": "a,b"}
    assert now["row"]["note"] == "eins"
    assert now["mysql"]["note"] == "behind"
    folder = parcels.second.tables[IN_HIVE].partitions[""].location
    assert now["file"] == f"{folder}/rows.parquet"


def test_the_version_of_a_change_is_the_first_that_shows_it(parcels: Parcels) -> None:
    first, second = parcels.versions
    rows_before = [(1, "a,b", "uno"), (2, "x", "two"), (3, "x", "three")]
    assert parcels.rows(first) == rows_before
    assert parcels.rows(second - 1) == rows_before
    rows_after = [(2, "x", "again"), (3, "x", "three"), (11, "a,b", "eins")]
    assert parcels.rows(second) == rows_after


def test_a_row_with_the_key_of_an_earlier_row_is_explained_together_with_that(
    parcels: Parcels,
) -> None:
    explanation = parcels.explain("2,x")
    changes = steps(explanation)
    assert changes == [
        ("insert", None, "two"),
        ("delete", "two", None),
        ("insert", None, "two"),
        ("delete", "two", None),
        ("insert", None, "again"),
    ]
    assert [now["key"]["id"] for now in explanation["now"]] == ["2"]
    earlier_changes = steps(parcels.explain("12,x"))
    assert earlier_changes == changes[:4], "the row that was 12 was not inserted again"


def test_the_command_tells_people_the_same(parcels: Parcels) -> None:
    result = parcels.stack.kappa("explain", TABLE, "3,x", check=True)
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{IN_HIVE}, id 3, box x: 1 change (")
    assert f"insert  cdc.eCommerce.{TABLE}[0]@" in lines[1]
    assert f"version {parcels.versions[0]} at " in lines[1]
    assert lines[2] == "    id: 3, box: 'x', note: 'three'"
    assert lines[-1] == "in MySQL: id: 3, box: 'x', note: 'three'"


def test_a_row_that_never_existed_is_reported_with_what_was_searched(
    parcels: Parcels,
) -> None:
    result = parcels.stack.kappa("explain", TABLE, "4,x")
    assert result.returncode == 1
    assert "has never had a row id 4, box x: searched " in result.stderr
    message = (
        r"searched [1-9]\d* records in 2 files of the archive, and [1-9]\d* in the log"
    )
    with pytest.raises(KappaError, match=message):
        parcels.explain("4,x")


@pytest.mark.parametrize(
    ("table", "key", "why"),
    [
        (IN_HIVE[:-1], "1,a", f"did you mean {IN_HIVE}?"),
        ("productview", "1", "has no rows with a key"),
        (TABLE, "1", f"the key of {IN_HIVE} is id, box: '1' has 1 of 2 values"),
        (TABLE, "one,x", "'one' is no id, which is int32"),
    ],
)
def test_a_key_that_no_row_of_a_table_can_have_is_a_usage_error(
    parcels: Parcels, table: str, key: str, why: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        explained_row(parcels.stack.settings, table, key, silent)


def test_a_history_with_a_missing_file_is_refused_not_shortened(parcels: Parcels) -> None:
    hdfs = Hdfs(parcels.stack.settings.hdfs)
    day = next(iter(parcels.second.archives[IN_HIVE].days.values()))
    name = hdfs.list(day.location)[0].name
    assert hdfs.rename(f"{day.location}/{name}", f"/{name}")
    try:
        with pytest.raises(WarehouseError, match=r"states \d"):
            parcels.explain("3,x")
    finally:
        assert hdfs.rename(f"/{name}", f"{day.location}/{name}")
    assert len(parcels.explain("3,x")["changes"]) == 1


def test_hive_is_queried_as_of_a_time(parcels: Parcels) -> None:
    sql = f"SELECT note FROM ecommerce.{TABLE} ORDER BY note"
    time = parcels.second_at.isoformat()
    result = parcels.stack.kappa("query", "hive", "--as-of", time, "--csv", sql, check=True)
    assert result.stdout.splitlines() == ["note", "three", "two", "uno"]
    assert result.stderr.startswith("version ")


def test_a_transaction_or_a_gtid_set_stands_for_the_first_version_that_holds_it(
    parcels: Parcels,
) -> None:
    store = versions(parcels.stack)
    now = datetime.now(UTC)
    changes = parcels.explain('11,"a,b"')["changes"]
    (gtid,) = {
        change["gtid"] for change in changes if change["version"] == parcels.versions[1]
    }
    assert version_as_of(store, gtid, now).version == parcels.versions[1]
    version_of_a_set = version_as_of(store, parcels.first.gtid, now)
    assert gtid_set(version_of_a_set.gtid) == gtid_set(parcels.first.gtid)


def test_a_point_outside_the_kept_versions_is_refused_with_the_next_step(
    parcels: Parcels,
) -> None:
    store = versions(parcels.stack)
    now = datetime.now(UTC)
    first_second = r"2020-01-01T00:00:00\+00:00"
    message = rf"no version of {first_second} or before is kept: versions \d+ to \d+ are"
    with pytest.raises(Refused, match=message) as refusal:
        version_as_of(store, "2020-01-01", now)
    assert "replay warehouse --to" in refusal.value.hint
    latest_gtid = parcels.explain('1,"a,b"')["changes"][-1]["gtid"]
    with pytest.raises(Refused, match=f"{latest_gtid} is in no version yet"):
        version_as_of(store, latest_gtid, now)


def test_each_record_of_the_archive_names_its_version_in_hive(parcels: Parcels) -> None:
    settings = parcels.stack.settings
    sql = f"SELECT DISTINCT version FROM {settings.hive.lake_database}.{IN_HIVE}"
    record_versions = {version for (version,) in hiveserver2.query(settings.hive, sql).rows}
    assert record_versions == set(parcels.versions)
    notes = rows_in_hive(settings, TABLE, ["note"])
    assert notes == [("again",), ("eins",), ("three",)]
