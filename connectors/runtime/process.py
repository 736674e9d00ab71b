"""How each of Kappa's own processes begins."""

import os
import signal
import threading

from infra.log import start_logging
from infra.settings import Settings, load


def begin(name: str) -> tuple[Settings, threading.Event]:
    """The settings, and an event that SIGTERM or SIGINT sets: the process is to end soon. Logging has started under its name."""
    settings = load(os.environ)
    start_logging(name)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return settings, stop
