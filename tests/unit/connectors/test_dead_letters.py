from typing import Any

from connectors.dead_letters import dead_headers


class Message:
    def topic(self) -> str:
        return "productview"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 88

    def headers(self) -> list[tuple[str, Any]]:
        return [("trace", b"abc")]


def test_a_dead_letter_keeps_its_headers_and_says_where_it_stood_and_why() -> None:
    assert dead_headers(Message(), "not Avro: magic byte 0x7b") == [  # type: ignore[arg-type]
        ("trace", b"abc"),
        ("topic", b"productview"),
        ("partition", b"3"),
        ("offset", b"88"),
        ("reason", b"not Avro: magic byte 0x7b"),
    ]
