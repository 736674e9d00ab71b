"""The grammar of ALTER TABLE (MySQL 9 manual, 15.1.9): what each clause does to rows."""

from dataclasses import dataclass, field

from schemas.ddl.definitions import (
    INDEX_WORDS,
    ColumnText,
    accept_charset,
    charset_name,
    read_column,
    read_default,
    read_index,
    read_position,
)
from schemas.ddl.tokens import TableName, TokenReader

LOST_ROWS = "it changes or removes rows that the log does not name"
CHANGED_KEY = "the primary key changes"
CHANGED_CHARSET = "the character set of the values changes"
CHANGED_ENGINE = "another storage engine may hold other rows"
NUMBER_OPTIONS = (
    *("AUTO_INCREMENT", "AVG_ROW_LENGTH", "CHECKSUM", "DELAY_KEY_WRITE", "KEY_BLOCK_SIZE"),
    *("MAX_ROWS", "MIN_ROWS", "STATS_SAMPLE_PAGES", "TABLE_CHECKSUM"),
)
STRING_OPTIONS = (
    *("COMMENT", "COMPRESSION", "ENCRYPTION"),
    *("ENGINE_ATTRIBUTE", "SECONDARY_ENGINE_ATTRIBUTE"),
)
CHOICE_OPTIONS = ("PACK_KEYS", "STATS_AUTO_RECALC", "STATS_PERSISTENT")
REPEATED_PARTITION_VERBS = ("ANALYZE", "CHECK", "OPTIMIZE", "REBUILD", "REPAIR")
LOCAL_WORDS = ("LOCAL", "NO_WRITE_TO_BINLOG")


@dataclass(frozen=True)
class ColumnChange:
    """A column that is renamed or defined again (`definition`), by its old name."""

    old_name: str
    new_name: str
    definition: ColumnText | None = None


@dataclass(kw_only=True)
class AlterTable:
    """The effects of an ALTER TABLE on the columns, and on other tables.

    Every clause refers to the columns before the statement. `problem` is why rows cannot follow the
    statement, regardless of its other effects. `other_tables` lose or get rows by it.
    """

    table: TableName
    new_name: TableName | None = None
    added: list[ColumnText] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    changed: list[ColumnChange] = field(default_factory=list)
    other_tables: list[TableName] = field(default_factory=list)
    changes_default_charset: bool = False
    problem: str = ""


def read_alter_table(reader: TokenReader) -> AlterTable:
    """Consume an ALTER TABLE behind these two words. Raises NotUnderstood."""
    statement = AlterTable(table=reader.table_name())
    clauses = _ClauseReader(reader, statement)
    if not reader.is_at_end:
        clauses.read_clause()
    while not reader.is_at_end:
        if reader.accept_symbol(","):
            clauses.read_clause()
        elif not clauses.read_trailing_clause():
            raise reader.failure()
    return statement


class _ClauseReader:
    def __init__(self, reader: TokenReader, statement: AlterTable) -> None:
        self._reader = reader
        self._statement = statement

    def read_clause(self) -> None:
        """Consume a clause."""
        reader = self._reader
        if reader.accept("ADD"):
            self._read_add()
        elif reader.accept("DROP"):
            self._read_drop()
        elif reader.accept("CHANGE"):
            reader.accept("COLUMN")
            self._read_change(reader.name())
        elif reader.accept("MODIFY"):
            reader.accept("COLUMN")
            self._read_change()
        elif reader.accept("RENAME"):
            self._read_rename()
        elif reader.accept("ALTER"):
            self._read_alter()
        elif not (
            self._read_manner() or self._read_partitions() or self.read_trailing_clause()
        ):
            raise reader.failure()

    def read_trailing_clause(self) -> bool:
        """Consume a clause that may follow another one without a comma, and return whether there is
        one.
        """
        reader = self._reader
        if reader.accept("PARTITION", "BY"):
            self._read_partitioning()
        elif not reader.accept("REMOVE", "PARTITIONING"):
            return self._read_table_option()
        return True

    def _read_add(self) -> None:
        reader = self._reader
        if reader.accept("PARTITION"):
            reader.accept_one_of(*LOCAL_WORDS)
            if reader.accept("PARTITIONS"):
                reader.number()
            else:
                reader.group()
            return
        reader.accept("COLUMN")
        if reader.accept_symbol("("):
            self._read_element()
            while reader.accept_symbol(","):
                self._read_element()
            reader.expect_symbol(")")
        else:
            self._read_element()
            read_position(reader)

    def _read_element(self) -> None:
        """A column or an index."""
        if self._reader.next.word in INDEX_WORDS:
            if read_index(self._reader):
                self._report(CHANGED_KEY)
            return
        column = read_column(self._reader)
        self._statement.added.append(column)
        if column.is_primary:
            self._report(CHANGED_KEY)

    def _read_drop(self) -> None:
        reader = self._reader
        if reader.accept("PARTITION"):
            self._read_names()
            self._report(LOST_ROWS)
        elif reader.accept("PRIMARY", "KEY"):
            self._report(CHANGED_KEY)
        elif reader.accept_one_of("INDEX", "KEY", "CONSTRAINT"):
            if reader.name().upper() == "PRIMARY":
                self._report(CHANGED_KEY)
        elif reader.accept("FOREIGN", "KEY") or reader.accept("CHECK"):
            reader.name()
        else:
            reader.accept("COLUMN")
            self._statement.dropped.append(reader.name())
            reader.accept_one_of("RESTRICT", "CASCADE")

    def _read_change(self, old_name: str = "") -> None:
        column = read_column(self._reader)
        read_position(self._reader)
        change = ColumnChange(old_name or column.name, column.name, column)
        self._statement.changed.append(change)
        if column.is_primary:
            self._report(CHANGED_KEY)

    def _read_rename(self) -> None:
        reader = self._reader
        if reader.accept("COLUMN"):
            old_name = reader.name()
            reader.expect("TO")
            self._statement.changed.append(ColumnChange(old_name, reader.name()))
        elif reader.accept_one_of("INDEX", "KEY"):
            reader.name()
            reader.expect("TO")
            reader.name()
        else:
            if not reader.accept_one_of("TO", "AS"):
                reader.accept_symbol("=")
            self._statement.new_name = reader.table_name()

    def _read_alter(self) -> None:
        reader = self._reader
        if reader.accept("INDEX"):
            reader.name()
            reader.expect_one_of("VISIBLE", "INVISIBLE")
        elif reader.accept_one_of("CHECK", "CONSTRAINT"):
            reader.name()
            reader.accept("NOT")
            reader.expect("ENFORCED")
        else:
            reader.accept("COLUMN")
            reader.name()
            self._read_column_option()

    def _read_column_option(self) -> None:
        """Read an ALTER COLUMN: rows keep their values."""
        reader = self._reader
        if reader.accept("DROP"):
            reader.expect("DEFAULT")
        else:
            reader.expect("SET")
            if reader.accept("DEFAULT"):
                read_default(reader)
            else:
                reader.expect_one_of("VISIBLE", "INVISIBLE")

    def _read_manner(self) -> bool:
        """How MySQL carries the statement out."""
        reader = self._reader
        if reader.accept_one_of("ALGORITHM", "LOCK"):
            reader.accept_symbol("=")
            reader.name()
        elif reader.accept_one_of("WITH", "WITHOUT"):
            reader.expect("VALIDATION")
        elif reader.accept_one_of("ENABLE", "DISABLE"):
            reader.expect("KEYS")
        elif reader.accept("ORDER", "BY"):
            self._read_order()
        elif reader.accept("CONVERT", "TO"):
            self._read_conversion()
        else:
            return reader.accept("FORCE")
        return True

    def _read_order(self) -> None:
        reader = self._reader
        while True:
            reader.name()
            reader.accept_one_of("ASC", "DESC")
            if not reader.accept_symbol(","):
                return

    def _read_conversion(self) -> None:
        reader = self._reader
        if not accept_charset(reader):
            raise reader.failure()
        charset_name(reader)
        if reader.accept("COLLATE"):
            charset_name(reader)
        self._report(CHANGED_CHARSET)

    def _read_partitions(self) -> bool:
        """Read a clause about some partitions, if there is one."""
        reader = self._reader
        verb = reader.accept_one_of(*REPEATED_PARTITION_VERBS)
        if verb:
            reader.expect("PARTITION")
            reader.accept_one_of(*LOCAL_WORDS)
            self._read_names()
            if verb == "REPAIR":
                self._report(LOST_ROWS)
        elif reader.accept("REORGANIZE", "PARTITION"):
            reader.accept_one_of(*LOCAL_WORDS)
            if not reader.is_at_end:
                self._read_names()
                reader.expect("INTO")
                reader.group()
        elif reader.accept("COALESCE", "PARTITION"):
            reader.accept_one_of(*LOCAL_WORDS)
            reader.number()
        else:
            return self._read_lost_rows()
        return True

    def _read_lost_rows(self) -> bool:
        reader = self._reader
        if reader.accept("TRUNCATE", "PARTITION"):
            self._read_names()
        elif reader.accept("EXCHANGE", "PARTITION"):
            reader.name()
            reader.expect("WITH", "TABLE")
            self._statement.other_tables.append(reader.table_name())
            if reader.accept_one_of("WITH", "WITHOUT"):
                reader.expect("VALIDATION")
        elif reader.accept_one_of("DISCARD", "IMPORT"):
            if reader.accept("PARTITION"):
                self._read_names()
            reader.expect("TABLESPACE")
        else:
            return False
        self._report(LOST_ROWS)
        return True

    def _read_names(self) -> None:
        """Names with commas between, or ALL."""
        self._reader.name()
        while self._reader.accept_symbol(","):
            self._reader.name()

    def _read_partitioning(self) -> None:
        """How rows are distributed: always the last clause. They stay in any case."""
        reader = self._reader
        while not reader.is_at_end:
            if reader.next.text == "(":
                reader.group()
            else:
                reader.consume()

    def _read_table_option(self) -> bool:
        reader = self._reader
        if reader.accept_one_of(*NUMBER_OPTIONS):
            reader.accept_symbol("=")
            reader.number()
        elif reader.accept_one_of(*STRING_OPTIONS):
            reader.accept_symbol("=")
            reader.string()
        elif reader.accept_one_of(*CHOICE_OPTIONS):
            reader.accept_symbol("=")
            if not reader.accept("DEFAULT"):
                reader.number()
        elif reader.accept_one_of("ROW_FORMAT", "TABLESPACE"):
            reader.accept_symbol("=")
            reader.name()
        elif reader.accept("ENGINE"):
            self._read_engine()
        else:
            return self._read_default_charset()
        return True

    def _read_engine(self) -> None:
        reader = self._reader
        reader.accept_symbol("=")
        name = reader.consume().text.strip("`'\"")
        if name.upper() != "INNODB":
            self._report(CHANGED_ENGINE)

    def _read_default_charset(self) -> bool:
        """The character set of columns that are added later."""
        reader = self._reader
        is_default = reader.accept("DEFAULT")
        if not accept_charset(reader) and not reader.accept("COLLATE"):
            if is_default:
                raise reader.failure()
            return False
        reader.accept_symbol("=")
        charset_name(reader)
        self._statement.changes_default_charset = True
        return True

    def _report(self, problem: str) -> None:
        self._statement.problem = self._statement.problem or problem
