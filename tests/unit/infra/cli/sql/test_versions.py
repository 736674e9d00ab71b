from dataclasses import replace

import pytest

from infra.cli.sql.versions import ReadVersion
from schemas.errors import Refused, UsageError
from schemas.manifest import EMPTY_MANIFEST, Manifest


class Versions:
    """Versions 5 to `newest`, one every minute from 12:05 on."""

    def __init__(self, newest: int) -> None:
        self.newest_number = newest

    def numbers(self) -> list[int]:
        return list(range(5, self.newest_number + 1))

    def read(self, number: int) -> Manifest:
        created_at = f"2026-01-31T12:{number:02}:00.000+00:00"
        return replace(EMPTY_MANIFEST, version=number, created_at=created_at)

    def newest(self) -> Manifest:
        return self.read(self.newest_number)


def test_without_options_each_statement_sees_the_newest_version() -> None:
    versions = Versions(7)
    choice = ReadVersion.of_options(versions, None, None)
    assert choice.manifest().version == 7
    versions.newest_number = 8
    assert choice.manifest().version == 8


@pytest.mark.parametrize(("number", "as_of"), [(6, None), (None, "2026-01-31T12:06:30")])
def test_an_option_chooses_one_version_for_all_statements(
    number: int | None, as_of: str | None
) -> None:
    versions = Versions(7)
    choice = ReadVersion.of_options(versions, number, as_of)
    versions.newest_number = 8
    assert choice.manifest().version == 6


def test_a_version_that_is_not_kept_is_refused() -> None:
    with pytest.raises(Refused, match="versions 5 to 7 can be read"):
        ReadVersion.of_options(Versions(7), 4, None)


def test_the_options_exclude_each_other() -> None:
    with pytest.raises(UsageError):
        ReadVersion.of_options(Versions(7), 6, "10m")
