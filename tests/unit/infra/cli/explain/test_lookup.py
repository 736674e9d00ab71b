from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import pyarrow as pa
import pytest

from connectors.hadoop.manifest_store import ManifestStore
from infra.cli.explain.lookup import named_source, parse_key, visible_versions
from schemas.errors import UsageError
from schemas.manifest import EMPTY_MANIFEST, DebeziumSnapshot, LakeTable, Manifest
from spark.history.row_changes import Change
from spark.history.row_history import RowHistory

TOPICS = ["cdc.eCommerce.orders", "cdc.eCommerce.Users", "cdc.other.secrets", "productview"]
PART = DebeziumSnapshot(id="b:4", version=13, transactions_end=0, tables=())


class Versions:
    """Versions 11 to 16; 12 and 13 hold a part of a snapshot."""

    def numbers(self) -> list[int]:
        return list(range(11, 17))

    def read(self, number: int) -> Manifest:
        snapshot = PART if number in (12, 13) else None
        return replace(EMPTY_MANIFEST, version=number, snapshot=snapshot)


def change(version: int | None) -> Change:
    return Change(
        topic="cdc.eCommerce.orders",
        partition=0,
        offset=1,
        logged_at=datetime(2026, 3, 1, tzinfo=UTC),
        op="u",
        gtid=None,
        binlog_position=None,
        transaction_order=None,
        before=None,
        after=None,
        version=version,
        raw_key=None,
        error=None,
    )


@pytest.mark.parametrize(
    ("table", "topic"),
    [
        ("orders", TOPICS[0]),
        ("ORDERS", TOPICS[0]),
        ("users", TOPICS[1]),
        ("archived", "cdc.x"),
    ],
)
def test_a_table_is_named_in_any_case_and_found_in_the_log_or_the_archive(
    table: str, topic: str
) -> None:
    archived = LakeTable(topic="cdc.eCommerce.archived", columns=())
    newest = replace(EMPTY_MANIFEST, archives={"archived": archived})
    expected = archived.topic if table == "archived" else topic
    assert named_source(table, newest, TOPICS, "eCommerce").topic == expected


@pytest.mark.parametrize(
    ("table", "topics", "message", "hint"),
    [
        (
            "order",
            TOPICS,
            "no table order; did you mean orders?",
            "tables are orders, users",
        ),
        ("secrets", TOPICS, "no table secrets", "tables are orders, users"),
        (
            "productview",
            TOPICS,
            "productview has no rows with a key",
            "tables are orders, users",
        ),
        ("orders", [], "no table orders", "there are no tables yet: run ./kappa up"),
    ],
)
def test_an_unknown_table_is_answered_with_those_that_exist(
    table: str, topics: list[str], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        named_source(table, EMPTY_MANIFEST, topics, "eCommerce")
    assert str(raised.value).startswith(message)
    assert raised.value.hint == hint


@pytest.mark.parametrize(
    ("text", "names", "types", "key"),
    [
        ("7", ["id"], [pa.int64()], ("7",)),
        ("a,b", ["name"], [pa.string()], ("a,b",)),
        ("7,x", ["id", "box"], [pa.int64(), pa.string()], ("7", "x")),
        ('7, "a,b"', ["id", "box"], [pa.int64(), pa.string()], ("7", "a,b")),
    ],
)
def test_a_key_is_its_columns_separated_as_in_csv(
    text: str, names: list[str], types: list[pa.DataType], key: tuple[str, ...]
) -> None:
    assert parse_key(text, names, types, "t") == key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("7", "the key of t is id, box: '7' has 1 of 2 values"),
        ("7,x,y", "the key of t is id, box: '7,x,y' has 3 of 2 values"),
        ("x,y", "the key of t is id, box: 'x' is no id, which is int64"),
    ],
)
def test_a_text_that_is_no_key_is_a_wrong_use(text: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_key(text, ["id", "box"], [pa.int64(), pa.string()], "t")
    assert str(raised.value) == message
    assert raised.value.hint.startswith("./kappa explain t id,box")


def test_a_change_is_visible_in_the_first_whole_version_that_has_it() -> None:
    changes = [change(version) for version in (None, 9, 11, 12, 13, 16)]
    history = RowHistory(changes, [], archive_files=1, archive_records=1, log_records=0)
    visible = visible_versions(cast(ManifestStore, Versions()), history)
    numbers = {number: manifest.version for number, manifest in visible.items()}
    assert numbers == {11: 11, 12: 14, 13: 14, 16: 16}
