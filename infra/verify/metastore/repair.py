"""The response to a drift: requests for its repair, and a second look."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.control.repair_request import RepublishFile
from connectors.control.reread_request import RereadRequests
from connectors.retry import wait_until
from connectors.runtime.settings import Settings
from infra.verify.metastore.drift import NO_DRIFT, REPAIRED, Drift, DriftReport
from infra.verify.metastore.look import Look, Sources
from schemas.errors import Unavailable
from schemas.topics import change_topic

REPAIR_SECONDS = 60.0
POLL_SECONDS = 0.1
MAX_SAID = 20
OFF = "not repaired: verify.heal is false"


@dataclass(frozen=True)
class Waiting:
    """How long the compactor is waited for."""

    timeout_seconds: float
    sleep: Callable[[float], object]


def look_and_repair(
    settings: Settings,
    mysql_tables: Sequence[str],
    say: Callable[[str], object],
    sources: Sources | None = None,
    timeout_seconds: float = REPAIR_SECONDS,
) -> DriftReport:
    """Look for drifts, name the first, and have them repaired if `verify.heal` allows it.

    `mysql_tables` are names in MySQL; none means all tables. Damaged files of MySQL's tables are
    asked to be read again, all else to be published again; for that it waits `timeout_seconds` at
    most. Raises Unavailable or Refused if the metastore or HDFS cannot be read.
    """
    sources = sources or Sources.of(settings)
    look = Look(settings, sources, mysql_tables)
    drifts = look.lasting_drifts()
    if not drifts:
        return NO_DRIFT
    for drift in drifts[:MAX_SAID]:
        say(drift.text())
    if len(drifts) > MAX_SAID:
        say(
            f"and {len(drifts) - MAX_SAID:,} more differences between Hive and the manifest"
        )
    waiting = Waiting(timeout_seconds, sources.sleep)
    repair = _repair(settings, look, drifts, waiting)
    say(f"Hive and the manifest: {repair}")
    return DriftReport(drifts=tuple(drifts), repair=repair)


def _repair(
    settings: Settings, look: Look, drifts: Sequence[Drift], waiting: Waiting
) -> str:
    if not settings.verify.heal:
        return OFF
    damage_drifts = [drift for drift in drifts if drift.what == "damaged files"]
    outcomes = []
    if len(damage_drifts) < len(drifts):
        outcomes.append(_republish(settings, look, drifts, waiting))
    if damage_drifts:
        outcomes.append(_resync(settings, damage_drifts))
    return "; ".join(outcomes)


def _republish(
    settings: Settings, look: Look, drifts: Sequence[Drift], waiting: Waiting
) -> str:
    """Have the newest version published again. Returns what a second look says."""
    file = RepublishFile(settings.home)
    folders = dict.fromkeys(drift.folder for drift in drifts if drift.folder)
    request = file.write_request(f"a proof found: {drifts[0].text()}", tuple(folders))

    def is_carried_out() -> bool:
        current = file.current_request()
        return current is None or current.id != request.id

    try:
        wait_until(
            is_carried_out,
            timeout_seconds=waiting.timeout_seconds,
            poll_seconds=POLL_SECONDS,
            sleep=waiting.sleep,
            what="the compactor to publish the newest version again",
        )
    except Unavailable:
        seconds = f"{waiting.timeout_seconds:.0f} s"
        return (
            f"not repaired within {seconds}; the compactor does it when it publishes again"
        )
    remaining = [drift for drift in look.lasting_drifts() if drift.what != "damaged files"]
    if remaining:
        return f"not repaired, see ./kappa logs compactor: {remaining[0].text()}"
    return REPAIRED


def _resync(settings: Settings, damage_drifts: Sequence[Drift]) -> str:
    """Ask that MySQL's tables with damaged files be read again."""
    reasons: dict[str, str] = {}
    other_tables = dict.fromkeys(
        drift.table for drift in damage_drifts if not drift.mysql_table
    )
    for drift in damage_drifts:
        if drift.mysql_table:
            reasons.setdefault(drift.mysql_table, drift.text())
    requests = RereadRequests(settings.home)
    for table, reason in reasons.items():
        requests.add(change_topic(settings.mysql.database, table), reason)
    texts = []
    if reasons:
        texts.append(f"{', '.join(reasons)} will be read again from MySQL")
    if other_tables:
        texts.append(
            f"{', '.join(other_tables)} cannot be read again: see docs/warehouse/proof.md"
        )
    return "; ".join(texts)
