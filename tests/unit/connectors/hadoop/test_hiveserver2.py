from types import SimpleNamespace
from typing import Any

import pytest
from pyhive import exc
from thrift.transport.TTransport import TTransportException

from connectors.hadoop import hiveserver2
from connectors.retry import RetryPolicy
from connectors.runtime.settings import Hive
from schemas.errors import Refused, Unavailable

ADDRESS = Hive(host="hive.example", port=10000)


def failure(message: str) -> exc.OperationalError:
    """What pyhive raises for a statement that HiveServer2 answers with an error."""
    return exc.OperationalError(
        SimpleNamespace(status=SimpleNamespace(errorMessage=message))
    )


class Server:
    """A HiveServer2 that answers each statement with the next of `answers`: rows, or an exception
    to raise. Counts its sessions.
    """

    def __init__(self, *answers: Any) -> None:
        self.sessions = 0
        self.asked = list[str]()
        self.closed = 0
        self._answers = list(answers)

    def connect(self, **_: Any) -> Any:
        self.sessions += 1
        return SimpleNamespace(cursor=lambda: _Cursor(self), close=self._close)

    def answer(self, sql: str) -> Any:
        self.asked.append(sql)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _close(self) -> None:
        self.closed += 1
        raise TTransportException(message="the connection is gone")


class _Cursor:
    description = (("orders.n", "INT"),)

    def __init__(self, server: Server) -> None:
        self._server = server
        self._rows = list[Any]()

    def __enter__(self) -> "_Cursor":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, sql: str) -> None:
        self._rows = self._server.answer(sql)

    def fetchall(self) -> list[Any]:
        return self._rows


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a server in pyhive's place."""

    def put(*answers: Any) -> Server:
        server = Server(*answers)
        monkeypatch.setattr(hiveserver2.pyhive, "connect", server.connect)
        return server

    return put


RETRY = RetryPolicy(timeout_seconds=60, pause_seconds=0)
GONE = TTransportException(message="TSocket read 0 bytes")


def test_a_read_that_met_a_killed_server_is_asked_again_in_a_new_session(
    serve: Any,
) -> None:
    server = serve(GONE, GONE, [(7,)])
    said = list[str]()
    policy = RetryPolicy(timeout_seconds=60, pause_seconds=0, on_wait=said.append)
    answer = hiveserver2.query(ADDRESS, "SELECT n FROM orders;", retry_policy=policy)
    assert answer == hiveserver2.Rows(("n",), [(7,)])
    assert (server.asked, server.sessions, server.closed) == (
        ["SELECT n FROM orders"] * 3,
        3,
        3,
    )
    assert said == [
        "HiveServer2 at hive.example:10000 does not answer; retrying for up to 60 s"
    ]


def test_without_retries_a_read_fails_with_its_server(serve: Any) -> None:
    server = serve(GONE, [(7,)])
    with pytest.raises(
        Unavailable, match=r"HiveServer2 at hive\.example:10000 does not answer"
    ):
        hiveserver2.query(ADDRESS, "SELECT 1")
    assert server.sessions == 1


def test_a_statement_that_may_change_something_is_asked_once(serve: Any) -> None:
    server = serve(GONE, [(7,)])
    with pytest.raises(Unavailable):
        hiveserver2.query(ADDRESS, "INSERT INTO t VALUES (1)", retry_policy=RETRY)
    assert len(server.asked) == 1


def test_a_session_with_a_state_of_its_own_is_not_opened_again(serve: Any) -> None:
    server = serve([], GONE, [(7,)])
    with hiveserver2.session(ADDRESS, retry_policy=RETRY) as ask:
        ask("USE shop")
        with pytest.raises(Unavailable):
            ask("SELECT 1")
    assert server.asked == ["USE shop", "SELECT 1"]
    assert server.sessions == 1


@pytest.mark.parametrize(
    "message",
    [
        "Failed to open new session: java.net.ConnectException: Call From vm/127.0.0.1 to "
        "localhost:8020 failed on connection exception",
        "Failed to open new session: org.apache.hadoop.hdfs.server.namenode.SafeModeException: "
        "Cannot create directory /tmp.",
        "Error while compiling statement: FAILED: SemanticException java.io.EOFException: End of "
        "File Exception between local host is: vm",
        "Error while compiling statement: FAILED: SemanticException java.net.ConnectException: "
        "Call From vm/127.0.0.1 to localhost:8020 failed",
        "Error while compiling statement: FAILED: Execution Error, return code 2 from TezTask. "
        "Vertex failed, vertexName=Map 1, diagnostics=["
        "Vertex killed/failed due to:ROOT_INPUT_INIT_FAILURE, Vertex Input failed\n, "
        "java.net.ConnectException: Connection refused",
        "Error while compiling statement: FAILED: Execution Error, return code 1 from TezTask. "
        "org.apache.hadoop.ipc.RemoteException(java.io."
        "IOException): File /tmp/x could only be written to 0 of the 1 minReplication nodes. "
        "There are 0 datanode(s) running",
        "Error while compiling statement: FAILED: Execution Error, return code 2 from TezTask. "
        "Vertex failed, vertexName=Reducer 2, diagnostics=["
        "TaskAttempt 0 failed, info=[Failed to launch container for container Id: "
        "container_1795769026760_0001_00_000002]",
    ],
)
def test_a_server_behind_hiveserver2_that_is_away_is_waited_for(
    serve: Any, message: str
) -> None:
    server = serve(failure(message), [(7,)])
    assert hiveserver2.query(ADDRESS, "SELECT 1", retry_policy=RETRY).rows == [(7,)]
    assert server.sessions == 2


def test_the_error_says_what_cannot_be_reached_and_no_more(serve: Any) -> None:
    serve(
        failure(
            f"return code 2 from TezTask. {'diagnostics ' * 100} ConnectException: Call to "
            f"localhost:8020 failed\nat java.lang.Thread {'x' * 999}"
        )
    )
    with pytest.raises(Unavailable) as raised:
        hiveserver2.query(ADDRESS, "SELECT 1")
    assert (
        str(raised.value)
        == "Hive cannot reach a server that it needs: ConnectException: Call to localhost:8020 "
        "failed"
    )


@pytest.mark.parametrize(
    "message",
    [
        "Error while compiling statement: FAILED: SemanticException [Error 10001]: Line 1:14 "
        "Table not found 'ordres'",
        "Error while compiling statement: FAILED: SemanticException [Error 10072]: Database does "
        "not exist: nope",
        "Error while compiling statement: FAILED: ParseException line 1:0 cannot recognize input "
        "near 'SELEC' '1' '<EOF>'",
        "Error while compiling statement: FAILED: Execution Error, return code 2 from TezTask. "
        "Vertex failed, diagnostics=[Unclosed group]",
        "Unable to get the next row set with exception: "
        "org.apache.hadoop.hive.ql.metadata.HiveException: ASSERT_TRUE(): assertion failed.",
    ],
)
def test_a_wrong_statement_is_refused_at_once(serve: Any, message: str) -> None:
    server = serve(failure(message), [(7,)])
    with pytest.raises(Refused):
        hiveserver2.query(ADDRESS, "SELECT 1", retry_policy=RETRY)
    assert len(server.asked) == 1
