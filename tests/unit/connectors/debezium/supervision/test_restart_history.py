"""When the next restart of a failed connector is due."""

from collections.abc import Sequence

import pytest

from connectors.debezium.supervision.restart_history import (
    MAX_PAUSE_SECONDS,
    RECOVERED_SECONDS,
    STALE_SECONDS,
    RestartHistory,
    next_restart,
)


def test_the_first_restart_is_at_once() -> None:
    assert next_restart([], 100) == 100


@pytest.mark.parametrize(
    ("history", "pause"),
    [([100], 1), ([99, 100], 2), ([90, 99, 100], 4), ([80, 90, 99, 100], 8)],
)
def test_each_further_restart_waits_twice_as_long(
    history: Sequence[float], pause: float
) -> None:
    assert next_restart(history, 101) == 100 + pause


def test_no_pause_is_longer_than_a_minute() -> None:
    assert next_restart(range(20), 20) == 19 + MAX_PAUSE_SECONDS


def test_a_task_that_had_recovered_is_restarted_at_once() -> None:
    assert next_restart([1, 2, 3], 4 + RECOVERED_SECONDS) == 4 + RECOVERED_SECONDS


def test_only_the_last_series_of_failures_counts() -> None:
    history = [1, 2, 3, 4 + RECOVERED_SECONDS]
    assert next_restart(history, history[-1] + 1) == history[-1] + 1


@pytest.fixture
def restarts() -> RestartHistory:
    """Return the history of a connector that was restarted after failing at 100 and at 101 s."""
    restarts = RestartHistory(count=5)
    for at in (100, 101):
        restarts.note_failure("no binlog")
        assert restarts.plan(at)
        restarts.note_restart(at)
    return restarts


def test_the_restarts_of_earlier_processes_count(restarts: RestartHistory) -> None:
    assert restarts.count == 7


def test_the_same_error_continues_the_series(restarts: RestartHistory) -> None:
    restarts.note_failure("no binlog")
    assert not restarts.plan(102)
    assert restarts.next_at == 103


def test_another_error_starts_a_new_series(restarts: RestartHistory) -> None:
    restarts.note_failure("no registry")
    assert restarts.plan(102)
    assert restarts.last_error == "no registry"


def test_a_short_run_does_not_end_the_series(restarts: RestartHistory) -> None:
    restarts.plan(101)
    restarts.note_run()
    assert restarts.next_at is None
    restarts.note_failure("no binlog")
    assert not restarts.plan(102)


def test_a_connector_that_is_gone_is_not_to_be_restarted(restarts: RestartHistory) -> None:
    restarts.plan(101)
    restarts.note_absence()
    assert restarts.next_at is None


def test_a_failure_is_new_if_nothing_was_restarted_before_it() -> None:
    assert RestartHistory().is_new_failure(100)


def test_a_failure_is_new_once_the_tasks_have_run(restarts: RestartHistory) -> None:
    assert not restarts.is_new_failure(102)
    restarts.note_run()
    assert restarts.is_new_failure(102)


def test_a_failure_that_connect_goes_on_to_show_is_new_after_a_while(
    restarts: RestartHistory,
) -> None:
    assert not restarts.is_new_failure(101 + STALE_SECONDS)
    assert restarts.is_new_failure(102 + STALE_SECONDS)
