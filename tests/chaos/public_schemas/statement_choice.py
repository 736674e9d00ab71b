"""Which statements of a script are played: those about tables, views and routines.

The others are about the server, its accounts and its other databases, which belong to the stack.
"""

from tests.chaos.public_schemas.sql_tokens import tokens, words

SYSTEM_DATABASES = ("mysql", "information_schema", "performance_schema", "sys")
OBJECTS = ("TABLE", "TABLES", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "INDEX")
# Objects that are not played; of all these words, the first one in a statement decides.
OTHER_OBJECTS = (
    "DATABASE",
    "EVENT",
    "INSTANCE",
    "LIBRARY",
    "LOGFILE",
    "REFERENCE",
    "RESOURCE",
    "ROLE",
    "SCHEMA",
    "SERVER",
    "TABLESPACE",
    "UNDO",
    "USER",
)
PLAYED = {
    "ANALYZE",
    "BEGIN",
    "CALL",
    "CHECK",
    "COMMIT",
    "DELETE",
    "INSERT",
    "OPTIMIZE",
    "RELEASE",
    "REPAIR",
    "REPLACE",
    "ROLLBACK",
    "SAVEPOINT",
    "SOURCE",
    "TRUNCATE",
    "UNLOCK",
    "UPDATE",
}
QUERIES = {"SELECT", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "WITH", "DO", "HELP", "VALUES"}
# Words of a SET that changes more than its session, or hides the session from the log.
GLOBAL_SETTINGS = (
    "global",
    "persist",
    "password",
    "role",
    "sql_log_bin",
    "gtid_",
    "binlog_",
    "resource",
)


def reason_left_out(statement: str) -> str:
    """Return why a statement is not played, "" if it is."""
    found = words(statement)
    if not found:
        return "no statement"
    first = found[0]
    second = found[1] if len(found) > 1 else ""
    if first in QUERIES:
        return "query"
    if _names_a_system_database(statement):
        return "system database"
    if "TABLESPACE" in found and {"DISCARD", "IMPORT"} & set(found):
        return "tablespace"
    if "SONAME" in found:
        return "library"
    if first in ("CREATE", "ALTER", "DROP", "RENAME"):
        known = (word for word in found[1:] if word in (*OBJECTS, *OTHER_OBJECTS))
        kind = next(known, second)
        return "" if kind in OBJECTS else f"{first} {kind}"
    if first == "SET":
        text = statement.lower()
        is_global = any(setting in text for setting in GLOBAL_SETTINGS)
        return "SET of the server" if is_global else ""
    if first in ("START", "LOCK"):
        return "" if second in ("TRANSACTION", "TABLE", "TABLES") else f"{first} {second}"
    return "" if first in PLAYED else first


def _names_a_system_database(statement: str) -> bool:
    before = ""
    for token in tokens(statement):
        if token.text == "." and before in SYSTEM_DATABASES:
            return True
        before = token.identifier.lower() or before * (token.kind == "space")
    return False
