"""Logging for every process: one line per event on standard output, UTC, named after the
process.
"""

import logging
import sys
import time


def start_logging(process: str, level: int = logging.INFO) -> logging.Logger:
    """Send all logging to standard output, and return the process's logger.

    Supervisor writes the output to `var/logs/<process>.log`.
    """
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for noisy in ("cassandra", "py4j", "urllib3", "hdfs.client", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    return logging.getLogger(process)
