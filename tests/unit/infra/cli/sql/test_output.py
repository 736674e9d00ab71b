import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from infra.cli.sql import output
from infra.cli.sql.output import Output, run_statement
from infra.cli.sql.session import Answer, OnProgress, Rows


class Session:
    """A session whose every statement takes a while, and has five rows in two batches."""

    @contextmanager
    def answer(self, _sql: str, on_progress: OnProgress) -> Iterator[Answer]:
        def batches() -> Iterator[Rows]:
            on_progress("running", 0.5, "2 MB read")
            yield [(1, "a"), (2, None), (3, "c")]
            yield [(4, "d"), (5, "e")]

        yield Answer(("n", "text"), batches())


def printed(
    capsys: pytest.CaptureFixture[str], shape: output.Shape, max_rows: int | None
) -> tuple[str, str]:
    run_statement(Session(), "SELECT 1", Output(shape, max_rows))  # type: ignore[arg-type]
    captured = capsys.readouterr()
    return captured.out, captured.err


@pytest.mark.parametrize("max_rows", [None, 5, 10])
def test_all_rows_are_printed_in_each_form(
    capsys: pytest.CaptureFixture[str], max_rows: int | None
) -> None:
    csv_text, _ = printed(capsys, "csv", max_rows)
    assert csv_text == "n,text\n1,a\n2,\n3,c\n4,d\n5,e\n"
    json_text, _ = printed(capsys, "json", max_rows)
    assert [row["n"] for row in json.loads(json_text)] == [1, 2, 3, 4, 5]
    table, _ = printed(capsys, "table", max_rows)
    assert len(table.splitlines()) == 7


@pytest.mark.parametrize("max_rows", [1, 3, 4])
def test_at_most_so_many_rows_are_printed_and_it_is_said(
    capsys: pytest.CaptureFixture[str], max_rows: int
) -> None:
    csv_text, said = printed(capsys, "csv", max_rows)
    assert len(csv_text.splitlines()) == max_rows + 1
    assert f"only the first {max_rows} rows" in said
    json_text, _ = printed(capsys, "json", max_rows)
    assert len(json.loads(json_text)) == max_rows
    table, _ = printed(capsys, "table", max_rows)
    assert len(table.splitlines()) == max_rows + 2


def test_progress_is_said_only_of_statements_that_take_longer(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(capsys, "csv", None)[1] == ""
    monkeypatch.setattr(output, "QUIET_SECONDS", 0.0)
    assert "running 50% 2 MB read" in printed(capsys, "csv", None)[1]
