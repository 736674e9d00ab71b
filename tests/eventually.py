"""Wait in tests until a fact holds, never for a fixed time."""

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.05


def eventually(
    condition: Callable[[], T | Literal[False] | None], *, within: float, because: str
) -> T:
    """Return the first truthy value of a condition that is asked again and again.

    An exception counts as "not yet". Raises AssertionError with the last value or exception if
    there is no truthy value within so many seconds.
    """
    deadline = time.monotonic() + within
    while True:
        value = None
        failure = None
        try:
            value = condition()
        except Exception as error:
            failure = error
        if value:
            return value
        if time.monotonic() >= deadline:
            answer = f"was {value!r}"
            if failure:
                answer = f"raised {type(failure).__name__}: {failure}"
            raise AssertionError(
                f"not within {within:g} seconds: {because}; the last answer {answer}"
            ) from failure
        time.sleep(PAUSE_SECONDS)
