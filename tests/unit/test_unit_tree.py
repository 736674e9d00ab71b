"""The tree of unit tests mirrors that of the code, so that tests are where they are expected."""

from pathlib import Path

UNIT_TESTS = Path(__file__).resolve().parent
ROOT = UNIT_TESTS.parents[1]


def test_every_folder_with_unit_tests_is_a_folder_of_the_code() -> None:
    files = [file for file in UNIT_TESTS.rglob("test_*.py") if file.parent != UNIT_TESTS]
    assert files
    folders = {file.parent.relative_to(UNIT_TESTS) for file in files}
    assert [str(folder) for folder in sorted(folders) if not (ROOT / folder).is_dir()] == []
