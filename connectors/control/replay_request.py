"""The request of the command line to a replay of the warehouse. Cheap to import."""

from dataclasses import dataclass

PROCESS = "replayer"
RESULT = "replayer.result"


@dataclass(frozen=True)
class ReplayRequest:
    """Which past point to rebuild (None: the present) and which table (None: all).

    `switch` publishes the rebuilt tables, `accept` does so although they differ from the live
    ones, `rollback` publishes those from before the last replay.
    """

    to: str | None = None
    table: str | None = None
    switch: bool = True
    accept: bool = False
    rollback: bool = False
