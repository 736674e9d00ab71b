"""What the captured database consists of: tables, views and routines."""

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.mysql.client import Connection
from schemas.shop_tables import quoted
from tests.chaos.ddl_schedules.player import MysqlCatalogue
from tests.chaos.ddl_schedules.table_state import TableState

TABLES = (
    "SELECT table_name AS name, table_type AS type FROM information_schema.tables "
    "WHERE table_schema = %s ORDER BY table_name"
)
ROUTINES = (
    "SELECT routine_name AS name, routine_type AS type FROM information_schema.routines "
    "WHERE routine_schema = %s ORDER BY routine_name"
)


@dataclass(frozen=True)
class CapturedObjects:
    """The objects of a database by kind; `routines` are pairs of PROCEDURE or FUNCTION and name."""

    tables: tuple[str, ...]
    views: tuple[str, ...]
    routines: tuple[tuple[str, str], ...]

    def without(self, others: "CapturedObjects") -> "CapturedObjects":
        """Return the objects that are not in others."""
        return CapturedObjects(
            tuple(name for name in self.tables if name not in others.tables),
            tuple(name for name in self.views if name not in others.views),
            tuple(routine for routine in self.routines if routine not in others.routines),
        )


def captured_objects(mysql: Connection, database: str) -> CapturedObjects:
    """Return the objects of a database."""
    rows = mysql.query(TABLES, (database,))
    tables = tuple(str(row["name"]) for row in rows if row["type"] == "BASE TABLE")
    views = tuple(str(row["name"]) for row in rows if row["type"] == "VIEW")
    routines = []
    for row in mysql.query(ROUTINES, (database,)):
        routines.append((str(row["type"]), str(row["name"])))
    return CapturedObjects(tables, views, tuple(routines))


def table_states(
    mysql: Connection, database: str, before: CapturedObjects
) -> Sequence[TableState]:
    """Return the tables that were not there before."""
    new = captured_objects(mysql, database).without(before)
    catalogue = MysqlCatalogue(mysql, database, "").tables()
    return [catalogue[name] for name in new.tables if name in catalogue]


def drop(mysql: Connection, objects: CapturedObjects) -> None:
    """Drop objects; foreign keys between them do not matter."""
    mysql.execute("SET SESSION foreign_key_checks = 0")
    for view in objects.views:
        mysql.execute(f"DROP VIEW IF EXISTS {_statement_name(view)}")
    for table in objects.tables:
        mysql.execute(f"DROP TABLE IF EXISTS {_statement_name(table)}")
    for kind, routine in objects.routines:
        mysql.execute(f"DROP {kind} IF EXISTS {_statement_name(routine)}")
    mysql.execute("SET SESSION foreign_key_checks = 1")


def _statement_name(name: str) -> str:
    return quoted(name).replace("%", "%%")
