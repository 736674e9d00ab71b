"""Which keys a set of rows may hold."""

import pyarrow as pa
import pytest

from spark.storage.key_bounds import ANY_KEY, KeySpan, span_of


@pytest.mark.parametrize(
    ("keys", "span"),
    [
        (pa.array([3, 1, 2]), KeySpan(1, 3)),
        (pa.array(["a"]), ANY_KEY),
        (pa.array([], pa.int64()), None),
    ],
)
def test_a_span_holds_its_keys(keys: pa.Array, span: KeySpan | None) -> None:
    assert span_of(keys) == span


def test_spans_meet_where_they_share_a_key_and_any_key_meets_all() -> None:
    assert KeySpan(1, 5).meets(KeySpan(5, 9))
    assert not KeySpan(1, 4).meets(KeySpan(5, 9))
    assert ANY_KEY.meets(KeySpan(5, 9))
    assert KeySpan(1, 2).wider(KeySpan(8, 9)) == KeySpan(1, 9)
    assert KeySpan(1, 2).wider(ANY_KEY) == ANY_KEY
    assert KeySpan(1, 2).wider(None) == KeySpan(1, 2)
