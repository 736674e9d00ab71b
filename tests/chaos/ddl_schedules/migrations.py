"""How gh-ost and pt-online-schema-change alter a table: in a copy that takes its name at the end.

Their statements are written as these programs send them, with the comments by which they are known.
"""

from collections.abc import Iterator, Sequence
from random import Random

from tests.chaos.ddl_schedules.clauses import random_clauses
from tests.chaos.ddl_schedules.spelling import Spelling
from tests.chaos.ddl_schedules.statement import Catalogue, Statement
from tests.chaos.ddl_schedules.table_state import TableState
from tests.chaos.ddl_schedules.writes import Writes

GH_OST = "gh-ost"
PT_OSC = "pt-online-schema-change"
CHANGELOG_COLUMNS = (
    "id bigint unsigned auto_increment, last_update timestamp not null DEFAULT "
    "CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, hint varchar(64) charset ascii not null, "
    "value varchar(4096) charset ascii not null, primary key(id), unique key hint_uidx(hint)"
)


class Migration:
    """A change of one table by way of a copy."""

    def __init__(
        self,
        random: Random,
        catalogue: Catalogue,
        writes: Writes,
        table: TableState,
        certain: bool,
    ) -> None:
        self._random = random
        self._catalogue = catalogue
        self._writes = writes
        self._table = table
        self._certain = certain
        self._name = quoted(table.name)

    def gh_ost(self) -> Iterator[Statement]:
        """Yield the statements of a run of gh-ost: the copy follows the binary log."""
        ghost = f"_{self._table.name}_gho"
        log = quoted(f"_{self._table.name}_ghc")
        old = quoted(f"_{self._table.name}_del")
        yield self._statement(
            GH_OST, f"create /* gh-ost */ table {log} ({CHANGELOG_COLUMNS})"
        )
        yield self._statement(
            GH_OST, f"create /* gh-ost */ table {quoted(ghost)} like {self._name}"
        )
        yield self._alter(GH_OST, ghost, "alter /* gh-ost */ table")
        yield self._statement(
            GH_OST,
            f"insert /* gh-ost */ into {log} (id, hint, value) values (NULLIF(1, 0), 'state', "
            "'GhostTableMigrated') on duplicate key update last_update=NOW(), value=VALUES(value)",
        )
        columns = self._shared_columns(ghost)
        if columns:
            names = ", ".join(map(quoted, columns))
            source = f"select {names} from {self._name} lock in share mode"
            into = f"into {quoted(ghost)} ({names})"
            yield self._statement(
                GH_OST, f"insert /* gh-ost {self._name} */ ignore {into} ({source})"
            )
            yield from self._writes.random_write(self._table)
            # What gh-ost has read in the binary log meanwhile, here all at once.
            yield self._statement(GH_OST, f"delete /* gh-ost */ from {quoted(ghost)}")
            yield self._statement(GH_OST, f"replace /* gh-ost */ {into} {source}")
        yield self._statement(
            GH_OST,
            f"create /* gh-ost */ table {old} (id int auto_increment primary key) "
            "engine=InnoDB comment='ghost-cut-over-sentry'",
        )
        yield self._statement(GH_OST, f"drop /* gh-ost */ table if exists {old}")
        yield self._statement(
            GH_OST,
            f"rename /* gh-ost */ table {self._name} to {old}, {quoted(ghost)} to {self._name}",
        )
        yield self._statement(GH_OST, f"drop /* gh-ost */ table if exists {log}")
        yield self._statement(GH_OST, f"drop /* gh-ost */ table if exists {old}")

    def pt_osc(self) -> Iterator[Statement]:
        """Yield the statements of pt-online-schema-change: triggers write to the copy."""
        copy = f"_{self._table.name}_new"
        old = quoted(f"_{self._table.name}_old")
        yield self._statement(PT_OSC, f"CREATE TABLE {quoted(copy)} LIKE {self._name}")
        yield self._alter(PT_OSC, copy, "ALTER TABLE")
        columns = self._shared_columns(copy)
        if columns and self._table.key:
            yield from self._triggers(copy, columns)
        names = ", ".join(map(quoted, columns)) or "*"
        yield self._statement(
            PT_OSC,
            f"INSERT LOW_PRIORITY IGNORE INTO {quoted(copy)} ({names}) SELECT {names} FROM "
            f"{self._name} LOCK IN SHARE MODE "
            "/*pt-online-schema-change 4711 copy nibble*/",
        )
        yield from self._writes.random_write(self._table)
        yield from self._writes.random_write(self._table)
        yield self._statement(
            PT_OSC, f"ANALYZE TABLE {quoted(copy)} /* pt-online-schema-change */"
        )
        yield self._statement(
            PT_OSC, f"RENAME TABLE {self._name} TO {old}, {quoted(copy)} TO {self._name}"
        )
        yield self._statement(PT_OSC, f"DROP TABLE IF EXISTS {old}")
        for event in ("del", "upd", "ins"):
            yield self._statement(PT_OSC, f"DROP TRIGGER IF EXISTS {self._trigger(event)}")

    def _triggers(self, copy: str, columns: Sequence[str]) -> Iterator[Statement]:
        """Yield the three triggers: the copy loses the old row, and gets the new one."""
        conditions = []
        for name in self._table.key:
            conditions.append(f"{quoted(copy)}.{quoted(name)} <=> OLD.{quoted(name)}")
        delete = f"DELETE IGNORE FROM {quoted(copy)} WHERE {' AND '.join(conditions)}"
        names = ", ".join(map(quoted, columns))
        values = ", ".join(f"NEW.{quoted(name)}" for name in columns)
        put = f"REPLACE INTO {quoted(copy)} ({names}) VALUES ({values})"
        bodies = {
            "del": ("DELETE", delete),
            "upd": ("UPDATE", f"BEGIN {delete}; {put}; END"),
            "ins": ("INSERT", put),
        }
        for event, (moment, body) in bodies.items():
            yield self._statement(
                PT_OSC,
                f"CREATE TRIGGER {self._trigger(event)} AFTER {moment} ON {self._name} "
                f"FOR EACH ROW {body}",
            )

    def _trigger(self, event: str) -> str:
        return quoted(f"pt_osc_{self._table.name}_{event}")

    def _alter(self, kind: str, copy: str, verb: str) -> Statement:
        spelling = Spelling(self._random)
        kinds, clauses = random_clauses(self._random, spelling, self._table, self._certain)
        text = f"{verb} {spelling.quoted(copy)} {', '.join(clauses)}"
        return Statement(text=text, kinds=(kind, *kinds), sql_mode=spelling.sql_mode)

    def _shared_columns(self, copy: str) -> list[str]:
        """Return the columns by name that the copy has too, and that can be written."""
        state = self._catalogue.tables().get(copy, self._table)
        names = {column.name for column in state.writable}
        return [column.name for column in self._table.writable if column.name in names]

    def _statement(self, kind: str, text: str) -> Statement:
        return Statement(text=text, kinds=(kind,))


def quoted(name: str) -> str:
    """Return a name in backquotes, which are quotes of names in every session."""
    return f"`{name.replace('`', '``')}`"
