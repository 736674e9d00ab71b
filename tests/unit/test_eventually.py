import pytest

from tests.eventually import eventually


def test_the_first_truthy_value_is_returned() -> None:
    answers = iter([None, "", "at last", "too late"])
    answer = eventually(lambda: next(answers), within=5, because="it comes")
    assert answer == "at last"


def test_an_exception_means_not_yet() -> None:
    answers = iter(["no number", "42"])
    answer = eventually(lambda: int(next(answers)), within=5, because="it works")
    assert answer == 42


def test_a_timeout_names_the_fact_and_the_last_answer() -> None:
    message = r"the order arrives; the last answer was \[\]"
    with pytest.raises(AssertionError, match=message):
        eventually(lambda: list[str](), within=0, because="the order arrives")


def test_a_timeout_shows_the_last_exception() -> None:
    message = "the last answer raised ZeroDivisionError"
    with pytest.raises(AssertionError, match=message):
        eventually(lambda: 1 / 0, within=0, because="the order arrives")
