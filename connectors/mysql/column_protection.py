"""Tables as they may be read from MySQL: without the values that the capture rules protect. Pure.

MySQL itself masks and hashes, so that protected values do not reach the reader either. The results
are those of Debezium (connectors/debezium/capture_rules/capture_filters.py).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from connectors.mysql.column_types import ColumnFacts, ReadColumn
from connectors.mysql.table_description import MysqlTable
from schemas.capture_rules import MASK, CaptureRules, ColumnRule
from schemas.errors import ContractError
from schemas.shop_tables import quoted

# The types of which Debezium masks and hashes values. It lets those of other types through, and
# cuts the hash of an ENUM down to one character.
TEXT_TYPES = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")
HASH_CHARACTERS = 64
# Debezium states the names in MySQL of other columns only.
PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LENGTH = re.compile(r"\(([0-9]+)\)")


def protected_table(table: MysqlTable, rules: CaptureRules, salt: str) -> MysqlTable:
    """Return a table with the columns that may be read, and how.

    Raises ContractError if the rules cannot be kept for one of its columns.
    """
    facts = [read_column.facts for read_column in table.columns]
    if problem := unprotectable(table.name, facts, table.key, rules):
        raise ContractError(f"table {table.name} is not captured: {problem}")
    columns = []
    for read_column in table.columns:
        rule = rules.column_rule(table.name, read_column.name)
        if rule is not ColumnRule.LEAVE_OUT:
            columns.append(_protected(read_column, rule, salt))
    return replace(table, columns=tuple(columns))


def unprotectable(
    table: str, columns: Iterable[ColumnFacts], key: Iterable[str], rules: CaptureRules
) -> str:
    """Return why the rules cannot be kept for a table, naming the setting; empty if they can."""
    key_names = {name.lower() for name in key}
    for facts in columns:
        rule = rules.column_rule(table, facts.name)
        if rule is ColumnRule.KEEP:
            continue
        name = f"{rule.setting} names {table}.{facts.name}"
        if facts.name.lower() in key_names:
            return f"{name}, which is of the key: a key is in every record as it is"
        if rule is ColumnRule.LEAVE_OUT:
            continue
        if facts.type not in TEXT_TYPES:
            return f"{name}, a {facts.type}: only texts can be {rule.value}; leave it out"
        if not PLAIN_NAME.fullmatch(facts.name):
            return (
                f"{name}: only columns with a plain name can be {rule.value}; leave it out"
            )
    return ""


def protection(
    table: str, columns: Iterable[ColumnFacts], rules: CaptureRules
) -> dict[str, str]:
    """Return what the rules make of a table's columns, by column; none of those that are kept.

    Values that were read under another protection are not the same values.
    """
    protected_columns = {}
    for facts in columns:
        rule = rules.column_rule(table, facts.name)
        if rule is ColumnRule.HASH:
            characters = hash_characters(facts)
            protected_columns[facts.name] = f"{rule.value} to {characters} characters"
        elif rule is not ColumnRule.KEEP:
            protected_columns[facts.name] = rule.value
    return protected_columns


def hash_characters(facts: ColumnFacts) -> int:
    """Return how many hexadecimal digits of the hash fit into a column."""
    length = LENGTH.search(facts.full_type)
    return min(int(length[1]), HASH_CHARACTERS) if length else HASH_CHARACTERS


def hashed_columns(table: str, names: Iterable[str], rules: CaptureRules) -> frozenset[str]:
    """Return the columns of a table that are hashed."""
    return frozenset(
        name for name in names if rules.column_rule(table, name) is ColumnRule.HASH
    )


def shown_columns(table: MysqlTable) -> Mapping[str, str]:
    """Return the SQL expression of each column of a protected table, by column."""
    return {
        read_column.name: read_column.expression or quoted(read_column.name)
        for read_column in table.columns
    }


def _protected(read_column: ReadColumn, rule: ColumnRule, salt: str) -> ReadColumn:
    if rule is ColumnRule.MASK:
        return replace(read_column, expression=f"'{MASK}'")
    if rule is ColumnRule.HASH:
        text = f"CONVERT({quoted(read_column.name)} USING utf8mb4)"
        digest = f"SHA2(CONCAT(_utf8mb4'{salt}', {text}), 256)"
        characters = hash_characters(read_column.facts)
        return replace(read_column, expression=f"LEFT({digest}, {characters})")
    return read_column
