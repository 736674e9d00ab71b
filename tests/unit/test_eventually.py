import pytest

from tests.eventually import eventually


def test_the_first_truthy_value_is_given():
    answers = iter([None, 0, "at last", "too late"])
    assert eventually(lambda: next(answers), within=5, because="it comes") == "at last"


def test_an_exception_means_not_yet():
    answers = iter([lambda: 1 / 0, lambda: 42])
    assert eventually(lambda: next(answers)(), within=5, because="it works out") == 42


def test_waiting_in_vain_says_for_what_and_what_came_instead():
    with pytest.raises(AssertionError, match=r"the order arrives; the last answer was \[\]"):
        eventually(list, within=0, because="the order arrives")


def test_waiting_in_vain_shows_the_last_exception():
    with pytest.raises(AssertionError, match="the last answer raised ZeroDivisionError"):
        eventually(lambda: 1 / 0, within=0, because="the order arrives")
