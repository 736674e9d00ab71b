"""What `./kappa status` says of the warehouse."""

from dataclasses import replace

import pytest

from schemas.manifest import EMPTY_MANIFEST, DebeziumSnapshot, Manifest, PublishedTable
from spark.compactor.status import describe_status, names_in_hive

VERSION = replace(EMPTY_MANIFEST, version=7)


def with_snapshot(number: int, whole: bool, previous_transactions: str) -> Manifest:
    snapshot = DebeziumSnapshot(
        id="binlog.000002:4",
        version=number,
        transactions_end=0,
        tables=(),
        whole=whole,
        previous_transactions=previous_transactions,
    )
    return replace(EMPTY_MANIFEST, version=number, snapshot=snapshot)


GAP = "Debezium took a new snapshot: the single changes in MySQL after a:1-5 are not in the log"


@pytest.mark.parametrize(
    ("published", "visible", "text"),
    [
        (None, None, "nothing to publish yet"),
        (EMPTY_MANIFEST, EMPTY_MANIFEST, "nothing to publish yet"),
        (VERSION, VERSION, "version 7"),
        (with_snapshot(7, True, ""), VERSION, "version 7"),
        (
            with_snapshot(7, False, ""),
            None,
            "version 7; MySQL's tables are shown when all of their snapshot is here",
        ),
        (with_snapshot(7, True, "a:1-5"), VERSION, f"version 7; {GAP}"),
        (
            with_snapshot(8, False, "a:1-5"),
            VERSION,
            f"version 8; {GAP}; Hive shows version 7 until all of the snapshot is here",
        ),
    ],
)
def test_a_snapshot_is_described_by_what_it_hides(
    published: Manifest | None, visible: Manifest | None, text: str
) -> None:
    assert describe_status(published, visible, {}, []) == text


def test_of_many_tables_that_are_not_replicated_the_first_are_named() -> None:
    refusals = {f"t{number}": "no key" for number in range(7)}
    text = describe_status(VERSION, VERSION, refusals, [])
    assert text == "version 7; 7 not replicated: t0, t1, t2, t3, t4 and 2 more"


def test_everything_that_is_wrong_is_in_one_sentence() -> None:
    published = replace(VERSION, unreadable_records={"productview": 3})
    text = describe_status(
        published,
        published,
        {"t": "no key"},
        ["waits since 3 s: a gap"],
        {"lake.u": "too long"},
        {"b": "BLACKHOLE"},
    )
    assert text == (
        "version 7; 1 not replicated: t; 1 not up to date in Hive: lake.u; "
        "1 not captured for their engine: b (BLACKHOLE); "
        "waits since 3 s: a gap; 3 unreadable in productview"
    )


def table_of(topic: str, kind: str = "changes") -> PublishedTable:
    return PublishedTable(
        topic=topic,
        kind=kind,
        columns=(),
        key=("id",),
        partition_column=None,
        schema_id=1,
        version=7,
        gtid="",
    )


def test_tables_that_have_another_name_in_hive_are_named() -> None:
    tables = {
        "orders": table_of("cdc.shop.Orders"),
        "a_b": table_of("cdc.shop.a b"),
        "cart_e": table_of("cdc.shop.cart"),
        "productview": table_of("productview", "facts"),
    }
    version = replace(VERSION, tables=tables)
    assert names_in_hive(version) == {"a b": "a_b", "cart": "cart_e"}
    text = describe_status(version, version, {}, [])
    assert text == "version 7; in Hive, a b is a_b, cart is cart_e"
    many_tables = {f"t{number}": table_of(f"cdc.shop.t {number}") for number in range(9)}
    text = describe_status(replace(VERSION, tables=many_tables), None, {}, [])
    assert text.endswith("t 4 is t4, 4 more have another name")
