"""No test leaves a thread behind: one that spins slows down every test after it."""

import threading
from collections.abc import Iterator

import pytest

END_SECONDS = 10.0


@pytest.fixture(scope="module", autouse=True)
def threads_end() -> Iterator[None]:
    """Fail if a thread that a module's tests started does not end."""
    earlier = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - earlier:
        thread.join(END_SECONDS)
        assert not thread.is_alive(), (
            f"{thread.name} goes on after the tests that started it"
        )
