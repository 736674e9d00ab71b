"""Names of MySQL's tables and columns as Hive and Parquet can have them. Pure.

Hive has no names with other characters than letters, digits and `_`, and does not distinguish
upper from lower case.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence

HASH_DIGITS = 6
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def readable_table_name(table: str) -> str:
    """Return a table's name with `_` for every character that Hive does not have.

    A name of which nothing is left to read becomes `t_` with a hash.
    """
    name = re.sub(r"[^a-z0-9_]", "_", table.lower())
    return name if name.strip("_") else f"t_{name_hash(table)}"


def distinct_name(name: str, original: str) -> str:
    """Return a name that no other original has, too."""
    return f"{name}_{name_hash(original)}"


def name_hash(original: str) -> str:
    """Return what distinguishes a name in MySQL from others that look like it in Hive."""
    return hashlib.sha256(original.encode()).hexdigest()[:HASH_DIGITS]


def column_names(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names in Hive of a table's columns, or of a struct's fields, in their order.

    Letters keep their case, which only Parquet's readers see. A plain name stays; another one has
    `_` for other characters and before a leading digit. It gets a hash where it would look like
    any other column, so that the names do not depend on the order of the columns.
    """
    names = [_readable_column_name(column) for column in columns]
    counts = Counter(name.lower() for name in names)
    distinct_names = []
    for column, name in zip(columns, names, strict=True):
        is_shared = counts[name.lower()] > 1 and not PLAIN.fullmatch(column)
        distinct_names.append(distinct_name(name, column) if is_shared else name)
    return tuple(distinct_names)


def hive_columns(columns: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return columns (name, Hive type) with their names in Hive."""
    names = column_names([name for name, _ in columns])
    kinds = [kind for _, kind in columns]
    return tuple((name.lower(), kind) for name, kind in zip(names, kinds, strict=True))


def _readable_column_name(column: str) -> str:
    if PLAIN.fullmatch(column):
        return column
    name = re.sub(r"[^A-Za-z0-9_]", "_", column)
    return f"_{name}" if name[:1].isdigit() else name
