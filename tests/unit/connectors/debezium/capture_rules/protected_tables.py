"""Tables with protected columns, and the record of the rules for them."""

from connectors.debezium.binlog_watch.logged_statements import Rename
from connectors.debezium.binlog_watch.watch_state import DdlStatement
from connectors.debezium.capture_rules.rules_comparison import RulesChange, compare_rules
from connectors.debezium.capture_rules.rules_record import RulesRecord
from connectors.debezium.capture_rules.table_columns import TableColumns
from connectors.mysql.column_types import ColumnFacts
from schemas.capture_rules import CaptureRules

RULES = CaptureRules(hash_columns=("user.email",), exclude_tables=("tmp*",))
NOTHING = RulesRecord()


def table(*columns: str, key: str = "id") -> TableColumns:
    """Return a table of texts and its key. `email:9` has nine characters."""
    facts = []
    for column in columns:
        name, _, length = column.partition(":")
        facts.append(ColumnFacts(name, "varchar", f"varchar({length or 100})"))
    return TableColumns(tuple(facts), frozenset({key}))


USER = table("id", "email")
TABLES = {"user": USER, "orders": table("id"), "tmp1": table("id")}


def compare(
    tables: dict[str, TableColumns], record: RulesRecord, rules: CaptureRules = RULES
) -> RulesChange:
    return compare_rules(rules, "salt", tables, record)


APPLIED = compare(TABLES, NOTHING).record


def statement(
    *renames: Rename, names: tuple[str, ...] = ("user",), unclear: tuple[str, ...] = ()
) -> DdlStatement:
    return DdlStatement(gtid="a:9", names=names, renames=renames, unclear_names=unclear)


WITH_NOTE = {**TABLES, "user": table("id", "email", "note")}
NOTED = compare(WITH_NOTE, NOTHING).record
SWAP = Rename("user", "user", (("Email", "note"), ("note", "email")))


def after(
    tables: dict[str, TableColumns], record: RulesRecord, *statements: DdlStatement
) -> RulesChange:
    return compare_rules(RULES, "salt", tables, record, statements)
