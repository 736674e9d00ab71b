"""How Kappa's own processes begin, and what those that they start find in their environment."""

import os
import signal
import sys
import threading
from collections.abc import Mapping

from connectors.runtime.logging_setup import start_logging
from connectors.runtime.settings import LOOPBACK, ROOT, Settings, load

# Every process of a stack has this variable, with the stack's home folder as its value, which
# distinguishes leftovers from other processes.
SUPERVISED = "KAPPA_SUPERVISED"


def begin(name: str) -> tuple[Settings, threading.Event]:
    """Start logging under a process's name, and load its settings from the environment.

    The event is set by SIGTERM and SIGINT: the process is to end soon. Raises SettingsError.
    """
    settings = load(os.environ)
    start_logging(name)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return settings, stop


def child_environment(settings: Settings, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child process of this stack, on top of the parent's own."""
    return {
        **environment,
        SUPERVISED: str(settings.home),
        "KAPPA_HOME": str(settings.home),
        "KAPPA_PORT_BASE": str(settings.port_base),
        "KAPPA_CACHE": str(settings.cache),
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        # glibc's default of eight arenas per core is memory without use.
        "MALLOC_ARENA_MAX": "2",
        **spark_environment(settings),
    }


def spark_environment(settings: Settings) -> dict[str, str]:
    """Return what Spark reads from the environment of a process that starts a session.

    A session on this machine runs its tasks with our own Python, and stays on this machine; a
    cluster has its own environment, so the result is empty.
    """
    if not settings.spark.is_local:
        return {}
    return {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": LOOPBACK}


def foreign_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a child process that must see nothing of this project."""
    return {
        name: value
        for name, value in environment.items()
        if name != "PYTHONPATH" and not name.startswith("KAPPA_")
    }
