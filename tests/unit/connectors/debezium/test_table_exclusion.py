"""Tables that the connector leaves out for a while."""

from pathlib import Path

import pytest

from connectors.debezium.binlog_findings import DdlStatement, Finding, WatchState
from connectors.debezium.table_exclusion import (
    Exclusion,
    ExclusionFile,
    doubtful_tables,
    tables_named,
)
from schemas.gtid import gtid_set

ERROR = "Error processing row in orders, internal schema size 4, but row size 1"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ERROR, {"orders"}),
        ("Error in `eCommerce`.`order`s", {"order"}),
        ("Error in completed_orders_2", set()),
        ("The message is 99 bytes when serialized", set()),
    ],
)
def test_an_error_names_tables_as_words(error: str, expected: set[str]) -> None:
    assert tables_named(error, ["order", "orders", "completed_orders"]) == expected


def test_the_excluded_tables_survive_the_process(tmp_path: Path) -> None:
    exclusions = {"größe": Exclusion("why", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-9")}
    assert ExclusionFile(tmp_path).read() == {}
    ExclusionFile(tmp_path).write(exclusions)
    assert ExclusionFile(tmp_path).read() == exclusions


def test_tables_beyond_what_is_written_are_doubtful() -> None:
    origin = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
    finding = Finding(gtid=f"{origin}:8", since=f"{origin}:8", reason="why", at=0.0)
    watch = WatchState(
        statements=(
            DdlStatement(gtid=f"{origin}:3", names=("orders",)),
            DdlStatement(gtid=f"{origin}:7", names=("user",)),
        ),
        findings={"products": finding, "*": finding},
    )
    assert doubtful_tables(watch, gtid_set(f"{origin}:1-5")) == {"user", "products"}
