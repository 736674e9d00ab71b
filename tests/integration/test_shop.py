"""The shop of a running stack, asked over HTTP; MySQL is read beside it to see what really happened."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from connectors.mysql import Connection, SqlRefused, check_server, connect, gtid_executed, prepare
from infra.errors import Refused
from producers.seed import load_seed
from tests.eventually import eventually

ABSENT = 2**62


@pytest.fixture(scope="module")
def shop(stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.settings.site.shop_url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture
def mysql(stack) -> Iterator[Connection]:
    settings = stack.settings
    with connect(settings.mysql, settings.login("mysql.reader"), settings.mysql.database) as connection:
        yield connection


@pytest.fixture
def order(shop) -> int:
    """An order just placed; the customers leave it alone for ten minutes."""
    return place(shop)


def place(shop) -> int:
    answer = shop.post("/orders", json={"user_id": 1, "product_id": 1})
    assert answer.status_code == 201, answer.text
    return answer.json()["order_id"]


def state_of(mysql: Connection, order_id: int) -> tuple[list[str], list[str]]:
    """The status of an order in both of its tables."""
    ordered = mysql.query("SELECT status FROM orders WHERE order_id = %s", (order_id,))
    completed = mysql.query("SELECT status FROM completed_orders WHERE order_id = %s", (order_id,))
    return [row["status"] for row in ordered], [row["status"] for row in completed]


def test_an_order_can_be_placed_and_read_again(shop, mysql, order):
    seen = shop.get(f"/orders/{order}").json()
    assert (seen["order_id"], seen["user_id"], seen["product_id"], seen["status"]) == (order, 1, 1, "0")
    assert state_of(mysql, order) == (["0"], [])


def test_an_open_order_is_among_those_not_delivered_until_it_is_completed(shop, order):
    def listed(delivered: str) -> bool:
        return order in {row["order_id"] for row in shop.get(f"/orders?delivered={delivered}&limit=1000").json()}

    assert (listed("false"), listed("true")) == (True, False)
    shop.post(f"/orders/{order}/complete").raise_for_status()
    assert (listed("false"), listed("true")) == (False, True)


def test_completing_an_order_changes_both_tables(shop, mysql, order):
    answer = shop.post(f"/orders/{order}/complete")
    assert (answer.status_code, answer.json()["status"]) == (200, "1")
    assert state_of(mysql, order) == (["1"], ["1"])


def test_completing_an_order_is_one_transaction(shop, mysql, stack, order):
    """A completion that cannot be written to `completed_orders` leaves `orders` as it was: both rows or none."""
    settings = stack.settings
    with connect(settings.mysql, settings.login("mysql.shop"), settings.mysql.database) as other:
        other.insert("completed_orders", [{"order_id": order, "status": "1"}])
        try:
            assert shop.post(f"/orders/{order}/complete").status_code >= 400
            assert state_of(mysql, order) == (["0"], ["1"])
        finally:
            other.execute("DELETE FROM completed_orders WHERE order_id = %s", (order,))
    assert shop.post(f"/orders/{order}/complete").status_code == 200


def test_an_order_is_completed_only_once_however_many_try(shop, mysql, order):
    with ThreadPoolExecutor(8) as people:
        answers = list(people.map(lambda _: shop.post(f"/orders/{order}/complete").status_code, range(8)))
    assert sorted(answers) == [200] + [409] * 7
    assert state_of(mysql, order) == (["1"], ["1"])


def test_a_cancelled_order_is_gone(shop, mysql, order):
    assert shop.delete(f"/orders/{order}").status_code == 204
    assert state_of(mysql, order) == ([], [])
    assert shop.get(f"/orders/{order}").status_code == 404
    assert shop.delete(f"/orders/{order}").status_code == 404


def test_a_completed_order_cannot_be_cancelled(shop, mysql, order):
    shop.post(f"/orders/{order}/complete").raise_for_status()
    answer = shop.delete(f"/orders/{order}")
    assert answer.status_code == 409
    assert "completed" in answer.json()["detail"]
    assert state_of(mysql, order) == (["1"], ["1"])


@pytest.mark.parametrize(
    ("field", "order"), [("user_id", {"user_id": ABSENT, "product_id": 1}), ("product_id", {"user_id": 1, "product_id": ABSENT})]
)
def test_an_order_of_something_unknown_is_refused_naming_it(shop, field, order):
    answer = shop.post("/orders", json=order)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": field, "reason": f"there is no {field.removesuffix('_id')} {ABSENT}"}]


def test_a_malformed_order_is_refused_naming_its_fields(shop):
    answer = shop.post("/orders", json={"user_id": "one", "product": 1})
    assert answer.status_code == 422
    assert {mistake["field"] for mistake in answer.json()["errors"]} == {"user_id", "product_id", "product"}


@pytest.mark.parametrize(("method", "path"), [("GET", "/orders/{}"), ("POST", "/orders/{}/complete"), ("DELETE", "/orders/{}"), ("GET", "/users/{}")])
def test_what_does_not_exist_is_not_found(shop, method, path):
    answer = shop.request(method, path.format(ABSENT))
    assert answer.status_code == 404
    assert str(ABSENT) in answer.json()["detail"]


def test_a_user_moves_house(shop, mysql):
    user = shop.post("/users", json={"name": "Zoë O'Brien", "address": "1 Elm Grove, D02 Dublin"}).json()
    moved = shop.put(f"/users/{user['id']}/address", json={"address": "Straße 7 🏠, 10115 Berlin"})
    assert moved.status_code == 200
    row = mysql.query("SELECT name, address FROM user WHERE id = %s", (user["id"],))
    assert row == [{"name": "Zoë O'Brien", "address": "Straße 7 🏠, 10115 Berlin"}]


def test_moving_to_where_one_lives_is_fine(shop):
    user = shop.post("/users", json={"name": "Ida Dahl", "address": "2 Mill Road, 0150 Oslo"}).json()
    assert shop.put(f"/users/{user['id']}/address", json={"address": user["address"]}).json() == user


def test_a_new_product_can_be_ordered(shop):
    product = shop.post("/products", json={"category": "Toys", "name": "Felt Kite"}).json()
    order = shop.post("/orders", json={"user_id": 1, "product_id": product["product_id"]})
    assert order.status_code == 201
    assert shop.get(f"/products/{product['product_id']}").json() == product


def test_the_api_page_needs_nothing_from_elsewhere(shop):
    page = shop.get("/docs").text
    needed = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert needed, page
    for address in needed:
        assert address.startswith("/"), f"the page would fetch {address}"
        assert shop.get(address).status_code == 200
    assert {"/orders", "/orders/{order_id}/complete"} <= set(shop.get("/openapi.json").json()["paths"])


def test_a_list_is_read_page_by_page(shop):
    first, second = (shop.get(f"/users?limit=3&offset={offset}").json() for offset in (0, 3))
    together = shop.get("/users?limit=6").json()
    assert len(together) == 6
    assert first + second == together


def test_the_shop_may_not_change_tables_nor_look_elsewhere(stack):
    settings = stack.settings
    with connect(settings.mysql, settings.login("mysql.shop"), settings.mysql.database) as connection:
        for statement in ("DROP TABLE completed_orders", "ALTER TABLE user ADD COLUMN x INT", "SELECT * FROM mysql.user"):
            with pytest.raises(SqlRefused, match="denied"):
                connection.execute(statement)


def test_readers_may_not_write(stack):
    settings = stack.settings
    with (
        connect(settings.mysql, settings.login("mysql.reader"), settings.mysql.database) as connection,
        pytest.raises(SqlRefused, match="denied"),
    ):
        connection.execute("DELETE FROM completed_orders WHERE order_id = %s", (ABSENT,))


def test_preparing_the_database_again_changes_nothing(stack):
    """Neither the schema, nor the users, nor the seed data: not one transaction of anybody but the customers."""
    settings = stack.settings
    said: list[str] = []

    def transactions_meanwhile() -> tuple[str, str]:
        with connect(settings.mysql, settings.login("mysql.admin")) as admin:
            before = gtid_executed(admin)
            prepare(settings)
            load_seed(settings, said.append)
            return before, gtid_executed(admin)

    # The customers write too, so ask for one quiet moment among many.
    eventually(lambda: len(set(transactions_meanwhile())) == 1, within=60, because="preparing MySQL again writes nothing to its binlog")
    assert said == []


def test_a_server_that_does_not_log_whole_rows_is_refused(stack):
    settings = stack.settings

    class Minimal:
        """A connection to a server set up for something else."""

        def __init__(self, real: Connection) -> None:
            self._real = real

        def query(self, sql, parameters=()):
            rows = self._real.query(sql, parameters)
            return [row | {"Value": "MINIMAL"} if row["Variable_name"] == "binlog_row_image" else row for row in rows]

    with connect(settings.mysql, settings.login("mysql.admin")) as admin:
        check_server(admin)
        with pytest.raises(Refused, match="binlog_row_image=MINIMAL") as refused:
            check_server(Minimal(admin))
    assert "binlog_row_image=FULL" in refused.value.hint
