"""The names of columns in Avro schemas."""

from typing import Any

import pytest

from schemas.avro_schema import columns_of_fields, field_names, with_source_names


def column(field_name: str, name: str | None, *, nullable: bool = False) -> dict[str, Any]:
    parameters = {} if name is None else {"__debezium.source.column.name": name}
    kind = {"type": "int", "connect.parameters": parameters}
    return {"name": field_name, "type": ["null", kind] if nullable else kind}


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (column("net_price", "net-price"), "net-price"),
        (column("net_u005fprice", "net_price", nullable=True), "net_price"),
        (column("x", None), "x"),
        ({"name": "x", "type": "int"}, "x"),
    ],
)
def test_a_field_has_the_name_of_its_column(field: dict[str, Any], expected: str) -> None:
    row = {"type": "record", "name": "Value", "fields": [field]}
    envelope = {
        "type": "record",
        "name": "Envelope",
        "fields": [
            {"name": "before", "type": ["null", row]},
            {"name": "after", "type": ["null", "Value"]},
        ],
    }
    schema = with_source_names(envelope)
    fields = schema["fields"][0]["type"][1]["fields"]
    assert [each["name"] for each in fields] == [expected]
    assert [each["name"] for each in schema["fields"]] == ["before", "after"]
    assert row["fields"] == [field], "the schema itself stays"


@pytest.mark.parametrize(
    ("stated", "name", "expected"),
    [("order_id", "geo_loc", "geo_loc"), ("order_u005fid", "geo_u005floc", "geo_loc")],
    ids=["plain names", "names with escapes"],
)
def test_a_record_that_was_defined_before_has_the_name_of_its_column_too(
    stated: str, name: str, expected: str
) -> None:
    reference = {"name": name, "type": ["null", "io.debezium.data.geometry.Point"]}
    row = {"type": "record", "name": "V", "fields": [column(stated, "order_id"), reference]}
    fields = with_source_names(row)["fields"]
    assert [field["name"] for field in fields] == ["order_id", expected]


@pytest.mark.parametrize(
    ("column_name", "expected"),
    [
        ("id", ("id", "id")),
        ("order_id", ("order_id", "order_u005fid")),
        ("net-price", ("net_price", "net_u002dprice")),
        ("1st", ("_1st", "_u0031st")),
        ("größe", ("gr__e", "gr_u00f6_u00dfe")),
        ("żółw", ("___w", "_u17c_u00f3_u142w")),
        ("价", ("_", "_u4ef7")),
    ],
)
def test_a_column_has_the_names_that_debezium_gives_it(
    column_name: str, expected: tuple[str, str]
) -> None:
    assert field_names(column_name) == expected
    for field_name in expected:
        assert columns_of_fields([field_name], ["other", column_name]) == (column_name,)


def test_a_field_that_is_no_column_keeps_its_name() -> None:
    assert columns_of_fields(["a", "b"], ["b"]) == ("a", "b")
