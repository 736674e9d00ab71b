"""One row's history on a running stack: what `kappa explain` tells, against what was done to the row; and the warehouse as it was."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psutil
import pytest

from connectors import hive
from connectors.hdfs import Hdfs
from connectors.mysql import Connection, connect
from infra.errors import KappaError, Refused, UsageError, WarehouseError
from infra.explain import explained
from infra.explain_render import as_json
from infra.progress import silent
from infra.supervision import Supervisor
from schemas.gtid import gtid_set
from spark.as_of import version_as_of
from spark.manifest import Manifest, Versions
from spark.pinned import pin
from tests.compare import rows_in_hive
from tests.conftest import Stack
from tests.eventually import eventually
from tests.faults import answers

# Hive knows it in small letters. A new name each time: what the log has of it stays for ever.
TABLE = f"Hs_Parcels_{uuid4().hex[:6]}"
IN_HIVE = TABLE.lower()


@dataclass
class Told:
    """What was done to the rows, and for each step a version that holds it; the next step began `at`."""

    stack: Stack
    mysql: Connection
    first: Manifest
    second: Manifest
    at: datetime

    @property
    def versions(self) -> tuple[int, int]:
        """The versions that brought the first two steps, of which each is one transaction."""
        return self.first.tables[IN_HIVE].version, self.second.tables[IN_HIVE].version

    def explain(self, key: str) -> dict[str, Any]:
        return dict(as_json(explained(self.stack.settings, TABLE, key, silent)))

    def rows(self, version: int) -> list[tuple[Any, ...]]:
        """All rows of the table in a version, as Hive reads them."""
        database = pin(self.stack.settings, version)
        return sorted(hive.query(self.stack.settings.hive, f"SELECT id, box, note FROM {database}.{IN_HIVE}").rows)


def versions(stack: Stack) -> Versions:
    return Versions(Hdfs(stack.settings.hdfs), stack.settings.hdfs.root)


def caught_up(stack: Stack) -> Manifest:
    """A version with everything logged so far."""
    return versions(stack).read(json.loads(stack.kappa("compact", "--now", "--json", check=True).stdout)["version"])


@pytest.fixture(scope="module")
def told(stack: Stack) -> Iterator[Told]:
    """Rows of a compound key: written in one version; changed (also in their key), removed, written again in a later one; changed behind that."""
    settings = stack.settings
    compactor = psutil.Process(Supervisor(settings).processes()["compactor"].pid)
    with connect(settings.mysql, settings.login("mysql.admin"), settings.mysql.database) as mysql:
        mysql.execute(f"CREATE TABLE {TABLE} (id INT, box VARCHAR(10), note VARCHAR(20), PRIMARY KEY (id, box))")
        with mysql.transaction():
            mysql.execute(f"INSERT INTO {TABLE} VALUES (1, 'a,b', 'one'), (2, 'x', 'two'), (3, 'x', 'three')")
            mysql.execute(f"UPDATE {TABLE} SET note = 'uno' WHERE id = 1")
        first, at = caught_up(stack), datetime.now(UTC)
        with mysql.transaction():
            mysql.execute(f"UPDATE {TABLE} SET id = id + 10 WHERE id < 3")
            mysql.execute(f"UPDATE {TABLE} SET note = 'eins' WHERE id = 11")
            mysql.execute(f"DELETE FROM {TABLE} WHERE id = 12")
            mysql.execute(f"INSERT INTO {TABLE} VALUES (2, 'x', 'again')")
        second = caught_up(stack)
        compactor.suspend()
        mysql.execute(f"UPDATE {TABLE} SET note = 'behind' WHERE id = 11")
        yield Told(stack, mysql, first, second, at)
        compactor.resume()
        mysql.execute(f"DROP TABLE {TABLE}")
    eventually(lambda: answers(settings, "compactor"), within=60, because="the compactor goes on")


def steps(found: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Each change in short: what, the note before and after, and the version."""
    notes = [((change["before"] or {}).get("note"), (change["after"] or {}).get("note")) for change in found["changes"]]
    return [(change["op"], *note, change["version"]) for change, note in zip(found["changes"], notes, strict=True)]


def test_a_row_is_followed_through_a_change_of_its_key_with_place_and_version_of_each_change(told: Told) -> None:
    found = eventually(lambda: [found for found in [told.explain('1,"a,b"')] if len(found["changes"]) == 6], within=30, because="it is logged")[0]
    one, two = told.versions
    expected = [
        ("insert", None, "one", one), ("update", "one", "uno", one), ("delete", "uno", None, two), ("insert", None, "uno", two),
        ("update", "uno", "eins", two), ("update", "eins", "behind", None),
    ]  # fmt: skip
    assert steps(found) == expected
    assert [change["in_a_version"] for change in found["changes"]] == [True] * 5 + [False]
    assert (found["changes"][2]["moved_to"], found["changes"][3]["moved_from"]) == (("11", "a,b"), ("1", "a,b"))
    assert told.explain('11,"a,b"')["changes"] == found["changes"], "from either key"
    gtids = [change["gtid"] for change in found["changes"]]
    assert [gtids.index(gtid) for gtid in gtids] == [0, 0, 2, 2, 2, 5], "three transactions"
    offsets = [change["offset"] for change in found["changes"]]
    assert offsets == sorted(offsets)
    (now,) = found["now"]
    assert (now["key"], now["row"]["note"], now["mysql"]["note"]) == ({"id": "11", "box": "a,b"}, "eins", "behind")
    assert now["file"] in {f"{told.second.tables[IN_HIVE].partitions[''].location}/rows.parquet"}


def test_the_version_of_a_change_is_the_first_that_shows_it(told: Told) -> None:
    one, two = told.versions
    assert told.rows(one) == [(1, "a,b", "uno"), (2, "x", "two"), (3, "x", "three")]
    assert told.rows(two - 1) == told.rows(one)
    assert told.rows(two) == [(2, "x", "again"), (3, "x", "three"), (11, "a,b", "eins")]


def test_a_row_that_comes_again_under_the_key_of_one_that_is_gone_is_told_with_it(told: Told) -> None:
    found = told.explain("2,x")
    assert [step[:3] for step in steps(found)] == [
        ("insert", None, "two"), ("delete", "two", None), ("insert", None, "two"), ("delete", "two", None), ("insert", None, "again"),
    ]  # fmt: skip
    assert [now["key"]["id"] for now in found["now"]] == ["2"]
    assert [step[:3] for step in steps(told.explain("12,x"))] == [step[:3] for step in steps(found)][:4], "the row that was 12 never came again"


def test_the_command_tells_people_the_same(told: Told) -> None:
    done = told.stack.kappa("explain", TABLE, "3,x", check=True)
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{IN_HIVE}, id 3, box x: 1 change (")
    assert f"insert  cdc.eCommerce.{TABLE}[0]@" in lines[1]
    assert f"version {told.versions[0]} at " in lines[1]
    assert lines[2] == "    id: 3, box: 'x', note: 'three'"
    assert lines[-1] == "in MySQL: id: 3, box: 'x', note: 'three'"


def test_a_row_that_never_was_is_said_so_with_what_was_searched(told: Told) -> None:
    done = told.stack.kappa("explain", TABLE, "4,x")
    assert done.returncode == 1
    assert "has never had a row id 4, box x: searched were " in done.stderr
    with pytest.raises(KappaError, match=r"searched were [1-9]\d* records in 2 files of the archive, and [1-9]\d* in the log"):
        told.explain("4,x")


@pytest.mark.parametrize(
    ("table", "key", "why"),
    [
        (IN_HIVE[:-1], "1,a", f"did you mean {IN_HIVE}?"),
        ("productview", "1", "has no rows with a key"),
        (TABLE, "1", f"the key of {IN_HIVE} is id, box: '1' has 1 of 2 values"),
        (TABLE, "one,x", "'one' is no id, which is int32"),
    ],
)
def test_what_is_no_row_of_a_table_is_a_wrong_use(told: Told, table: str, key: str, why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        explained(told.stack.settings, table, key, silent)


def test_a_history_of_which_a_file_is_gone_is_refused_not_shortened(told: Told) -> None:
    hdfs = Hdfs(told.stack.settings.hdfs)
    day = next(iter(told.second.archives[IN_HIVE].days.values()))
    name = hdfs.list(day.location)[0].name
    assert hdfs.rename(f"{day.location}/{name}", f"/{name}")
    try:
        with pytest.raises(WarehouseError, match=r"states \d"):
            told.explain("3,x")
    finally:
        assert hdfs.rename(f"/{name}", f"{day.location}/{name}")
    assert len(told.explain("3,x")["changes"]) == 1


def test_hive_is_asked_as_of_a_time_and_as_of_a_transaction(told: Told) -> None:
    sql = f"SELECT note FROM ecommerce.{TABLE} ORDER BY note"
    by_time = told.stack.kappa("query", "hive", "--as-of", told.at.isoformat(), "--csv", sql, check=True)
    assert by_time.stdout.splitlines() == ["note", "three", "two", "uno"]
    assert by_time.stderr.startswith("version ")
    store, now = versions(told.stack), datetime.now(UTC)
    (change,) = [change for change in told.explain('11,"a,b"')["changes"] if (change["after"] or {}).get("note") == "eins"]
    assert version_as_of(store, change["gtid"], now).version == told.versions[1]
    assert gtid_set(version_as_of(store, told.first.gtid, now).gtid) == gtid_set(told.first.gtid)


def test_a_point_outside_the_kept_versions_is_refused_with_the_way_on(told: Told) -> None:
    store, now = versions(told.stack), datetime.now(UTC)
    with pytest.raises(Refused, match=r"no version of 2020-01-01T00:00:00\+00:00 or before is kept: versions \d+ to \d+ are") as refusal:
        version_as_of(store, "2020-01-01", now)
    assert "replay warehouse --to" in refusal.value.hint
    behind = told.explain('1,"a,b"')["changes"][-1]["gtid"]
    with pytest.raises(Refused, match=f"{behind} is in no version yet"):
        version_as_of(store, behind, now)


def test_the_lake_says_in_hive_which_version_took_a_record_in(told: Told) -> None:
    lake = told.stack.settings.hive.lake_database
    found = hive.query(told.stack.settings.hive, f"SELECT DISTINCT version FROM {lake}.{IN_HIVE}").rows
    assert {version for (version,) in found} == set(told.versions)
    assert rows_in_hive(told.stack.settings, TABLE, ["note"]) == [("again",), ("eins",), ("three",)]
