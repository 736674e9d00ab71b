"""What the generators of statements need to know of a table."""

import re
from dataclasses import dataclass

LABEL = re.compile(r"'((?:[^']|'')*)'")
INTEGERS = ("tinyint", "smallint", "mediumint", "int", "bigint")
TEXTS = ("char", "varchar", "tinytext", "text", "mediumtext", "longtext")


@dataclass(frozen=True, kw_only=True)
class ColumnState:
    """A column as MySQL's information schema describes it; `type` is its COLUMN_TYPE."""

    name: str
    type: str
    nullable: bool = True
    has_default: bool = False
    generated: bool = False
    numbered: bool = False

    @property
    def base_type(self) -> str:
        """The type without sizes, labels and attributes."""
        return re.split(r"[ (]", self.type.lower(), maxsplit=1)[0]

    @property
    def is_integer(self) -> bool:
        return self.base_type in INTEGERS

    @property
    def is_text(self) -> bool:
        return self.base_type in TEXTS

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of an ENUM or SET, as they are within quotes."""
        return tuple(LABEL.findall(self.type))


@dataclass(frozen=True, kw_only=True)
class TableState:
    """A table: its name, columns, key, partitions (by their `method`), and secondary indexes."""

    name: str
    columns: tuple[ColumnState, ...]
    key: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    method: str = ""
    indexes: tuple[str, ...] = ()

    @property
    def writable(self) -> tuple[ColumnState, ...]:
        """The columns that a statement may give a value."""
        return tuple(column for column in self.columns if not column.generated)

    @property
    def others(self) -> tuple[ColumnState, ...]:
        """The columns that are not in the key; never none."""
        columns = [column for column in self.columns if column.name not in self.key]
        return tuple(columns) or self.columns

    @property
    def number(self) -> ColumnState | None:
        """An integer column by which rows are chosen: one of the key's, if possible."""
        integers = [column for column in self.writable if column.is_integer]
        in_key = [column for column in integers if column.name in self.key]
        return next(iter([*in_key, *integers]), None)
