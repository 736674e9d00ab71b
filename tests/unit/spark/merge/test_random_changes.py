"""Random changes of rows and statements between them, in random versions: a table has MySQL's rows.

Rows have a key, which changes too, and values, whose columns are added, dropped, renamed and
swapped. Transactions come twice, as Connect writes them after a crash.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from schemas.ddl.certain_effects import RowConversion
from schemas.gtid import GtidSet
from spark.merge.latest_rows import LatestRows, latest_per_key
from spark.merge.projection import project
from spark.merge.schema_periods import PeriodChanges, apply_periods, inserted_rows
from tests.unit.spark.change_log import LOG, UUID

KEYS = ("1", "2", "3", "4")
NAMES = ("a", "b", "c", "d", "e")
VERSIONS = 6
Row = dict[str, str | None]


@dataclass
class Mysql:
    """A table with its rows, and the records of its changes since the last statement."""

    random: Random
    key: str = "k"
    columns: list[str] = field(default_factory=lambda: ["a", "b"])
    rows: list[Row] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    number: int = 0

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([(name, pa.string()) for name in (self.key, *self.columns)])

    def write(self) -> None:
        """Write a transaction of some changes, or a TRUNCATE."""
        self.number += 1
        gtid = f"{UUID}:{self.number}"
        if self.random.random() < 0.05:
            self.rows.clear()
            self.records.append({"op": "t", "gtid": gtid})
            return
        changes: list[dict[str, Any]] = []
        for _ in range(self.random.randint(1, 4)):
            changes += self._change()
        transaction = [
            {**change, "gtid": gtid, "tx_id": gtid, "tx_table_order": order}
            for order, change in enumerate(changes, 1)
        ]
        self.records += transaction
        if self.random.random() < 0.1:
            self.records += transaction

    def _change(self) -> list[dict[str, Any]]:
        free_keys = set(KEYS) - {str(row[self.key]) for row in self.rows}
        kind = self.random.choice(("insert", "update", "delete", "move"))
        if kind == "insert" and free_keys:
            return [self._insert(self._row(self.random.choice(sorted(free_keys))))]
        if not self.rows:
            return []
        old_row = self.random.choice(self.rows)
        if kind == "delete":
            return [self._delete(old_row)]
        if kind == "move" and free_keys:
            new_row = {**old_row, self.key: self.random.choice(sorted(free_keys))}
            return [self._delete(old_row), self._insert(new_row)]
        new_row = self._row(str(old_row[self.key]))
        self.rows[self.rows.index(old_row)] = new_row
        return [{"op": "u", "before": old_row, "after": new_row}]

    def _row(self, key: str) -> Row:
        values = {name: self.random.choice(("x", "y", None)) for name in self.columns}
        return {self.key: key, **values}

    def _insert(self, row: Row) -> dict[str, Any]:
        self.rows.append(row)
        return {"op": "c", "after": row}

    def _delete(self, row: Row) -> dict[str, Any]:
        self.rows.remove(row)
        return {"op": "d", "before": row}

    def alter(self) -> RowConversion:
        """Change the table by a statement of some clauses. Returns how rows cross it."""
        random = self.random
        dropped = [name for name in self.columns if random.random() < 0.3]
        remaining = [name for name in self.columns if name not in dropped]
        new_names = random.choice((remaining, random.sample(NAMES, len(remaining))))
        names = dict(zip(remaining, new_names, strict=True))
        names[self.key] = random.choice((self.key, "k", "l"))
        added = {
            name: random.choice(("7", None))
            for name in NAMES
            if name not in new_names and random.random() < 0.3
        }
        self.rows = [
            {new_name: row[name] for name, new_name in names.items()} | added
            for row in self.rows
        ]
        self.key = names[self.key]
        self.columns = [*new_names, *added]
        renames = [(name, new_name) for name, new_name in names.items() if name != new_name]
        return RowConversion(tuple(renames), tuple(added.items()), tuple(dropped))


def archived(records: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    row = pa.struct(list(schema))
    fields = [
        pa.field(one.name, row) if one.name in ("before", "after") else one for one in LOG
    ]
    return pa.Table.from_pylist(
        [{"partition": 0, "offset": n, **record} for n, record in enumerate(records)],
        pa.schema(fields),
    )


def changes_since_statement(mysql: Mysql, merged: GtidSet) -> LatestRows:
    table = archived(mysql.records, mysql.schema)
    mysql.records = []
    return latest_per_key([table], mysql.schema, [mysql.key], merged)


@pytest.mark.parametrize("seed", range(100))
def test_a_table_has_the_rows_that_mysql_has(seed: int) -> None:
    random = Random(seed)
    mysql = Mysql(random)
    rows = mysql.schema.empty_table()
    merged = GtidSet()
    for _ in range(VERSIONS):
        periods = []
        for _ in range(random.randint(1, 3)):
            for _ in range(random.randint(0, 5)):
                mysql.write()
            latest = changes_since_statement(mysql, merged)
            periods.append(PeriodChanges(latest, mysql.alter()))
        for _ in range(random.randint(0, 5)):
            mysql.write()
        periods.append(
            PeriodChanges(changes_since_statement(mysql, merged), RowConversion())
        )
        schema = mysql.schema
        remaining = project(apply_periods(rows, periods), schema)
        rows = pa.concat_tables([remaining, inserted_rows(periods, schema)])
        merged = merged.with_gtids(
            f"{UUID}:{number}" for number in range(1, mysql.number + 1)
        )
        found = sorted(map(str, rows.select(schema.names).to_pylist()))
        expected = [{name: row[name] for name in schema.names} for row in mysql.rows]
        assert found == sorted(map(str, expected))
