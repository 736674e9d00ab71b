import pytest

from connectors.mysql.server_check.findings import (
    Finding,
    first_names,
    literal,
    missing,
    satisfied,
)


def test_only_what_makes_capture_wrong_is_missing() -> None:
    lacking = Finding(check="log_bin", severity="missing", found="OFF", needed="ON")
    note = Finding(check="time_zone", severity="note", found="CET")
    advice = Finding(check="max_allowed_packet", severity="advice", found="1024 MiB")
    assert missing([satisfied("version", "9"), lacking, note, advice]) == [lacking]
    assert lacking.text == "log_bin: OFF, must be ON"
    assert note.text == "time_zone: CET"


@pytest.mark.parametrize(
    ("text", "sql"),
    [("plain", "'plain'"), ("it's", "'it''s'"), ("a\\b", "'a\\\\b'"), ("", "''")],
)
def test_a_text_is_quoted_as_mysql_reads_it(text: str, sql: str) -> None:
    assert literal(text) == sql


def test_many_names_are_cut() -> None:
    assert first_names(["a", "b", "c"]) == "a, b, c"
    assert first_names(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
