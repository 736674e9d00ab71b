"""What a check of a MySQL server found, and the statement or setting that cures it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

# `missing`: without it capture is impossible or wrong. `advice`: better otherwise. `note`: works,
# and somebody who looks at the warehouse should know it.
Severity = Literal["ok", "missing", "advice", "note"]

NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Cure:
    """How a finding is cured: by all that is given here, in this order.

    `sql` are statements of an administrator's session. `my_cnf` are lines of the server's section
    [mysqld], which need a restart. `action` is for people. What is `done_by_up`, `./kappa up` does
    by itself.
    """

    sql: tuple[str, ...] = ()
    my_cnf: tuple[str, ...] = ()
    action: str = ""
    done_by_up: bool = False


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One check: what the server has, what it must have, and the cure if it has something else."""

    check: str
    severity: Severity
    found: str
    needed: str = ""
    cure: Cure = Cure()

    @property
    def text(self) -> str:
        """The finding in one line, without the cure."""
        needed = f", must be {self.needed}" if self.needed else ""
        return f"{self.check}: {self.found}{needed}"


def satisfied(check: str, found: str) -> Finding:
    """Return the finding that nothing has to be done."""
    return Finding(check=check, severity="ok", found=found)


def missing(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings without whose cure capture is impossible or wrong."""
    return [finding for finding in findings if finding.severity == "missing"]


def first_names(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    text = ", ".join(names[:NAMED])
    remaining = len(names) - NAMED
    return f"{text} and {remaining} more" if remaining > 0 else text


def literal(text: str) -> str:
    """Return a text as a literal of MySQL's."""
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"
