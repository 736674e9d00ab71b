"""What the capture rules mean for the tables that MySQL has now, and what they meant before.

The rules go by names, and statements change names and types. After each statement, and at every
start, the tables are looked at: those whose protection has changed are read again, and those of
which values could get out by another name are taken out until the settings say what they are. The
result is in `run/capture_rules.json`, which other processes read.
"""

from collections.abc import Mapping
from dataclasses import replace

from connectors.debezium.binlog_watch.state_file import BinlogWatchFile
from connectors.debezium.capture_rules.moved_values import statements_since
from connectors.debezium.capture_rules.rules_comparison import RulesChange, compare_rules
from connectors.debezium.capture_rules.rules_record import RulesFile, RulesRecord
from connectors.debezium.capture_rules.table_columns import TableColumns, read_tables
from connectors.runtime.settings import Settings

REASON = "what is captured of it has changed"


class AppliedRules:
    """Compares the rules with what they meant before, when something may have changed that."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rules = settings.mysql.capture_rules
        self._file = RulesFile(settings.home)
        self._watch = BinlogWatchFile(settings.home)
        self._checked_gtid: str | None = None

    def next_change(self) -> RulesChange | None:
        """Return what has changed, None if nothing can have. Raises Unavailable."""
        record = self._file.read()
        if record is None and self._rules.is_empty:
            return None
        statements = self._watch.read().statements
        last_gtid = statements[-1].gtid if statements else ""
        if last_gtid == self._checked_gtid:
            return None
        tables = self._read_tables()
        salt = self._settings.hash_salt()
        record = record or RulesRecord()
        new_statements = statements_since(statements, record.checked_gtid)
        change = compare_rules(self._rules, salt, tables, record, new_statements)
        self._checked_gtid = last_gtid
        return replace(change, record=replace(change.record, checked_gtid=last_gtid))

    def write(self, change: RulesChange) -> None:
        """Note that a change is applied. Until then, another process begins it again."""
        self._file.write(change.record)

    def look_again(self) -> None:
        """Have the next look compare, though no statement has come: a change is not applied."""
        self._checked_gtid = None

    def are_recorded(self) -> bool:
        """Return whether rules were applied before."""
        return self._file.read() is not None

    def record(self) -> RulesRecord:
        """Return what is applied."""
        return self._file.read() or RulesRecord()

    def refused_now(self) -> Mapping[str, str]:
        """Return the tables for which the rules cannot be kept, with the reason.

        Also those of statements that nothing has followed yet. Raises Unavailable.
        """
        self.look_again()
        change = self.next_change()
        return self.record().refused if change is None else change.record.refused

    def captures(self, table: str) -> bool:
        """Return whether a table is captured: by the rules, and not taken out."""
        return self._rules.captures(table) and table not in self._file.refused()

    def _read_tables(self) -> dict[str, TableColumns]:
        return read_tables(self._settings.mysql, self._settings.login("mysql.debezium"))
