import pytest

from connectors import patience
from connectors.patience import Patience
from infra.errors import Refused, Unavailable


class Server:
    """Is away for so many questions, and answers then."""

    def __init__(self, away: int, error: Exception | None = None) -> None:
        self.asked, self._away, self._error = 0, away, error or Unavailable("the server does not answer")

    def __call__(self) -> str:
        self.asked += 1
        if self.asked <= self._away:
            raise self._error
        return "an answer"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A time that goes on only by pauses."""
    now = [1000.0]
    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(patience.time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_a_question_is_asked_again_until_the_server_is_back_and_says_so_once() -> None:
    server, said = Server(away=5), list[str]()
    assert Patience(60, said.append).ask(server) == "an answer"
    assert server.asked == 6
    assert said == ["the server does not answer; asking again for up to 60 s"]


def test_patience_ends_after_its_seconds_with_the_last_failure(clock: list[float]) -> None:
    began = clock[0]
    with pytest.raises(Unavailable, match="does not answer"):
        Patience(10).ask(Server(away=1000))
    assert clock[0] - began == 10


def test_each_question_has_all_of_the_patience() -> None:
    asked_twice = Patience(10)
    assert [asked_twice.ask(Server(away=15)) for _ in range(2)] == ["an answer"] * 2


def test_without_patience_the_first_failure_is_raised_and_nothing_said() -> None:
    server, said = Server(away=1), list[str]()
    with pytest.raises(Unavailable):
        Patience(0, said.append).ask(server)
    assert (server.asked, said) == (1, [])


def test_a_refusal_is_raised_at_once() -> None:
    server = Server(away=1, error=Refused("wrong statement"))
    with pytest.raises(Refused):
        Patience(60).ask(server)
    assert server.asked == 1
