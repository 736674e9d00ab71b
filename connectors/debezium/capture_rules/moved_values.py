"""Where protected values are after statements that rename columns and tables. Pure."""

from collections.abc import Mapping, Sequence

from connectors.debezium.binlog_watch.logged_statements import Rename
from connectors.debezium.binlog_watch.watch_state import DdlStatement
from connectors.debezium.capture_rules.rules_record import RulesRecord
from connectors.debezium.capture_rules.table_columns import TableColumns
from schemas.capture_rules import CaptureRules, ColumnRule


def statements_since(
    statements: Sequence[DdlStatement], checked_gtid: str | None
) -> Sequence[DdlStatement]:
    """Return the statements after one; all if it is not among them, none if it is not known."""
    if checked_gtid is None:
        return ()
    gtids = [statement.gtid for statement in statements]
    if checked_gtid not in gtids:
        return statements
    last_place = len(gtids) - gtids[::-1].index(checked_gtid)
    return statements[last_place:]


def moved_values(
    rules: CaptureRules,
    tables: Mapping[str, TableColumns],
    record: RulesRecord,
    statements: Sequence[DdlStatement],
) -> dict[str, dict[str, str]]:
    """Return where the protected values of a record are after statements, in tables that show some.

    By table and column in lower case, with what they were. Two columns or two tables may have
    swapped their names, so that no name is new.
    """
    places: dict[tuple[str, str], str] = {}
    for name in record.protected.keys() | record.moved.keys():
        if name in record.moved:
            for column, text in record.moved[name].items():
                places[name, column] = text
            continue
        for column, text in record.protected[name].items():
            places[name, column.lower()] = f"{name}.{column}, which was {text}"
    for statement in statements:
        for rename in statement.renames:
            places = _renamed(places, rename)
        _add_unclear(places, rules, tables, statement)
    moved: dict[str, dict[str, str]] = {}
    for (name, column), text in places.items():
        existing = tables[name].names if name in tables else ()
        if column in map(str.lower, existing):
            moved.setdefault(name, {})[column] = text
    return {
        name: columns
        for name, columns in moved.items()
        if any(rules.column_rule(name, column) is ColumnRule.KEEP for column in columns)
    }


def _renamed(
    places: Mapping[tuple[str, str], str], rename: Rename
) -> dict[tuple[str, str], str]:
    """Return where values are after a rename; not those that have left the database."""
    new_names = {old.lower(): new.lower() for old, new in rename.columns}
    new_places = {}
    for (name, column), text in places.items():
        if name != rename.old:
            new_places[name, column] = text
        elif rename.new:
            new_places[rename.new, new_names.get(column, column)] = text
    return new_places


def _add_unclear(
    places: dict[tuple[str, str], str],
    rules: CaptureRules,
    tables: Mapping[str, TableColumns],
    statement: DdlStatement,
) -> None:
    """Add the columns that may have protected values since an unclear statement."""
    for (name, column), text in list(places.items()):
        if column not in statement.unclear_names or name not in statement.names:
            continue
        for other in map(str.lower, tables[name].names if name in tables else ()):
            is_shown = rules.column_rule(name, other) is ColumnRule.KEEP
            if other in statement.unclear_names and is_shown:
                places.setdefault((name, other), text)


def moved_problem(name: str, columns: Mapping[str, str], rules: CaptureRules) -> str:
    """Return that a table shows protected values since a statement that renames, if it does."""
    for column, text in columns.items():
        if rules.column_rule(name, column) is ColumnRule.KEEP:
            return (
                f"its column {column} may have the values of {text}, since a statement that "
                "renames: change the rules, so that they say which it is"
            )
    return ""
