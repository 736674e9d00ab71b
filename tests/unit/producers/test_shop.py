"""The shop's API over a store that is a double: what only the real database can answer is tested in tests/integration/test_shop.py."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from connectors.mysql import SqlRefused
from infra.errors import Unavailable
from producers import contract
from producers.shop import application
from producers.store import AlreadyCompleted, BadReference, Unknown
from schemas.tables import COMPLETED_ORDERS, ORDERS, PRODUCTS, USER


class FailingStore:
    """A store in which everything fails in one way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _: str):
        def fail(*_: object) -> None:
            raise self._error

        return fail


@pytest.fixture
def shop() -> Iterator[TestClient]:
    """A shop whose database must not be asked."""
    yield TestClient(application(FailingStore(AssertionError("the store was asked"))))


def failing(error: Exception) -> TestClient:
    return TestClient(application(FailingStore(error)))


@pytest.mark.parametrize(
    ("model", "table"),
    [(contract.User, USER), (contract.Product, PRODUCTS), (contract.Order, ORDERS), (contract.CompletedOrder, COMPLETED_ORDERS)],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_api_shows_the_columns_of_the_tables(model, table):
    assert tuple(model.model_fields) == table.column_names


@pytest.mark.parametrize(
    ("order", "fields"),
    [
        ({"user_id": "1", "product_id": 2}, ["user_id"]),
        ({"user_id": 1}, ["product_id"]),
        ({"user_id": True, "product_id": 2.5}, ["user_id", "product_id"]),
        ({"user_id": 0, "product_id": 2**63}, ["user_id", "product_id"]),
        ({"user_id": 1, "product_id": 2, "price": 3}, ["price"]),
        ([1, 2], ["body"]),
        (None, ["body"]),
    ],
    ids=str,
)
def test_a_malformed_order_is_refused_naming_its_fields(shop, order, fields):
    answer = shop.post("/orders", json=order)
    assert answer.status_code == 422
    assert [mistake["field"] for mistake in answer.json()["errors"]] == fields
    assert answer.json()["detail"].startswith(f"{fields[0]}: ")


def test_an_order_that_is_no_json_is_refused(shop):
    answer = shop.post("/orders", content='{"user_id": 1', headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "body")


def test_an_order_without_the_header_for_json_is_told_so(shop):
    answer = shop.post("/orders", content='{"user_id": 1, "product_id": 1}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["detail"]


@pytest.mark.parametrize("address", ["", "   ", "x" * 256, "a\x00b", "two\nlines"], ids=ascii)
def test_an_address_must_be_a_line_of_text_that_fits(shop, address):
    answer = shop.put("/users/1/address", json={"address": address})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "address")


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "delivered=maybe"])
def test_a_list_cannot_be_asked_for_unreasonably(shop, query):
    answer = shop.get(f"/orders?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, query.split("=")[0])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Unknown("there is no order 7"), 404),
        (AlreadyCompleted("order 7 is completed already"), 409),
        (BadReference("user_id", "there is no user 9"), 422),
        (Unavailable("MySQL does not answer"), 503),
        (SqlRefused("MySQL refuses: no such table", "", 1146), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_failure_has_its_status_and_a_reason(error, status):
    answer = failing(error).post("/orders/7/complete")
    assert answer.status_code == status
    assert str(error) in answer.json()["detail"]


def test_who_is_sent_away_for_want_of_mysql_is_told_when_to_come_back():
    assert int(failing(Unavailable("MySQL does not answer")).get("/health").headers["Retry-After"]) > 0


def test_the_first_page_lists_what_can_be_asked(shop):
    page = shop.get("/").text
    assert all(path in page for path in shop.get("/openapi.json").json()["paths"])


def test_the_openapi_page_says_how_mistakes_are_answered(shop):
    described = shop.get("/openapi.json").json()["paths"]["/orders"]["post"]["responses"]
    assert described["422"]["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Problem"}
