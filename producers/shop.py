"""site:shop — the shop's REST API over MySQL; its OpenAPI page is at /docs, and needs nothing from elsewhere."""

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

from connectors.mysql import Pool, SqlRefused
from infra.errors import KappaError, Unavailable
from infra.log import start_logging
from infra.settings import LOOPBACK, Settings, load
from infra.state import ProcessState
from producers.contract import (
    LARGEST_ID,
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
from producers.store import AlreadyCompleted, BadReference, Row, Store, Unknown

PROCESS = "shop"
CONNECTIONS = 8
RETRY_AFTER_SECONDS = 2
CHECK_SECONDS = 2.0

log = logging.getLogger(PROCESS)
router = APIRouter(responses={422: {"model": Problem}, 503: {"model": Problem, "description": "MySQL does not answer; try again"}})
UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": Problem, "description": "There is no such row"}}
COMPLETED: dict[int | str, dict[str, Any]] = {409: {"model": Problem, "description": "The order is completed already"}}


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


Shop = Annotated[Store, Depends(_store)]
Key = Annotated[int, Path(ge=1, le=LARGEST_ID)]
Limit = Annotated[int, Query(ge=1, le=1000, description="most rows to give")]
Offset = Annotated[int, Query(ge=0, le=1_000_000_000, description="rows to pass over first")]


@router.get("/users", response_model=list[User])
def list_users(shop: Shop, limit: Limit = 100, offset: Offset = 0) -> list[Row]:
    """Users, by id."""
    return shop.users(limit, offset)


@router.post("/users", response_model=User, status_code=201)
def create_user(shop: Shop, user: NewUser) -> Row:
    """A new user."""
    return shop.create_user(user.name, user.address)


@router.get("/users/{user_id}", response_model=User, responses=UNKNOWN)
def get_user(shop: Shop, user_id: Key) -> Row:
    """One user."""
    return shop.user(user_id)


@router.put("/users/{user_id}/address", response_model=User, responses=UNKNOWN)
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


@router.get("/products/{product_id}", response_model=Product, responses=UNKNOWN)
def get_product(shop: Shop, product_id: Key) -> Row:
    """One product."""
    return shop.product(product_id)


@router.get("/orders", response_model=list[Order])
def list_orders(shop: Shop, delivered: bool | None = None, limit: Limit = 100, offset: Offset = 0) -> list[Row]:
    """Orders, the newest first; `delivered=false` gives those not delivered yet."""
    return shop.orders(limit, offset, delivered)


@router.post("/orders", response_model=Order, status_code=201)
def create_order(shop: Shop, order: NewOrder) -> Row:
    """Place an order."""
    return shop.create_order(order.user_id, order.product_id)


@router.get("/orders/{order_id}", response_model=Order, responses=UNKNOWN)
def get_order(shop: Shop, order_id: Key) -> Row:
    """One order."""
    return shop.order(order_id)


@router.post("/orders/{order_id}/complete", response_model=CompletedOrder, responses=UNKNOWN | COMPLETED)
def complete_order(shop: Shop, order_id: Key) -> Row:
    """Complete an order: it is delivered."""
    return shop.complete(order_id)


@router.delete("/orders/{order_id}", status_code=204, responses=UNKNOWN | COMPLETED)
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
    """A page that says what can be asked."""
    rows = "".join(
        f"<tr><td>{'/'.join(sorted(route.methods or ()))}</td><td><code>{html.escape(route.path)}</code></td>"
        f"<td>{html.escape((route.description or '').splitlines()[0])}</td></tr>"
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
    )
    example = f"curl -X POST {request.base_url}orders -H 'Content-Type: application/json' -d '{{\"user_id\": 1, \"product_id\": 1}}'"
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>The shop</title><style>body{font:1rem/1.5 sans-serif;margin:2rem}"
        "td{padding:.1rem 1rem .1rem 0}</style><h1>The shop</h1><p>Every change here reaches the log, the live counts and the warehouse. "
        f"Full description: <a href=/docs>/docs</a>, <a href=/openapi.json>/openapi.json</a>.</p><table>{rows}</table>"
        f"<p>Place an order:</p><pre>{html.escape(example)}</pre></html>"
    )


def application(store: Store) -> FastAPI:
    """The REST API over a store."""
    app = FastAPIOffline(title="The shop", version="1", description="Users, products and orders of the e-commerce site.")
    app.state.store = store
    app.include_router(router)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(KappaError, _answer)
    return app


def _problem(status: int, detail: str, errors: list[Mistake] | None = None, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse(Problem(detail=detail, errors=errors or []).model_dump(), status, headers)


async def _malformed(request: Request, error: Exception) -> JSONResponse:
    """422 that names each field at fault. A body that is no JSON at all has no field but itself."""
    assert isinstance(error, RequestValidationError)
    mistakes = [Mistake(field=_field(found["loc"]), reason=found["msg"]) for found in error.errors()]
    if mistakes[0].field == "body" and "json" not in request.headers.get("content-type", "json"):
        mistakes = [Mistake(field="body", reason="send JSON, with the header Content-Type: application/json")]
    return _problem(422, "; ".join(f"{mistake.field}: {mistake.reason}" for mistake in mistakes), mistakes)


def _field(place: tuple[str | int, ...]) -> str:
    names = [str(part) for part in place[1:] if isinstance(part, str)]
    return ".".join(names) or str(place[0])


async def _answer(_: Request, error: Exception) -> JSONResponse:
    """The status that each of our errors stands for."""
    if isinstance(error, Unknown):
        return _problem(404, str(error))
    if isinstance(error, AlreadyCompleted):
        return _problem(409, str(error))
    if isinstance(error, BadReference):
        return _problem(422, f"{error.field}: {error}", [Mistake(field=error.field, reason=str(error))])
    if isinstance(error, Unavailable):
        return _problem(503, f"{error}; try again", headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    log.error("a request failed: %s", error)
    return _problem(500, f"{error}; see ./kappa logs {PROCESS}")


def watch_database(store: Store, state: ProcessState, url: str, stop: threading.Event) -> None:
    """Keep saying, until stopped, whether the shop can do its work."""
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
    store, stop = Store(pool), threading.Event()
    state = ProcessState(settings.home, PROCESS)
    threading.Thread(target=watch_database, args=(store, state, settings.site.shop_url, stop), daemon=True).start()
    try:
        uvicorn.run(application(store), host=LOOPBACK, port=settings.site.shop_port, access_log=False, log_config=None, timeout_graceful_shutdown=3)
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
