"""Which tables of a replay begin with what was read from MySQL."""

from dataclasses import replace

import pytest

from schemas.manifest import EMPTY_MANIFEST, Manifest
from schemas.warehouse_layout import Kind, Source
from spark.replayer.bases import before_replay, usable_bases
from tests.unit.spark.reread.test_adopt import BASE, NEW, TOPIC, gtids, statements_after

ORDERS = Source(TOPIC, "orders", Kind.CHANGES)
USERS = Source("cdc.eCommerce.user", "user", Kind.CHANGES)
CUT = replace(EMPTY_MANIFEST, version=9, gtid=gtids(30), bases={"orders": BASE})


@pytest.mark.parametrize(
    ("cut", "source", "usable", "refused"),
    [
        (CUT, ORDERS, {"orders": BASE}, ""),
        (CUT, USERS, {}, ""),
        (replace(CUT, gtid=gtids(20)), ORDERS, {"orders": BASE}, ""),
        (replace(CUT, gtid=gtids(19)), ORDERS, {}, "the log does not have"),
        (CUT, replace(ORDERS, topic="cdc.eCommerce.sales"), {}, "was renamed since"),
    ],
    ids=["since", "never read", "at that point", "a point before", "renamed"],
)
def test_a_table_is_built_from_what_was_read_or_not_at_all(
    cut: Manifest, source: Source, usable: dict[str, object], refused: str
) -> None:
    bases, reasons = usable_bases(cut, [source])
    assert bases == usable
    assert [refused in reason for reason in reasons.values()] == [True] * bool(refused)


def test_a_replay_begins_with_the_tables_that_were_read() -> None:
    before = before_replay(CUT, [ORDERS, USERS], {"orders": BASE}, statements_after)
    assert before.tables.keys() == {"orders"}
    assert before.tables["orders"].partitions == {"": NEW}
    assert before.offsets.keys() == {TOPIC, USERS.topic}
    assert before.lagging_topics[TOPIC].transactions == gtids(20)
