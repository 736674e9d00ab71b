"""The limit of a stream: a part of MySQL's binary log read again alone, and dropped."""

import time

from connectors.debezium.binlog_watch.server_ids import EXCLUSION_OFFSET, server_id
from connectors.mysql.binlog_stream import BinlogStream
from connectors.runtime.settings import Settings
from schemas.errors import StackError
from schemas.gtid import GtidSet, split_gtid

READ_SECONDS = 900.0


def seconds_of_reading(
    settings: Settings, since: GtidSet, server: str, last_number: int
) -> float:
    """Return how long it takes to receive the transactions after `since`, up to one of a server.

    They are split into events and transactions; no row is decoded. Raises StackError if the last
    one does not come; Unavailable.
    """
    login = settings.login("mysql.debezium")
    # Beside the watch's and that of table exclusion.
    replica = server_id(settings) + 2 * EXCLUSION_OFFSET
    begin = time.monotonic()
    for batch in BinlogStream(settings.mysql, login, replica).batches(since):
        if batch and is_reached(batch[-1].gtid, server, last_number):
            return time.monotonic() - begin
        if time.monotonic() - begin > READ_SECONDS:
            break
    raise StackError(
        f"MySQL's binary log was not read within {READ_SECONDS:.0f} s",
        "see ./kappa logs mysql",
    )


def is_reached(gtid: str, server: str, last_number: int) -> bool:
    """Return whether a transaction is a server's last one, or comes after it."""
    origin, number = split_gtid(gtid)
    return origin == server and number >= last_number
