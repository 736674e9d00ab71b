"""The rules of what is captured of the database: tables by name, and columns by name. Pure.

A pattern is a name in which `*` stands for any characters and `?` for one; letter case does not
count. Debezium, the re-read and the proof all follow the same expressions, each in its own place.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from schemas.errors import SettingsError

WILDCARDS = {"*": ".*", "?": "."}
# MySQL's engines, in lower case, of tables that are not captured, and why: their rows are not what
# is logged under the table's name.
UNLOGGED_ENGINES = {
    "federated": "its rows are another server's, which are not in this one's binary log",
    "mrg_myisam": "its rows are other tables' too: a change under one name is not logged under the "
    "other",
    "blackhole": "it keeps no rows: what is logged can never be compared",
}
# What a masked column holds in every row, also where MySQL has NULL.
MASK = "***"
FLAGS = re.IGNORECASE | re.DOTALL


def has_logged_rows(engine: str) -> bool:
    """Return whether the rows of a table with an engine of MySQL are those that MySQL logs."""
    return engine.lower() not in UNLOGGED_ENGINES


class ColumnRule(Enum):
    """What becomes of a column's values at the source."""

    KEEP = "kept"
    LEAVE_OUT = "left out"
    MASK = "masked"
    HASH = "hashed"

    @property
    def setting(self) -> str:
        """The setting that asks for it; empty for KEEP."""
        return SETTINGS.get(self, "")


SETTINGS = {
    ColumnRule.LEAVE_OUT: "mysql.leave_out_columns",
    ColumnRule.MASK: "mysql.mask_columns",
    ColumnRule.HASH: "mysql.hash_columns",
}


@dataclass(frozen=True, kw_only=True)
class CaptureRules:
    """The patterns of the settings. Without any, all tables are captured as they are."""

    include_tables: tuple[str, ...] = ()
    exclude_tables: tuple[str, ...] = ()
    leave_out_columns: tuple[str, ...] = ()
    mask_columns: tuple[str, ...] = ()
    hash_columns: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether all tables are captured as they are."""
        return self == CaptureRules()

    def captures(self, table: str) -> bool:
        """Return whether a table is captured."""
        if self._expressions.include and not self._expressions.include.fullmatch(table):
            return False
        excluded = self._expressions.exclude
        return excluded is None or excluded.fullmatch(table) is None

    def conflict(self, table: str) -> str:
        """Return what is wrong if a table is included and excluded; empty if it is not both."""
        include = self._expressions.include
        if include and include.fullmatch(table) and not self.captures(table):
            return (
                f"mysql.include_tables and mysql.exclude_tables both have a pattern for the "
                f"table {table}: change one of the two"
            )
        return ""

    def column_rule(self, table: str, column: str) -> ColumnRule:
        """Return the rule of a column. Of several that name it, the one that shows least."""
        name = f"{table}.{column}"
        for rule, expression in self._expressions.columns:
            if expression.fullmatch(name):
                return rule
        return ColumnRule.KEEP

    def column_rules(self, table: str, columns: Iterable[str]) -> dict[str, ColumnRule]:
        """Return the rules of those columns of a table that are not kept as they are."""
        rules = {column: self.column_rule(table, column) for column in columns}
        return {
            column: rule for column, rule in rules.items() if rule is not ColumnRule.KEEP
        }

    @cached_property
    def _expressions(self) -> "_Expressions":
        columns = []
        for rule, patterns in (
            (ColumnRule.LEAVE_OUT, self.leave_out_columns),
            (ColumnRule.MASK, self.mask_columns),
            (ColumnRule.HASH, self.hash_columns),
        ):
            compiled = _compiled(patterns)
            if compiled is not None:
                columns.append((rule, compiled))
        return _Expressions(
            _compiled(self.include_tables), _compiled(self.exclude_tables), tuple(columns)
        )


@dataclass(frozen=True)
class _Expressions:
    include: re.Pattern[str] | None
    exclude: re.Pattern[str] | None
    columns: tuple[tuple[ColumnRule, re.Pattern[str]], ...]


def expression(pattern: str) -> str:
    """Return the regular expression of a pattern, which Python and Java read alike."""
    parts = [WILDCARDS.get(character, re.escape(character)) for character in pattern]
    return "".join(parts)


def any_expression(patterns: Iterable[str]) -> str:
    """Return the regular expression of some patterns, for Python and Java."""
    return f"(?:{'|'.join(map(expression, patterns))})"


def table_patterns(setting: str, text: str) -> tuple[str, ...]:
    """Return the patterns of a setting of tables. Raises SettingsError naming the setting."""
    patterns = _patterns(setting, text)
    for pattern in patterns:
        if "." in pattern:
            raise SettingsError(
                f"{setting}: {pattern} has a point, and names no table of the captured database",
                "write the table's name without its database; ? stands for any character",
            )
    return patterns


def column_patterns(setting: str, text: str) -> tuple[str, ...]:
    """Return the patterns of a setting of columns. Raises SettingsError naming the setting."""
    patterns = _patterns(setting, text)
    for pattern in patterns:
        table, _, column = pattern.partition(".")
        if not table or not column or "." in column:
            raise SettingsError(
                f"{setting}: {pattern} is no column of a table",
                "write table.column, such as user.name or *.email; ? stands for any character",
            )
    return patterns


def _patterns(setting: str, text: str) -> tuple[str, ...]:
    if not text.strip():
        return ()
    patterns = tuple(part.strip() for part in text.split(","))
    for pattern in patterns:
        if not pattern:
            raise SettingsError(
                f"{setting}: an empty pattern in {text!r}",
                "write one comma between patterns",
            )
        unknown = next(
            (character for character in pattern if character in "[]{}\\`'\""), ""
        )
        if unknown:
            raise SettingsError(
                f"{setting}: {pattern} has the character {unknown}",
                "patterns know * (any characters) and ? (any one character)",
            )
    return patterns


def _compiled(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    return re.compile(any_expression(patterns), FLAGS) if patterns else None
