"""Tables that cannot be followed, or only with some loss."""

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.mysql.server_check.findings import (
    Cure,
    Finding,
    first_names,
    satisfied,
)
from schemas.capture_rules import UNLOGGED_ENGINES
from schemas.shop_tables import quoted

TRANSACTIONAL_ENGINES = frozenset({"innodb", "ndbcluster", "rocksdb"})
CLUSTER = {"ndbcluster": "other servers of the cluster change it without logging it here"}
# From this version on, InnoDB's cascades are in the binary log.
LOGGED_CASCADES = (9, 6, 0)


@dataclass(frozen=True, kw_only=True)
class TableFacts:
    """A table as information_schema has it. `rows` is MySQL's estimate.

    `has_key` is whether a primary key, or a UNIQUE key of NOT NULL columns, tells rows apart.
    `unknown_columns` are columns with types that are not replicated. `cascades` are foreign keys
    of this table by which a change of another one changes its rows.
    """

    name: str
    engine: str = "InnoDB"
    rows: int = 0
    has_key: bool = True
    unknown_columns: tuple[str, ...] = ()
    cascades: tuple[str, ...] = ()


def table_findings(
    tables: Iterable[TableFacts], database: str, version: tuple[int, int, int]
) -> list[Finding]:
    """Return what is to be known about the tables, or that nothing is."""
    findings: list[Finding] = []
    count = 0
    for table in tables:
        count += 1
        findings += _findings_of(table, database, version)
    return findings or [satisfied("tables", f"{count}, with nothing to be noted")]


def _findings_of(
    table: TableFacts, database: str, version: tuple[int, int, int]
) -> list[Finding]:
    name = f"{quoted(database)}.{quoted(table.name)}"
    check = f"table {table.name}"
    findings = []
    if not table.has_key:
        findings.append(
            Finding(
                check=check,
                severity="note",
                found="no primary key and no UNIQUE key of NOT NULL columns: it is replicated, and "
                "all of it is rewritten with every version that changes it",
                cure=Cure(action="give it a primary key"),
            )
        )
    engine = table.engine.lower()
    if engine in UNLOGGED_ENGINES:
        findings.append(
            Finding(
                check=check,
                severity="note",
                found=f"ENGINE={table.engine}: it is not captured, since "
                f"{UNLOGGED_ENGINES[engine]}",
            )
        )
    elif engine in CLUSTER:
        findings.append(
            Finding(
                check=check,
                severity="note",
                found=f"ENGINE={table.engine}: {CLUSTER[engine]}",
            )
        )
    elif engine not in TRANSACTIONAL_ENGINES:
        findings.append(
            Finding(
                check=check,
                severity="note",
                found=f"ENGINE={table.engine} has no transactions: a snapshot can hold a part of a "
                "change",
                cure=Cure(sql=(f"ALTER TABLE {name} ENGINE = InnoDB;",)),
            )
        )
    if table.unknown_columns:
        findings.append(
            Finding(
                check=check,
                severity="note",
                found=f"{first_names(table.unknown_columns)}: a type that is not replicated stops "
                "this table (docs/types.md)",
            )
        )
    if table.cascades and version < LOGGED_CASCADES:
        findings.append(
            Finding(
                check=check,
                severity="advice",
                found=f"foreign key {first_names(table.cascades)}: MySQL before 9.6 does not log "
                "the rows that CASCADE and SET NULL change",
                needed="ON DELETE RESTRICT ON UPDATE RESTRICT, or MySQL 9.6",
                cure=Cure(
                    action="let the application change these rows itself; until then a proof "
                    "(./kappa verify warehouse) finds them, and the table is read again"
                ),
            )
        )
    return findings
