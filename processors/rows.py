"""The rows of one view in Cassandra: read by key, written as absolute values fenced by their offset."""

from collections.abc import Iterable, Mapping

from connectors.cassandra import Session
from processors.counting import NOTHING, Key, Row
from schemas import views


class RowStore:
    """Reads and writes the rows of a view in one generation. Raises Refused and Unavailable, as the session does."""

    def __init__(self, session: Session, view: views.View, keyspace: str, generation: int = views.GENERATION) -> None:
        self._session = session
        self._generation = generation
        self._select = session.prepare(views.select_row(view, keyspace))
        self._upsert = session.prepare(views.upsert(view, keyspace))

    def read(self, keys: Iterable[Key]) -> dict[Key, Row]:
        """The row of every key; one that does not exist yet has counted nothing."""
        wanted = list(keys)
        answers = self._session.each(self._select, [_arguments(key) for key in wanted])
        return {key: Row(*found[0]) if found else NOTHING for key, found in zip(wanted, answers, strict=True)}

    def write(self, rows: Mapping[Key, Row]) -> None:
        """Writes rows; returns when all are acknowledged. After a failure, writing the same rows again is right, whatever had arrived."""
        self._session.each(self._upsert, [(*_arguments(key), *row, views.write_time(self._generation, row.last_offset)) for key, row in rows.items()])


def _arguments(key: Key) -> tuple[int, int, int]:
    """A primary key as the driver takes it: a timestamp in milliseconds is the wire's own form."""
    return key.subject, key.window_ms, key.partition
