from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from infra.bench.capture import stream_writer
from infra.bench.capture.order_changes import CHANGES, OrderTransaction
from infra.bench.capture.stream_writer import CommitCount, write


class Connection:
    """A MySQL that notes the statements."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.statements.append("BEGIN")
        yield
        self.statements.append("COMMIT")

    def execute(self, sql: str) -> None:
        self.statements.append(sql)


def test_a_transaction_has_a_statement_per_kind_of_change() -> None:
    connection = Connection()
    changes = OrderTransaction(inserted=(500, 504), updated=(1, 2), deleted=(3,))
    write(connection, "bench_orders", changes)  # type: ignore[arg-type]
    assert connection.statements == [
        "BEGIN",
        "INSERT INTO `bench_orders` (order_id, user_id, product_id, orderedAt, status) "
        "VALUES (500, 500, 0, NOW(), '0'), (504, 504, 4, NOW(), '0')",
        "UPDATE `bench_orders` SET status = IF(status = '0', '1', '0') WHERE order_id IN (1, 2)",
        "DELETE FROM `bench_orders` WHERE order_id IN (3)",
        "COMMIT",
    ]


def test_the_count_goes_on_from_answer_to_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [10.0]
    monkeypatch.setattr(stream_writer.time, "monotonic", lambda: clock[0])
    count = CommitCount()
    for at in (10.0, 10.01, 10.06):
        clock[0] = at
        count.add()
    clock[0] = 11.0
    assert count.take_entries() == {
        "times": [10.0, 10.06, 11.0],
        "values": [CHANGES, 3 * CHANGES, 3 * CHANGES],
    }
    clock[0] = 12.0
    count.add()
    assert count.take_entries()["values"] == [4 * CHANGES, 4 * CHANGES]
