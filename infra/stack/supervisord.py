"""supervisord that starts each process in its own session.

Run as `python -m infra.stack.supervisord -c FILE`.

Linux shares the processors first between sessions, then between their threads
(`kernel.sched_autogroup_enabled`). In one session with all others, the log and the serving stores
would wait behind the dozens of threads that a compaction wakes every few seconds. In its own
session each has its share of the processors.
"""

import os

from supervisor import supervisord
from supervisor.options import ServerOptions


def begin_session(_: ServerOptions) -> None:
    """Replace supervisor's change of the process group in a child.

    The first process of a session leads a process group too.
    """
    os.setsid()


if __name__ == "__main__":
    ServerOptions.setpgrp = begin_session
    supervisord.main()
