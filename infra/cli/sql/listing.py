"""What tables there are: `SHOW TABLES`, and `\\d` of the shell."""

from collections.abc import Iterable, Sequence

from infra.cli.sql.catalog import TableEntry
from infra.cli.sql.statement import meaningful_tokens
from infra.terminal.result_table import ResultTable

SHOWS_OF_ALL = (
    ["SHOW", "TABLES"],
    ["SHOW", "ALL", "TABLES"],
)


def table_list(sql: str, entries: Iterable[TableEntry]) -> ResultTable | None:
    """Return the answer to SHOW TABLES [FROM schema], None for another statement.

    DuckDB itself knows only the tables that a statement has named.
    """
    words = [token.text.upper() for token in meaningful_tokens(sql) if token.text != ";"]
    if words in SHOWS_OF_ALL:
        return listed(entries)
    if (
        words[:2] == ["SHOW", "TABLES"]
        and words[2:3] in (["FROM"], ["IN"])
        and len(words) == 4
    ):
        schema = words[3].strip('"').lower()
        return listed(entry for entry in entries if entry.schema == schema)
    return None


def listed(entries: Iterable[TableEntry]) -> ResultTable:
    """Return the tables with their columns' names."""
    rows = []
    for entry in entries:
        columns = ", ".join(name for name, _ in entry.columns)
        rows.append((entry.schema, entry.name, columns))
    return ResultTable(("schema", "table", "columns"), rows)


def described(entry: TableEntry) -> ResultTable:
    """Return the columns of a table with their types."""
    return ResultTable(("column", "type"), list(entry.columns))


def find_entries(name: str, entries: Sequence[TableEntry]) -> list[TableEntry]:
    """Return the tables that a name means: `orders`, `live.product_view`, or a schema."""
    schema, dot, table = name.lower().replace('"', "").rpartition(".")
    if dot:
        return [entry for entry in entries if (entry.schema, entry.name) == (schema, table)]
    exact = [entry for entry in entries if entry.name == table]
    return exact or [entry for entry in entries if entry.schema == table]
