"""How long the binary log is kept, what is left out of it, and who reads it under which number."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.mysql.server_check.findings import Cure, Finding, satisfied
from connectors.mysql.server_check.variables import Variables

DAY_SECONDS = 86_400
# Measured on two cores: a snapshot of 400,000 narrow rows came into the topic at this rate.
SNAPSHOT_ROWS_PER_SECOND = 5_000
# The log must have all that is written during a snapshot until that is read, too.
SNAPSHOT_MARGIN = 2
MAX_SERVER_ID = 2**32 - 1
# Before this version, log_replica_updates was log_slave_updates.
REPLICA_NAMES_VERSION = (8, 0, 26)


@dataclass(frozen=True)
class LogFilters:
    """The databases that are logged alone (all, if none is named), and those that are not."""

    only: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def exclude(self, database: str) -> bool:
        """Whether changes of a database are not logged."""
        return database in self.ignored or bool(self.only and database not in self.only)


@dataclass(frozen=True)
class Replica:
    """A reader of the log that has registered; one that is no MySQL server has no `uuid`."""

    server_id: int
    uuid: str = ""


def retention_finding(variables: Variables, rows: int) -> Finding:
    """Return whether the log is kept for a day and for the time of a snapshot of so many rows."""
    check = "binlog_expire_logs_seconds"
    seconds = kept_seconds(variables)
    needed_seconds = needed_retention(rows)
    if seconds is None:
        return satisfied(check, "0: kept until it is purged by hand")
    if seconds >= needed_seconds:
        return satisfied(check, f"{seconds} s")
    cure = variables.setting(check, str(needed_seconds))
    if variables.number("expire_logs_days"):
        # MySQL 8.0 refuses both at a time.
        days = variables.setting("expire_logs_days", "0")
        cure = Cure(sql=days.sql + cure.sql, my_cnf=days.my_cnf + cure.my_cnf)
    reason = "a day"
    if needed_seconds > DAY_SECONDS:
        reason = f"whole days, for twice the time of a snapshot of {rows:,} rows"
    return Finding(
        check=check,
        severity="missing",
        found=f"{seconds} s",
        needed=f"{needed_seconds} s ({reason}) or more",
        cure=cure,
    )


def kept_seconds(variables: Variables) -> int | None:
    """Return how long the server keeps its log, None if it never purges it."""
    if not variables.is_on("binlog_expire_logs_auto_purge", "ON"):
        return None
    seconds = variables.number("binlog_expire_logs_seconds")
    return seconds or variables.number("expire_logs_days") * DAY_SECONDS or None


def needed_retention(rows: int) -> int:
    """Return the seconds for which the log must be kept, in whole days."""
    snapshot_seconds = SNAPSHOT_MARGIN * rows / SNAPSHOT_ROWS_PER_SECOND
    days = int(snapshot_seconds // DAY_SECONDS) + 1
    return days * DAY_SECONDS


def filter_finding(filters: LogFilters | None, database: str) -> list[Finding]:
    """Return whether changes of the database are logged; nothing if it may not be asked."""
    if filters is None:
        return []
    check = "binlog filters"
    if not filters.exclude(database):
        return [satisfied(check, f"{database} is logged")]
    if database in filters.ignored:
        found = f"binlog_ignore_db={database}"
    else:
        found = f"binlog_do_db={', '.join(filters.only)}"
    return [
        Finding(
            check=check,
            severity="missing",
            found=found,
            needed=f"no filter that leaves out {database}",
            cure=Cure(action=f"remove {found} from my.cnf and restart the server"),
        )
    ]


def server_id_finding(
    variables: Variables, our_ids: Mapping[int, str], replicas: Iterable[Replica]
) -> Finding:
    """Return whether the server has an id of its own. `our_ids` are those of our readers."""
    own_id = variables.number("server_id")
    taken_ids = {*our_ids, *(replica.server_id for replica in replicas)}
    if own_id and own_id not in our_ids:
        return satisfied("server_id", str(own_id))
    free_id = next(number for number in range(1, MAX_SERVER_ID) if number not in taken_ids)
    reader = our_ids.get(own_id)
    return Finding(
        check="server_id",
        severity="missing",
        found=f"{own_id}, the id of {reader}" if reader else "0: it accepts no readers",
        needed="an id that no other server or reader has",
        cure=variables.setting("server_id", str(free_id)),
    )


def reader_ids_finding(
    our_ids: Mapping[int, str], replicas: Sequence[Replica], *, is_running: bool
) -> Finding:
    """Return whether another reader of the log has an id of ours: each would disconnect the other.

    Our own readers have no UUID, and are seen if the stack `is_running`.
    """
    check = "ids of our readers"
    for replica in replicas:
        reader = our_ids.get(replica.server_id)
        if reader is None or (is_running and not replica.uuid):
            continue
        whose = f"the replica {replica.uuid}" if replica.uuid else "another reader"
        return Finding(
            check=check,
            severity="missing" if replica.uuid else "advice",
            found=f"{whose} has the id {replica.server_id} of {reader}",
            needed="ids that no other reader has",
            cure=Cure(
                action="if that is another stack or server, choose another KAPPA_PORT_BASE: the "
                "ids depend on it"
            ),
        )
    return satisfied(check, ", ".join(map(str, our_ids)))


def replication_finding(variables: Variables, *, is_replica: bool) -> list[Finding]:
    """Return whether a server that is a replica logs what it replicates."""
    is_named_so = variables.version >= REPLICA_NAMES_VERSION
    name = "log_replica_updates" if is_named_so else "log_slave_updates"
    if not is_replica:
        return []
    if variables.is_on(name, "ON"):
        return [satisfied(name, "ON")]
    return [
        Finding(
            check=name,
            severity="missing",
            found="OFF, and this server is a replica",
            needed="ON",
            cure=Cure(my_cnf=(f"{name}=ON",), action="restart the server"),
        )
    ]
