"""What the shop's REST API takes and gives. Text is as long as its column in `schemas/tables.py` allows."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from schemas.tables import PRODUCTS, USER

LARGEST_ID = 2**63 - 1
NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]*$"


def text(longest: int) -> StringConstraints:
    """A line of text that is not empty."""
    return StringConstraints(strip_whitespace=True, min_length=1, max_length=longest, pattern=NO_CONTROL_CHARACTERS)


Id = Annotated[int, Field(strict=True, ge=1, le=LARGEST_ID)]
UserName = Annotated[str, text(USER.length("name"))]
Address = Annotated[str, text(USER.length("address"))]
Category = Annotated[str, text(PRODUCTS.length("category"))]
ProductName = Annotated[str, text(PRODUCTS.length("name"))]


class Body(BaseModel):
    """A request's body: a field that we do not know is a mistake to tell, not to ignore."""

    model_config = ConfigDict(extra="forbid")


class NewUser(Body):
    """A user to be."""

    name: UserName
    address: Address


class NewAddress(Body):
    """Where a user lives from now on."""

    address: Address


class NewProduct(Body):
    """A product to be."""

    category: Category
    name: ProductName


class NewOrder(Body):
    """An order to be placed now."""

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
    """The shop and its database answer."""

    status: str


class Mistake(BaseModel):
    """One thing wrong in a request."""

    field: str
    reason: str


class Problem(BaseModel):
    """Why a request was not carried out: one line for people, and the fields at fault, if any."""

    detail: str
    errors: list[Mistake] = []
