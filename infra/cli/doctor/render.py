"""The findings of `kappa doctor mysql` for people, and as data."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from connectors.mysql.server_check.findings import Cure, Finding

WIDTH = 28
MARKS = {"ok": "ok", "missing": "MISSING", "advice": "advice", "note": "note"}
INDENT = " " * 9


def as_text(findings: Sequence[Finding]) -> str:
    """Return a line per finding with its cure in the lines below, and the verdict."""
    lines = []
    for finding in findings:
        needed = f"; must be {finding.needed}" if finding.needed else ""
        mark = MARKS[finding.severity]
        lines.append(f"{mark:<8} {finding.check:<{WIDTH}} {finding.found}{needed}")
        lines += [INDENT + line for line in _cure_lines(finding.cure)]
    return "\n".join([*lines, verdict(findings)])


def verdict(findings: Iterable[Finding]) -> str:
    """Return in one line whether the server can be captured."""
    counts = Counter(finding.severity for finding in findings)
    remarks = []
    for severity in ("advice", "note"):
        count = counts[severity]
        plural = "s" if severity == "note" and count != 1 else ""
        if count:
            remarks.append(f"{count} {severity}{plural}")
    others = f" ({', '.join(remarks)})" if remarks else ""
    if counts["missing"]:
        return f"{counts['missing']} missing: this server cannot be captured yet{others}"
    return f"nothing is missing: this server can be captured{others}"


def as_objects(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return the findings as JSON has them, with the cures' parts beside the other fields."""
    objects = []
    for finding in findings:
        fields = asdict(finding)
        cure = fields.pop("cure")
        objects.append({**fields, **cure})
    return objects


def _cure_lines(cure: Cure) -> list[str]:
    lines = [f"sql:    {statement}" for statement in cure.sql]
    lines += [f"my.cnf: {line}" for line in cure.my_cnf]
    if cure.action:
        lines.append(f"next:   {cure.action}")
    if cure.done_by_up:
        lines.append("up:     ./kappa up does this by itself")
    return lines
