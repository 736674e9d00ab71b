"""Finding a row for `kappa explain`: its table, its key, its history, and where it is now."""

import csv
import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.manifest_store import ManifestStore
from connectors.kafka import client as kafka
from connectors.mysql import client as mysql
from connectors.mysql.column_protection import protected_table, shown_columns
from connectors.mysql.table_description import describe_table
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.cli.explain.render import ExplainedRow, RowState, labelled_key
from schemas.errors import KappaError, UsageError
from schemas.manifest import Manifest
from schemas.shop_tables import quoted
from schemas.topics import kafka_topic, source_table
from schemas.warehouse_layout import Kind, Source, TableNames, sources_among
from spark.history.row_changes import Key, text_of, value_of
from spark.history.row_history import Report, RowHistory, RowHistoryReader, find_current_row


def explained_row(
    settings: Settings, table: str, key_text: str, report: Report
) -> ExplainedRow:
    """Return the history of the row with a key, and where it is now.

    Raises UsageError for an unknown table or a text that is no key of it, KappaError if there never
    was such a row, Unavailable.
    """
    hdfs = Hdfs(settings.hdfs)
    versions = ManifestStore(hdfs, settings.hdfs.root)
    newest = versions.newest()
    topics = kafka.list_topics(settings.kafka)
    source = named_source(table, newest, topics, settings.mysql.database)
    reader = RowHistoryReader(settings, hdfs, newest, source, report)
    if not reader.names:
        raise UsageError(
            f"{table} has no key, so that its rows have no history of their own",
            f"./kappa watch {table} --from-beginning shows its changes",
        )
    types = [column.type.arrow for column in reader.columns]
    key = parse_key(key_text, reader.names, types, source.table)
    history = reader.history(key)
    if not history.changes:
        raise _no_such_row(source, reader.names, key, history)
    row_states = []
    for current_key in history.current_keys:
        warehouse_table = newest.tables.get(source.table)
        in_warehouse = None
        if warehouse_table is not None and warehouse_table.key == reader.names:
            in_warehouse = find_current_row(hdfs, warehouse_table, current_key)
        in_mysql = _mysql_row(settings, source, reader.names, reader.values(current_key))
        row_states.append(RowState(current_key, in_warehouse, in_mysql))
    compactor_state = read_state(settings.home, "compactor") or {}
    return ExplainedRow(
        source=source,
        names=reader.names,
        key=key,
        history=history,
        newest=newest,
        visible_in=visible_versions(versions, history),
        states=row_states,
        refusal=compactor_state.get("refused", {}).get(source.topic),
    )


def named_source(
    table: str, newest: Manifest, topics: Iterable[str], database: str
) -> Source:
    """Return the table of a name.

    Raises UsageError for a table of which neither the log nor the archive has anything, with the
    nearest that exists, and for one whose rows have no key.
    """
    sources = _sources(newest, topics, database)
    tables = [source.table for source in sources.values() if source.kind is Kind.CHANGES]
    for source in sources.values():
        if source.kind is Kind.CHANGES and source_table(source.topic) == table:
            return source
    name = table.lower()
    if name in tables:
        return sources[name]
    tables_hint = f"tables are {', '.join(sorted(tables))}"
    if name in sources:
        raise UsageError(
            f"{table} has no rows with a key: its records are only ever added", tables_hint
        )
    similar = difflib.get_close_matches(name, sorted(tables), n=1)
    suggestion = f"; did you mean {similar[0]}?" if similar else ""
    if not tables:
        tables_hint = "there are no tables yet: run ./kappa up"
    raise UsageError(f"no table {table}{suggestion}", tables_hint)


def _sources(
    newest: Manifest, existing_topics: Iterable[str], database: str
) -> dict[str, Source]:
    """Return the tables of the newest version, of the archive and of the log, by name in Hive."""
    topics = [archive.topic for archive in newest.archives.values()]
    archived_topics = {kafka_topic(topic) for topic in topics}
    topics += [topic for topic in existing_topics if topic not in archived_topics]
    names = TableNames(newest.archive_names())
    sources = {source.table: source for source in sources_among(topics, database, names)}
    for name, table in newest.tables.items():
        sources[name] = Source(table.topic, name, Kind(table.kind))
    return sources


def parse_key(
    text: str, names: Sequence[str], types: Sequence[pa.DataType], table: str
) -> Key:
    """Return a key from its text; the columns of a compound key are separated as in CSV.

    Raises UsageError if the text does not fit the table's key.
    """
    words = [text]
    if len(names) > 1:
        words = next(csv.reader([text], skipinitialspace=True), [])
    key_columns = f"the key of {table} is {', '.join(names)}"
    example = f"./kappa explain {table} {','.join(names)}"
    if len(words) != len(names):
        counts = f"{len(words)} of {len(names)} values"
        raise UsageError(f"{key_columns}: {text!r} has {counts}", example)
    key = []
    for name, word, arrow_type in zip(names, words, types, strict=True):
        value = value_of(word, arrow_type)
        if value is None:
            raise UsageError(
                f"{key_columns}: {word!r} is no {name}, which is {arrow_type}",
                f"{example}, with values of the row",
            )
        key.append(text_of(value.as_py()))
    return tuple(key)


def _no_such_row(
    source: Source, names: Sequence[str], key: Key, history: RowHistory
) -> KappaError:
    row = labelled_key(names, key)
    archive = f"{history.archive_records:,} records in {history.archive_files} files of the archive"
    log = f"{history.log_records:,} in the log after it"
    return KappaError(
        f"{source.table} has never had a row {row}: searched {archive}, and {log}",
        f"./kappa watch {source.table} shows new changes",
    )


def visible_versions(versions: ManifestStore, history: RowHistory) -> dict[int, Manifest]:
    """Return, by the number of a version that took in a change, the first version with that change
    that readers could see.

    Readers see whole versions only. Versions that are no longer retained are absent.
    """
    numbers = versions.numbers()
    change_versions = {change.version for change in history.changes}
    visible = {}
    for number in change_versions.intersection(numbers):
        for later_number in numbers:
            if number is None or later_number < number:
                continue
            manifest = versions.read(later_number)
            if manifest.whole:
                visible[number] = manifest
                break
    return visible


def _mysql_row(
    settings: Settings, source: Source, names: Sequence[str], values: Sequence[Any]
) -> dict[str, Any] | str:
    """The row in MySQL, as far as the capture rules show it, or a text that says why there is
    none.
    """
    table = source_table(source.topic)
    if not settings.mysql.capture_rules.captures(table):
        return "it is not captured any more"
    where = " AND ".join(f"{_placeholder_safe(name)} = %s" for name in names)
    login = settings.login("mysql.reader")
    try:
        with mysql.connect(settings.mysql, login, settings.mysql.database) as connection:
            columns = _shown_columns(settings, connection, table)
            sql = f"SELECT {columns} FROM {_placeholder_safe(table)} WHERE {where}"
            rows = connection.query(sql, tuple(values))
    except KappaError as error:
        return str(error)
    return rows[0] if rows else "no such row"


def _shown_columns(settings: Settings, connection: mysql.Connection, table: str) -> str:
    """Return the columns to select: all, or those that the rules show, and how."""
    rules = settings.mysql.capture_rules
    if not (rules.leave_out_columns or rules.mask_columns or rules.hash_columns):
        return "*"
    described_table = describe_table(connection, settings.mysql.database, table)
    if described_table is None:
        return "*"
    columns = shown_columns(protected_table(described_table, rules, settings.hash_salt()))
    selected = [f"{expression} AS {quoted(name)}" for name, expression in columns.items()]
    return ", ".join(selected).replace("%", "%%")


def _placeholder_safe(name: str) -> str:
    """A quoted name in a statement in which `%s` are placeholders."""
    return quoted(name).replace("%", "%%")
