"""The contracts of the click topics (Avro). Times are event times, in milliseconds of UTC; ids are
text, so that any decoder reads them.
"""

from typing import Any

from schemas import topics


def _contract(
    name: str, doc: str, subject_id: str, more: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "type": "record",
        "name": name,
        "namespace": "kappa.ecommerce",
        "doc": doc,
        "fields": [
            {"name": "event_id", "type": "string", "doc": "unique per click"},
            {"name": "user_id", "type": "long"},
            {"name": subject_id, "type": "long"},
            *more,
            {
                "name": "viewed_at",
                "type": {"type": "long", "logicalType": "timestamp-millis"},
                "doc": "event time",
            },
        ],
    }


SOURCE = {
    "name": "source",
    "type": "string",
    "doc": "where the click came from: web, app or mail",
}

CONTRACTS: dict[str, dict[str, Any]] = {
    topics.PRODUCT_VIEW: _contract(
        "ProductView", "A user looked at a product.", "product_id", [SOURCE]
    ),
    topics.ORDER_VIEW: _contract(
        "OrderView",
        "A user checked the status of an order that is not delivered.",
        "order_id",
        [SOURCE],
    ),
}

# The field that a click topic is keyed by and counted per; the record's Kafka key is its decimal
# text in UTF-8.
SUBJECT_ID = {topics.PRODUCT_VIEW: "product_id", topics.ORDER_VIEW: "order_id"}


def value_subject(topic: str) -> str:
    """The registry subject of a topic's values (Confluent's TopicNameStrategy)."""
    return f"{topic}-value"
