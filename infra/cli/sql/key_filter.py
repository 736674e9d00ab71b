"""The keys of a table of live counts that a statement can need, read from DuckDB's own parse tree.

Cassandra answers for a key at once, and for all keys as fast as it can read them. A filter is used
only where it is beyond doubt: a statement's rows never depend on the rows that are left out. Where
it is not, all rows are read.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# More keys than this are not worth their requests.
MAX_KEYS = 200
# In these joins a row reaches WHERE by its own values alone, however many rows are beside it.
JOINS_BY_CONDITION = ("REGULAR", "CROSS")
ORDINARY_JOINS = ("INNER", "LEFT", "RIGHT")
LONG_LOWEST = -(2**63)
LONG_HIGHEST = 2**63 - 1

Node = dict[str, Any]


@dataclass(frozen=True)
class TableUse:
    """Where a statement names a table: its schema and name, the select around it, and the name by
    which that select's columns refer to it.
    """

    schema: str
    table: str
    alias: str
    select: Node
    is_alone: bool


def statement_keys(tree_json: str, schema: str, table: str, key: str) -> list[int] | None:
    """Return the values of the column `key` in the rows that a statement needs of a table.

    `tree_json` is what DuckDB's json_serialize_sql returns for it. None: all rows are needed. The
    values are whole numbers of 64 bits.

    A use of a table that is in the FROM of a select, below nothing but ordinary joins, needs only
    the rows that fulfil a condition which stands, joined by AND, in the WHERE of that select. The
    table's rows are read once, so that all its uses have to agree on having such a condition.
    """
    try:
        tree = json.loads(tree_json)
    except ValueError:
        return None
    if tree.get("error", True):
        return None
    uses = [use for use in _uses(tree) if use.schema == schema and use.table == table]
    mentions = sum(1 for node in _nodes(tree) if _is_table(node, schema, table))
    if not uses or len(uses) != mentions or any(map(_names_tables_in_text, _nodes(tree))):
        return None
    keys = set[int]()
    for use in uses:
        keys_of_use = _keys_of_use(use, key)
        if keys_of_use is None:
            return None
        keys |= keys_of_use
    return sorted(keys) if len(keys) <= MAX_KEYS else None


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, dict):
        yield value
        for child in value.values():
            yield from _nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from _nodes(child)


def _names_tables_in_text(node: Node) -> bool:
    """Whether an expression reads tables that the tree does not show."""
    return str(node.get("function_name", "")).lower() in ("query", "query_table")


def _is_table(node: Node, schema: str, table: str) -> bool:
    names = [
        str(node.get("schema_name", "")).lower(),
        str(node.get("table_name", "")).lower(),
    ]
    return node.get("type") == "BASE_TABLE" and names == [schema, table]


def _uses(tree: Node) -> Iterator[TableUse]:
    """Yield the tables directly in the FROM of every select, also of inner ones."""
    for select in _nodes(tree):
        if select.get("type") != "SELECT_NODE" or "from_table" not in select:
            continue
        if select.get("sample"):
            continue
        tables = list(_joined_tables(select["from_table"]))
        for table in tables:
            if table.get("type") == "BASE_TABLE" and not _is_special(table):
                name = str(table.get("table_name", "")).lower()
                yield TableUse(
                    schema=str(table.get("schema_name", "")).lower(),
                    table=name,
                    alias=str(table.get("alias") or name).lower(),
                    select=select,
                    is_alone=len(tables) == 1,
                )


def _is_special(table: Node) -> bool:
    """Whether more than the rows of a table count: a sample of them, or other column names."""
    return any(table.get(part) for part in ("sample", "column_name_alias", "at_clause"))


def _joined_tables(node: Node) -> Iterator[Node]:
    """Yield the leaves of ordinary joins; another kind of join is a leaf itself."""
    is_ordinary = (
        node.get("type") == "JOIN"
        and node.get("ref_type", "") in JOINS_BY_CONDITION
        and node.get("join_type", "") in ORDINARY_JOINS
        and not node.get("sample")
    )
    if not is_ordinary:
        yield node
        return
    yield from _joined_tables(node["left"])
    yield from _joined_tables(node["right"])


def _keys_of_use(use: TableUse, key: str) -> set[int] | None:
    """Return the intersection of the conditions, None if there is none."""
    keys: set[int] | None = None
    for condition in _conjuncts(use.select.get("where_clause")):
        values = _values_of(condition, use, key)
        if values is not None:
            keys = values if keys is None else keys & values
    return keys


def _conjuncts(condition: Node | None) -> Iterator[Node]:
    if condition is None:
        return
    if condition.get("type") == "CONJUNCTION_AND":
        for child in condition["children"]:
            yield from _conjuncts(child)
    else:
        yield condition


def _values_of(condition: Node, use: TableUse, key: str) -> set[int] | None:
    """Return the values of `key = 7`, `7 = key` or `key IN (7, 8)`, None for another condition."""
    kind = condition.get("type")
    if kind == "COMPARE_EQUAL":
        left = condition["left"]
        right = condition["right"]
        column, constants = (left, [right]) if _is_key(left, use, key) else (right, [left])
    elif kind == "COMPARE_IN":
        column, *constants = condition["children"]
    else:
        return None
    if not _is_key(column, use, key):
        return None
    values = set[int]()
    for constant in constants:
        value = _whole_number(constant)
        if value is None:
            return None
        values.add(value)
    return values


def _is_key(node: Node, use: TableUse, key: str) -> bool:
    """Whether an expression is the key column of a use of the table, and no other table's."""
    if node.get("type") != "COLUMN_REF":
        return False
    names = [str(name).lower() for name in node.get("column_names", ())]
    if names == [key]:
        return use.is_alone
    return names == [use.alias, key]


def _whole_number(node: Node) -> int | None:
    """Return a constant of the statement if it is a whole number that fits 64 bits."""
    if node.get("type") != "VALUE_CONSTANT":
        return None
    literal = node.get("literal", {})
    text = str(literal.get("text", ""))
    if literal.get("kind") != "INTEGER" or not text.removeprefix("-").isdecimal():
        return None
    value = int(text)
    return value if LONG_LOWEST <= value <= LONG_HIGHEST else None
