"""Files of others are moved to a folder of the day, under their own path."""

import re

from connectors.hadoop.hdfs import Entry
from connectors.hadoop.set_aside import set_aside


class Moves:
    """HDFS that notes moves; `gone` paths are no longer there."""

    def __init__(self, gone: str = "") -> None:
        self.folders: list[str] = []
        self.moves: dict[str, str] = {}
        self._gone = gone

    def mkdirs(self, folder: str) -> None:
        self.folders.append(folder)

    def rename(self, source: str, target: str) -> bool:
        if source == self._gone:
            return False
        assert target.rpartition("/")[0] in self.folders
        self.moves[source] = target
        return True


def entries(*names: str) -> list[Entry]:
    return [Entry(name, False, 1, 0.0) for name in names]


def test_each_entry_keeps_its_path_below_a_folder_of_the_day() -> None:
    hdfs = Moves()
    moved = set_aside(hdfs, "/root", "/root/data_warehouse/t/v=1-a", entries("x", "y"))
    assert moved == hdfs.moves
    assert list(moved) == [f"/root/data_warehouse/t/v=1-a/{name}" for name in "xy"]
    pattern = r"/root/_set_aside/\d{4}-\d\d-\d\d/[0-9a-f]{8}/data_warehouse/t/v=1-a/x"
    assert re.fullmatch(pattern, moved["/root/data_warehouse/t/v=1-a/x"])


def test_two_files_of_one_name_do_not_meet() -> None:
    first = set_aside(Moves(), "/root", "/root/t", entries("x"))
    second = set_aside(Moves(), "/root", "/root/t", entries("x"))
    assert first != second


def test_what_is_gone_meanwhile_is_not_named() -> None:
    assert set_aside(Moves(gone="/root/t/x"), "/root", "/root/t", entries("x")) == {}


def test_nothing_to_move_creates_no_folder() -> None:
    hdfs = Moves()
    assert set_aside(hdfs, "/root", "/root/t", []) == {}
    assert hdfs.folders == []
