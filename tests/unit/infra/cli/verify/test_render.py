import json

import pytest

from infra.cli.verify.render import MAX_DIFFERENCES, show_counts, show_proof, show_warehouse
from infra.verify.counts.differences import Difference, ViewOutcome
from infra.verify.counts.verify import Report as CountsReport
from infra.verify.metastore.drift import Drift, DriftReport
from infra.verify.warehouse.differences import RowDifference, TableOutcome
from infra.verify.warehouse.report import Report as WarehouseReport

EQUAL = TableOutcome("orders", mysql_rows=10, warehouse_rows=10)
AT = "2026-03-01T12:00:00Z"


def warehouse_report(*outcomes: TableOutcome) -> WarehouseReport:
    return WarehouseReport(
        gtid="u:1-9",
        version=4,
        snapshot_tries=1,
        point_seconds=0.5,
        at=AT,
        seconds=2.0,
        outcomes=list(outcomes),
    )


def differing_table(rows: int) -> TableOutcome:
    outcome = TableOutcome("orders", mysql_rows=10, warehouse_rows=10)
    for number in range(rows):
        key: dict[str, str | None] = {"order_id": str(number)}
        outcome.add_difference(RowDifference(table="orders", wrong="lost", key=key))
    return outcome


def counts_report(differing: int) -> CountsReport:
    outcome = ViewOutcome("product_view_total", rows=5, events=50)
    for number in range(differing):
        outcome.add_difference(
            Difference(
                view="product_view_total",
                key={"product_id": number},
                wrong="value",
                cassandra=1,
                log=2,
                topic="productview",
                partition=0,
                last_offset=7,
                offset=7,
            )
        )
    return CountsReport(generation=3, outcomes=[outcome], recounted_clicks=1234)


def test_an_equal_warehouse_has_a_table_and_a_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = warehouse_report(EQUAL)
    show_warehouse(report, json_=False)
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].startswith("table ")
    assert lines[0].endswith("  differing  verdict")
    assert lines[2].split() == ["orders", "10", "10", "0", "equal"]
    assert lines[-1] == report.verdict()
    assert printed.err == ""


def test_a_table_that_could_not_be_compared_says_why(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_warehouse(
        warehouse_report(EQUAL, TableOutcome("user", unproven="zero date")), json_=False
    )
    printed = capsys.readouterr()
    assert printed.out.splitlines()[3].endswith("zero date")
    assert printed.err.splitlines()[0].startswith("error: version 4 and MySQL at u:1-9")


@pytest.mark.parametrize(
    ("rows", "more"), [(1, False), (MAX_DIFFERENCES, False), (21, True)]
)
def test_the_first_differing_rows_are_named(
    capsys: pytest.CaptureFixture[str], rows: int, more: bool
) -> None:
    show_warehouse(warehouse_report(differing_table(rows)), json_=False)
    printed = capsys.readouterr()
    named = [
        line for line in printed.out.splitlines() if line.startswith("orders order_id=")
    ]
    assert len(named) == min(rows, MAX_DIFFERENCES)
    assert ("and more; --json" in printed.err) is more


@pytest.mark.parametrize(
    ("count", "more"), [(1, ""), (MAX_DIFFERENCES + 2, "and 2 more in Hive")]
)
def test_what_hive_has_otherwise_is_named_and_what_became_of_it(
    capsys: pytest.CaptureFixture[str], count: int, more: str
) -> None:
    drifts = [
        Drift(table="ecommerce.orders", what="missing partition", place=f"day={number}")
        for number in range(count)
    ]
    report = warehouse_report(EQUAL)
    report.drift = DriftReport(drifts=tuple(drifts), repair="repaired")
    show_warehouse(report, json_=False)
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    named = [line for line in lines if line.endswith("is missing in Hive")]
    assert named[0] == "ecommerce.orders day=0 is missing in Hive"
    assert len(named) == min(count, MAX_DIFFERENCES)
    assert more in printed.out
    assert f"{count} difference" in printed.err.splitlines()[0]
    assert "(repaired)" in printed.err.splitlines()[0]
    show_proof(report, json_=False)
    assert "ecommerce.orders day=0 is missing in Hive" in capsys.readouterr().out


def test_groups_that_were_not_read_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = TableOutcome("orders", mysql_rows=10, warehouse_rows=10, unread=3)
    show_warehouse(warehouse_report(outcome), json_=False)
    printed = capsys.readouterr()
    assert "differs" in printed.out
    assert printed.err.startswith("3 more groups of about a thousand rows differ")


def test_each_of_several_proofs_is_a_line_and_its_differences(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = warehouse_report(differing_table(2))
    show_proof(report, json_=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{AT} {report.verdict()}"
    assert len(lines) == 3


def test_programs_get_the_reports(capsys: pytest.CaptureFixture[str]) -> None:
    report = warehouse_report(differing_table(2))
    counts = counts_report(1)
    show_proof(report, json_=True)
    show_warehouse(report, json_=True)
    show_counts(counts, json_=True)
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = [report.data(), report.data(), counts.data()]
    assert printed == json.loads(json.dumps(expected))


def test_equal_counts_have_a_table_and_a_verdict(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_counts(counts_report(0), json_=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["product_view_total", "5", "50", "0"]
    assert (
        lines[-1]
        == "equal: generation 3 of the counts is what 1,234 clicks in the log make"
    )


@pytest.mark.parametrize(
    ("differing", "more"), [(1, ""), (25, "and 5 more; --json has up to a")]
)
def test_counts_that_differ_are_named_with_the_next_step(
    capsys: pytest.CaptureFixture[str], differing: int, more: str
) -> None:
    show_counts(counts_report(differing), json_=False)
    printed = capsys.readouterr()
    named = [line for line in printed.out.splitlines() if "Cassandra" in line]
    assert len(named) == min(differing, MAX_DIFFERENCES)
    errors = printed.err.splitlines()
    assert errors[-2:] == [
        f"error: {differing:,} rows of generation 3 of the counts differ from the log",
        "  next: ./kappa replay counts",
    ]
    assert (len(errors) == 3 and errors[0].startswith(more)) if more else len(errors) == 2
