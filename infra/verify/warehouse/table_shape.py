"""The tables of MySQL as the proof sees them: columns, key, and each column's canonical form."""

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from connectors.mysql.client import Connection
from infra.verify.warehouse.canonical_values import (
    CanonicalForm,
    MysqlColumn,
    canonical_form,
    row_sql,
    zero_date_sql,
)
from schemas.capture_rules import MASK, CaptureRules, ColumnRule
from schemas.errors import ContractError
from schemas.shop_tables import quoted

ALL_CAPTURED = CaptureRules()
HASH_DIGITS = 64
# Types of a first key column of which MySQL's order agrees with comparisons with literals, so that
# its ranges divide the rows.
RANGE_TYPES = frozenset(
    {
        "tinyint",
        "smallint",
        "mediumint",
        "int",
        "bigint",
        "decimal",
        "date",
        "datetime",
        "timestamp",
        "char",
        "varchar",
        "binary",
        "varbinary",
    }
)
COLUMNS_SQL = """\
SELECT c.table_name AS t, column_name AS name, data_type AS kind, column_type AS full_type,
  numeric_scale AS scale, datetime_precision AS fraction, character_maximum_length AS length
FROM information_schema.columns c
JOIN information_schema.tables t
  ON t.table_schema = c.table_schema AND t.table_name = c.table_name AND t.table_type = 'BASE TABLE'
WHERE c.table_schema = %s AND COALESCE(t.engine, '') NOT IN ('BLACKHOLE', 'MRG_MYISAM', 'FEDERATED')
ORDER BY c.table_name, ordinal_position"""
KEYS_SQL = """\
SELECT table_name AS t, column_name AS name
FROM information_schema.key_column_usage
WHERE table_schema = %s AND constraint_name = 'PRIMARY'
ORDER BY table_name, ordinal_position"""


@dataclass(frozen=True)
class TableShape:
    """A table: its name, its columns in their order, and its primary key (empty for none).

    Rows are identified by the key, or by all columns if no key tells rows apart.
    """

    name: str
    columns: tuple[MysqlColumn, ...]
    key: tuple[str, ...]

    @cached_property
    def forms(self) -> dict[str, CanonicalForm]:
        """The canonical form of each column. Raises ContractError for a type that has none."""
        try:
            return {column.name: canonical_form(column) for column in self.columns}
        except ContractError as error:
            raise ContractError(f"table {self.name}: {error}", error.hint) from error

    @property
    def column_names(self) -> list[str]:
        """The names of the columns, in their order."""
        return [column.name for column in self.columns]

    @cached_property
    def has_distinct_keys(self) -> bool:
        """Whether the texts of two rows' keys differ. Two floats may have the same text."""
        key_columns = [column for column in self.columns if column.name in self.key]
        return bool(self.key) and not any(
            column.data_type == "float" for column in key_columns
        )

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """The columns by whose texts the rows of both sides are paired.

        Without a key, these are all columns of which equal values have equal texts.
        """
        if self.has_distinct_keys:
            return self.key
        exact_columns = [
            name for name in self.column_names if not self.forms[name].compared_sql
        ]
        return tuple(exact_columns)

    @property
    def range_column(self) -> str | None:
        """The column by whose ranges the table is read, None if it is read in one query."""
        if not self.key:
            return None
        first = next(column for column in self.columns if column.name == self.key[0])
        return first.name if first.data_type in RANGE_TYPES else None

    def text_sql(self, column: str) -> str:
        """Return the SQL of a column's canonical text."""
        return self.forms[column].sql.format(c=self._value_sql(column))

    def compared_sql(self, column: str) -> str:
        """Return the SQL of what single rows are compared by."""
        form = self.forms[column]
        sql = form.compared_sql or form.sql
        return sql.format(c=self._value_sql(column))

    def key_sql(self) -> str:
        """Return the SQL of the text by which a row is identified."""
        return row_sql([self.text_sql(column) for column in self.identity])

    def zero_dates_sql(self) -> str:
        """Return the SQL of how many zero dates a row has."""
        counts = ["0"]
        for column in self.columns:
            condition = zero_date_sql(column)
            if condition:
                counts.append(f"IFNULL({condition.format(c=column.value_sql)}, 0)")
        return " + ".join(counts)

    def row_sql(self) -> str:
        """Return the SQL of a row's text."""
        return row_sql([self.text_sql(column) for column in self.column_names])

    def _value_sql(self, name: str) -> str:
        return next(column.value_sql for column in self.columns if column.name == name)


def table_shapes(
    connection: Connection,
    database: str,
    rules: CaptureRules = ALL_CAPTURED,
    salt: str = "",
) -> dict[str, TableShape]:
    """Return the captured tables of a database as they are now, by name: with the columns that the
    rules do not leave out, and with what the warehouse should have of protected ones. Tables whose
    rows MySQL does not log under their name are not captured.

    `salt` is that of hashed columns. Raises Unavailable.
    """
    columns: defaultdict[str, list[MysqlColumn]] = defaultdict(list)
    for row in connection.query(COLUMNS_SQL, (database,)):
        if not rules.captures(row["t"]):
            continue
        rule = rules.column_rule(row["t"], row["name"])
        if rule is not ColumnRule.LEAVE_OUT:
            columns[row["t"]].append(protected_column(_column(row), rule, salt))
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for row in connection.query(KEYS_SQL, (database,)):
        keys[row["t"]].append(row["name"])
    shapes = {}
    for name, table_columns in columns.items():
        shapes[name] = TableShape(name, tuple(table_columns), tuple(keys[name]))
    return shapes


def protected_column(column: MysqlColumn, rule: ColumnRule, salt: str) -> MysqlColumn:
    """Return a column as the warehouse should have it, by the rule for it.

    The hash is that of the salt's and the text's bytes in UTF-8, in hexadecimal, as many digits as
    the column has characters. NULL stays NULL, and is masked too.
    """
    if rule is ColumnRule.MASK:
        return _text_column(column.name, f"'{MASK}'", len(MASK))
    if rule is ColumnRule.HASH:
        text = f"CAST(CONVERT({quoted(column.name)} USING utf8mb4) AS BINARY)"
        digest = f"SHA2(CONCAT(x'{salt.encode().hex()}', {text}), 256)"
        digits = min(column.length or HASH_DIGITS, HASH_DIGITS)
        return _text_column(column.name, f"SUBSTRING({digest}, 1, {digits})", digits)
    return column


def _text_column(name: str, expression: str, length: int) -> MysqlColumn:
    return MysqlColumn(
        name=name,
        data_type="varchar",
        column_type=f"varchar({length})",
        length=length,
        expression=expression,
    )


def _column(row: dict[str, Any]) -> MysqlColumn:
    data_type = _text(row["kind"])
    scale = row["scale"] if row["fraction"] is None else row["fraction"]
    return MysqlColumn(
        name=row["name"],
        data_type=data_type.lower(),
        column_type=_text(row["full_type"]),
        scale=_whole_number(scale),
        length=_whole_number(row["length"]),
    )


def _whole_number(value: Any) -> int | None:
    return None if value is None else int(value)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
