"""Cassandra's errors as ours: Refused if it refuses, Unavailable if it does not answer."""

from collections.abc import Iterator
from contextlib import contextmanager

from schemas.errors import KappaError, Refused, Unavailable

SEE_CASSANDRA = "see ./kappa status and ./kappa logs cassandra"
STATEMENT_CHARACTERS = 80


@contextmanager
def errors(statement: str) -> Iterator[None]:
    """Turn the driver's exceptions into Refused or Unavailable; `statement` says what failed."""
    from cassandra import DriverException, OperationTimedOut
    from cassandra.cluster import NoHostAvailable, QueryExhausted
    from cassandra.connection import ConnectionBusy, ConnectionException, ProtocolError
    from cassandra.pool import NoConnectionsAvailable
    from cassandra.protocol import ErrorMessage, InternalError
    from cassandra.segment import CrcException

    refusals = _refusals()
    try:
        yield
    except NoHostAvailable as error:
        causes = list(error.errors.values()) if isinstance(error.errors, dict) else []
        refused_causes = [cause for cause in causes if isinstance(cause, refusals)]
        if refused_causes:
            raise _refusal(statement, refused_causes[0]) from error
        cause = causes[0] if causes else ConnectionError("no node can be reached")
        raise _unavailable(statement, cause) from error
    except OperationTimedOut as error:
        raise _unavailable(statement, TimeoutError("no answer in time")) from error
    except refusals as error:
        raise _refusal(statement, error) from error
    except (
        DriverException,
        ErrorMessage,
        ConnectionException,
        ConnectionBusy,
        NoConnectionsAvailable,
        ProtocolError,
        CrcException,
        InternalError,
        QueryExhausted,
        OSError,
    ) as error:
        raise _unavailable(statement, error) from error


def _refusals() -> tuple[type[Exception], ...]:
    """Return the driver's exceptions for which trying again does not help."""
    from cassandra import (
        AuthenticationFailed,
        DependencyException,
        RequestValidationException,
        UnsupportedOperation,
    )
    from cassandra.cluster import UserTypeDoesNotExist
    from cassandra.connection import ProtocolVersionUnsupported
    from cassandra.protocol import BadCredentials, NotSupportedError
    from cassandra.protocol import RequestValidationException as ProtocolRefusal

    return (
        AuthenticationFailed,
        BadCredentials,
        DependencyException,
        NotSupportedError,
        ProtocolRefusal,
        ProtocolVersionUnsupported,
        RequestValidationException,
        UnsupportedOperation,
        UserTypeDoesNotExist,
    )


def reason(error: BaseException) -> str:
    """Return the server's words in an error of the driver, without the driver's wrapping."""
    text = str(getattr(error, "message", "") or error)
    _, marker, rest = text.partition('message="')
    server_words = rest.rpartition('"')[0] if marker else text
    return " ".join(server_words.split()) or type(error).__name__


def _refusal(statement: str, error: BaseException) -> KappaError:
    return Refused(f"Cassandra refused: {reason(error)} ({_short(statement)})")


def _unavailable(statement: str, error: BaseException) -> KappaError:
    return Unavailable(
        f"Cassandra does not answer: {reason(error)} ({_short(statement)})", SEE_CASSANDRA
    )


def _short(statement: str) -> str:
    """Return a statement's beginning; never a role's password."""
    text = " ".join(statement.split())
    if "PASSWORD" in text.upper():
        text = text.split(" WITH ")[0]
    return text[:STATEMENT_CHARACTERS]
