"""The server's variables that decide whether its binary log has every change, whole and in order.

Source: MySQL Reference Manual, "Binary Logging Options and Variables", "Global Transaction ID
System Variables", "Changing GTID Mode Online".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from connectors.mysql.client import Connection
from connectors.mysql.server_check.findings import Cure, Finding, literal, satisfied
from schemas.topics import MAX_RECORD_BYTES

# The first with the privilege FLUSH_TABLES, which the account `debezium` has instead of RELOAD.
OLDEST_VERSION = (8, 0, 23)
VERSION = re.compile(r"(\d+)\.(\d+)(?:\.(\d+))?")
# The order in which MySQL lets the mode be changed, one step at a time.
GTID_MODES = ("OFF", "OFF_PERMISSIVE", "ON_PERMISSIVE", "ON")
GTID_STEPS = (
    "if the server has replicas, execute each statement on all servers before the next one; before "
    "the last, wait until SHOW GLOBAL STATUS LIKE 'Ongoing_anonymous_transaction_count' is 0"
)
OPEN_SESSIONS = "sessions that are open keep the old value until they connect again"
UTC_ZONES = frozenset(
    {"+00:00", "-00:00", "utc", "etc/utc", "gmt", "etc/gmt", "uct", "zulu"}
)
MIB = 2**20


@dataclass(frozen=True)
class Variables:
    """The global variables of a server, by their names in lower case."""

    values: Mapping[str, str]

    def text(self, name: str, default: str = "") -> str:
        """Return a value; the default if this server does not have the variable."""
        return self.values.get(name, default)

    def number(self, name: str, default: int = 0) -> int:
        """Return a value as a number."""
        return int(self.values.get(name, default))

    def is_on(self, name: str, default: str = "OFF") -> bool:
        """Whether a switch is on."""
        return self.text(name, default).upper() in ("ON", "1")

    @property
    def version(self) -> tuple[int, int, int]:
        """The numbers of the server's version."""
        match = VERSION.search(self.text("version"))
        if match is None:
            return (0, 0, 0)
        return (int(match[1]), int(match[2]), int(match[3] or 0))

    def setting(self, name: str, value: str, action: str = "") -> Cure:
        """Return the cure that sets a variable now and at every start of the server."""
        assignment = f"{name} = {value}"
        if self.is_on("persisted_globals_load", "ON"):
            return Cure(sql=(f"SET PERSIST {assignment};",), action=action)
        # The server ignores what SET PERSIST writes.
        line = f"{name}={value.strip(chr(39))}"
        return Cure(sql=(f"SET GLOBAL {assignment};",), my_cnf=(line,), action=action)


def read_variables(connection: Connection) -> Variables:
    """Return the server's global variables. Raises Unavailable, SqlRefused."""
    values = {}
    for row in connection.query("SHOW GLOBAL VARIABLES"):
        values[str(row["Variable_name"]).lower()] = str(row["Value"])
    return Variables(values)


def version_finding(variables: Variables) -> Finding:
    """Return whether the server is a MySQL whose binary log and privileges are known here."""
    found = variables.text("version")
    comment = variables.text("version_comment")
    is_other = "mariadb" in f"{found} {comment}".lower()
    if not is_other and variables.version >= OLDEST_VERSION:
        return satisfied("version", f"MySQL {found}")
    oldest = ".".join(map(str, OLDEST_VERSION))
    return Finding(
        check="version",
        severity="missing",
        found=found,
        needed=f"MySQL {oldest} or later",
        cure=Cure(
            action=f"move the database to a MySQL of version {oldest} or later"
            if is_other
            else f"upgrade MySQL to {oldest} or later"
        ),
    )


def log_findings(variables: Variables) -> list[Finding]:
    """Return whether every change of a row is logged, as a row, with all its columns and a GTID.

    The cures have to be carried out in the order of the findings.
    """
    return [
        _log_bin(variables),
        _text(variables, "binlog_format", "ROW"),
        _text(variables, "binlog_row_image", "FULL"),
        _text(variables, "binlog_row_value_options", ""),
        _gtid_consistency(variables),
        _gtid_mode(variables),
    ]


def other_findings(variables: Variables, database: str) -> list[Finding]:
    """Return findings about the sizes of rows, zones, names and writes."""
    return [
        _max_allowed_packet(variables),
        _time_zone(variables),
        _lower_case_table_names(variables, database),
        *_read_only(variables),
    ]


def _log_bin(variables: Variables) -> Finding:
    if variables.is_on("log_bin", "ON"):
        return satisfied("log_bin", "ON")
    return Finding(
        check="log_bin",
        severity="missing",
        found="OFF",
        needed="ON",
        cure=Cure(
            my_cnf=("log_bin=binlog",),
            action="remove skip_log_bin and disable_log_bin, if they are there, and restart the "
            "server",
        ),
    )


def _text(variables: Variables, name: str, value: str) -> Finding:
    found = variables.text(name, value)
    if found.upper() == value:
        return satisfied(name, found or "empty")
    return Finding(
        check=name,
        severity="missing",
        found=found,
        needed=value or "empty",
        cure=variables.setting(name, literal(value), OPEN_SESSIONS),
    )


def _gtid_consistency(variables: Variables) -> Finding:
    name = "enforce_gtid_consistency"
    found = variables.text(name, "ON")
    if found.upper() == "ON":
        return satisfied(name, found)
    return Finding(
        check=name,
        severity="missing",
        found=found,
        needed="ON",
        cure=variables.setting(
            name,
            "'ON'",
            "with 'WARN' first, the error log names the statements that 'ON' will refuse",
        ),
    )


def _gtid_mode(variables: Variables) -> Finding:
    found = variables.text("gtid_mode", "ON").upper()
    if found == "ON":
        return satisfied("gtid_mode", found)
    at = GTID_MODES.index(found) if found in GTID_MODES else 0
    steps = [variables.setting("gtid_mode", literal(mode)) for mode in GTID_MODES[at + 1 :]]
    return Finding(
        check="gtid_mode",
        severity="missing",
        found=found,
        needed="ON",
        cure=Cure(
            sql=tuple(step.sql[0] for step in steps),
            my_cnf=steps[-1].my_cnf,
            action=GTID_STEPS,
        ),
    )


def _max_allowed_packet(variables: Variables) -> Finding:
    """An update's record has the row twice: before and after."""
    name = "max_allowed_packet"
    size = variables.number(name)
    largest = MAX_RECORD_BYTES // 2
    if size <= largest:
        return satisfied(name, f"{size // MIB} MiB")
    return Finding(
        check=name,
        severity="advice",
        found=f"{size // MIB} MiB: a changed row of more than {largest // MIB} MiB fits no record "
        "of the log, and has its table read again",
        needed=f"{largest // MIB} MiB at most",
        cure=variables.setting(name, str(largest), "only if no row is that large"),
    )


def _time_zone(variables: Variables) -> Finding:
    zone = variables.text("time_zone", "SYSTEM")
    name = variables.text("system_time_zone", "UTC") if zone == "SYSTEM" else zone
    found = zone if zone == name else f"{zone} ({name})"
    if name.lower() in UTC_ZONES:
        return satisfied("time_zone", found)
    return Finding(
        check="time_zone",
        severity="note",
        found=f"{found}: a TIMESTAMP is the same instant everywhere, a DATETIME has no zone and "
        "shows the same digits in Hive, where it is read as UTC",
    )


def _lower_case_table_names(variables: Variables, database: str) -> Finding:
    name = "lower_case_table_names"
    found = variables.text(name, "0")
    lower = database.lower()
    if found == "1" and database != lower:
        return Finding(
            check=name,
            severity="missing",
            found=f"1, so that MySQL logs {database} (mysql.database) as {lower}",
            needed="equal names",
            cure=Cure(action=f"set KAPPA_MYSQL_DATABASE={lower} (docs/settings.md)"),
        )
    return satisfied(name, found)


def _read_only(variables: Variables) -> list[Finding]:
    name = next((n for n in ("super_read_only", "read_only") if variables.is_on(n)), None)
    if name is None:
        return []
    return [
        Finding(
            check=name,
            severity="note",
            found="ON: statements about accounts, databases and tables must be executed on the "
            "server that this one replicates",
        )
    ]
