"""The file `run/capture_rules.json`: what the capture rules meant when they were applied last."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from connectors.runtime.files import UnreadableState, read_json_file, replace_file
from schemas.errors import KappaError

STATE_FILE = "capture_rules.json"
LOST = (
    "see that the rules name every column whose values are to be protected, whatever it is called "
    "now; then remove the file, and ./kappa resync the tables whose rules are others than before"
)


@dataclass(frozen=True, kw_only=True)
class RulesRecord:
    """What the rules meant when they were applied last.

    `rules` is their text, `salt` a digest of the hashes' salt. `protected` has what becomes of
    columns, by table and column; `columns` all columns of those tables. `uncaptured` are the tables
    that the rules leave out, `refused` the reasons why others are taken out, `tables` all names.
    `moved` is where protected values are since statements that rename, by table and column in lower
    case, of tables that show some. `checked_gtid` is that of the last statement then, None if that
    is not known.
    """

    rules: str = ""
    salt: str = ""
    protected: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    uncaptured: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[str, ...] = ()
    moved: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    checked_gtid: str | None = None

    def summary(self) -> str:
        """Return in a few words what is not captured as it is; empty for nothing."""
        parts = []
        if self.uncaptured:
            parts.append(f"{len(self.uncaptured)} tables are left out by the settings")
        count = sum(len(columns) for columns in self.protected.values())
        if count:
            parts.append(f"{count} columns are protected")
        parts += [
            f"table {table} is not captured: {why}" for table, why in self.refused.items()
        ]
        return "; ".join(parts)


class RulesFile:
    """The record of a stack, which readers see as a whole."""

    def __init__(self, home: Path) -> None:
        self._path = home / "run" / STATE_FILE

    def read(self) -> RulesRecord | None:
        """Return the record, None if there never were rules.

        Raises KappaError if it is cut off: a column that was renamed could get out.
        """
        try:
            return read_json_file(self._path, _record, None)
        except UnreadableState as error:
            raise KappaError(
                f"{error}, so what was protected is not known", LOST
            ) from error

    def refused(self) -> dict[str, str]:
        """Return the tables that are taken out since the rules cannot be kept, with the reason."""
        record = self.read()
        return dict(record.refused) if record is not None else {}

    def write(self, record: RulesRecord) -> None:
        """Replace the record."""
        replace_file(self._path, json.dumps(asdict(record), ensure_ascii=False))


def _record(content: dict[str, Any]) -> RulesRecord | None:
    columns = {table: tuple(names) for table, names in content.pop("columns").items()}
    uncaptured = tuple(content.pop("uncaptured"))
    tables = tuple(content.pop("tables"))
    return RulesRecord(**content, columns=columns, uncaptured=uncaptured, tables=tables)
