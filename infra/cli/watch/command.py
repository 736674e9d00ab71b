"""`kappa watch`: the log's records, decoded, as they arrive."""

import os
import sys

import click

from connectors.runtime.settings import Settings
from schemas.errors import UsageError


@click.command()
@click.argument("topics", nargs=-1)
@click.option(
    "--since",
    metavar="TIME",
    help="Start at a time: 90s, 10m, 2h, 1d (ago) or an ISO time (UTC).",
)
@click.option("--from-beginning", is_flag=True, help="Start at the first record.")
@click.option(
    "--offset",
    "offsets",
    metavar="P:N",
    multiple=True,
    help="Start at offset N of partition P (one topic; can be repeated).",
)
@click.option(
    "--gtid",
    metavar="GTID",
    help="Only the changes of one MySQL transaction; ends when it is complete.",
)
@click.option(
    "--where",
    metavar="EXPR",
    help="Only records for which this is true: \"status = '1' and before.status <> after.status\".",
)
@click.option("--json", "json_", is_flag=True, help="Print one JSON object per line.")
@click.option(
    "-n",
    "--max",
    "max_records",
    type=click.IntRange(min=1),
    metavar="N",
    help="End after N records.",
)
@click.pass_obj
def watch(
    settings: Settings,
    topics: tuple[str, ...],
    since: str | None,
    from_beginning: bool,
    offsets: tuple[str, ...],
    gtid: str | None,
    where: str | None,
    json_: bool,
    max_records: int | None,
) -> None:
    """Show decoded records of the log as they arrive: topic[partition]@offset, age, key, and for a
    change the columns that changed.

    TOPICS are names or short names (orders for cdc.eCommerce.orders); by default every table's
    changes and all clicks. Reads without a consumer group, so no group's offsets change. Ctrl-C
    ends.

    In --where, a name is a field of the row or of the record; before.NAME, after.NAME and key.NAME
    are its parts, and topic, partition, offset, op (insert, update, delete, snapshot, tombstone),
    gtid and changed belong to the record.
    """
    if sum((bool(since), from_beginning, bool(offsets))) > 1:
        raise UsageError(
            "--since, --from-beginning and --offset exclude each other", "give one of them"
        )
    from infra.cli.watch.stream import WatchOptions, watch_log

    options = WatchOptions(
        since=since,
        from_beginning=from_beginning,
        offsets=offsets,
        gtid=gtid,
        where=where,
        json=json_,
        max_records=max_records,
    )
    try:
        watch_log(settings, topics, options)
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        # Python flushes standard output at exit; that must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
