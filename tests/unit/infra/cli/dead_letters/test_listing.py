import pytest

from connectors.kafka.dead_letters import Position
from connectors.kafka.redrive import RedriveResult
from infra.cli.dead_letters.listing import Tally, named_topics
from schemas.errors import Refused, UsageError

EXISTING = [
    "orderview",
    "orderview.dead",
    "productview",
    "productview.beside.dead",
    "productview.dead",
]


@pytest.mark.parametrize(
    ("word", "topics"),
    [
        (None, ["productview.dead", "orderview.dead"]),
        ("productview", ["productview.dead"]),
        ("productview.dead", ["productview.dead"]),
        ("productview.beside", ["productview.beside.dead"]),
    ],
)
def test_a_dead_topic_is_named_by_its_own_name_or_by_that_of_its_clicks(
    word: str | None, topics: list[str]
) -> None:
    assert named_topics(word, EXISTING) == topics


@pytest.mark.parametrize(
    "word", ["productveiw", "productveiw.dead", "cdc.eCommerce.orders", ""]
)
def test_an_unknown_topic_is_answered_with_those_there_are(word: str) -> None:
    with pytest.raises(UsageError, match="no records are set aside of a topic") as error:
        named_topics(word, EXISTING)
    assert (
        error.value.hint
        == "records are set aside of orderview, productview.beside, productview"
    )
    assert ("did you mean productview?" in str(error.value)) == word.startswith(
        "productveiw"
    )


def test_before_there_is_a_dead_topic_nothing_is_set_aside() -> None:
    assert named_topics(None, ["productview"]) == []
    with pytest.raises(UsageError) as error:
        named_topics("productview", ["productview"])
    assert "kappa up" in error.value.hint


def test_what_was_redriven_is_counted_by_topic() -> None:
    tally = Tally()
    trouble = Refused("too large")
    for result in (
        RedriveResult(Position("productview", 0, 1), None),
        RedriveResult(Position("productview", 0, 2), trouble),
        RedriveResult(Position("orderview", 0, 3), None),
    ):
        tally.count(result)
    assert tally.redriven == {"productview": 1, "orderview": 1}
    assert [(result.position.offset, result.error) for result in tally.failed] == [
        (2, trouble)
    ]
    assert tally.attempts == 3
