import pytest

from infra.cli.watch.filter_expression import predicate
from infra.cli.watch.record import Record
from schemas.errors import UsageError


def record(topic, partition, offset, timestamp_ms, **content):
    return Record(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=timestamp_ms,
        **content,
    )


DELIVERED = record(
    "cdc.eCommerce.orders",
    0,
    88,
    0,
    key={"order_id": 17},
    op="update",
    before={"order_id": 17, "product_id": 9, "status": "0"},
    after={"order_id": 17, "product_id": 9, "status": "1"},
    gtid="a:1",
)
CLICK = Record(
    topic="productview",
    partition=2,
    offset=5,
    timestamp_ms=0,
    key="7",
    value={"product_id": 7, "source": "mail"},
)
UNREADABLE = record("productview", 2, 6, 0, error="not Avro")


@pytest.mark.parametrize(
    "expression",
    [
        "status = '1' and product_id > 5",
        "status == '1' AND product_id >= 9",
        "before.status = '0' and after.status = '1'",
        "before.status <> after.status",
        "op = 'update'",
        "op in ('update', 'delete')",
        "topic = 'cdc.eCommerce.orders' and offset = 88",
        "not status = '0'",
        "key.order_id = 17",
        "product_id = '9'",
        "'status' in changed",
        "'product_id' not in changed",
        "0 < product_id < 10",
        "  (status = '1') or nonsense = 3",
        "address is null",
        "status is not NULL",
        "product_id > -1",
        "gtid = 'a:1'",
    ],
)
def test_a_delivered_order_is_found_by(expression):
    assert predicate(expression)(DELIVERED)


@pytest.mark.parametrize(
    "expression",
    [
        "status = '0'",
        "product_id > 9",
        "nonsense = 1",
        "nonsense > 1",
        "status > 5 and false",
        "op = 'delete'",
    ],
)
def test_a_delivered_order_is_not_found_by(expression):
    assert not predicate(expression)(DELIVERED)


def test_a_click_is_found_by_its_own_fields():
    assert predicate("product_id = 7 and source = 'mail'")(CLICK)
    assert not predicate("before.product_id = 7")(CLICK)


def test_what_cannot_be_read_has_no_fields_but_a_place():
    assert not predicate("product_id = 7")(UNREADABLE)
    assert predicate("topic = 'productview' and partition = 2")(UNREADABLE)


def test_an_equals_sign_inside_text_stays_as_it_is():
    assert predicate("address = 'a=b and <>'")(
        record("t", 0, 0, 0, value={"address": "a=b and <>"})
    )


@pytest.mark.parametrize(
    ("expression", "rest"),
    [
        ("status = = 1", "= 1"),
        ("status =", ""),
        ("a = 1 and print(3)", "print(3)"),
        ("__import__('os').system('true')", "__import__('os').system('true')"),
        ("order.status = 1", "order.status = 1"),
        ("before.status.upper = 1", "before.status.upper = 1"),
        ("a = 1; b = 2", "; b = 2"),
        ("a = [x for x in y]", "[x for x in y]"),
        ("a + 1 = 2", "a + 1 = 2"),
        ("lambda: 1", "lambda: 1"),
        ("", ""),
    ],
)
def test_a_wrong_expression_is_shown_where_it_is_wrong(expression, rest):
    with pytest.raises(UsageError) as caught:
        predicate(expression)
    assert str(caught.value).partition(">>> ")[2] == rest
    assert f"at character {len(expression) - len(rest) + 1}" in str(caught.value)
