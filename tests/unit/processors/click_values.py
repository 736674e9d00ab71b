"""Values of click records, encoded as producers encode them."""

import io
from datetime import datetime
from typing import Any

import fastavro

from schemas.events import CONTRACTS
from schemas.topics import PRODUCT_VIEW

SCHEMA_ID = 1
CONTRACT = CONTRACTS[PRODUCT_VIEW]


class RegistryDouble:
    """A registry whose only schema is the contract of product views."""

    def schema(self, schema_id: int) -> Any:
        return CONTRACT


def click_value(*, product_id: int, viewed_at: datetime, user_id: int = 1) -> bytes:
    """Return a product view with the registry's header."""
    click = {
        "event_id": "a",
        "user_id": user_id,
        "product_id": product_id,
        "source": "web",
        "viewed_at": viewed_at,
    }
    return encode(click, CONTRACT, SCHEMA_ID)


def encode(record: Any, schema: Any, schema_id: int) -> bytes:
    """Return a record of any schema with the registry's header."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(dict(schema)), record)
    return b"\0" + schema_id.to_bytes(4, "big") + stream.getvalue()
