"""The requests and answers of the shop's REST API.

Text has at most the length of its column in `schemas/shop_tables.py`.
"""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.shop_tables import PRODUCTS, USER

MAX_ID = 2**63 - 1
NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]*$"


def text(max_length: int) -> StringConstraints:
    """Return the constraints of one line of text that is not empty."""
    return StringConstraints(
        strip_whitespace=True,
        min_length=1,
        max_length=max_length,
        pattern=NO_CONTROL_CHARACTERS,
    )


Id = Annotated[int, Field(strict=True, ge=1, le=MAX_ID)]
UserName = Annotated[str, text(USER.length("name"))]
Address = Annotated[str, text(USER.length("address"))]
Category = Annotated[str, text(PRODUCTS.length("category"))]
ProductName = Annotated[str, text(PRODUCTS.length("name"))]


class Body(BaseModel):
    """A request's body. An unknown field is reported as a mistake, not ignored."""

    model_config = ConfigDict(extra="forbid")


class NewUser(Body):
    """A user to create."""

    name: UserName
    address: Address


class NewAddress(Body):
    """The new address of a user."""

    address: Address


class NewProduct(Body):
    """A product to create."""

    category: Category
    name: ProductName


class NewOrder(Body):
    """An order to place."""

    user_id: Id
    product_id: Id


class User(BaseModel):
    """A row of `user`."""

    id: int
    name: str
    address: str


class Product(BaseModel):
    """A row of `products`."""

    product_id: int
    category: str
    name: str


class Order(BaseModel):
    """A row of `orders`; status is "1" once delivered."""

    order_id: int
    user_id: int
    product_id: int
    orderedAt: datetime  # noqa: N815 - as the column is called
    status: str


class CompletedOrder(BaseModel):
    """A row of `completed_orders`."""

    order_id: int
    completedAt: datetime  # noqa: N815 - as the column is called
    status: str


class Health(BaseModel):
    """The answer while the shop and its database work."""

    status: str


class Mistake(BaseModel):
    """A mistake in one field of a request."""

    field: str
    reason: str


class Problem(BaseModel):
    """Why a request failed: a line for people, and the mistakes in its fields, if any."""

    detail: str
    errors: list[Mistake] = []
