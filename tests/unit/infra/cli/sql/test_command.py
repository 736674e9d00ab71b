"""The words of `kappa sql`."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from connectors.hadoop import webhdfs_reader
from infra.cli.main import main
from infra.cli.sql import run
from tests.unit.infra.cli.sql.sample_version import SampleWarehouse, sample_warehouse


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SampleWarehouse:
    """A warehouse in memory in place of HDFS."""
    warehouse = sample_warehouse()
    monkeypatch.setenv("KAPPA_HOME", str(tmp_path))
    monkeypatch.setattr(run, "WebHdfsReader", lambda _: warehouse.files)
    monkeypatch.setattr(run, "StoredManifests", lambda *_: warehouse)
    return warehouse


def kappa_sql(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(main, ["sql", *arguments], input=stdin)


@pytest.mark.usefixtures("sample")
def test_statements_come_from_the_command_line_a_file_or_standard_input(
    tmp_path: Path,
) -> None:
    file = tmp_path / "statements.sql"
    file.write_text("SELECT 1 AS a;\n-- another\nSELECT 2 AS b;\n")
    assert kappa_sql("--csv", "SELECT count(*) AS n FROM orders").stdout == "n\n6\n"
    assert kappa_sql("--csv", "-f", str(file)).stdout == "a\n1\nb\n2\n"
    assert kappa_sql("--csv", stdin="SELECT 3 AS c").stdout == "c\n3\n"
    assert kappa_sql("--json", "-", stdin="SELECT 3 AS c").stdout == '[{"c": 3}]\n'


@pytest.mark.usefixtures("sample")
def test_the_version_as_of_a_time_is_named(sample: SampleWarehouse) -> None:
    result = kappa_sql("--csv", "--version", "3", "SELECT count(*) AS n FROM orders")
    assert (result.stdout, result.stderr) == ("n\n6\n", "")
    refused = kappa_sql("--version", "4", "SELECT 1")
    assert refused.exit_code == 1
    assert "versions 3 to 3 can be read" in refused.stderr


@pytest.mark.usefixtures("sample")
@pytest.mark.parametrize(
    "arguments",
    [
        ("--csv", "--json", "SELECT 1"),
        ("--version", "3", "--as-of", "10m", "SELECT 1"),
        (" -- nothing",),
        ("SELECT 1", "-f", __file__),
        ("--as-of", "nonsense", "SELECT 1"),
    ],
)
def test_wrong_words_end_with_2(arguments: tuple[str, ...]) -> None:
    result = kappa_sql(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


@pytest.mark.usefixtures("sample")
def test_a_refused_statement_ends_with_1() -> None:
    result = kappa_sql("DROP TABLE orders")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: DROP: sql only reads")


def test_the_reader_is_the_one_without_a_client() -> None:
    assert run.WebHdfsReader is webhdfs_reader.WebHdfsReader
