"""`python -m tests.chaos.schedules.program SECONDS MODULE ARGUMENT…`: the module as a program whose
clock is wrong by so many seconds.

At SIGUSR1 it writes what its threads are doing.
"""

import faulthandler
import runpy
import signal
import sys
import time

NANOSECONDS = 10**9


def main() -> None:
    faulthandler.register(signal.SIGUSR1)
    if seconds := float(sys.argv[1]):
        right = time.time
        right_ns = time.time_ns
        time.time = lambda: right() + seconds
        time.time_ns = lambda: right_ns() + int(seconds * NANOSECONDS)
        print(
            f"this clock is {time.time() - time.clock_gettime(time.CLOCK_REALTIME):+.1f} s wrong",
            flush=True,
        )
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
