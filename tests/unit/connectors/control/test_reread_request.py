"""Requests to read tables again, which survive every process."""

from pathlib import Path

import pytest

from connectors.control.reread_request import READERS, RereadRequests, reread_progress
from connectors.runtime.process_state import ProcessState


@pytest.mark.parametrize(
    "topic",
    [
        "cdc.eCommerce.orders",
        "cdc.eCommerce.größen/x",
        # The longest names that MySQL allows have 64 characters, of up to three bytes in UTF-8.
        f"cdc.{'庫' * 64}.{'表' * 64}",
    ],
)
def test_a_request_stays_until_it_is_removed(tmp_path: Path, topic: str) -> None:
    request = RereadRequests(tmp_path).add(topic, "a reason")
    requests = RereadRequests(tmp_path)
    assert requests.all() == {topic: request}
    requests.remove(request)
    assert requests.all() == {}
    requests.remove(request)


def test_a_newer_request_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    requests = RereadRequests(tmp_path)
    earlier = requests.add("cdc.eCommerce.orders", "a reason")
    newer = requests.add("cdc.eCommerce.orders", "another")
    requests.remove(earlier)
    assert requests.all() == {"cdc.eCommerce.orders": newer}


@pytest.mark.parametrize("content", ["", '{"topic": "cdc', "{}"])
def test_a_request_without_its_content_asks_for_the_table_of_its_name(
    tmp_path: Path, content: str
) -> None:
    topic = "cdc.eCommerce.größe"
    requests = RereadRequests(tmp_path)
    requests.add(topic, "a reason")
    (path,) = (tmp_path / "run" / "reread").iterdir()
    path.write_text(content)
    request = requests.all()[topic]
    assert requests.all() == {topic: request}
    requests.remove(request)
    assert requests.all() == {}


def test_the_progress_of_all_readers_is_known(tmp_path: Path) -> None:
    assert reread_progress(tmp_path) == {}
    first, second, _ = (ProcessState(tmp_path, reader) for reader in READERS)
    second.report("running", "reads", tables={"b": {"rows": 1}, "c": {"rows": 2}})
    first.report("running", "reads", tables={"a": {"rows": 3}})
    assert reread_progress(tmp_path) == {
        "a": {"rows": 3},
        "b": {"rows": 1},
        "c": {"rows": 2},
    }
    second.report("waiting", "reads no table", tables={})
    assert reread_progress(tmp_path) == {"a": {"rows": 3}}
