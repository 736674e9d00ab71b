"""The tables that a DDL statement in MySQL's binary log concerns, as far as its words tell."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.ddl.alter_table import AlterTable
from schemas.ddl.parser import IndexStatement, RenameTables, altered_table, parse
from schemas.ddl.tokens import NotUnderstood, TableName
from schemas.sql_tokens import MYSQL, Kind, mentioned_names

# Words after RENAME in an ALTER TABLE that renames something else than the table.
RENAMED_PARTS = ("COLUMN", "INDEX", "KEY")
# Kinds of objects in MySQL's statements that begin with these words (MySQL 9 manual, 15.1, 15.7). A
# statement about another one than tables and what holds them changes no row and no column.
OBJECT_VERBS = ("CREATE", "ALTER", "DROP", "RENAME")
TABLE_OBJECTS = ("TABLE", "TABLES", "INDEX", "DATABASE", "SCHEMA", "TABLESPACE")
OTHER_OBJECTS = (
    *("VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "LIBRARY"),
    *("USER", "ROLE", "SERVER", "INSTANCE", "RESOURCE", "REFERENCE", "LOGFILE"),
)
# Statements that read tables, or rewrite them as they are.
READING_VERBS = (
    "ANALYZE",
    "CHECK",
    "OPTIMIZE",
    "REPAIR",
    "FLUSH",
    "GRANT",
    "REVOKE",
    "SET",
)


@dataclass(frozen=True)
class Rename:
    """The name of a table before and after a statement, and those of columns that it renames.

    `new` is empty if the table leaves the database.
    """

    old: str
    new: str
    columns: tuple[tuple[str, str], ...] = ()


def may_change_tables(statement: str) -> bool:
    """Return whether a DDL statement may change a table or its rows; True for an unknown one."""
    words = []
    for token in MYSQL.tokens(statement):
        if token.kind is Kind.WORD:
            words.append(token.text.upper())
    if words[:1] and words[0] in READING_VERBS:
        return False
    if words[:1] and words[0] in OBJECT_VERBS:
        objects = [word for word in words if word in (*TABLE_OBJECTS, *OTHER_OBJECTS)]
        is_about_tables = not objects or objects[0] in TABLE_OBJECTS
        return is_about_tables and not _adds_search_index(statement)
    return True


def _adds_search_index(statement: str) -> bool:
    """Return whether a statement adds an index that changes nothing else: Debezium records none."""
    try:
        parsed = parse(statement)
    except NotUnderstood:
        return False
    return isinstance(parsed, IndexStatement) and parsed.adds_search_index


def creates_if_absent(statement: str) -> bool:
    """Return whether a statement creates a table unless one of its name exists."""
    words = _words(_texts(statement)[:5])
    return words == ["CREATE", "TABLE", "IF", "NOT", "EXISTS"]


def truncates_table(statement: str) -> bool:
    """Return whether a statement is a TRUNCATE TABLE."""
    return _words(_texts(statement)[:1]) == ["TRUNCATE"]


def inserts_rows(statement: str) -> bool:
    """Return whether a DDL statement fills the table that it creates: CREATE TABLE … SELECT.

    In row format MySQL logs it as a CREATE TABLE without SELECT, and rows. Temporary tables do not
    count.
    """
    words = []
    for token in MYSQL.tokens(statement):
        if token.kind is Kind.WORD:
            words.append(token.text.upper())
    is_create = words[:2] == ["CREATE", "TABLE"]
    return is_create and not {"SELECT", "TABLE", "ROW"}.isdisjoint(words[2:])


def created_temporary_table(statement: str) -> str | None:
    """Return the name of the temporary table that a statement creates, without its database."""
    texts = _texts(statement)
    if _words(texts[:3]) != ["CREATE", "TEMPORARY", "TABLE"]:
        return None
    return next((name for _, name in _name(texts[3:])), None)


def created_tables(statement: str, default_database: str) -> list[tuple[str, str]]:
    """Return database and name of the tables that exist after a statement and not before it.

    Those of CREATE TABLE, RENAME TABLE and ALTER TABLE … RENAME.
    """
    texts = _texts(statement)
    match _words(texts[:2]):
        case ["CREATE", "TABLE"]:
            names = _name(texts[2:])
        case ["RENAME", "TABLE" | "TABLES"]:
            names = []
            for place in _places(texts, "TO"):
                names += _name(texts[place + 1 :])
        case ["ALTER", "TABLE"]:
            names = []
            for place in _places(texts, "RENAME"):
                rest = texts[place + 1 :]
                if not rest or rest[0].upper() in RENAMED_PARTS:
                    continue
                prefix = rest[0].upper() in ("TO", "AS", "=")
                names += _name(rest[prefix:])
        case _:
            return []
    return [(database or default_database, name) for database, name in names]


def moved_tables(statement: str, default_database: str, database: str) -> set[str]:
    """Return the tables that a statement moves from a database into others, without those of which
    another table gets the name.
    """
    tables: set[str] = set()
    for pair in _renames(statement):
        old_name, new_name = pair
        is_ours, stays_ours = (
            (name.database or default_database).lower() == database.lower() for name in pair
        )
        if stays_ours:
            tables.discard(new_name.table)
        elif is_ours:
            tables.add(old_name.table)
    return tables


def _renames(statement: str) -> Sequence[tuple[TableName, TableName]]:
    """Return the old and new names of tables, also of an ALTER TABLE that is not understood."""
    try:
        parsed = parse(statement)
    except NotUnderstood:
        old_name = altered_table(statement)
        new_names = created_tables(statement, "") if old_name else []
        return [(old_name, TableName(*name)) for name in new_names if old_name]
    if isinstance(parsed, RenameTables):
        return parsed.pairs
    if isinstance(parsed, AlterTable) and parsed.new_name is not None:
        return [(parsed.table, parsed.new_name)]
    return []


def renames(statement: str, default_database: str, database: str) -> list[Rename]:
    """Return what a statement renames of a database's tables, one after the other.

    Of an ALTER TABLE without a new name for the table both names are the same.
    """
    try:
        parsed = parse(statement)
    except NotUnderstood:
        return []
    columns: tuple[tuple[str, str], ...] = ()
    if isinstance(parsed, RenameTables):
        pairs = list(parsed.pairs)
    elif isinstance(parsed, AlterTable):
        pairs = [(parsed.table, parsed.new_name or parsed.table)]
        columns = tuple(
            (change.old_name, change.new_name)
            for change in parsed.changed
            if change.old_name.lower() != change.new_name.lower()
        )
    else:
        return []
    found_renames = []
    for old_name, new_name in pairs:
        if (old_name.database or default_database).lower() != database.lower():
            continue
        stays = (new_name.database or default_database).lower() == database.lower()
        rename = Rename(old_name.table, new_name.table if stays else "", columns)
        if columns or rename.old != rename.new:
            found_renames.append(rename)
    return found_renames


def unclear_renames(statement: str) -> frozenset[str]:
    """Return the names in a statement that renames something in a way that is not understood."""
    try:
        parse(statement)
    except NotUnderstood:
        names = mentioned_names(statement)
        return names if names & {"rename", "change"} else frozenset()
    return frozenset()


def drops_database(statement: str, database: str) -> bool:
    """Return whether a statement drops the database."""
    texts = _texts(statement)
    is_drop = _words(texts[:2]) in (["DROP", "DATABASE"], ["DROP", "SCHEMA"])
    return is_drop and texts[-1].lower() == database.lower()


def _texts(statement: str) -> list[str]:
    """Return the tokens of a statement without comments and quotes of names."""
    texts = []
    for token in MYSQL.tokens(statement):
        if not token.is_blank:
            texts.append(token.name or token.text)
    return texts


def _words(texts: list[str]) -> list[str]:
    return [text.upper() for text in texts]


def _places(texts: list[str], word: str) -> list[int]:
    return [place for place, text in enumerate(texts) if text.upper() == word]


def _name(texts: list[str]) -> list[tuple[str, str]]:
    """Return the name with which tokens begin, behind IF NOT EXISTS, and its database or ""."""
    rest = texts[3:] if _words(texts[:3]) == ["IF", "NOT", "EXISTS"] else texts
    if rest[1:2] == ["."] and len(rest) > 2:
        return [(rest[0], rest[2])]
    return [("", rest[0])] if rest else []
