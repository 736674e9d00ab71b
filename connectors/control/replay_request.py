"""What a replay of the warehouse is asked to do. Light: the command line imports it."""

from dataclasses import dataclass

PROCESS = "replayer"
RESULT = "replayer.result"


@dataclass(frozen=True)
class Wish:
    """What is asked for: which past point (None: the present), which table (None: all), and what is to be done with what was built."""

    to: str | None = None
    table: str | None = None
    switch: bool = True
    accept: bool = False
    rollback: bool = False
