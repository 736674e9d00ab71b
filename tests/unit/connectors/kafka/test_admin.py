"""Topics are checked against the configuration that keeps their records."""

import pytest

from connectors.kafka import admin
from schemas.errors import Refused


def test_a_topic_that_would_lose_records_is_refused_with_the_command_that_repairs_it() -> (
    None
):
    with pytest.raises(Refused) as caught:
        admin._check_config(
            "orderview", {"retention.ms": "-1"}, {"retention.ms": "604800000"}
        )
    assert "orderview" in str(caught.value)
    assert "retention.ms is 604800000 instead of -1" in str(caught.value)
    assert "--alter --add-config retention.ms=-1" in caught.value.hint


def test_a_topic_with_further_settings_of_its_own_is_fine() -> None:
    admin._check_config(
        "orderview", {"retention.ms": "-1"}, {"retention.ms": "-1", "x": "y"}
    )
