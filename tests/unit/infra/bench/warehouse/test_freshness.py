import pytest

from infra.bench.warehouse import freshness
from infra.bench.warehouse.freshness import Writer, rate_figures
from infra.bench.warehouse.freshness_observer import Observations
from infra.terminal.progress_line import ProgressLine


def test_figures_are_from_the_sending_until_the_topic_and_until_hive() -> None:
    observations = Observations(
        logged_at={1: 1.2, 2: 2.0, 3: 3.0}, shown_at={1: 5.0, 2: 5.0}
    )
    figures = rate_figures(10, 9.6, {1: 1.0, 2: 1.9, 3: 2.9}, observations)
    assert (figures.topic_p50, figures.topic_p95) == (0.1, 0.2)
    assert (figures.hive_p50, figures.hive_longest) == (3.1, 4.0)
    assert (figures.reached_rate, figures.transactions) == (10, 3)
    assert (figures.versions, figures.lost_transactions) == (1, 1)


class Connection:
    """A MySQL that is slow with the first statement."""

    def __init__(self, clock: list[float]) -> None:
        self.parameters: list[tuple[int, ...]] = []
        self._clock = clock

    def execute(self, _sql: str, parameters: tuple[int, ...]) -> None:
        if not self.parameters:
            self._clock[0] += 0.05
        self.parameters.append(parameters)


def test_a_slow_transaction_does_not_delay_the_sending_of_the_next_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    monkeypatch.setattr(freshness.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(freshness.time, "sleep", sleep)
    connection = Connection(clock)
    writer = Writer(connection, 1000, iter(range(1, 100)))  # type: ignore[arg-type]
    rows: dict[int, int] = {}
    with ProgressLine() as line:
        transactions = writer.run(0.1, rows, line)
    assert list(transactions.sent_at) == list(range(1, 11))
    assert transactions.sent_at[2] == pytest.approx(0.05)
    assert transactions.sent_at[10] == pytest.approx(0.09)
    assert {len(parameters) for parameters in connection.parameters} == {1 + 10}
    assert rows[3] == connection.parameters[2][1]
    assert writer.reached_rate(transactions) == pytest.approx(1111, abs=1)
