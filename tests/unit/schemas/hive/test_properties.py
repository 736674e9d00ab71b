"""Properties that Hive's metastore can hold."""

import json

import pytest

from schemas.hive.properties import VALUE_LENGTH, gtid_property, json_properties

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def tagged_set(tags: int) -> str:
    return ",".join(f"{UUID}:tag_{number}:1-9" for number in range(tags))


def test_a_gtid_set_of_any_length_is_a_property() -> None:
    short_set = tagged_set(20)
    assert gtid_property(short_set) == short_set
    long_sets = [gtid_property(tagged_set(tags)) for tags in (200, 201)]
    assert long_sets[0] != long_sets[1]
    assert all(len(text) <= VALUE_LENGTH for text in long_sets)


@pytest.mark.parametrize("columns", [0, 1, 20, 40, 1017])
def test_the_names_of_any_number_of_columns_are_properties(columns: int) -> None:
    names = {f"_{'_' * 60}{number}": f"{'ж' * 60}{number}" for number in range(columns)}
    properties = json_properties("kappa.names", names)
    merged: dict[str, str] = {}
    for number, (name, text) in enumerate(properties.items(), 1):
        assert name == ("kappa.names" if number == 1 else f"kappa.names.{number}")
        assert len(text) <= VALUE_LENGTH
        merged |= json.loads(text)
    assert merged == names
