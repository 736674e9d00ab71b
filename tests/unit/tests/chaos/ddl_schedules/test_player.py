from connectors.mysql.client import SqlRefused, StatementResult
from tests.chaos.ddl_schedules.player import Player
from tests.chaos.ddl_schedules.spelling import ANSI_QUOTES
from tests.chaos.ddl_schedules.statement import Statement


class RefusingSession:
    """A session that refuses every statement with DROP in it."""

    def __init__(self) -> None:
        self.executed: list[str] = []

    def execute(self, sql: str) -> StatementResult:
        self.executed.append(sql)
        if "DROP" in sql:
            raise SqlRefused("no such column", "", 1091)
        return StatementResult(rows=0, inserted_id=0)


def test_a_statement_that_mysql_refuses_is_noted_and_the_next_one_played() -> None:
    session = RefusingSession()
    player = Player(session)
    player.play(
        [
            Statement(text="ALTER TABLE t\nDROP x", kinds=("alter", "drop column")),
            Statement(text="DELETE FROM t -- all", kinds=("delete all",)),
        ]
    )
    assert player.refused == {"alter": 1, "drop column": 1}
    assert player.accepted == {"delete all": 1}
    assert player.script[1:] == [
        "-- refused (no such column):\n-- ALTER TABLE t\n-- DROP x",
        "DELETE FROM t -- all\n;",
    ]


def test_the_session_gets_the_mode_in_which_a_statement_is_written() -> None:
    session = RefusingSession()
    player = Player(session)
    ansi = Statement(text='DELETE FROM "t"', kinds=("delete all",), sql_mode=ANSI_QUOTES)
    player.play([ansi, ansi, Statement(text="DELETE FROM t", kinds=("delete all",))])
    modes = [sql for sql in session.executed if sql.startswith("SET")]
    assert len(modes) == 2
    assert ANSI_QUOTES in modes[0]
    assert f"{modes[0]};" == player.script[0]
