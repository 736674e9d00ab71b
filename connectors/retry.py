"""Asking again while a server is away, for questions that change nothing."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from infra.errors import Unavailable

T = TypeVar("T")

PAUSE_SECONDS = 0.5


@dataclass(frozen=True)
class Patience:
    """For how many seconds a question is asked again while what it needs is away; `say` is told once of each question that has to wait."""

    seconds: float = 0.0
    say: Callable[[str], None] = lambda message: None

    def ask(self, question: Callable[[], T]) -> T:
        """What `question` returns; the seconds begin with its first failure. Raises the last Unavailable once they are over, all else at once."""
        deadline: float | None = None
        while True:
            try:
                return question()
            except Unavailable as error:
                if deadline is None:
                    deadline = time.monotonic() + self.seconds
                    if self.seconds > 0:
                        self.say(f"{error}; asking again for up to {self.seconds:g} s")
                if time.monotonic() >= deadline:
                    raise
            time.sleep(PAUSE_SECONDS)


AT_ONCE = Patience()
