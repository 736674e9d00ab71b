"""The schema registry (Confluent's API), and Avro in Confluent's wire format.

A value is a zero byte, the schema's id in four bytes, and the Avro body.

confluent-kafka's own SchemaRegistryClient was tried and is not used: importing it takes 0.4 s of
processor in every command and Spark task, and it lets out exceptions of an HTTP library that it
chooses itself (httpx2 or httpx), so that they could not be mapped reliably.
"""

import io
import json
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import fastavro
import requests

from connectors.retry import FOREVER, RetryPolicy
from schemas.avro_schema import with_source_names
from schemas.errors import ContractError, Refused, Unavailable

HEADER = struct.Struct(">bI")
MAGIC = 0
# Confluent's error codes: a schema, a subject or a version that does not exist.
NOT_FOUND = (40401, 40402, 40403)
INCOMPATIBLE = 409
NO_SCHEMA = 422
# With the code of an incompatible schema, the registry says this if another client registers the
# same schema at the same moment.
ALREADY_EXISTS = "already exists"
MAX_ATTEMPTS = 5
PAUSE_SECONDS = 0.1
MAX_PAUSE_SECONDS = 1.0
CONTENT_TYPE = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
SEE_REGISTRY = "see ./kappa status and ./kappa logs registry"

Schema = dict[str, Any]


class _BusySubjectError(Unavailable):
    """Another client registers a schema of the subject at this moment."""


class SchemaRegistry:
    """A registry at a base URL. Safe to share between threads.

    The schema of an id never changes, so each is requested once.
    """

    def __init__(self, url: str, timeout_seconds: float = 10) -> None:
        self.url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._schemas: dict[int, Schema] = {}
        self._lock = threading.Lock()

    def register(self, subject: str, schema: Schema) -> int:
        """Return the id of a schema under a subject; register it if it is new.

        Raises ContractError if it is no schema, or incompatible with the subject's earlier
        versions; Unavailable.
        """
        policy = RetryPolicy(
            timeout_seconds=FOREVER,
            max_attempts=MAX_ATTEMPTS,
            pause_seconds=PAUSE_SECONDS,
            max_pause_seconds=MAX_PAUSE_SECONDS,
            retry_on=(_BusySubjectError,),
        )
        return policy.call(lambda: self._register(subject, schema))

    def schema(self, schema_id: int) -> Schema:
        """Return the Avro schema of an id, in which columns have their names of MySQL.

        Raises ContractError if the registry does not know the id; Unavailable.
        """
        with self._lock:
            cached_schema = self._schemas.get(schema_id)
        if cached_schema is not None:
            return cached_schema
        response = self._request("GET", f"/schemas/ids/{schema_id}")
        if response.status_code == 404 and _error_code(response) in NOT_FOUND:
            raise ContractError(
                f"schema id {schema_id} is unknown to the registry at {self.url}"
            )
        schema = self._schema_in(response, f"reading schema {schema_id}")
        with self._lock:
            return self._schemas.setdefault(schema_id, schema)

    def newest(self, subject: str) -> Schema:
        """Return the newest schema of a subject.

        Raises Refused if there is no such subject; Unavailable.
        """
        response = self._request("GET", f"/subjects/{_quoted(subject)}/versions/latest")
        return self._schema_in(response, f"reading {subject}")

    def subjects(self) -> list[str]:
        """Return all subjects, sorted. Raises Unavailable."""
        response = self._request("GET", "/subjects")
        return sorted(self._content(response, "listing the subjects"))

    def set_compatibility(self, subject: str, level: str) -> None:
        """Set which changes of a subject's schema are refused: BACKWARD, FORWARD, FULL, … or NONE.

        Raises Unavailable, Refused.
        """
        body = {"compatibility": level}
        response = self._request("PUT", f"/config/{_quoted(subject)}", body)
        self._content(response, f"configuring {subject}")

    def _register(self, subject: str, schema: Schema) -> int:
        body = {"schema": json.dumps(schema)}
        response = self._request("POST", f"/subjects/{_quoted(subject)}/versions", body)
        reason = _reason(response)
        if response.status_code == INCOMPATIBLE and ALREADY_EXISTS in reason:
            raise _BusySubjectError(
                f"registry: other clients register subject {subject} at the same time: {reason}",
                "try again",
            )
        if response.status_code in (INCOMPATIBLE, NO_SCHEMA):
            raise ContractError(
                f"registry: subject {subject} refuses the schema {schema.get('name', schema)}: "
                f"{reason}",
                "give new fields a default, and neither rename nor retype old ones",
            )
        content = self._content(response, f"registering {subject}")
        return int(content["id"])

    def _request(
        self, method: str, path: str, body: Mapping[str, str] | None = None
    ) -> requests.Response:
        try:
            return requests.request(
                method,
                self.url + path,
                json=body,
                headers=CONTENT_TYPE,
                timeout=self._timeout_seconds,
            )
        except requests.RequestException as error:
            raise Unavailable(
                f"registry at {self.url} does not answer ({type(error).__name__})",
                SEE_REGISTRY,
            ) from error

    def _schema_in(self, response: requests.Response, action: str) -> Schema:
        content = self._content(response, action)
        schema: Schema = with_source_names(json.loads(content["schema"]))
        return schema

    def _content(self, response: requests.Response, action: str) -> Any:
        """Return a response's JSON. Raises Unavailable, Refused.

        A response without JSON, or a 404 without Confluent's error code, does not come from a
        registry that is ready: it is starting, or a proxy answers for it.
        """
        if response.ok:
            try:
                return response.json()
            except requests.RequestException as error:
                raise Unavailable(
                    f"registry at {self.url}: {action}: the answer is no JSON", SEE_REGISTRY
                ) from error
        status = response.status_code
        message = f"registry at {self.url}: {action}: {status} {_reason(response)}"
        is_not_ready = status == 404 and _error_code(response) is None
        if status >= 500 or status == 429 or is_not_ready:
            raise Unavailable(message, SEE_REGISTRY)
        raise Refused(message)


@dataclass(frozen=True)
class Decoded:
    """A record with the schema that it was written with."""

    schema_id: int
    schema: Schema
    record: Any


class Decoder:
    """Decodes values in the wire format with their own schemas. Safe to share between threads."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._parsed: dict[int, tuple[Schema, Any]] = {}

    def decode(self, value: bytes) -> Decoded:
        """Return the record in a value.

        Raises ContractError if the bytes are no such record (another format, an unknown schema id,
        a broken body); Unavailable if the schema is needed and the registry does not answer.
        """
        schema_id, body = split(value)
        schema, parsed_schema = self._parsed.get(schema_id) or self._parse(schema_id)
        stream = io.BytesIO(body)
        try:
            record = fastavro.schemaless_reader(stream, parsed_schema, None)
        except (
            EOFError,
            IndexError,
            KeyError,
            OverflowError,
            TypeError,
            UnicodeDecodeError,
            ValueError,
        ) as error:
            raise ContractError(
                f"not a record of schema id {schema_id}: {error or type(error).__name__}"
            ) from error
        surplus_bytes = len(body) - stream.tell()
        if surplus_bytes:
            raise ContractError(
                f"not a record of schema id {schema_id}: {surplus_bytes} bytes too many"
            )
        return Decoded(schema_id, schema, record)

    def _parse(self, schema_id: int) -> tuple[Schema, Any]:
        schema = self._registry.schema(schema_id)
        parsed_schema = _parse(schema, f"schema id {schema_id}")
        return self._parsed.setdefault(schema_id, (schema, parsed_schema))


class Encoder:
    """Encodes records of one schema in the wire format.

    Creating it registers the schema under its subject.
    """

    def __init__(self, registry: SchemaRegistry, subject: str, schema: Schema) -> None:
        """Raises ContractError if the subject refuses the schema; Unavailable."""
        self._subject = subject
        self._parsed = _parse(schema, subject)
        self.schema_id = registry.register(subject, schema)
        self._header = HEADER.pack(MAGIC, self.schema_id)

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """Return a record's bytes. Raises ContractError if it does not fit the schema."""
        stream = io.BytesIO()
        stream.write(self._header)
        try:
            fastavro.schemaless_writer(stream, self._parsed, record)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ContractError(
                f"{self._subject}: the record does not fit its schema: {error}"
            ) from error
        return stream.getvalue()


def split(value: bytes) -> tuple[int, bytes]:
    """Return a value's schema id and Avro body.

    Raises ContractError if it is not in Confluent's wire format.
    """
    if len(value) < HEADER.size:
        raise ContractError(
            f"not Avro: {len(value)} bytes, fewer than the {HEADER.size} of the header"
        )
    magic, schema_id = HEADER.unpack_from(value)
    if magic != MAGIC:
        raise ContractError(f"not Avro: magic byte 0x{value[0]:02x}")
    return schema_id, value[HEADER.size :]


def _parse(schema: Schema, where: str) -> Any:
    try:
        return fastavro.parse_schema(schema)
    except (
        fastavro.schema.SchemaParseException,
        fastavro.schema.UnknownType,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise ContractError(f"{where}: no valid Avro schema: {error}") from error


def _quoted(subject: str) -> str:
    return quote(subject, safe="")


def _error_code(response: requests.Response) -> int | None:
    """Return Confluent's error code, or None if there is none."""
    body = _json_object(response)
    return body.get("error_code")


def _reason(response: requests.Response) -> str:
    text = str(_json_object(response).get("message", response.text))
    return " ".join(text.split())[:300]


def _json_object(response: requests.Response) -> dict[str, Any]:
    """Return a response's JSON object; empty if it is none."""
    try:
        body = response.json()
    except requests.RequestException:
        return {}
    return body if isinstance(body, dict) else {}
