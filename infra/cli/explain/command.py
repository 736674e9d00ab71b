"""`kappa explain`: one row's history, and where the row is now."""

import csv
import difflib
import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click
import pyarrow as pa

from connectors import kafka, mysql
from connectors.hdfs import Hdfs
from infra.errors import ContractError, KappaError, UsageError
from infra.explain_render import Explained, as_json, as_text, labelled
from infra.progress import Line
from infra.settings import Settings
from infra.state import read_state
from infra.watch_render import plain
from schemas.tables import quoted
from schemas.topics import source_table
from schemas.warehouse import Kind, Source, source_of
from spark.manifest import Manifest, Versions
from spark.row_changes import Key, text_of, value_of
from spark.row_history import Historian, History, Report, standing

# Quicker work is not worth a line of progress.
SILENT_SECONDS = 2.0


@click.command()
@click.argument("table")
@click.argument("key")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def explain(settings: Settings, table: str, key: str, json_: bool) -> None:
    """Show every change of one row: when, by which transaction, before → after, and the version of the warehouse that has it.

    KEY is the row's primary key; columns of a compound key are divided by commas. A row whose key was changed is followed both ways.
    Changes that are not archived yet are read from the log. Exit code 1 if there never was such a row.
    """
    with Line() as line:
        begin = time.monotonic()

        def report(what: str, fraction: float | None, detail: str) -> None:
            if time.monotonic() - begin > SILENT_SECONDS:
                line(what, fraction, detail)

        found = explained(settings, table, key, report)
    if json_:
        click.echo(json.dumps(as_json(found), default=plain, ensure_ascii=False))
        return
    for text in as_text(found):
        click.echo(text)


def explained(settings: Settings, table: str, text: str, report: Report) -> Explained:
    """A row's history. Raises UsageError for words that fit no table, KappaError if there never was such a row."""
    hdfs = Hdfs(settings.hdfs)
    versions = Versions(hdfs, settings.hdfs.root)
    newest = versions.newest()
    source = named(table, newest, kafka.list_topics(settings.kafka), settings.mysql.database)
    historian = Historian(settings, hdfs, newest, source, report)
    key = parsed(text, historian.names, [column.type.arrow for column in historian.columns], source.table)
    history = historian.history(key)
    if not history.changes:
        raise never_seen(source, historian.names, key, history)
    table_key = newest.tables[source.table].key if source.table in newest.tables else ()
    now = []
    for one in history.standing:
        held = standing(hdfs, newest.tables[source.table], one) if table_key == historian.names else None
        now.append((one, held, in_mysql(settings, source, historian.names, historian.values(one))))
    refused = (read_state(settings.home, "compactor") or {}).get("refused", {}).get(source.topic)
    return Explained(source, historian.names, key, history, newest, committed(versions, history), now, refused)


def named(table: str, newest: Manifest, topics: Iterable[str], database: str) -> Source:
    """The table of that name. Raises UsageError for one that nothing is known of, with the nearest that there is, or that has no rows with keys."""
    known: dict[str, Source] = {}
    for topic in [*topics, *(archive.topic for archive in newest.archives.values())]:
        try:
            source = source_of(topic, database)
        except ContractError:
            continue
        if source is not None:
            known[source.table] = source
    keyed = sorted(name for name, source in known.items() if source.kind is Kind.CHANGES)
    if table.lower() in keyed:
        return known[table.lower()]
    if table.lower() in known:
        raise UsageError(f"{table} has no rows with a key: its records are only ever added", f"tables are {', '.join(keyed)}")
    near = difflib.get_close_matches(table.lower(), keyed, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"no table {table}{meant}", f"tables are {', '.join(keyed)}" if keyed else "there are no tables yet: run ./kappa up")


def parsed(text: str, names: Sequence[str], kinds: Sequence[pa.DataType], table: str) -> Key:
    """A key from its text; the columns of a compound one are divided by commas, as in CSV. Raises UsageError if it does not fit the table's."""
    words = next(csv.reader([text], skipinitialspace=True), []) if len(names) > 1 else [text]
    what = f"the key of {table} is {', '.join(names)}"
    if len(words) != len(names):
        raise UsageError(f"{what}: {text!r} has {len(words)} of {len(names)} values", f"./kappa explain {table} {','.join(names)}")
    values = [value_of(word, kind) for word, kind in zip(words, kinds, strict=True)]
    for name, word, kind, value in zip(names, words, kinds, values, strict=True):
        if value is None:
            raise UsageError(f"{what}: {word!r} is no {name}, which is {kind}", f"./kappa explain {table} {','.join(names)}, with values of the row")
    return tuple(text_of(value.as_py()) for value in values if value is not None)


def never_seen(source: Source, names: Sequence[str], key: Key, history: History) -> KappaError:
    """Why there is nothing to show."""
    searched = f"{history.archived:,} records in {history.files} files of the archive, and {history.logged:,} in the log behind it"
    return KappaError(
        f"{source.table} has never had a row {labelled(names, key)}: searched were {searched}", f"./kappa watch {source.table} shows what comes"
    )


def committed(versions: Versions, history: History) -> dict[int, Manifest]:
    """Of the versions that took changes in, those that are kept: by number the first that readers could see."""
    numbers = versions.numbers()
    found = {}
    for number in {change.version for change in history.changes if change.version is not None} & set(numbers):
        later = (versions.read(one) for one in numbers if one >= number)
        if (seen := next((manifest for manifest in later if manifest.whole), None)) is not None:
            found[number] = seen
    return found


def in_mysql(settings: Settings, source: Source, names: Sequence[str], values: Sequence[Any]) -> dict[str, Any] | str:
    """The row in MySQL; a text why there is none."""
    where = " AND ".join(f"{quoted(name).replace('%', '%%')} = %s" for name in names)
    try:
        with mysql.connect(settings.mysql, settings.login("mysql.reader"), settings.mysql.database) as connection:
            found = connection.query(f"SELECT * FROM {quoted(source_table(source.topic)).replace('%', '%%')} WHERE {where}", tuple(values))
    except KappaError as error:
        return str(error)
    return found[0] if found else "no such row"
