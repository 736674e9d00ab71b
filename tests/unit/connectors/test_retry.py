import threading

import pytest

from connectors.retry import FOREVER, NO_RETRY, RetryPolicy, wait_until
from schemas.errors import ContractError, KappaError, Refused, StackError, Unavailable


class Clock:
    """A time that passes only by pauses."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Server:
    """Fails so many calls, and answers then."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.calls = 0
        self._failures = failures
        self._error = error or Unavailable("the server does not answer")

    def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self._failures:
            raise self._error
        return "an answer"


@pytest.fixture
def clock() -> Clock:
    return Clock()


def policy(clock: Clock, timeout_seconds: float = 60.0) -> RetryPolicy:
    return RetryPolicy(timeout_seconds=timeout_seconds, clock=clock, sleep=clock.sleep)


def test_a_call_is_retried_until_the_server_is_back_and_says_so_once(clock: Clock) -> None:
    server = Server(failures=5)
    notes = list[str]()
    patient = RetryPolicy(
        timeout_seconds=60, on_wait=notes.append, clock=clock, sleep=clock.sleep
    )
    assert patient.call(server) == "an answer"
    assert server.calls == 6
    assert notes == ["the server does not answer; retrying for up to 60 s"]


@pytest.mark.parametrize(
    ("pause", "longest", "pauses"),
    [
        (0.5, None, [0.5, 0.5, 0.5, 0.5, 0.5]),
        (0.1, 1.0, [0.1, 0.2, 0.4, 0.8, 1.0]),
        (0.0, None, [0.0, 0.0, 0.0, 0.0, 0.0]),
        (2.0, 1.0, [1.0, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_pauses_stay_the_same_or_double_up_to_a_limit(
    clock: Clock, pause: float, longest: float | None, pauses: list[float]
) -> None:
    growing = RetryPolicy(
        timeout_seconds=FOREVER,
        pause_seconds=pause,
        max_pause_seconds=longest,
        clock=clock,
        sleep=clock.sleep,
    )
    growing.call(Server(failures=5))
    assert clock.pauses == pytest.approx(pauses)


def test_retries_end_after_the_timeout_with_the_last_error(clock: Clock) -> None:
    began = clock.now
    with pytest.raises(Unavailable, match="does not answer"):
        policy(clock, 10).call(Server(failures=1000))
    assert clock.now - began == 10


def test_the_timeout_begins_with_the_first_failure_not_with_the_call(clock: Clock) -> None:
    server = Server(failures=1)

    def query() -> str:
        clock.sleep(600)
        return server()

    assert policy(clock, 10).call(query) == "an answer"


def test_each_call_has_the_whole_timeout(clock: Clock) -> None:
    twice = policy(clock, 10)
    assert [twice.call(Server(failures=15)) for _ in range(2)] == ["an answer"] * 2


def test_without_a_timeout_the_first_error_is_raised_and_nothing_said() -> None:
    server = Server(failures=1)
    notes = list[str]()
    with pytest.raises(Unavailable):
        RetryPolicy(on_wait=notes.append).call(server)
    with pytest.raises(Unavailable):
        NO_RETRY.call(Server(failures=1))
    assert (server.calls, notes) == (1, [])


@pytest.mark.parametrize(
    ("retry_on", "error", "calls"),
    [
        ((Unavailable,), Refused("wrong statement"), 1),
        ((Unavailable,), ValueError("a fault"), 1),
        ((Unavailable,), Unavailable("away"), 2),
        ((KappaError,), Refused("not yet"), 2),
        ((Refused, Unavailable), Refused("not yet"), 2),
        ((Exception,), ValueError("a fault"), 2),
        ((Exception,), KeyboardInterrupt(), 1),
    ],
)
def test_only_the_named_errors_are_retried(
    clock: Clock, retry_on: tuple[type[Exception], ...], error: Exception, calls: int
) -> None:
    server = Server(failures=1, error=error)
    choosy = RetryPolicy(
        timeout_seconds=60, retry_on=retry_on, clock=clock, sleep=clock.sleep
    )
    if calls == 1:
        with pytest.raises(type(error)):
            choosy.call(server)
    else:
        choosy.call(server)
    assert server.calls == calls


def test_a_number_of_attempts_can_end_the_retries_before_the_timeout(clock: Clock) -> None:
    server = Server(failures=100)
    limited = RetryPolicy(
        timeout_seconds=FOREVER, max_attempts=5, clock=clock, sleep=clock.sleep
    )
    with pytest.raises(Unavailable):
        limited.call(server)
    assert (server.calls, len(clock.pauses)) == (5, 4)


def test_every_failure_is_reported_before_its_pause(clock: Clock) -> None:
    failures = list[str]()
    reported = RetryPolicy(
        timeout_seconds=FOREVER,
        on_failure=lambda error: failures.append(f"{error} at {clock.now:g}"),
        pause_seconds=1.0,
        clock=clock,
        sleep=clock.sleep,
    )
    reported.call(Server(failures=2))
    assert failures == [
        "the server does not answer at 1000",
        "the server does not answer at 1001",
    ]


def test_an_event_ends_the_pause_and_the_retries() -> None:
    stop = threading.Event()
    server = Server(failures=100)
    stoppable = RetryPolicy(
        timeout_seconds=FOREVER,
        pause_seconds=60,
        stop=stop,
        on_failure=lambda _: stop.set(),
    )
    with pytest.raises(Unavailable):
        stoppable.call(server)
    assert server.calls == 2


def test_waiting_returns_the_first_value_that_is_true(clock: Clock) -> None:
    answers = iter([None, 0, "", [], 7, 8])
    value = wait_until(
        lambda: next(answers),
        timeout_seconds=10,
        poll_seconds=0.5,
        what="a number",
        clock=clock,
        sleep=clock.sleep,
    )
    assert value == 7
    assert clock.pauses == [0.5] * 4


@pytest.mark.parametrize(
    ("timeout", "poll", "calls", "seconds"),
    [(0, 1, 1, 0), (10, 5, 3, 10), (10, 4, 4, 10), (1, 60, 2, 1), (-1, 1, 1, 0)],
)
def test_the_condition_is_asked_a_last_time_at_the_deadline(
    clock: Clock, timeout: float, poll: float, calls: int, seconds: float
) -> None:
    asked = list[float]()
    began = clock.now
    with pytest.raises(Unavailable):
        wait_until(
            lambda: asked.append(clock.now),
            timeout_seconds=timeout,
            poll_seconds=poll,
            what="nothing",
            clock=clock,
            sleep=clock.sleep,
        )
    assert (len(asked), clock.now - began) == (calls, seconds)


def test_the_error_says_what_was_awaited_for_how_long_and_what_to_do(clock: Clock) -> None:
    with pytest.raises(StackError) as raised:
        wait_until(
            lambda: False,
            timeout_seconds=30,
            what=lambda: f"the compactor to pause at {clock.now:g}",
            hint="see ./kappa logs compactor",
            error=StackError,
            clock=clock,
            sleep=clock.sleep,
        )
    assert (
        str(raised.value)
        == "timed out after 30 s waiting for the compactor to pause at 1030"
    )
    assert raised.value.hint == "see ./kappa logs compactor"


def test_errors_that_mean_not_yet_are_waited_out_and_the_last_is_told(clock: Clock) -> None:
    def wait(server: Server) -> str:
        return wait_until(
            server,
            timeout_seconds=10,
            poll_seconds=1,
            what="an answer",
            not_yet=(Unavailable,),
            clock=clock,
            sleep=clock.sleep,
        )

    assert wait(Server(failures=3)) == "an answer"
    with pytest.raises(
        Unavailable, match="waiting for an answer: the server does not answer"
    ):
        wait(Server(failures=1000))
    with pytest.raises(ContractError):
        wait(Server(failures=1, error=ContractError("not a schema")))


def test_what_is_called_at_every_poll_can_end_the_wait(clock: Clock) -> None:
    def check() -> None:
        if clock.now > 1001:
            raise StackError("the process ended")

    with pytest.raises(StackError, match="the process ended"):
        wait_until(
            lambda: False,
            timeout_seconds=60,
            what="a process",
            on_poll=check,
            clock=clock,
            sleep=clock.sleep,
        )
    assert clock.now < 1002
