"""The process `site:shop`: the shop's REST API over MySQL.

Its OpenAPI page is at /docs, and loads nothing from other hosts.
"""

import html
import logging
import os
import threading
from typing import Annotated, Any

import uvicorn
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from connectors.mysql.client import Pool, SqlRefused
from connectors.runtime.logging_setup import start_logging
from connectors.runtime.process_state import ProcessState
from connectors.runtime.settings import LOOPBACK, Settings, load
from producers.contract import (
    MAX_ID,
    CompletedOrder,
    Health,
    Mistake,
    NewAddress,
    NewOrder,
    NewProduct,
    NewUser,
    Order,
    Problem,
    Product,
    User,
)
from producers.order_store import AlreadyCompleted, BadReference, Row, Store, UnknownKey
from schemas.errors import KappaError, Unavailable

PROCESS = "shop"
CONNECTIONS = 8
RETRY_AFTER_SECONDS = 2
CHECK_SECONDS = 2.0

INDEX_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><title>The shop</title>"
    "<style>body{{font:1rem/1.5 sans-serif;margin:2rem}}"
    "td{{padding:.1rem 1rem .1rem 0}}</style><h1>The shop</h1>"
    "<p>Every change here reaches the log, the live counts and the warehouse. "
    "Full description: <a href=/docs>/docs</a>, "
    "<a href=/openapi.json>/openapi.json</a>.</p><table>{rows}</table>"
    "<p>Place an order:</p><pre>{example}</pre></html>"
)

log = logging.getLogger(PROCESS)
router = APIRouter(
    responses={
        422: {"model": Problem},
        503: {"model": Problem, "description": "MySQL does not answer; try again"},
    }
)
Responses = dict[int | str, dict[str, Any]]
NOT_FOUND_RESPONSE: Responses = {
    404: {"model": Problem, "description": "There is no such row"}
}
CONFLICT_RESPONSE: Responses = {
    409: {"model": Problem, "description": "The order is completed already"}
}


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


Shop = Annotated[Store, Depends(_store)]
Key = Annotated[int, Path(ge=1, le=MAX_ID)]
Limit = Annotated[int, Query(ge=1, le=1000, description="return at most so many rows")]
Offset = Annotated[
    int, Query(ge=0, le=1_000_000_000, description="skip so many rows first")
]


@router.get("/users", response_model=list[User])
def list_users(shop: Shop, limit: Limit = 100, offset: Offset = 0) -> list[Row]:
    """Users, by id."""
    return shop.users(limit, offset)


@router.post("/users", response_model=User, status_code=201)
def create_user(shop: Shop, user: NewUser) -> Row:
    """A new user."""
    return shop.create_user(user.name, user.address)


@router.get("/users/{user_id}", response_model=User, responses=NOT_FOUND_RESPONSE)
def get_user(shop: Shop, user_id: Key) -> Row:
    """One user."""
    return shop.user(user_id)


@router.put("/users/{user_id}/address", response_model=User, responses=NOT_FOUND_RESPONSE)
def change_address(shop: Shop, user_id: Key, new: NewAddress) -> Row:
    """Change a user's address."""
    return shop.change_address(user_id, new.address)


@router.get("/products", response_model=list[Product])
def list_products(shop: Shop, limit: Limit = 100, offset: Offset = 0) -> list[Row]:
    """Products, by id."""
    return shop.products(limit, offset)


@router.post("/products", response_model=Product, status_code=201)
def create_product(shop: Shop, product: NewProduct) -> Row:
    """A new product."""
    return shop.create_product(product.category, product.name)


@router.get("/products/{product_id}", response_model=Product, responses=NOT_FOUND_RESPONSE)
def get_product(shop: Shop, product_id: Key) -> Row:
    """One product."""
    return shop.product(product_id)


@router.get("/orders", response_model=list[Order])
def list_orders(
    shop: Shop, delivered: bool | None = None, limit: Limit = 100, offset: Offset = 0
) -> list[Row]:
    """Orders, the newest first; `delivered=false` gives those not delivered yet."""
    return shop.orders(limit, offset, delivered)


@router.post("/orders", response_model=Order, status_code=201)
def create_order(shop: Shop, order: NewOrder) -> Row:
    """Place an order."""
    return shop.create_order(order.user_id, order.product_id)


@router.get("/orders/{order_id}", response_model=Order, responses=NOT_FOUND_RESPONSE)
def get_order(shop: Shop, order_id: Key) -> Row:
    """One order."""
    return shop.order(order_id)


@router.post(
    "/orders/{order_id}/complete",
    response_model=CompletedOrder,
    responses=NOT_FOUND_RESPONSE | CONFLICT_RESPONSE,
)
def complete_order(shop: Shop, order_id: Key) -> Row:
    """Complete an order: it is delivered."""
    return shop.complete(order_id)


@router.delete(
    "/orders/{order_id}", status_code=204, responses=NOT_FOUND_RESPONSE | CONFLICT_RESPONSE
)
def cancel_order(shop: Shop, order_id: Key) -> None:
    """Cancel an order: its row is deleted. A completed order stays (409)."""
    shop.cancel(order_id)


@router.get("/health", response_model=Health)
def health(shop: Shop) -> dict[str, str]:
    """Whether the shop and its database answer."""
    shop.check()
    return {"status": "ok"}


@router.get("/", response_class=HTMLResponse, include_in_schema=False)
def index(request: Request) -> str:
    """Return a page that lists the requests."""
    rows = [
        _request_row(route)
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
    ]
    order = '{"user_id": 1, "product_id": 1}'
    header = "-H 'Content-Type: application/json'"
    example = f"curl -X POST {request.base_url}orders {header} -d '{order}'"
    return INDEX_PAGE.format(rows="".join(rows), example=html.escape(example))


def _request_row(route: APIRoute) -> str:
    methods = "/".join(sorted(route.methods or ()))
    path = html.escape(route.path)
    first_line = (route.description or "").splitlines()[0]
    text = html.escape(first_line)
    return f"<tr><td>{methods}</td><td><code>{path}</code></td><td>{text}</td></tr>"


def application(store: Store) -> FastAPI:
    """Return the REST API over a store."""
    app = FastAPIOffline(
        title="The shop",
        version="1",
        description="Users, products and orders of the e-commerce site.",
    )
    app.state.store = store
    app.include_router(router)
    app.add_exception_handler(RequestValidationError, _answer_mistakes)
    app.add_exception_handler(KappaError, _answer_error)
    return app


def _problem(
    status: int,
    detail: str,
    errors: list[Mistake] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    problem = Problem(detail=detail, errors=errors or [])
    return JSONResponse(problem.model_dump(), status, headers)


async def _answer_mistakes(request: Request, error: Exception) -> JSONResponse:
    """Return 422 with each wrong field; a body that is not JSON is the field `body`."""
    assert isinstance(error, RequestValidationError)
    mistakes = [
        Mistake(field=_field(details["loc"]), reason=details["msg"])
        for details in error.errors()
    ]
    content_type = request.headers.get("content-type", "json")
    if mistakes[0].field == "body" and "json" not in content_type:
        reason = "send JSON, with the header Content-Type: application/json"
        mistakes = [Mistake(field="body", reason=reason)]
    detail = "; ".join(f"{mistake.field}: {mistake.reason}" for mistake in mistakes)
    return _problem(422, detail, mistakes)


def _field(location: tuple[str | int, ...]) -> str:
    names = [str(part) for part in location[1:] if isinstance(part, str)]
    return ".".join(names) or str(location[0])


async def _answer_error(_: Request, error: Exception) -> JSONResponse:
    """Return the HTTP status of one of our errors."""
    if isinstance(error, UnknownKey):
        return _problem(404, str(error))
    if isinstance(error, AlreadyCompleted):
        return _problem(409, str(error))
    if isinstance(error, BadReference):
        mistake = Mistake(field=error.field, reason=str(error))
        return _problem(422, f"{error.field}: {error}", [mistake])
    if isinstance(error, Unavailable):
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return _problem(503, f"{error}; try again", headers=headers)
    log.error("a request failed: %s", error)
    return _problem(500, f"{error}; see ./kappa logs {PROCESS}")


def watch_database(
    store: Store, state: ProcessState, url: str, stop: threading.Event
) -> None:
    """Report whether the database answers, every two seconds until `stop` is set."""
    while not stop.is_set():
        try:
            store.check()
            state.report("running", f"open at {url}")
        except (Unavailable, SqlRefused) as error:
            state.report("waiting", str(error))
        stop.wait(CHECK_SECONDS)


def serve(settings: Settings) -> None:
    """Answer requests until SIGTERM."""
    pool = Pool(settings.mysql, settings.login("mysql.shop"), CONNECTIONS)
    store = Store(pool)
    stop = threading.Event()
    state = ProcessState(settings.home, PROCESS)
    watch_arguments = (store, state, settings.site.shop_url, stop)
    watcher = threading.Thread(target=watch_database, args=watch_arguments, daemon=True)
    watcher.start()
    try:
        uvicorn.run(
            application(store),
            host=LOOPBACK,
            port=settings.site.shop_port,
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=3,
        )
    finally:
        stop.set()
        pool.close()


def main() -> None:
    """Run the shop as a process of the stack."""
    settings = load(os.environ)
    start_logging(PROCESS)
    serve(settings)


if __name__ == "__main__":
    main()
