"""Rounds of schedules: several are played side by side, and compared together.

All tables of a round are compared in the middle and at the end, once the stack says that it has
every statement and replicates the table.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import methodcaller

from connectors.mysql.client import Connection, connect
from connectors.runtime.settings import Settings
from schemas.errors import KappaError
from tests.chaos.ddl_schedules.comparison import Warehouse, difference
from tests.chaos.ddl_schedules.generator import (
    CHANGES,
    ELSEWHERE,
    WRITES,
    DdlSchedule,
    mark,
)
from tests.chaos.ddl_schedules.marker import wait_until_shown
from tests.chaos.ddl_schedules.player import MysqlCatalogue, Player
from tests.chaos.ddl_schedules.table_state import TableState

SIDE_BY_SIDE = 10
CAUGHT_UP_SECONDS = 300.0
HEALED_SECONDS = 240.0
# A difference that lasts so long, while the stack says that the table is replicated, is wrong.
CONFIRMED_SECONDS = 3.0
POLL_SECONDS = 0.5
CARRIED = "carried"
HEALED = "read again"


@dataclass
class Result:
    """What came of one schedule: how its tables were seen to be equal, and what was wrong."""

    seed: int
    number: int
    player: Player
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def report(self) -> str:
        """Return all that is needed to play it again."""
        script = "\n".join(self.player.script)
        options = f"--ddl-seed={self.seed} --ddl-only={self.number}"
        return "\n".join([*self.wrong, f"play it again: {options}", script])


class RunningSchedule:
    """One schedule on a connection of its own."""

    def __init__(self, settings: Settings, seed: int, number: int) -> None:
        login = settings.login("mysql.admin")
        self.mysql = connect(settings.mysql, login, settings.mysql.database)
        self.mark = mark(seed, number)
        self.catalogue = MysqlCatalogue(self.mysql, settings.mysql.database, self.mark)
        self.result = Result(seed, number, Player(self.mysql))
        self.written: set[str] = set()
        self.readings: dict[str, str] = {}
        self._schedule = DdlSchedule(seed, number, self.catalogue)

    def begin(self) -> None:
        """Create the first table."""
        self.result.player.play(self._schedule.begin())

    def play_half(self, changes: int) -> None:
        """Play some changes with their share of the writes, then a row for each table."""
        player = self.result.player
        player.play(self._schedule.play(changes, WRITES * changes // CHANGES))
        self.written = set()
        for statement in self._schedule.end():
            if player.play_one(statement):
                self.written.add(statement.table)
        player.script.append("-- compared with Hive here")

    def remove(self) -> None:
        """Drop all tables, and close the connection."""
        for database in (self.mysql.query("SELECT DATABASE() AS d")[0]["d"], ELSEWHERE):
            for name in MysqlCatalogue(self.mysql, str(database), self.mark).tables():
                table = name.replace("`", "``")
                self.mysql.execute(f"DROP TABLE IF EXISTS `{database}`.`{table}`")
        self.mysql.close()


class Round:
    """Some schedules side by side on a running stack."""

    def __init__(self, settings: Settings, seed: int, numbers: Sequence[int]) -> None:
        self._settings = settings
        self._warehouse = Warehouse(settings)
        self._seed = seed
        self._numbers = numbers

    def run(self) -> list[Result]:
        """Play and compare the schedules of the round. Their tables are dropped at the end."""
        schedules = [RunningSchedule(self._settings, self._seed, n) for n in self._numbers]
        try:
            in_parallel(RunningSchedule.begin, schedules)
            for changes in (CHANGES // 2, CHANGES - CHANGES // 2):
                for schedule in schedules:
                    self._note_readings(schedule)
                in_parallel(methodcaller("play_half", changes), schedules)
                wait_until_shown(self._warehouse, CAUGHT_UP_SECONDS)
                in_parallel(self._compare, schedules)
            return [schedule.result for schedule in schedules]
        finally:
            in_parallel(RunningSchedule.remove, schedules)

    def _note_readings(self, schedule: RunningSchedule) -> None:
        tables = schedule.catalogue.tables()
        schedule.readings = {name: self._warehouse.reading(name) for name in tables}

    def _compare(self, schedule: RunningSchedule) -> None:
        for table in schedule.catalogue.tables().values():
            self._compare_table(schedule, table)
        existing = schedule.catalogue.tables()
        for name in self._warehouse.tables_with(schedule.mark):
            if name not in existing:
                self._note_leaving(schedule, name)

    def _note_leaving(self, schedule: RunningSchedule, name: str) -> None:
        """Note a table that MySQL no longer has, if it stays in Hive."""

        def problem() -> str:
            is_there = name in self._warehouse.tables_with(schedule.mark)
            return "Hive has it, MySQL does not" if is_there else ""

        wrong = TableCheck(problem, lambda: self._warehouse.reason_to_wait(name)).run()
        if wrong:
            schedule.result.wrong.append(f"{name}: {wrong}")

    def _compare_table(self, schedule: RunningSchedule, table: TableState) -> None:
        result = schedule.result
        check = TableCheck(
            lambda: difference(
                self._warehouse,
                schedule.mysql,
                table,
                is_written=table.name in schedule.written,
            ),
            lambda: self._warehouse.reason_to_wait(table.name),
        )
        problem = check.run()
        if problem:
            result.wrong.append(f"{table.name}: {problem}")
            return
        reading = self._warehouse.reading(table.name)
        was_read = reading != schedule.readings.get(table.name, "") or check.has_waited
        result.outcomes[HEALED if was_read else CARRIED] += 1


class TableCheck:
    """Waits until a table is equal. `has_waited`: the stack said that it is read again."""

    def __init__(
        self,
        difference: Callable[[], str],
        reason_to_wait: Callable[[], str],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        healed_seconds: float = HEALED_SECONDS,
    ) -> None:
        self.has_waited = False
        self._healed_seconds = healed_seconds
        self._difference = difference
        self._reason_to_wait = reason_to_wait
        self._clock = clock
        self._sleep = sleep

    def run(self) -> str:
        """Return what was wrong with the table, "" if it was right.

        It may be different for `healed_seconds` while the stack says that it is read again. While
        it says that it is replicated, it must be equal.
        """
        begin = self._clock()
        different_since: float | None = None
        wrong = ""
        while True:
            reason = self._reason_to_wait()
            self.has_waited = self.has_waited or bool(reason)
            problem = self._look()
            now = self._clock()
            if not problem:
                return f"{wrong}\n(equal {now - begin:.0f} s later)" if wrong else ""
            if reason or self._reason_to_wait():
                different_since = None
            elif different_since is None:
                different_since = now
            elif now - different_since >= CONFIRMED_SECONDS and not wrong:
                wrong = f"shown as replicated, but it differs: {problem}"
            if now - begin > self._healed_seconds:
                seconds = f"{self._healed_seconds:.0f} s"
                return wrong or f"not equal in {seconds}: {reason}: {problem}"
            self._sleep(POLL_SECONDS)

    def _look(self) -> str:
        try:
            return self._difference()
        except KappaError as error:
            return str(error)


def in_parallel(
    work: Callable[[RunningSchedule], None], schedules: Sequence[RunningSchedule]
) -> None:
    """Do something with each schedule, side by side. Raises the first error."""
    with ThreadPoolExecutor(len(schedules)) as pool:
        list(pool.map(work, schedules))


@contextmanager
def other_database(settings: Settings) -> Iterator[None]:
    """Have the database that is not captured."""
    with connect(settings.mysql, settings.login("mysql.admin")) as mysql:
        prepare(mysql)
        yield
        mysql.execute(f"DROP DATABASE {ELSEWHERE}")


def prepare(mysql: Connection) -> None:
    """Create the database that is not captured, without what an earlier run left there."""
    mysql.execute(f"DROP DATABASE IF EXISTS {ELSEWHERE}")
    mysql.execute(f"CREATE DATABASE {ELSEWHERE}")
