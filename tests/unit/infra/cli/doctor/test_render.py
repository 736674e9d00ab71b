import pytest

from connectors.mysql.server_check.findings import Cure, Finding, satisfied
from infra.cli.doctor.render import as_objects, as_text, verdict

FORMAT = Finding(
    check="binlog_format",
    severity="missing",
    found="STATEMENT",
    needed="ROW",
    cure=Cure(
        sql=("SET PERSIST binlog_format = 'ROW';",),
        my_cnf=("binlog_format=ROW",),
        action="wait for open sessions",
        done_by_up=True,
    ),
)
NOTE = Finding(check="time_zone", severity="note", found="CET")
ADVICE = Finding(check="max_allowed_packet", severity="advice", found="1024 MiB")


def test_a_finding_is_a_line_and_its_cure_the_lines_below() -> None:
    assert [line.split() for line in as_text([FORMAT]).splitlines()[:-1]] == [
        ["MISSING", "binlog_format", "STATEMENT;", "must", "be", "ROW"],
        ["sql:", "SET", "PERSIST", "binlog_format", "=", "'ROW';"],
        ["my.cnf:", "binlog_format=ROW"],
        ["next:", "wait", "for", "open", "sessions"],
        ["up:", "./kappa", "up", "does", "this", "by", "itself"],
    ]


@pytest.mark.parametrize(
    ("findings", "text"),
    [
        ([satisfied("version", "9")], "nothing is missing: this server can be captured"),
        ([FORMAT], "1 missing: this server cannot be captured yet"),
        (
            [ADVICE, NOTE, NOTE],
            "nothing is missing: this server can be captured (1 advice, 2 notes)",
        ),
    ],
)
def test_the_last_line_says_whether_the_server_can_be_captured(
    findings: list[Finding], text: str
) -> None:
    assert verdict(findings) == text


def test_as_data_a_cure_stands_beside_the_other_fields() -> None:
    assert as_objects([FORMAT]) == [
        {
            "check": "binlog_format",
            "severity": "missing",
            "found": "STATEMENT",
            "needed": "ROW",
            "sql": ("SET PERSIST binlog_format = 'ROW';",),
            "my_cnf": ("binlog_format=ROW",),
            "action": "wait for open sessions",
            "done_by_up": True,
        }
    ]
