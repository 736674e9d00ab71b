"""The shop of a running stack over HTTP. MySQL is read beside it to see what really happened."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from connectors.mysql.bootstrap import check_server, prepare
from connectors.mysql.client import Connection, SqlRefused, connect, gtid_executed
from producers.seed import load_seed
from schemas.errors import Refused
from tests.conftest import Stack

ABSENT = 2**62


@pytest.fixture(scope="module")
def shop(stack: Stack) -> Iterator[httpx.Client]:
    url = stack.settings.site.shop_url
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
        yield client


def connect_as(stack: Stack, login: str) -> Connection:
    """Return a connection to the shop's database."""
    settings = stack.settings
    return connect(settings.mysql, settings.login(login), settings.mysql.database)


@pytest.fixture
def mysql(stack: Stack) -> Iterator[Connection]:
    with connect_as(stack, "mysql.reader") as connection:
        yield connection


@pytest.fixture
def order(shop: httpx.Client) -> int:
    """A new order, which the customers do not change for ten minutes."""
    answer = shop.post("/orders", json={"user_id": 1, "product_id": 1})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["order_id"])


def statuses(mysql: Connection, order_id: int) -> tuple[list[str], list[str]]:
    """Return the status of an order in `orders` and in `completed_orders`, if it is there."""
    sql = "SELECT status FROM orders WHERE order_id = %s"
    orders = mysql.query(sql, (order_id,))
    sql = "SELECT status FROM completed_orders WHERE order_id = %s"
    completed_orders = mysql.query(sql, (order_id,))
    return [row["status"] for row in orders], [row["status"] for row in completed_orders]


def test_an_order_can_be_placed_and_read_again(
    shop: httpx.Client, mysql: Connection, order: int
) -> None:
    answer = shop.get(f"/orders/{order}").json()
    fields = {"order_id": order, "user_id": 1, "product_id": 1, "status": "0"}
    assert answer.items() >= fields.items()
    assert statuses(mysql, order) == (["0"], [])


def test_an_open_order_is_among_those_not_delivered_until_it_is_completed(
    shop: httpx.Client, order: int
) -> None:
    assert order in listed_orders(shop, delivered="false")
    assert order not in listed_orders(shop, delivered="true")
    shop.post(f"/orders/{order}/complete").raise_for_status()
    assert order not in listed_orders(shop, delivered="false")
    assert order in listed_orders(shop, delivered="true")


def listed_orders(shop: httpx.Client, delivered: str) -> set[int]:
    """Return the ids of the orders in the shop's list, delivered or not."""
    answer = shop.get(f"/orders?delivered={delivered}&limit=1000")
    return {row["order_id"] for row in answer.json()}


def test_completing_an_order_changes_both_tables(
    shop: httpx.Client, mysql: Connection, order: int
) -> None:
    answer = shop.post(f"/orders/{order}/complete")
    assert (answer.status_code, answer.json()["status"]) == (200, "1")
    assert statuses(mysql, order) == (["1"], ["1"])


def test_completing_an_order_is_one_transaction(
    shop: httpx.Client, mysql: Connection, stack: Stack, order: int
) -> None:
    """A completion that cannot be written to `completed_orders` leaves `orders` as it was."""
    with connect_as(stack, "mysql.shop") as other:
        other.insert("completed_orders", [{"order_id": order, "status": "1"}])
        try:
            assert shop.post(f"/orders/{order}/complete").status_code >= 400
            assert statuses(mysql, order) == (["0"], ["1"])
        finally:
            other.execute("DELETE FROM completed_orders WHERE order_id = %s", (order,))
    assert shop.post(f"/orders/{order}/complete").status_code == 200


def test_an_order_is_completed_only_once_however_many_try(
    shop: httpx.Client, mysql: Connection, order: int
) -> None:
    with ThreadPoolExecutor(8) as people:
        answers = people.map(lambda _: shop.post(f"/orders/{order}/complete"), range(8))
        codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] + [409] * 7
    assert statuses(mysql, order) == (["1"], ["1"])


def test_a_cancelled_order_is_gone(
    shop: httpx.Client, mysql: Connection, order: int
) -> None:
    assert shop.delete(f"/orders/{order}").status_code == 204
    assert statuses(mysql, order) == ([], [])
    assert shop.get(f"/orders/{order}").status_code == 404
    assert shop.delete(f"/orders/{order}").status_code == 404


def test_a_completed_order_cannot_be_cancelled(
    shop: httpx.Client, mysql: Connection, order: int
) -> None:
    shop.post(f"/orders/{order}/complete").raise_for_status()
    answer = shop.delete(f"/orders/{order}")
    assert answer.status_code == 409
    assert "completed" in answer.json()["detail"]
    assert statuses(mysql, order) == (["1"], ["1"])


@pytest.mark.parametrize(
    ("field", "order"),
    [
        ("user_id", {"user_id": ABSENT, "product_id": 1}),
        ("product_id", {"user_id": 1, "product_id": ABSENT}),
    ],
)
def test_an_order_of_something_unknown_is_refused_naming_it(
    shop: httpx.Client, field: str, order: dict[str, int]
) -> None:
    answer = shop.post("/orders", json=order)
    assert answer.status_code == 422
    reason = f"there is no {field.removesuffix('_id')} {ABSENT}"
    assert answer.json()["errors"] == [{"field": field, "reason": reason}]


def test_a_malformed_order_is_refused_naming_its_fields(shop: httpx.Client) -> None:
    answer = shop.post("/orders", json={"user_id": "one", "product": 1})
    assert answer.status_code == 422
    fields = {mistake["field"] for mistake in answer.json()["errors"]}
    assert fields == {"user_id", "product_id", "product"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/orders/{}"),
        ("POST", "/orders/{}/complete"),
        ("DELETE", "/orders/{}"),
        ("GET", "/users/{}"),
    ],
)
def test_what_does_not_exist_is_not_found(
    shop: httpx.Client, method: str, path: str
) -> None:
    answer = shop.request(method, path.format(ABSENT))
    assert answer.status_code == 404
    assert str(ABSENT) in answer.json()["detail"]


def test_a_user_moves_house(shop: httpx.Client, mysql: Connection) -> None:
    person = {"name": "Zoë O'Brien", "address": "1 Elm Grove, D02 Dublin"}
    user_id = shop.post("/users", json=person).json()["id"]
    new_address = "Straße 7 🏠, 10115 Berlin"
    answer = shop.put(f"/users/{user_id}/address", json={"address": new_address})
    assert answer.status_code == 200
    rows = mysql.query("SELECT name, address FROM user WHERE id = %s", (user_id,))
    assert rows == [{"name": "Zoë O'Brien", "address": new_address}]


def test_moving_to_the_same_address_changes_nothing(shop: httpx.Client) -> None:
    person = {"name": "Ida Dahl", "address": "2 Mill Road, 0150 Oslo"}
    user = shop.post("/users", json=person).json()
    answer = shop.put(f"/users/{user['id']}/address", json={"address": user["address"]})
    assert answer.json() == user


def test_a_new_product_can_be_ordered(shop: httpx.Client) -> None:
    product = shop.post("/products", json={"category": "Toys", "name": "Felt Kite"}).json()
    order = shop.post("/orders", json={"user_id": 1, "product_id": product["product_id"]})
    assert order.status_code == 201
    assert shop.get(f"/products/{product['product_id']}").json() == product


def test_the_api_page_needs_nothing_from_elsewhere(shop: httpx.Client) -> None:
    page = shop.get("/docs").text
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses, page
    for address in addresses:
        assert address.startswith("/"), f"the page would fetch {address}"
        assert shop.get(address).status_code == 200
    paths = set(shop.get("/openapi.json").json()["paths"])
    assert paths >= {"/orders", "/orders/{order_id}/complete"}


def test_a_list_is_read_page_by_page(shop: httpx.Client) -> None:
    first = shop.get("/users?limit=3&offset=0").json()
    second = shop.get("/users?limit=3&offset=3").json()
    together = shop.get("/users?limit=6").json()
    assert len(together) == 6
    assert first + second == together


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE completed_orders",
        "ALTER TABLE user ADD COLUMN x INT",
        "SELECT * FROM mysql.user",
    ],
)
def test_the_shop_may_not_change_tables_nor_look_elsewhere(
    stack: Stack, statement: str
) -> None:
    connection = connect_as(stack, "mysql.shop")
    with connection, pytest.raises(SqlRefused, match="denied"):
        connection.execute(statement)


def test_readers_may_not_write(mysql: Connection) -> None:
    with pytest.raises(SqlRefused, match="denied"):
        mysql.execute("DELETE FROM completed_orders WHERE order_id = %s", (ABSENT,))


def test_preparing_the_database_again_changes_nothing(stack: Stack, quiet: None) -> None:
    """Neither the schema, nor the users, nor the seed data."""
    settings = stack.settings
    messages: list[str] = []
    with connect(settings.mysql, settings.login("mysql.admin")) as admin:
        before = gtid_executed(admin)
        prepare(settings)
        load_seed(settings, messages.append)
        assert gtid_executed(admin) == before
    assert messages == []


def test_a_server_that_does_not_log_whole_rows_is_refused(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = stack.settings
    with connect(settings.mysql, settings.login("mysql.admin")) as admin:
        check_server(admin)
        query = admin.query

        def query_with_other_value(*arguments: Any) -> list[dict[str, Any]]:
            rows = query(*arguments)
            for row in rows:
                if row["Variable_name"] == "binlog_row_image":
                    row["Value"] = "MINIMAL"
            return rows

        monkeypatch.setattr(admin, "query", query_with_other_value)
        with pytest.raises(Refused, match="binlog_row_image=MINIMAL") as refusal:
            check_server(admin)
    assert "binlog_row_image=FULL" in refusal.value.hint
