"""Statements that change a table (DDL), as Debezium's schema change topic records them, and what becomes of the rows that were there before.

MySQL logs no row for what a statement does to existing rows. What follows from the statement alone is carried over; the rest stops the table.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Position = tuple[int, int]  # number of the binlog file, position in it
START: Position = (-1, -1)


class Kind(Enum):
    """What a statement does to a table as a whole."""

    FOUND = "found"  # how a table stood when a snapshot began
    CREATE = "create"
    ALTER = "alter"
    RENAME = "rename"
    DROP = "drop"


@dataclass(frozen=True)
class Declared:
    """A column as MySQL has it: type in capitals, length and scale or None, its default as text or None, an ENUM's or SET's labels."""

    name: str
    type: str
    length: int | None = None
    scale: int | None = None
    optional: bool = True
    default: str | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shape:
    """A table's columns and key at one point of its history."""

    columns: tuple[Declared, ...]
    key: tuple[str, ...]

    def column(self, name: str) -> Declared | None:
        """A column by its name."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class Statement:
    """One statement about one table: `offset` in its topic, `position` in the binlog; `to` is a RENAME's new name, `shape` what the table is then.

    `gtid` is its place among the transactions, or nothing for what a snapshot found.
    """

    offset: int
    position: Position
    kind: Kind
    table: str
    text: str
    to: str = ""
    shape: Shape | None = None
    gtid: str = ""


@dataclass(frozen=True)
class Carry:
    """How rows get over a statement: names that change, columns that come with a value (None: NULL), columns that begin anew.

    With a `problem`, they do not.
    """

    renames: tuple[tuple[str, str], ...] = ()
    added: tuple[tuple[str, str | None], ...] = ()
    problem: str = ""


def statements(record: Mapping[str, Any], offset: int, database: str) -> list[Statement]:
    """The statements about tables in a record of the topic."""
    source = record["source"]
    if record["databaseName"] != database:
        return []
    found_so = source.get("snapshot") not in (None, "false")
    position = (int(str(source["file"]).rpartition(".")[2]), int(source["pos"]))
    text, gtid = " ".join(str(record["ddl"]).split()), "" if found_so else source.get("gtid") or ""
    found = [Statement(offset, position, Kind.RENAME, old, text, new, gtid=gtid) for old, new in renamed_tables(text)]
    for change in record["tableChanges"]:
        table, kind = str(change["id"]).split('"')[-2], Kind(change["type"].lower())
        if found_so and change.get("table"):
            found.append(Statement(offset, position, Kind.FOUND, table, text, shape=shape_of(change["table"])))
        elif not found_so and (kind is not Kind.ALTER or not text.upper().startswith("RENAME")):
            found.append(Statement(offset, position, kind, table, text, shape=shape_of(change.get("table")), gtid=gtid))
    return found


def shape_of(table: Mapping[str, Any] | None) -> Shape | None:
    """A table's shape from Debezium's description of it."""
    if table is None:
        return None
    return Shape(tuple(_declared(column) for column in table["columns"]), tuple(map(avro_name, table["primaryKeyColumnNames"])))


def _declared(column: Mapping[str, Any]) -> Declared:
    labels = tuple(column.get("enumValues") or ())
    kind = str(column["typeName"]).upper()
    return Declared(avro_name(column["name"]), kind, column["length"], column["scale"], column["optional"], column["defaultValueExpression"], labels)


def avro_name(name: str) -> str:
    """A column's name in the log (Debezium's `field.name.adjustment.mode=avro`)."""
    adjusted = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return f"_{adjusted}" if adjusted[:1].isdigit() else adjusted


IDENT = r"(`(?:[^`]|``)+`|[\w$]+)"
QUALIFIED = rf"(?:{IDENT}\s*\.\s*)?{IDENT}"
COMMENT = re.compile(r"/\*.*?\*/|--\s[^\n]*|#[^\n]*", re.DOTALL)
TOKEN = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`(?:[^`]|``)+`|.", re.DOTALL)
# Values that MySQL works out, and rows that vanish without a record.
COMPUTED = re.compile(
    r"\bGENERATED\b|\bAS\s*\(|\bDEFAULT\s*\(|\bCURRENT_TIMESTAMP\b|\bNOW\s*\(|\bLOCALTIME|\bAUTO_INCREMENT\b|\bSERIAL\b", re.IGNORECASE
)
SILENT = re.compile(r"\b(?:DROP|TRUNCATE|EXCHANGE|DISCARD|IMPORT)\s+(?:PARTITION|TABLESPACE)\b", re.IGNORECASE)
NO_COLUMN = ("PRIMARY", "INDEX", "KEY", "FOREIGN", "CHECK", "CONSTRAINT", "PARTITION", "UNIQUE", "FULLTEXT", "SPATIAL")


def renamed_tables(text: str) -> list[tuple[str, str]]:
    """The renames of tables in a statement, in their order."""
    if found := re.match(r"RENAME\s+TABLES?\s+(.*)", text, re.IGNORECASE):
        pairs = (re.fullmatch(rf"{QUALIFIED}\s+TO\s+{QUALIFIED}", part.strip(), re.IGNORECASE) for part in _parts(found[1]))
        return [(_bare(pair[2]), _bare(pair[4])) for pair in pairs if pair]
    table, clauses = _clauses(text)
    for clause in clauses:
        if found := re.fullmatch(rf"RENAME\s+(?:(?:TO|AS|=)\s*)?{QUALIFIED}", clause, re.IGNORECASE):
            return [(table, _bare(found[2]))]
    return []


def carry(before: Shape, statement: Statement) -> Carry:
    """How the rows of a table of that shape get over an ALTER."""
    after = statement.shape
    assert after is not None
    if SILENT.search(statement.text):
        return Carry(problem="it changes or removes rows that the log does not name")
    renames, dropped = _column_changes(statement.text)
    names = dict(renames)
    standing = {names.get(column.name, column.name): column for column in before.columns if column.name not in dropped}
    added: list[tuple[str, str | None]] = []
    for column in after.columns:
        old = standing.get(column.name)
        if old is None:
            value, problem = _first_value(column, statement.text)
            added.append((column.name, value))
        else:
            problem = "" if carries(old, column) else f"the values of column {column.name} change from {_shown(old)} to {_shown(column)}"
        if problem:
            return Carry(problem=problem)
    return Carry(tuple(renames), tuple(added))


def _column_changes(text: str) -> tuple[list[tuple[str, str]], set[str]]:
    """The columns that an ALTER renames, and the ones that it drops (also when it adds one of the same name)."""
    renames, dropped = [], set()
    for clause in _clauses(text)[1]:
        if found := re.match(rf"(?:CHANGE\s+(?:COLUMN\s+)?{IDENT}\s+|RENAME\s+COLUMN\s+{IDENT}\s+TO\s+){IDENT}", clause, re.IGNORECASE):
            old, new = avro_name(_bare(found[1] or found[2])), avro_name(_bare(found[3]))
            renames += [(old, new)] if old != new else []
        elif (found := re.fullmatch(rf"DROP\s+(?:(COLUMN)\s+)?{IDENT}(?:\s+(?:RESTRICT|CASCADE))?", clause, re.IGNORECASE)) and (
            found[1] or found[2].upper() not in NO_COLUMN
        ):
            dropped.add(avro_name(_bare(found[2])))
    return renames, dropped


def _first_value(column: Declared, text: str) -> tuple[str | None, str]:
    """What rows that are there already get in a new column (as MySQL's text, None for NULL), or why that cannot be told."""
    if COMPUTED.search(text):
        return None, f"MySQL works out the values of the new column {column.name}"
    if column.default is None and column.optional:
        return None, ""
    kind = column.type.partition(" ")[0]
    known = column.default if column.default is not None else IMPLICIT.get(FAMILY.get(kind, ""), column.labels[0] if column.labels else None)
    if known is None or (FAMILY.get(kind) in (None, "binary", "bit", "json", "instant") and column.default is not None) or "\\" in known:
        return None, f"the first value of the new column {column.name} ({_shown(column)}) cannot be told from the statement"
    return _unquoted(known, kind), ""


def _unquoted(value: str, kind: str) -> str:
    if kind in ("BOOLEAN", "BOOL"):
        return "1" if value.upper() in ("TRUE", "1") else "0"
    return (value[1:-1] if value[:1] == value[-1:] == "'" and len(value) > 1 else value).replace("''", "'")


INTEGERS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "INTEGER": 32, "BIGINT": 64}
TEXTS = {"CHAR": 0, "VARCHAR": 0, "TINYTEXT": 255, "TEXT": 2**16 - 1, "MEDIUMTEXT": 2**24 - 1, "LONGTEXT": 2**32 - 1}
BLOBS = {"VARBINARY": 0, "TINYBLOB": 255, "BLOB": 2**16 - 1, "MEDIUMBLOB": 2**24 - 1, "LONGBLOB": 2**32 - 1}
FAMILY = {
    **dict.fromkeys(INTEGERS, "number"), **dict.fromkeys(("DECIMAL", "NUMERIC", "FLOAT", "DOUBLE", "REAL", "BOOLEAN", "BOOL"), "number"),
    **dict.fromkeys(TEXTS, "text"), "SET": "text", "ENUM": "label", "DATE": "day", "DATETIME": "moment", "TIME": "clock", "YEAR": "year",
    "TIMESTAMP": "instant", **dict.fromkeys(BLOBS, "binary"), "BINARY": "binary", "BIT": "bit", "JSON": "json",
}  # fmt: skip
IMPLICIT = {"number": "0", "text": "", "clock": "00:00:00"}


def carries(old: Declared, new: Declared) -> bool:
    """Whether every value of the old type is the same value in the new one."""
    if (old.type, old.length, old.scale, old.labels) == (new.type, new.length, new.scale, new.labels):
        return True
    before, after = old.type.partition(" ")[0], new.type.partition(" ")[0]
    if before in INTEGERS and after in INTEGERS:
        low, high = _range(old.type)
        lowest, highest = _range(new.type)
        return lowest <= low and high <= highest
    if before == after == "DECIMAL":
        return _digits(old) <= _digits(new) and (old.scale or 0) <= (new.scale or 0) and ("UNSIGNED" not in new.type or "UNSIGNED" in old.type)
    for widths in (TEXTS, BLOBS):
        if before in widths and after in widths:
            return _width(old, widths) <= _width(new, widths)
    if before == after and before in ("ENUM", "SET"):
        return set(old.labels) <= set(new.labels)
    return before == after and before in ("DATETIME", "TIMESTAMP", "TIME") and (old.length or 0) <= (new.length or 0)


def _range(kind: str) -> tuple[int, int]:
    bits = INTEGERS[kind.partition(" ")[0]]
    return (0, 2**bits - 1) if "UNSIGNED" in kind else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _digits(column: Declared) -> int:
    """The digits before the point."""
    return (column.length or 10) - (column.scale or 0)


def _width(column: Declared, widths: Mapping[str, int]) -> int:
    return widths[column.type.partition(" ")[0]] or column.length or 1


def _shown(column: Declared) -> str:
    """A column's type for people."""
    size = ",".join(str(part) for part in (column.length, column.scale) if part is not None)
    return f"{column.type}({size})" if size and not column.labels else column.type


def _clauses(text: str) -> tuple[str, list[str]]:
    """The table of an ALTER TABLE and its clauses; no clauses for another statement."""
    found = re.match(rf"ALTER\s+TABLE\s+{QUALIFIED}\s*(.*)", COMMENT.sub(" ", text), re.IGNORECASE | re.DOTALL)
    return (_bare(found[2]), _parts(found[3])) if found else ("", [])


def _parts(text: str) -> list[str]:
    """A text cut at its commas, but not at those inside brackets and quotes."""
    parts, depth = [""], 0
    for mark in TOKEN.findall(text):
        depth += {"(": 1, ")": -1}.get(mark, 0)
        if mark == "," and not depth:
            parts.append("")
        else:
            parts[-1] += mark
    return [part.strip() for part in parts]


def _bare(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name
