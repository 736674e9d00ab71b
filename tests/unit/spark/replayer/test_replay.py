"""What a replay rebuilds, and what it says of it. Whole replays are in tests/integration."""

from dataclasses import asdict, replace

import pytest

from schemas.errors import UsageError
from schemas.manifest import EMPTY_MANIFEST, PublishedTable
from schemas.warehouse_layout import Kind, Source
from spark.replayer.compare_table import Comparison
from spark.replayer.cutover import CutoverResult
from spark.replayer.rebuilt_tables import RebuiltTables
from spark.replayer.replay import outcome, sources_of

ORDERS = Source("cdc.eCommerce.orders", "orders", Kind.CHANGES)
CLICKS = Source("productview", "productview", Kind.FACTS)


def table_of(source: Source) -> PublishedTable:
    return PublishedTable(
        topic=source.topic,
        kind=source.kind.value,
        columns=(),
        key=(),
        partition_column=None,
        schema_id=1,
        version=1,
        gtid="",
    )


VERSION = replace(
    EMPTY_MANIFEST,
    version=7,
    gtid="a:1-9",
    tables={source.table: table_of(source) for source in (ORDERS, CLICKS)},
)


def test_all_tables_are_rebuilt_or_the_one_that_was_asked_for() -> None:
    assert sources_of(VERSION, None) == [ORDERS, CLICKS]
    assert sources_of(VERSION, "orders") == [ORDERS]


def test_a_table_has_its_name_of_mysql_or_of_hive() -> None:
    spaced = Source("cdc.eCommerce.a b", "a_b", Kind.CHANGES)
    plain = Source("cdc.eCommerce.a_b", "a_b_0f", Kind.CHANGES)
    version = replace(
        VERSION, tables={source.table: table_of(source) for source in (spaced, plain)}
    )
    for name, source in (("a b", spaced), ("a_b", plain), ("a_b_0f", plain)):
        assert sources_of(version, name) == [source]


def test_a_table_that_does_not_exist_is_a_usage_error_that_names_those_that_do() -> None:
    with pytest.raises(UsageError, match="there is no table order") as raised:
        sources_of(VERSION, "order")
    assert raised.value.hint == "there are orders, productview"


def test_the_outcome_has_the_figures_that_the_command_prints() -> None:
    tables = RebuiltTables(VERSION, {"cdc.s.t": "no key"}, records=1000)
    comparison = Comparison(
        rows=20, differing={"orders": 1}, examples=["orders row id 5: …"]
    )
    found = asdict(outcome(VERSION, tables, 4.0, comparison, CutoverResult(8, 0.5, 1.5)))
    assert found == {
        "version": 7,
        "gtid": "a:1-9",
        "tables": ["orders", "productview"],
        "records": 1000,
        "seconds": 4.0,
        "records_per_second": 250,
        "compared": 20,
        "differing": {"orders": 1},
        "named": ["orders row id 5: …"],
        "refused": {"cdc.s.t": "no key"},
        "switched": {"version": 8, "seconds": 0.5, "rested_seconds": 1.5},
        "database": None,
    }


def test_a_replay_that_took_no_time_has_no_rate() -> None:
    found = outcome(VERSION, RebuiltTables(VERSION), 0.0, Comparison(), None)
    assert (found.records_per_second, found.switched) == (0, None)
