"""Compares what the capture rules mean for tables with what they meant before. Pure.

The rules go by names. A table whose protected values could get out by a name that no rule has is
refused until the rules are others.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.debezium.binlog_watch.watch_state import DdlStatement
from connectors.debezium.capture_rules.moved_values import moved_problem, moved_values
from connectors.debezium.capture_rules.rules_record import RulesRecord
from connectors.debezium.capture_rules.table_columns import TableColumns
from connectors.mysql.column_protection import protection, unprotectable
from schemas.capture_rules import CaptureRules
from schemas.shop_tables import quoted
from schemas.sql_tokens import mentioned_names


@dataclass(frozen=True)
class RulesChange:
    """The record as it should be, and the captured tables that are to be read again."""

    record: RulesRecord
    tables: tuple[str, ...]


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
            problem = problem or moved_problem(name, moved.get(name, {}), rules)
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
                    f"{escaped[0]} was {_columns_text(columns, escaped[0])}, is gone: change the "
                    "rules, so that they say which it is"
                )
    return ""


def _columns_text(columns: Mapping[str, str], name: str) -> str:
    """Return what becomes of a column, in any letter case of its name."""
    return next(text for column, text in columns.items() if column.lower() == name)
