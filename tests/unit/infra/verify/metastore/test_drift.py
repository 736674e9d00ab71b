"""A drift as a sentence and as JSON."""

import json

import pytest

from infra.verify.metastore.drift import NO_DRIFT, Drift, DriftKind, DriftReport

ORDERS = "ecommerce.orders"


@pytest.mark.parametrize(
    ("what", "place", "text"),
    [
        ("missing table", "", "ecommerce.orders is missing in Hive"),
        ("missing partition", "day=1", "ecommerce.orders day=1 is missing in Hive"),
        (
            "extra partition",
            "day=1",
            "ecommerce.orders day=1 is a partition in Hive (y) and in no version",
        ),
        ("extra file", "/a/f", "ecommerce.orders: no version names /a/f (y)"),
        ("damaged files", "/a", "ecommerce.orders /a: y, and the manifest states x"),
        ("location", "", "ecommerce.orders is read from y instead of x"),
        ("columns", "day=1", "ecommerce.orders day=1 has other columns in Hive: y"),
        ("format", "", "ecommerce.orders has the format y instead of x"),
        ("table type", "", "ecommerce.orders has the table type y instead of x"),
        (
            "partition column",
            "",
            "ecommerce.orders has the partition column y instead of x",
        ),
        ("property", "kappa.gtid", "ecommerce.orders has kappa.gtid = y instead of x"),
    ],
)
def test_every_kind_of_drift_is_a_sentence(what: DriftKind, place: str, text: str) -> None:
    drift = Drift(table=ORDERS, what=what, place=place, expected="x", found="y")
    assert drift.text() == text
    assert drift.identity == (ORDERS, what, place)


def test_a_property_that_is_gone_is_said_to_be_nothing() -> None:
    drift = Drift(table=ORDERS, what="property", place="kappa.gtid", expected="x")
    assert drift.text() == "ecommerce.orders has kappa.gtid = nothing instead of x"


def test_a_report_is_json() -> None:
    drift = Drift(table=ORDERS, what="location", expected="x", found="y", folder="/a")
    report = DriftReport(drifts=(drift,), repair="repaired")
    assert json.loads(json.dumps(report.data())) == {
        "drifts": [
            {
                "table": ORDERS,
                "what": "location",
                "place": "",
                "expected": "x",
                "found": "y",
            }
        ],
        "repair": "repaired",
    }
    assert NO_DRIFT.data() == {"drifts": [], "repair": ""}
