"""supervisord that starts each process in a session of its own: `python -m infra.supervisord -c FILE`.

Linux shares the processors first between sessions, then between their threads (`kernel.sched_autogroup_enabled`). In one session with
all others, the log and the serving stores would wait behind the dozens of threads that a compaction wakes every few seconds; on their own
each has its share of the processors whatever the others do.
"""

import os

from supervisor import supervisord
from supervisor.options import ServerOptions


def begin_session(_: ServerOptions) -> None:
    """In a child, instead of leaving its parent's process group only: a session's first process leads a process group too."""
    os.setsid()


if __name__ == "__main__":
    ServerOptions.setpgrp = begin_session
    supervisord.main()
