import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors import shop_client
from connectors.shop_client import Declined, ShopApi
from schemas.errors import Refused, Unavailable

USERS = 2_500


class Shop(BaseHTTPRequestHandler):
    """Lists users page by page, and answers other paths with the status that they name."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/users":
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            first = int(query["offset"])
            last = min(USERS, first + int(query["limit"]))
            self._send(200, [{"id": number} for number in range(first, last)])
            return
        self._send(int(url.path.strip("/")), {"detail": "what the shop says"})

    def do_DELETE(self) -> None:
        self._send(204, None)

    def _send(self, status: int, body: Any) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop() -> Iterator[ShopApi]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with ShopApi(f"http://127.0.0.1:{server.server_port}/") as client:
        yield client
    server.shutdown()
    thread.join(10)
    server.server_close()


@pytest.mark.parametrize(
    ("limit", "rows"),
    [(0, 0), (1, 1), (1000, 1000), (1001, 1001), (2500, 2500), (9000, 2500)],
)
def test_a_list_is_read_page_by_page_up_to_its_limit_or_its_end(
    shop: ShopApi, limit: int, rows: int
) -> None:
    users = shop.list_rows("/users", limit)
    assert [user["id"] for user in users] == list(range(rows))


@pytest.mark.parametrize("status", [404, 409, 422])
def test_a_refusal_has_its_status_and_the_shops_words(shop: ShopApi, status: int) -> None:
    with pytest.raises(
        Declined, match=f"GET /{status}: {status} what the shop says"
    ) as raised:
        shop.send("GET", f"/{status}")
    assert raised.value.status == status
    assert isinstance(raised.value, Refused)


def test_a_shop_without_its_database_is_unavailable(shop: ShopApi) -> None:
    with pytest.raises(Unavailable, match="503 what the shop says"):
        shop.send("GET", "/503")


def test_a_response_without_content_is_none(shop: ShopApi) -> None:
    assert shop.send("DELETE", "/orders/1") is None


def test_a_shop_that_does_not_answer_is_unavailable() -> None:
    with (
        ShopApi("http://127.0.0.1:9", timeout_seconds=1) as client,
        pytest.raises(Unavailable, match="does not answer"),
    ):
        client.send("GET", "/users")
    assert shop_client.PAGE < USERS, "so that the lists above have several pages"
