"""No exception of a driver leaves the connectors: each becomes one of ours.

The tests walk all exception classes that a driver has. A class of a new version of a driver makes
its test fail until it is mapped, or is named here with the reason why it cannot reach us.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import requests
import urllib3
from confluent_kafka import KafkaError, KafkaException

from connectors.cassandra.driver_errors import errors as cassandra_errors
from connectors.debezium.connect_api import ConnectApi
from connectors.hadoop import hiveserver2
from connectors.hadoop.hdfs import Hdfs
from connectors.hadoop.hive_metastore import Metastore
from connectors.kafka.client import as_kappa_error
from connectors.kafka.client import errors as kafka_errors
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.mysql.client import errors as mysql_errors
from connectors.runtime import settings
from schemas.errors import KappaError, Refused, Unavailable

# The modules in which drivers define or raise their exceptions.
CASSANDRA_MODULES = (
    "cassandra",
    "cassandra.auth",
    "cassandra.cluster",
    "cassandra.concurrent",
    "cassandra.connection",
    "cassandra.policies",
    "cassandra.pool",
    "cassandra.protocol",
    "cassandra.query",
    "cassandra.segment",
)
KAFKA_MODULES = ("confluent_kafka", "confluent_kafka.admin", "confluent_kafka.error")
HIVE_MODULES = (
    "puresasl",
    "pyhive.exc",
    "pyhive.hive",
    "thrift.Thrift",
    "thrift.protocol.TProtocol",
    "thrift.transport.TTransport",
    "thrift_sasl",
)
METASTORE_MODULES = (
    "pymetastore.hive_metastore.ttypes",
    "thrift.Thrift",
    "thrift.protocol.TProtocol",
    "thrift.transport.TTransport",
)

# Exceptions that cannot reach us, and why.
UNREACHABLE = {
    "cassandra.connection.ConnectionHeartbeat.ShutdownException": "ends the heartbeat's thread",
    "cassandra.datastax.insights.reporter.MonitorReporter.ShutDownException": "ends its thread",
    "cassandra.metadata.NoMurmur3": "caught by the driver",
    "cassandra.query.TraceUnavailable": "only for traced statements, which we do not execute",
    "cimpl.ConcurrentModificationException": "only for share consumers, which we do not use",
    "cimpl.IllegalStateException": "only for share consumers, which we do not use",
    "urllib3.exceptions.ProxySchemeUnsupported": "only while connecting, where requests maps it",
    "urllib3.util.ssl_match_hostname.CertificateError": "only while connecting: requests maps it",
    "requests.cookies.CookieConflictError": "only for code that reads cookies",
}


def exception_classes(*modules: str) -> list[type[Exception]]:
    """Return the exception classes of the modules' packages that can reach us, without warnings."""
    for module in modules:
        importlib.import_module(module)
    packages = {module.partition(".")[0] for module in modules}
    if "confluent_kafka" in packages:
        packages.add("cimpl")
    classes = []
    for cls in sorted(set(_subclasses(Exception)), key=_name):
        is_of_driver = cls.__module__.partition(".")[0] in packages
        if is_of_driver and not issubclass(cls, Warning) and _name(cls) not in UNREACHABLE:
            classes.append(cls)
    return classes


def _subclasses(cls: type[Exception]) -> Iterator[type[Exception]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


# The arguments of classes that want more than a message.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "cassandra.FunctionFailure": ("no", "shop", "f", ["int"]),
    "cassandra.connection.ProtocolVersionUnsupported": ("127.0.0.1", 4),
    "requests.exceptions.JSONDecodeError": ("no", "<html>", 0),
}
KEYWORDS: dict[str, dict[str, Any]] = {"cassandra.WriteTimeout": {"write_type": 0}}
USUAL_ARGUMENTS = (
    ("no",),
    ("no", {}),
    (0, "no", None),
    (),
    ("no", "no"),
    ("no", "no", "no"),
)


def instance(cls: type[Exception]) -> Exception:
    """Create an exception with the arguments that its class wants."""
    name = _name(cls)
    candidates = (ARGUMENTS[name],) if name in ARGUMENTS else USUAL_ARGUMENTS
    for arguments in candidates:
        try:
            return cls(*arguments, **KEYWORDS.get(name, {}))
        except (TypeError, AttributeError):
            continue
    raise AssertionError(f"{name} could not be created: give its ARGUMENTS")


def mapped(errors: AbstractContextManager[None], error: Exception) -> KappaError:
    with pytest.raises(KappaError) as raised, errors:
        raise error
    assert type(raised.value.__cause__) is type(error)
    assert str(raised.value)
    return raised.value


def ids(classes: list[type[Exception]]) -> list[str]:
    return [_name(cls) for cls in classes]


CASSANDRA_CLASSES = exception_classes(*CASSANDRA_MODULES)
KAFKA_CLASSES = exception_classes(*KAFKA_MODULES)
MYSQL_CLASSES = exception_classes("pymysql", "pymysql.err")
REQUESTS_CLASSES = exception_classes("requests")
HDFS_CLASSES = exception_classes("hdfs", "hdfs.util")
URLLIB3_CLASSES = exception_classes("urllib3.exceptions")
HIVE_CLASSES = exception_classes(*HIVE_MODULES)
METASTORE_CLASSES = exception_classes(*METASTORE_MODULES)


def test_the_walk_meets_the_classes_that_matter() -> None:
    assert "cassandra.cluster.NoHostAvailable" in ids(CASSANDRA_CLASSES)
    assert "cimpl.KafkaException" in ids(KAFKA_CLASSES)
    assert "pymysql.err.OperationalError" in ids(MYSQL_CLASSES)
    assert "requests.exceptions.ReadTimeout" in ids(REQUESTS_CLASSES)
    assert "hdfs.util.HdfsError" in ids(HDFS_CLASSES)
    assert "urllib3.exceptions.IncompleteRead" in ids(URLLIB3_CLASSES)
    assert "thrift.transport.TTransport.TTransportException" in ids(HIVE_CLASSES)
    assert "pymetastore.hive_metastore.ttypes.MetaException" in ids(METASTORE_CLASSES)


@pytest.mark.parametrize("cls", CASSANDRA_CLASSES, ids=ids(CASSANDRA_CLASSES))
def test_exceptions_of_cassandras_driver_are_mapped(cls: type[Exception]) -> None:
    mapped(cassandra_errors("SELECT 1"), instance(cls))


@pytest.mark.parametrize("cls", MYSQL_CLASSES, ids=ids(MYSQL_CLASSES))
def test_exceptions_of_mysqls_driver_are_mapped(cls: type[Exception]) -> None:
    mapped(mysql_errors("MySQL"), instance(cls))


@pytest.mark.parametrize("cls", KAFKA_CLASSES, ids=ids(KAFKA_CLASSES))
def test_exceptions_of_kafkas_driver_are_mapped(cls: type[Exception]) -> None:
    error = cls.__new__(cls)
    error.args = (KafkaError(KafkaError._TRANSPORT),)
    mapped(kafka_errors("reading"), error)


def test_an_exception_of_kafkas_driver_without_an_error_code_is_mapped() -> None:
    assert isinstance(mapped(kafka_errors("reading"), KafkaException("no")), Refused)


KAFKA_CODES = {
    name: code
    for name, code in vars(KafkaError).items()
    if name.strip("_").isupper() and isinstance(code, int)
}


@pytest.mark.parametrize("code", KAFKA_CODES.values(), ids=KAFKA_CODES.keys())
def test_every_error_code_of_kafka_is_unavailable_or_refused(code: int) -> None:
    error = as_kappa_error(KafkaError(code), "reading")
    assert type(error) in (Unavailable, Refused)


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail


class NoJson:
    """An answer whose content is no JSON."""

    ok = True
    status_code = 200
    content = b"<html>"
    text = "<html>"

    def json(self) -> Any:
        raise requests.exceptions.JSONDecodeError("no JSON", self.text, 0)


HTTP_CALLS: dict[str, Callable[[], object]] = {
    "registry": lambda: SchemaRegistry("http://127.0.0.1:9").subjects(),
    "connect": lambda: ConnectApi("http://127.0.0.1:9").connectors(),
}


@pytest.mark.parametrize("call", HTTP_CALLS.values(), ids=HTTP_CALLS.keys())
@pytest.mark.parametrize("cls", REQUESTS_CLASSES, ids=ids(REQUESTS_CLASSES))
def test_exceptions_of_requests_are_unavailability(
    cls: type[Exception], call: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "request", failing(instance(cls)))
    with pytest.raises(Unavailable):
        call()


@pytest.mark.parametrize("call", HTTP_CALLS.values(), ids=HTTP_CALLS.keys())
def test_an_answer_without_json_is_unavailability(
    call: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "request", lambda *_, **__: NoJson())
    with pytest.raises(Unavailable, match="no JSON"):
        call()


HDFS_SIDE_CLASSES = [*REQUESTS_CLASSES, *HDFS_CLASSES, *URLLIB3_CLASSES]


@pytest.mark.parametrize("cls", HDFS_SIDE_CLASSES, ids=ids(HDFS_SIDE_CLASSES))
def test_exceptions_of_hdfs_clients_are_mapped(cls: type[Exception]) -> None:
    hdfs = Hdfs(settings.Hdfs())
    error = cls.__new__(cls)
    error.args = ("no",)
    if isinstance(error, requests.RequestException):
        error.request = None
    mapped(hdfs._errors("reading /a"), error)


def test_a_datanode_that_dies_while_a_file_is_read_is_unavailability(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hdfs = Hdfs(settings.Hdfs())

    class Response:
        def __enter__(self) -> "Response":
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def read(self) -> bytes:
            raise urllib3.exceptions.ProtocolError("Connection broken")

    monkeypatch.setattr(hdfs._client, "read", lambda *_, **__: Response())
    with pytest.raises(Unavailable, match="stopped answering"):
        hdfs.read_bytes("/a")


@pytest.mark.parametrize("cls", HIVE_CLASSES, ids=ids(HIVE_CLASSES))
def test_exceptions_of_hiveserver2s_client_are_mapped(cls: type[Exception]) -> None:
    mapped(hiveserver2._errors(settings.Hive()), instance(cls))


@pytest.mark.parametrize("cls", METASTORE_CLASSES, ids=ids(METASTORE_CLASSES))
def test_exceptions_of_the_metastores_client_are_mapped(cls: type[Exception]) -> None:
    metastore = object.__new__(Metastore)
    mapped(metastore._errors("table shop.orders"), instance(cls))
