"""Waiting in tests for a fact, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.05


def eventually(condition: Callable[[], T], *, within: float, because: str) -> T:
    """The first truthy value that `condition` gives, asked again and again for at most `within` seconds.

    An exception counts as "not yet". Raises AssertionError with the last value or exception once the time is over.
    """
    deadline = time.monotonic() + within
    while True:
        value, failure = None, None
        try:
            value = condition()
        except Exception as error:
            failure = error
        if value:
            return value
        if time.monotonic() >= deadline:
            last = f"raised {type(failure).__name__}: {failure}" if failure else f"was {value!r}"
            raise AssertionError(f"not within {within:g} seconds: {because}; the last answer {last}") from failure
        time.sleep(PAUSE_SECONDS)
