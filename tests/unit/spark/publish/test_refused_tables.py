"""Tables that the metastore refuses."""

import logging

import pytest

from schemas.errors import Refused, Unavailable
from spark.publish.refused_tables import RETRY_SECONDS, RefusedTables

NAME = ("ecommerce", "wide")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def refuse(tables: RefusedTables, reason: str = "too long") -> None:
    with tables.isolated(NAME, ["hdfs://h/wide"]):
        raise Refused(reason)


def test_a_refusal_is_the_tables_own() -> None:
    tables = RefusedTables()
    refuse(tables)
    with tables.isolated(("ecommerce", "other"), []):
        pass
    assert NAME in tables
    assert tables.reasons() == {"ecommerce.wide": "too long"}
    assert tables.is_read("hdfs://h/wide/v=1")
    assert not tables.is_read("hdfs://h/wider")
    tables.begin()
    assert not tables.reasons()


def test_a_metastore_that_does_not_answer_concerns_all_tables() -> None:
    tables = RefusedTables()
    with pytest.raises(Unavailable), tables.isolated(NAME, []):
        raise Unavailable("the metastore does not answer")
    assert not tables.reasons()


def test_a_refused_table_is_tried_again_after_a_while() -> None:
    clock = Clock()
    tables = RefusedTables(clock)
    clock.now = RETRY_SECONDS * 2
    assert not tables.is_retry_due()
    tables.begin()
    refuse(tables)
    clock.now += RETRY_SECONDS
    assert not tables.is_retry_due()
    clock.now += 0.1
    assert tables.is_retry_due()
    tables.begin()
    refuse(tables)
    assert not tables.is_retry_due()


def test_a_reason_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    tables = RefusedTables()
    with caplog.at_level(logging.ERROR, "compactor"):
        for reason in ("too long", "too long", "too wide"):
            tables.begin()
            refuse(tables, reason)
    assert [record.message for record in caplog.records] == [
        "ecommerce.wide stays as it is in Hive: too long",
        "ecommerce.wide stays as it is in Hive: too wide",
    ]
