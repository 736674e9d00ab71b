"""A row that is written behind all others, by which a test knows that the warehouse has them."""

import time

from connectors.mysql.client import connect
from tests.chaos.ddl_schedules.comparison import Warehouse
from tests.eventually import eventually

MARKER = "ddl_marker"


def wait_until_shown(warehouse: Warehouse, within: float) -> None:
    """Wait until Hive shows a row that is written behind all that MySQL has executed.

    Versions are prefixes of MySQL's commits, so that the row's version has these all. Raises
    AssertionError.
    """
    settings = warehouse.settings
    with connect(
        settings.mysql, settings.login("mysql.admin"), settings.mysql.database
    ) as mysql:
        mysql.execute(
            f"CREATE TABLE IF NOT EXISTS {MARKER} (id INT PRIMARY KEY, at BIGINT)"
        )
        now = time.time_ns()
        mysql.execute(f"REPLACE INTO {MARKER} VALUES (1, {now})")
    eventually(
        lambda: warehouse.rows(MARKER, ["`at`"]) == [(now,)],
        within=within,
        because="Hive shows what was written behind all statements",
    )
