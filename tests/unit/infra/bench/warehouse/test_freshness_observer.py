import pytest

from infra.bench.warehouse.freshness_observer import Observations
from schemas.errors import Unavailable

ORIGIN = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def observations() -> Observations:
    observed = Observations(rows={1: 10, 2: 20, 3: 30})
    for number, at in ((1, 1.0), (1, 1.2), (2, 2.0), (3, 3.0)):
        observed.add_change(number, f"{ORIGIN}:{number}", at)
    return observed


def test_a_transaction_is_in_the_topic_when_its_last_change_is() -> None:
    assert observations().logged_at == {1: 1.2, 2: 2.0, 3: 3.0}


def test_a_transaction_is_shown_with_the_first_version_whose_set_has_it() -> None:
    observed = observations()
    assert observed.add_version(f"{ORIGIN}:1-2", 5.0) == 2
    assert observed.add_version(f"{ORIGIN}:1-2", 5.5) is None
    assert observed.shown_at == {1: 5.0, 2: 5.0}
    assert observed.are_shown([1, 2])
    assert not observed.are_shown([1, 2, 3])


def test_the_error_of_an_observer_ends_the_measurement() -> None:
    observed = observations()
    observed.check()
    observed.failures.append(Unavailable("Hive does not answer"))
    with pytest.raises(Unavailable, match="Hive does not answer"):
        observed.check()
