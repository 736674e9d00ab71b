import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fastavro
import pytest
import requests

from connectors.kafka.schema_registry import HEADER, Decoder, Encoder, SchemaRegistry, split
from schemas.errors import ContractError, Unavailable

VIEW = {
    "type": "record",
    "name": "View",
    "fields": [
        {"name": "product_id", "type": "long"},
        {"name": "source", "type": "string"},
    ],
}
NOBODY = "http://127.0.0.1:1/apis/ccompat/v7"


class Shelf:
    """A registry that holds one schema, under id 7."""

    def register(self, subject, schema):
        return 7

    def schema(self, schema_id):
        if schema_id != 7:
            raise ContractError(f"schema id {schema_id} is unknown")
        return VIEW


@pytest.fixture
def encoder():
    return Encoder(Shelf(), "productview-value", VIEW)


def test_a_click_comes_back_as_it_was_written(encoder):
    click = {"product_id": 17, "source": "mail"}
    decoded = Decoder(Shelf()).decode(encoder.encode(click))
    assert (decoded.schema_id, decoded.schema, decoded.record) == (7, VIEW, click)


def test_the_wire_format_is_a_zero_byte_the_schema_id_and_the_body(encoder):
    value = encoder.encode({"product_id": 1, "source": "web"})
    assert value[:5] == b"\0\0\0\0\x07"
    assert split(value) == (7, value[5:])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not Avro: 0 bytes"),
        (b"\0\0\0", "not Avro: 3 bytes"),
        (b'{"product_id": 1}', "not Avro: magic byte 0x7b"),
        (HEADER.pack(0, 8) + b"\x02", "schema id 8 is unknown"),
        (HEADER.pack(0, 7), "not a record of schema id 7"),
        (HEADER.pack(0, 7) + b"\x02\x08web", "not a record of schema id 7"),
        (HEADER.pack(0, 7) + b"\x02\x06web" + b"more", "4 bytes too many"),
        (HEADER.pack(0, 7) + b"\x02\x06w\xffb", "not a record of schema id 7"),
        (HEADER.pack(0, 7) + b"\xff" * 12, "not a record of schema id 7"),
    ],
)
def test_what_is_no_click_is_refused_with_its_reason(value, reason):
    with pytest.raises(ContractError, match=reason):
        Decoder(Shelf()).decode(value)


@pytest.mark.parametrize(
    "click",
    [
        {"product_id": "many", "source": "web"},
        {"product_id": 1},
        {"product_id": 2**70, "source": "web"},
    ],
)
def test_a_click_that_breaks_its_contract_is_not_written(encoder, click):
    with pytest.raises(ContractError, match="productview-value"):
        encoder.encode(click)


def test_a_contract_that_is_no_schema_is_refused():
    with pytest.raises(ContractError, match="no valid Avro schema"):
        Encoder(
            Shelf(),
            "productview-value",
            {
                "type": "record",
                "name": "View",
                "fields": [{"name": "x", "type": "nothing"}],
            },
        )


def test_a_registry_that_is_away_is_not_mistaken_for_an_unknown_schema(encoder):
    with pytest.raises(Unavailable, match="does not answer"):
        Decoder(SchemaRegistry(NOBODY)).decode(
            encoder.encode({"product_id": 1, "source": "web"})
        )


def test_bytes_without_a_schema_id_are_refused_without_asking_the_registry():
    with pytest.raises(ContractError, match="not Avro"):
        Decoder(SchemaRegistry(NOBODY)).decode(b"hello, world")


def test_what_is_encoded_is_what_fastavro_writes(encoder, tmp_path):
    click = {"product_id": 3, "source": "app"}
    with (tmp_path / "body").open("wb") as file:
        fastavro.schemaless_writer(file, fastavro.parse_schema(VIEW), click)
    assert split(encoder.encode(click))[1] == (tmp_path / "body").read_bytes()


@pytest.fixture
def busy():
    """A registry that answers a registration with what the test has put in line, and then with id
    7.
    """
    answers = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            status, body = answers.pop(0) if answers else (200, {"id": 7})
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SchemaRegistry(f"http://127.0.0.1:{server.server_port}"), answers
    server.shutdown()
    server.server_close()


ALREADY = (
    409,
    {
        "error_code": 409,
        "message": "An artifact with ID 'productview-value' in group 'default' already exists.",
    },
)
INCOMPATIBLE = (
    409,
    {"error_code": 409, "message": "Incompatible artifact: productview-value [AVRO]"},
)


def test_two_who_register_a_contract_at_the_same_moment_both_get_its_id(busy):
    registry, answers = busy
    answers += [ALREADY, ALREADY]
    assert registry.register("productview-value", VIEW) == 7


def test_a_registry_that_never_comes_to_an_end_with_others_is_asked_again_later(
    busy, monkeypatch
):
    monkeypatch.setattr("connectors.kafka.schema_registry.PAUSE_SECONDS", 0)
    registry, answers = busy
    answers += [ALREADY] * 5
    with pytest.raises(
        Unavailable, match="other clients register subject productview-value"
    ):
        registry.register("productview-value", VIEW)


def test_a_contract_that_the_registry_refuses_is_named_at_once_with_the_reason(busy):
    registry, answers = busy
    answers += [INCOMPATIBLE]
    with pytest.raises(
        ContractError,
        match="subject productview-value refuses the schema View: Incompatible artifact",
    ):
        registry.register("productview-value", VIEW)
    assert answers == []


def test_an_answer_that_is_no_json_is_not_the_registrys(monkeypatch):
    class ProxyAnswer:
        ok = True
        status_code = 200
        text = "<html>"

        def json(self):
            raise requests.exceptions.JSONDecodeError("no JSON", "<html>", 0)

    monkeypatch.setattr(requests, "request", lambda *_, **__: ProxyAnswer())
    with pytest.raises(Unavailable, match="the answer is no JSON"):
        SchemaRegistry(NOBODY).subjects()
