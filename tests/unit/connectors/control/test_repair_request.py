"""Requests for repairs: what is asked twice is kept, and a file by hand counts too."""

from pathlib import Path

import pytest

from connectors.control.repair_request import RepublishFile

Folders = tuple[str, ...] | None


def test_a_request_stays_until_it_is_carried_out(tmp_path: Path) -> None:
    file = RepublishFile(tmp_path)
    assert file.current_request() is None
    request = file.write_request("why", ("/a",))
    assert RepublishFile(tmp_path).current_request() == request
    file.remove_request(request)
    assert file.current_request() is None


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        (("/a",), ("/b", "/a"), ("/a", "/b")),
        ((), ("/b",), ("/b",)),
        (None, ("/b",), None),
        (("/a",), None, None),
    ],
)
def test_a_second_request_takes_the_folders_of_the_first_along(
    tmp_path: Path, first: Folders, second: Folders, both: Folders
) -> None:
    file = RepublishFile(tmp_path)
    earlier = file.write_request("first", first)
    later = file.write_request("second", second)
    assert later.folders == both
    file.remove_request(earlier)
    assert file.current_request() == later


def test_an_empty_file_by_hand_asks_for_everything(tmp_path: Path) -> None:
    path = tmp_path / "run" / "republish.request"
    path.parent.mkdir()
    path.touch()
    file = RepublishFile(tmp_path)
    request = file.current_request()
    assert request is not None
    assert request.folders is None
    file.remove_request(request)
    assert not path.exists()
