"""The schema registry (Confluent's API), and Avro in Confluent's wire format: a zero byte, the schema's id in four bytes, the Avro body."""

import io
import json
import struct
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import fastavro
import requests

from infra.errors import ContractError, Refused, Unavailable

HEADER = struct.Struct(">bI")
MAGIC = 0
# Confluent's error codes: a schema, a subject or a version that does not exist.
NOT_FOUND = (40401, 40402, 40403)
INCOMPATIBLE = 409
# How the registry says, with the same code, that somebody registered the very same thing at this moment.
ALREADY_THERE = "already exists"
MOST_ATTEMPTS = 5
PAUSE_SECONDS = 0.1

Schema = dict[str, Any]


class SchemaRegistry:
    """A registry at a base URL. Schemas never change under an id, so each is asked for once. Safe to share between threads."""

    def __init__(self, url: str, timeout_seconds: float = 10) -> None:
        self.url = url.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._schemas: dict[int, Schema] = {}
        self._lock = threading.Lock()

    def register(self, subject: str, schema: Schema) -> int:
        """The id of the schema under a subject, registering it if it is new.

        Raises ContractError if it is incompatible with the subject's earlier versions or no schema; Unavailable.
        """
        for attempt in range(MOST_ATTEMPTS):
            answer = self._ask("POST", f"/subjects/{quote(subject, safe='')}/versions", {"schema": json.dumps(schema)})
            if answer.status_code != INCOMPATIBLE or ALREADY_THERE not in _reason(answer):
                break
            time.sleep(PAUSE_SECONDS * 2**attempt)
        else:
            raise Unavailable(f"registry: others register subject {subject} at the same time: {_reason(answer)}", "try again")
        if answer.status_code in (INCOMPATIBLE, 422):
            raise ContractError(
                f"registry: subject {subject} refuses the schema {schema.get('name', schema)}: {_reason(answer)}",
                "give new fields a default, and neither rename nor retype old ones",
            )
        return int(self._checked(answer, f"registering {subject}")["id"])

    def schema(self, schema_id: int) -> Schema:
        """The Avro schema of an id, as registered. Raises ContractError if the registry does not know the id; Unavailable."""
        with self._lock:
            known = self._schemas.get(schema_id)
        if known is not None:
            return known
        answer = self._ask("GET", f"/schemas/ids/{schema_id}")
        if answer.status_code == 404 and _code(answer) in NOT_FOUND:
            raise ContractError(f"schema id {schema_id} is unknown to the registry at {self.url}")
        found: Schema = json.loads(self._checked(answer, f"reading schema {schema_id}")["schema"])
        with self._lock:
            return self._schemas.setdefault(schema_id, found)

    def newest(self, subject: str) -> Schema:
        """The newest schema of a subject. Raises Refused if there is no such subject; Unavailable."""
        found: Schema = json.loads(
            self._checked(self._ask("GET", f"/subjects/{quote(subject, safe='')}/versions/latest"), f"reading {subject}")["schema"]
        )
        return found

    def subjects(self) -> list[str]:
        """All subjects, sorted. Raises Unavailable."""
        return sorted(self._checked(self._ask("GET", "/subjects"), "listing the subjects"))

    def compatible(self, subject: str, schema: Schema) -> bool:
        """Whether a schema could be registered under a subject; a subject that does not exist takes any. Raises Unavailable."""
        path = f"/compatibility/subjects/{quote(subject, safe='')}/versions/latest"
        answer = self._ask("POST", path, {"schema": json.dumps(schema)})
        if answer.status_code == 404 and _code(answer) in NOT_FOUND:
            return True
        return bool(self._checked(answer, f"comparing with {subject}")["is_compatible"])

    def set_compatibility(self, subject: str, level: str) -> None:
        """Sets which changes of a subject's schema are refused: BACKWARD, FORWARD, FULL, … or NONE. Raises Unavailable, Refused."""
        self._checked(self._ask("PUT", f"/config/{quote(subject, safe='')}", {"compatibility": level}), f"configuring {subject}")

    def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> requests.Response:
        kind = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
        try:
            return requests.request(method, self.url + path, json=body, headers=kind, timeout=self._timeout_seconds)
        except requests.RequestException as error:
            raise Unavailable(
                f"registry at {self.url} does not answer ({type(error).__name__})", "see ./kappa status and ./kappa logs registry"
            ) from error

    def _checked(self, answer: requests.Response, doing: str) -> Any:
        """The answer's JSON. An answer without Confluent's error code is not the registry's word: it is starting, or a proxy speaks."""
        if answer.ok:
            return answer.json()
        what = f"registry at {self.url}: {doing}: {answer.status_code} {_reason(answer)}"
        if answer.status_code >= 500 or answer.status_code == 429 or (answer.status_code == 404 and _code(answer) is None):
            raise Unavailable(what, "see ./kappa status and ./kappa logs registry")
        raise Refused(what)


@dataclass(frozen=True)
class Decoded:
    """A record with the schema that it was written with."""

    schema_id: int
    schema: Schema
    record: Any


class Decoder:
    """Decodes values in the wire format, each with the schema that it was written with. Safe to share between threads."""

    def __init__(self, registry: SchemaRegistry) -> None:
        self._registry = registry
        self._parsed: dict[int, tuple[Schema, Any]] = {}

    def decode(self, value: bytes) -> Decoded:
        """The record in a value.

        Raises ContractError if the bytes are no such record (another format, an unknown schema id, a broken body);
        Unavailable if the schema is needed and the registry does not answer.
        """
        schema_id, body = split(value)
        raw, parsed = self._parsed.get(schema_id) or self._learn(schema_id)
        stream = io.BytesIO(body)
        try:
            record = fastavro.schemaless_reader(stream, parsed, None)
        except (EOFError, IndexError, KeyError, OverflowError, TypeError, UnicodeDecodeError, ValueError) as error:
            raise ContractError(f"not a record of schema id {schema_id}: {error or type(error).__name__}") from error
        if stream.tell() != len(body):
            raise ContractError(f"not a record of schema id {schema_id}: {len(body) - stream.tell()} bytes too many")
        return Decoded(schema_id, raw, record)

    def _learn(self, schema_id: int) -> tuple[Schema, Any]:
        raw = self._registry.schema(schema_id)
        return self._parsed.setdefault(schema_id, (raw, _parse(raw, f"schema id {schema_id}")))


class Encoder:
    """Encodes records of one schema in the wire format; registers the schema under its subject when made."""

    def __init__(self, registry: SchemaRegistry, subject: str, schema: Schema) -> None:
        """Raises ContractError if the subject refuses the schema; Unavailable."""
        self._subject = subject
        self._parsed = _parse(schema, subject)
        self.schema_id = registry.register(subject, schema)
        self._header = HEADER.pack(MAGIC, self.schema_id)

    def encode(self, record: Mapping[str, Any]) -> bytes:
        """A record's bytes. Raises ContractError if it does not fit the schema."""
        stream = io.BytesIO()
        stream.write(self._header)
        try:
            fastavro.schemaless_writer(stream, self._parsed, record)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ContractError(f"{self._subject}: the record does not fit its schema: {error}") from error
        return stream.getvalue()


def split(value: bytes) -> tuple[int, bytes]:
    """A value's schema id and Avro body. Raises ContractError if it is not in Confluent's wire format."""
    if len(value) < HEADER.size:
        raise ContractError(f"not Avro: {len(value)} bytes, fewer than the {HEADER.size} of the header")
    magic, schema_id = HEADER.unpack_from(value)
    if magic != MAGIC:
        raise ContractError(f"not Avro: magic byte 0x{value[0]:02x}")
    return schema_id, value[HEADER.size :]


def _parse(schema: Schema, where: str) -> Any:
    try:
        return fastavro.parse_schema(schema)
    except (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, KeyError, TypeError, ValueError) as error:
        raise ContractError(f"{where}: no valid Avro schema: {error}") from error


def _code(answer: requests.Response) -> int | None:
    """Confluent's error code in an answer, if it has one."""
    try:
        body = answer.json()
    except ValueError:
        return None
    return body.get("error_code") if isinstance(body, dict) else None


def _reason(answer: requests.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        body = None
    text = body.get("message", answer.text) if isinstance(body, dict) else answer.text
    return " ".join(text.split())[:300]
