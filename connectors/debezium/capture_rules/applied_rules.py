"""What the capture rules mean for the tables that MySQL has now, and what they meant before.

The rules go by names, and statements change names and types. After each statement, and at every
start, the tables are looked at: those whose protection has changed are read again, and those of
which values could get out by another name are taken out until the settings say what they are. The
result is in `run/capture_rules.json`, which other processes read.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from connectors.debezium.binlog_watch.logged_statements import Rename
from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import DdlStatement
from connectors.mysql.client import connect
from connectors.mysql.column_protection import protection, unprotectable
from connectors.mysql.column_types import ColumnFacts, as_text
from connectors.runtime.files import UnreadableState, read_json_file, replace_file
from connectors.runtime.settings import Settings
from schemas.capture_rules import CaptureRules, ColumnRule
from schemas.errors import KappaError
from schemas.shop_tables import quoted
from schemas.sql_tokens import mentioned_names

STATE_FILE = "capture_rules.json"
REASON = "what is captured of it has changed"
COLUMNS_SQL = """\
SELECT c.table_name AS t, column_name AS name, data_type AS type, column_type AS full_type,
  IF(INSTR(extra, 'DEFAULT_GENERATED'), column_default, generation_expression) AS expression
FROM information_schema.columns c
JOIN information_schema.tables t
  ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE'
WHERE c.table_schema = %s
ORDER BY c.table_name, ordinal_position"""
KEYS_SQL = """\
SELECT table_name AS t, index_name AS i, column_name AS name, nullable AS nullable
FROM information_schema.statistics
WHERE table_schema = %s AND non_unique = 0
ORDER BY table_name, index_name, seq_in_index"""
PRIMARY = "PRIMARY"
LOST = (
    "see that the rules name every column whose values are to be protected, whatever it is called "
    "now; then remove the file, and ./kappa resync the tables whose rules are others than before"
)


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table, and those that may be its key for Debezium.

    `computed` are the expressions by which MySQL computes values or defaults, by column.
    """

    columns: tuple[ColumnFacts, ...]
    key: frozenset[str] = frozenset()
    computed: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(facts.name for facts in self.columns)


@dataclass(frozen=True, kw_only=True)
class RulesRecord:
    """What the rules meant when they were applied last.

    `rules` is their text, `salt` a digest of the hashes' salt. `protected` has what becomes of
    columns, by table and column; `columns` all columns of those tables. `uncaptured` are the tables
    that the rules leave out, `refused` the reasons why others are taken out, `tables` all names.
    `moved` is where protected values are since statements that rename, by table and column in lower
    case, of tables that show some. `checked_gtid` is that of the last statement then, None if that
    is not known.
    """

    rules: str = ""
    salt: str = ""
    protected: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    uncaptured: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    moved: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    checked_gtid: str | None = None

    def summary(self) -> str:
        """Return in a few words what is not captured as it is; empty for nothing."""
        parts = []
        if self.uncaptured:
            parts.append(f"{len(self.uncaptured)} tables are left out by the settings")
        count = sum(len(columns) for columns in self.protected.values())
        if count:
            parts.append(f"{count} columns are protected")
        parts += [
            f"table {table} is not captured: {why}" for table, why in self.refused.items()
        ]
        return "; ".join(parts)


class RulesFile:
    """The record of a stack, which readers see as a whole."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / STATE_FILE

    def read(self) -> RulesRecord | None:
        """Return the record, None if there never were rules.

        Raises KappaError if it is cut off: a column that was renamed could get out.
        """
        try:
            return read_json_file(self._path, _record, None)
        except UnreadableState as error:
            raise KappaError(
                f"{error}, so what was protected is not known", LOST
            ) from error

    def refused(self) -> dict[str, str]:
        """Return the tables that are taken out since the rules cannot be kept, with the reason."""
        record = self.read()
        return dict(record.refused) if record is not None else {}

    def write(self, record: RulesRecord) -> None:
        """Replace the record."""
        replace_file(self._path, json.dumps(asdict(record), ensure_ascii=False))


@dataclass(frozen=True)
class RulesChange:
    """The record as it should be, and the captured tables that are to be read again."""

    record: RulesRecord
    tables: tuple[str, ...]


class AppliedRules:
    """Compares the rules with what they meant before, when something may have changed that."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rules = settings.mysql.capture_rules
        self._file = RulesFile(settings.home)
        self._watch = BinlogWatchFile(settings.home)
        self._checked_gtid: str | None = None

    def next_change(self) -> RulesChange | None:
        """Return what has changed, None if nothing can have. Raises Unavailable."""
        record = self._file.read()
        if record is None and self._rules.is_empty:
            return None
        statements = self._watch.read().statements
        last_gtid = statements[-1].gtid if statements else ""
        if last_gtid == self._checked_gtid:
            return None
        tables = self._read_tables()
        salt = self._settings.hash_salt()
        record = record or RulesRecord()
        new_statements = statements_since(statements, record.checked_gtid)
        change = compare_rules(self._rules, salt, tables, record, new_statements)
        self._checked_gtid = last_gtid
        return replace(change, record=replace(change.record, checked_gtid=last_gtid))

    def write(self, change: RulesChange) -> None:
        """Note that a change is applied. Until then, another process begins it again."""
        self._file.write(change.record)

    def look_again(self) -> None:
        """Have the next look compare, though no statement has come: a change is not applied."""
        self._checked_gtid = None

    def are_recorded(self) -> bool:
        """Return whether rules were applied before."""
        return self._file.read() is not None

    def record(self) -> RulesRecord:
        """Return what is applied."""
        return self._file.read() or RulesRecord()

    def refused_now(self) -> Mapping[str, str]:
        """Return the tables for which the rules cannot be kept, with the reason.

        Also those of statements that nothing has followed yet. Raises Unavailable.
        """
        self.look_again()
        change = self.next_change()
        return self.record().refused if change is None else change.record.refused

    def captures(self, table: str) -> bool:
        """Return whether a table is captured: by the rules, and not taken out."""
        return self._rules.captures(table) and table not in self._file.refused()

    def _read_tables(self) -> dict[str, TableColumns]:
        mysql = self._settings.mysql
        with connect(mysql, self._settings.login("mysql.debezium")) as connection:
            column_rows = connection.query(COLUMNS_SQL, (mysql.database,))
            key_rows = connection.query(KEYS_SQL, (mysql.database,))
        return table_columns(column_rows, key_rows)


def table_columns(
    column_rows: list[dict[str, Any]], key_rows: list[dict[str, Any]]
) -> dict[str, TableColumns]:
    """Return the tables of rows of COLUMNS_SQL and KEYS_SQL.

    Without a primary key, every column of a unique key without NULL may be of Debezium's key.
    """
    indexes: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in key_rows:
        indexes.setdefault(row["t"], {}).setdefault(row["i"], []).append(row)
    columns: dict[str, list[ColumnFacts]] = {}
    computed: dict[str, dict[str, str]] = {}
    for row in column_rows:
        if expression := as_text(row["expression"] or ""):
            computed.setdefault(row["t"], {})[row["name"]] = expression
        facts = ColumnFacts(
            row["name"], as_text(row["type"]).lower(), as_text(row["full_type"])
        )
        columns.setdefault(row["t"], []).append(facts)
    tables = {}
    for name, facts_of_table in columns.items():
        candidates = indexes.get(name, {})
        if PRIMARY in candidates:
            candidates = {PRIMARY: candidates[PRIMARY]}
        key: set[str] = set()
        for rows in candidates.values():
            if all(row["name"] and row["nullable"] != "YES" for row in rows):
                key.update(row["name"] for row in rows)
        tables[name] = TableColumns(
            tuple(facts_of_table), frozenset(key), computed.get(name, {})
        )
    return tables


def compare_rules(
    rules: CaptureRules,
    salt: str,
    tables: Mapping[str, TableColumns],
    record: RulesRecord,
    statements: Sequence[DdlStatement] = (),
) -> RulesChange:
    """Return what the rules mean for the tables now, and what has changed since a record.

    `statements` are those since then.
    """
    is_same_rules = repr(rules) == record.rules
    moved = moved_values(rules, tables, record, statements) if is_same_rules else {}
    salt_digest = hashlib.sha256(salt.encode()).hexdigest()[:16] if salt else ""
    protected: dict[str, Mapping[str, str]] = {}
    columns: dict[str, tuple[str, ...]] = {}
    refused: dict[str, str] = {}
    to_read = []
    uncaptured = []
    for name, table in tables.items():
        problem = rules.conflict(name)
        if not problem and not rules.captures(name):
            uncaptured.append(name)
            continue
        problem = problem or unprotectable(name, table.columns, table.key, rules)
        problem = problem or _computed_values(name, table, rules)
        if not problem and is_same_rules:
            problem = _escaped_values(name, table, rules, record, tables)
            problem = problem or _moved_problem(name, moved.get(name, {}), rules)
        now = protection(name, table.columns, rules)
        if problem:
            refused[name] = problem
            if name in record.protected:
                # What was protected is remembered until the settings are others.
                protected[name] = record.protected[name]
                columns[name] = record.columns[name]
            continue
        if now:
            protected[name] = now
            columns[name] = table.names
        before = record.protected.get(name, {})
        is_other_salt = salt_digest != record.salt and any(
            "hash" in text for text in now.values()
        )
        was_out = name in record.uncaptured or name in record.refused
        if now != before or was_out or is_other_salt:
            to_read.append(name)
    gone = {name: record.protected[name] for name in record.protected if name not in tables}
    if refused and gone and is_same_rules:
        # A refused table may be one of these by another name.
        protected |= gone
        columns |= {name: record.columns[name] for name in gone}
    new_record = RulesRecord(
        rules=repr(rules),
        salt=salt_digest,
        protected=protected,
        columns=columns,
        uncaptured=tuple(uncaptured),
        refused=refused,
        tables=tuple(tables),
        moved=moved,
    )
    return RulesChange(new_record, tuple(to_read))


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


def _moved_problem(name: str, columns: Mapping[str, str], rules: CaptureRules) -> str:
    """Return that a table shows protected values since a statement that renames, if it does."""
    for column, text in columns.items():
        if rules.column_rule(name, column) is ColumnRule.KEEP:
            return (
                f"its column {column} may have the values of {text}, since a statement that "
                "renames: change the rules, so that they say which it is"
            )
    return ""


def _computed_values(name: str, table: TableColumns, rules: CaptureRules) -> str:
    """Return why a table shows what is computed of protected values; empty if it does not."""
    protected = protection(name, table.columns, rules)
    for column, expression in table.computed.items():
        if column in protected:
            continue
        names = mentioned_names(expression)
        for source, text in protected.items():
            # MySQL escapes the quotes of texts in it, so that they may seem to end elsewhere.
            is_quoted = quoted(source).lower() in expression.lower()
            if is_quoted or source.lower() in names:
                return (
                    f"its column {column} is computed from {source}, which is {text}: name it in "
                    "mysql.leave_out_columns, mysql.mask_columns or mysql.hash_columns too"
                )
    return ""


def _escaped_values(
    name: str,
    table: TableColumns,
    rules: CaptureRules,
    record: RulesRecord,
    tables: Mapping[str, TableColumns],
) -> str:
    """Return why a table may have protected values by names that no rule has; empty if it has not.

    A column was renamed if a protected one is gone and an unprotected one is new; a table, if one
    with protected columns is gone, and a new one has an unprotected column of the same name.
    """
    shown = {column.lower() for column in table.names}
    shown -= {column.lower() for column in protection(name, table.columns, rules)}
    if name in record.protected:
        existing = {column.lower() for column in table.names}
        gone = [
            column for column in record.protected[name] if column.lower() not in existing
        ]
        known = {column.lower() for column in record.columns[name]}
        new = sorted(shown - known)
        if gone and new:
            return (
                f"its column {gone[0]} was {record.protected[name][gone[0]]} and is gone, and "
                f"{', '.join(new)} is new: change the rules, so that they say which it is"
            )
    elif name not in record.tables or name in record.refused:
        for other, columns in record.protected.items():
            escaped = sorted(shown & {column.lower() for column in columns})
            if other not in tables and escaped:
                return (
                    f"it is new and has the column {escaped[0]}, and the table {other}, whose "
                    f"{escaped[0]} was {columns_text(columns, escaped[0])}, is gone: change the "
                    "rules, so that they say which it is"
                )
    return ""


def columns_text(columns: Mapping[str, str], name: str) -> str:
    """Return what becomes of a column, in any letter case of its name."""
    return next(text for column, text in columns.items() if column.lower() == name)


def _record(content: dict[str, Any]) -> RulesRecord | None:
    columns = {table: tuple(names) for table, names in content.pop("columns").items()}
    uncaptured = tuple(content.pop("uncaptured"))
    tables = tuple(content.pop("tables"))
    return RulesRecord(**content, columns=columns, uncaptured=uncaptured, tables=tables)
