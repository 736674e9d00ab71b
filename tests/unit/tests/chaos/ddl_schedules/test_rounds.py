from collections.abc import Iterator

from tests.chaos.ddl_schedules.rounds import HEALED_SECONDS, TableCheck

REREAD = "it is read again"


def check(problems: Iterator[str], reasons: Iterator[str]) -> TableCheck:
    """A check of a table by what is seen at each look, on a clock that stands between them."""
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    return TableCheck(
        lambda: next(problems), lambda: next(reasons), clock=lambda: now[0], sleep=sleep
    )


def always(value: str) -> Iterator[str]:
    while True:
        yield value


def then_nothing(*values: str) -> Iterator[str]:
    yield from values
    yield from always("")


def test_an_equal_table_is_right_at_once() -> None:
    table = check(always(""), always(""))
    assert table.run() == ""
    assert not table.has_waited


def test_a_table_that_differs_while_it_is_read_again_is_right_once_it_is_equal() -> None:
    table = check(then_nothing(*["rows"] * 40), then_nothing(*[REREAD] * 70))
    assert table.run() == ""
    assert table.has_waited


def test_a_table_that_differs_while_it_is_shown_as_replicated_is_wrong_even_if_it_heals() -> (
    None
):
    answer = check(then_nothing(*["one row"] * 12), always("")).run()
    assert answer.startswith("shown as replicated, but it differs: one row")
    assert "s later" in answer


def test_a_table_may_differ_for_a_moment() -> None:
    assert check(then_nothing("one row"), always("")).run() == ""


def test_a_table_that_is_not_equal_in_time_is_wrong_with_the_reason() -> None:
    answer = check(always("one row"), always(REREAD)).run()
    assert f"{HEALED_SECONDS:.0f} s" in answer
    assert REREAD in answer
    assert "one row" in answer
