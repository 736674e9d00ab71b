"""Debezium's own settings for the capture rules: lists of regular expressions. Pure.

Debezium compares them with `database.table` and `database.table.column`, whole, in any letter case.
Of its settings of columns the first that names a column counts, in the order masks, source types,
hashes: so the setting of source types must not name a hashed column. Source: Debezium 3.6,
io.debezium.relational.mapping.ColumnMappers and MaskStrings.
"""

import re
from collections.abc import Iterable, Mapping

from schemas.capture_rules import MASK, CaptureRules, any_expression

# Letter case does not count in any script, and a point stands for a line break too.
FLAGS = "(?isu)"
# An entry of a list.
ENTRY = re.compile(r"(?:[^\\,]|\\.)+", re.DOTALL)
CASED = re.compile(r"\(\?-i:(.*)\)", re.DOTALL)
SOURCE_TYPES = "propagate.source.type"
HASH = "column.mask.hash.v2.SHA-256.with.salt"


def capture_filters(
    database: str,
    rules: CaptureRules,
    excluded_tables: Iterable[str],
    salt: str,
    *,
    distinguishes_case: bool = False,
) -> dict[str, str]:
    """Return the part of the connector's configuration that selects tables and protects columns.

    `excluded_tables` are taken out besides; if MySQL `distinguishes_case` of tables' names, those
    of other letter case are other tables, and stay. There is no table.include.list, since Debezium
    takes one of the two lists only.
    """
    prefix = name_expression(f"{database}.")
    filters = {f"datatype.{SOURCE_TYPES}": ".*"}
    names = [name_expression(f"{database}.{table}") for table in excluded_tables]
    if distinguishes_case:
        names = [f"(?-i:{name})" for name in names]
    if excluded := _excluded(prefix, rules, names):
        filters["table.exclude.list"] = ",".join(excluded)
    if rules.leave_out_columns:
        left_out = any_expression(rules.leave_out_columns)
        filters["column.exclude.list"] = f"{FLAGS}{prefix}{left_out}"
    if rules.mask_columns:
        masked = any_expression(rules.mask_columns)
        filters[f"column.mask.with.{len(MASK)}.chars"] = f"{FLAGS}{prefix}{masked}"
    if rules.hash_columns:
        hashed = any_expression(rules.hash_columns)
        filters[f"{HASH}.{salt}"] = f"{FLAGS}{prefix}{hashed}"
        del filters[f"datatype.{SOURCE_TYPES}"]
        filters[f"column.{SOURCE_TYPES}"] = f"{FLAGS}{prefix}(?!{hashed}\\z).*"
    return filters


def name_expression(name: str) -> str:
    """Return the expression of one name in Debezium's lists, in which commas separate names."""
    return re.escape(name).replace(",", "\\,")


def tables_excluded_by_name(config: Mapping[str, str], database: str) -> list[str]:
    """Return the tables that a configuration of a connector excludes by their names."""
    tables = []
    for entry in ENTRY.findall(config.get("table.exclude.list", "")):
        if entry.startswith(FLAGS):
            continue  # the rules'
        match = CASED.fullmatch(entry)
        name = re.sub(r"\\(.)", r"\1", match[1] if match else entry, flags=re.DOTALL)
        if name.startswith(f"{database}."):
            tables.append(name.removeprefix(f"{database}."))
    return tables


def _excluded(prefix: str, rules: CaptureRules, names: Iterable[str]) -> list[str]:
    excluded = list(names)
    if rules.exclude_tables:
        excluded.append(f"{FLAGS}{prefix}{any_expression(rules.exclude_tables)}")
    if rules.include_tables:
        included = any_expression(rules.include_tables)
        excluded.append(f"{FLAGS}{prefix}(?!{included}\\z).*")
    return excluded
