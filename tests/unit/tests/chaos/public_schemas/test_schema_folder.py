from pathlib import Path

from tests.chaos.public_schemas.schema_folder import schemas


def write(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("BEGIN;")


def test_each_folder_with_scripts_is_a_schema(tmp_path: Path) -> None:
    for name in ("world/2.sql", "world/1.ddl", "world/rows.dump", "empty/readme", "x.sql"):
        write(tmp_path / name)
    (world,) = schemas(tmp_path, 60)
    assert world.name == "world"
    assert [path.name for path in world.scripts] == ["1.ddl", "2.sql"]
    assert world.write_seconds == 60


def test_a_folder_of_folders_is_many_schemas_that_share_the_time(tmp_path: Path) -> None:
    for name in ("debezium/a/1.sql", "debezium/b/1.sql", "many/0/1.sql"):
        write(tmp_path / name)
    for number in range(20):
        write(tmp_path / "many" / str(number) / "1.sql")
    found = list(schemas(tmp_path, 60))
    assert [schema.name for schema in found[:3]] == ["debezium_a", "debezium_b", "many_0"]
    assert [schema.write_seconds for schema in found[:3]] == [30, 30, 5]
