"""The shop's API over a double of its store.

Answers of the real database are tested in tests/integration/test_shop.py.
"""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel

from connectors.mysql.client import SqlRefused
from producers import contract
from producers.order_store import AlreadyCompleted, BadReference, UnknownKey
from producers.shop import application
from schemas.errors import Unavailable
from schemas.shop_tables import COMPLETED_ORDERS, ORDERS, PRODUCTS, USER, Table


class FailingStore:
    """A store whose methods all raise one error."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, _: str) -> Callable[..., None]:
        def fail(*_: object) -> None:
            raise self._error

        return fail


def failing_shop(error: Exception) -> TestClient:
    store: Any = FailingStore(error)
    return TestClient(application(store))


@pytest.fixture
def shop() -> TestClient:
    """A shop whose store must not be used."""
    return failing_shop(AssertionError("the store was used"))


@pytest.mark.parametrize(
    ("model", "table"),
    [
        (contract.User, USER),
        (contract.Product, PRODUCTS),
        (contract.Order, ORDERS),
        (contract.CompletedOrder, COMPLETED_ORDERS),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_api_shows_the_columns_of_the_tables(
    model: type[BaseModel], table: Table
) -> None:
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
def test_a_malformed_order_is_refused_naming_its_fields(
    shop: TestClient, order: Any, fields: list[str]
) -> None:
    answer = shop.post("/orders", json=order)
    assert answer.status_code == 422
    assert [mistake["field"] for mistake in answer.json()["errors"]] == fields
    assert answer.json()["detail"].startswith(f"{fields[0]}: ")


def test_an_order_that_is_not_json_is_refused(shop: TestClient) -> None:
    answer = shop.post(
        "/orders", content='{"user_id": 1', headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "body"


def test_the_answer_to_an_order_without_the_json_header_names_the_header(
    shop: TestClient,
) -> None:
    order = '{"user_id": 1, "product_id": 1}'
    headers = {"Content-Type": "text/plain"}
    answer = shop.post("/orders", content=order, headers=headers)
    assert answer.status_code == 422
    assert "Content-Type: application/json" in answer.json()["detail"]


@pytest.mark.parametrize(
    "address", ["", "   ", "x" * 256, "a\x00b", "two\nlines"], ids=ascii
)
def test_an_address_must_be_a_line_of_text_that_fits(
    shop: TestClient, address: str
) -> None:
    answer = shop.put("/users/1/address", json={"address": address})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "address"


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "offset=-1", "delivered=maybe"]
)
def test_the_parameters_of_a_list_have_bounds(shop: TestClient, query: str) -> None:
    answer = shop.get(f"/orders?{query}")
    parameter, _, _ = query.partition("=")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == parameter


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UnknownKey("there is no order 7"), 404),
        (AlreadyCompleted("order 7 is completed already"), 409),
        (BadReference("user_id", "there is no user 9"), 422),
        (Unavailable("MySQL does not answer"), 503),
        (SqlRefused("MySQL refuses: no such table", "", 1146), 500),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_failure_has_its_status_and_a_reason(error: Exception, status: int) -> None:
    answer = failing_shop(error).post("/orders/7/complete")
    assert answer.status_code == status
    assert str(error) in answer.json()["detail"]


def test_while_mysql_does_not_answer_the_shop_says_when_to_try_again() -> None:
    answer = failing_shop(Unavailable("MySQL does not answer")).get("/health")
    assert int(answer.headers["Retry-After"]) > 0


def test_the_first_page_lists_every_request_and_how_to_place_an_order(
    shop: TestClient,
) -> None:
    page = shop.get("/").text
    assert all(path in page for path in shop.get("/openapi.json").json()["paths"])
    assert "{&quot;user_id&quot;: 1, &quot;product_id&quot;: 1}" in page
    assert "td{padding" in page


def test_the_openapi_page_says_how_mistakes_are_answered(shop: TestClient) -> None:
    paths = shop.get("/openapi.json").json()["paths"]
    answer = paths["/orders"]["post"]["responses"]["422"]
    schema = answer["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Problem"}
