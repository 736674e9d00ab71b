import pytest

from connectors.kafka.client import Watermarks
from infra.cli.watch.start_offsets import from_offsets, named_topics, shop_topics, since
from schemas.errors import UsageError

LOG = [
    "_connect_offsets",
    "cdc",
    "cdc.eCommerce.orders",
    "cdc.eCommerce.user",
    "cdc.other.secrets",
    "cdc.transaction",
    "orderview",
    "orderview.dead",
    "productview",
]
NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z


def test_without_a_word_all_tables_and_clicks_are_watched():
    assert shop_topics(LOG, "eCommerce") == [
        "cdc.eCommerce.orders",
        "cdc.eCommerce.user",
        "orderview",
        "productview",
    ]


def test_topics_may_be_called_by_their_short_names():
    assert named_topics(
        ["orders", "productview", "transaction", "cdc.eCommerce.orders"], LOG, "eCommerce"
    ) == [
        "cdc.eCommerce.orders",
        "productview",
        "cdc.transaction",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("order", "orders"),
        ("prodctview", "productview"),
        ("cdc.eCommerce.users", "cdc.eCommerce.user"),
    ],
)
def test_an_unknown_topic_is_answered_with_the_one_that_was_meant_and_the_list(name, meant):
    with pytest.raises(
        UsageError, match=f"no topic {name}; did you mean {meant}"
    ) as caught:
        named_topics([name], LOG, "eCommerce")
    assert "cdc.eCommerce.orders, cdc.eCommerce.user" in caught.value.hint
    assert "_connect_offsets" not in caught.value.hint


def test_with_no_topics_at_all_the_answer_is_to_start_the_stack():
    with pytest.raises(UsageError) as caught:
        named_topics(["orders"], [], "eCommerce")
    assert "kappa up" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("90s", NOON - 90_000),
        ("10m", NOON - 600_000),
        ("1.5h", NOON - 5_400_000),
        ("1d", NOON - 86_400_000),
        ("2026-01-01T11:00:00", NOON - 3_600_000),
        ("2026-01-01T11:00:00Z", NOON - 3_600_000),
        ("2026-01-01T12:00:00+02:00", NOON - 7_200_000),
        ("2026-01-01", NOON - 43_200_000),
    ],
)
def test_a_time_is_said_in_several_ways(text, at):
    assert since(text, NOON) == at


@pytest.mark.parametrize("text", ["yesterday", "10", "10 m", "-5m", ""])
def test_what_is_no_time_is_a_usage_error(text):
    with pytest.raises(UsageError, match="is no time"):
        since(text, NOON)


HELD = {("orderview", 0): Watermarks(10, 20, 20), ("orderview", 1): Watermarks(0, 5, 5)}


def test_an_offset_starts_one_partition():
    assert from_offsets(["0:15"], ["orderview"], HELD) == {("orderview", 0): 15}
    assert from_offsets(["0:20", "1:0"], ["orderview"], HELD) == {
        ("orderview", 0): 20,
        ("orderview", 1): 0,
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("0:9", "has offsets 10 to 19"),
        ("1:6", "has offsets 0 to 4"),
        ("4:0", "no partition 4"),
        ("7", "not PARTITION:OFFSET"),
    ],
)
def test_an_offset_that_the_log_does_not_hold_is_a_usage_error(text, complaint):
    with pytest.raises(UsageError, match=complaint):
        from_offsets([text], ["orderview"], HELD)


def test_an_offset_needs_one_topic():
    with pytest.raises(UsageError, match="exactly one topic"):
        from_offsets(["0:1"], ["orderview", "productview"], HELD)
