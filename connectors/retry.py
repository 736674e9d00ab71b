"""Retries with back-off, and waiting until something is so: the two loops around slow systems."""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from schemas.errors import KappaError, Unavailable

T = TypeVar("T")

PAUSE_SECONDS = 0.5
POLL_SECONDS = 0.05
FOREVER = math.inf


def _ignore(_: object) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How a call that can be repeated is retried while what it needs is unavailable.

    The call is repeated for `timeout_seconds` from its first failure on (0: not at all, FOREVER:
    without end), at most `max_attempts` times in all, and until `stop` is set. The first pause is
    `pause_seconds`; each further one is twice as long, up to `max_pause_seconds`, which is
    `pause_seconds` unless it is given. Only errors of `retry_on` are retried.

    `on_wait` is told once, before the first pause, that there will be retries; `on_failure` gets
    every error before its pause.
    """

    timeout_seconds: float = 0.0
    max_attempts: int | None = None
    pause_seconds: float = PAUSE_SECONDS
    max_pause_seconds: float | None = None
    retry_on: tuple[type[Exception], ...] = (Unavailable,)
    on_wait: Callable[[str], object] = _ignore
    on_failure: Callable[[Exception], object] = _ignore
    stop: threading.Event | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], object] = time.sleep

    def call(self, function: Callable[[], T]) -> T:
        """Return what `function` returns, calling it again as the policy allows.

        Raises the last of its errors after the last retry, and an error that is not of `retry_on`
        without a retry.
        """
        longest = self.max_pause_seconds
        retrying = Retrying(
            retry=retry_if_exception_type(self.retry_on),
            stop=_StopRule(self),
            wait=wait_exponential(
                multiplier=self.pause_seconds,
                max=self.pause_seconds if longest is None else longest,
            ),
            before_sleep=self._before_pause,
            sleep=self._pause,
            reraise=True,
        )
        return retrying(function)

    def _pause(self, seconds: float) -> None:
        if self.stop is None:
            self.sleep(seconds)
        else:
            self.stop.wait(seconds)

    def _before_pause(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, Exception):
            return
        if state.attempt_number == 1:
            seconds = self.timeout_seconds
            limit = "" if seconds == FOREVER else f" for up to {seconds:g} s"
            self.on_wait(f"{error}; retrying{limit}")
        self.on_failure(error)


NO_RETRY = RetryPolicy()


class _StopRule:
    """Whether a call is given up; asked once after every failure."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self._deadline = FOREVER

    def __call__(self, state: RetryCallState) -> bool:
        policy = self._policy
        now = policy.clock()
        if state.attempt_number == 1:
            self._deadline = now + policy.timeout_seconds
        if policy.max_attempts is not None and state.attempt_number >= policy.max_attempts:
            return True
        stopped = policy.stop is not None and policy.stop.is_set()
        return stopped or now >= self._deadline


def wait_until(
    condition: Callable[[], T | None],
    *,
    timeout_seconds: float,
    what: str | Callable[[], str],
    poll_seconds: float = POLL_SECONDS,
    hint: str = "",
    error: type[KappaError] = Unavailable,
    not_yet: tuple[type[Exception], ...] = (),
    on_poll: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> T:
    """Return the first value of `condition` that is true, asking every `poll_seconds`.

    None, False, 0 and empty values are not true, so a number that may be 0 needs a comparison.
    `what` says in errors what is waited for: "the compactor to pause". A function says it when the
    time is over, with the latest state. Exceptions of `not_yet` count as false, and the last one is
    in the error's text. `on_poll` is called before each pause; what it raises ends the wait.

    Raises `error` with `hint` if nothing is true within `timeout_seconds`. The condition is asked
    at least once, and again after the last pause.
    """
    deadline = clock() + timeout_seconds
    while True:
        failure: Exception | None = None
        try:
            value = condition()
            if value:
                return value
        except not_yet as exception:
            failure = exception
        on_poll()
        remaining_seconds = deadline - clock()
        if remaining_seconds <= 0:
            subject = what if isinstance(what, str) else what()
            because = f": {failure}" if failure else ""
            raise error(
                f"timed out after {timeout_seconds:g} s waiting for {subject}{because}",
                hint,
            ) from failure
        sleep(min(poll_seconds, remaining_seconds))
