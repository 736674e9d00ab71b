"""What HDFS says when it takes no files, and what we make of it."""

import pytest

from connectors.hdfs import FULL, NO_DATANODE, SAFE_MODE, trouble_in

SAID = [
    ("Cannot create file/x. Name node is in safe mode.\nIt was turned on manually.", SAFE_MODE.what),
    ("SafeModeException: Cannot rename /a. Name node is in safe mode.", SAFE_MODE.what),
    ("The DiskSpace quota of /ecomm_data is exceeded: quota = 1 B but diskspace consumed = 134217728 B = 128 MB", "a space quota is used up"),
    ("The NameSpace quota (directories and files) of directory /ecomm_data is exceeded: quota=1 file count=2", "a quota of names is used up"),
    ("Failed to find datanode, suggest to check cluster health. excludeDatanodes=null", NO_DATANODE.what),
    ("File /x could only be written to 0 of the 1 minReplication nodes. There are 0 datanode(s) running", NO_DATANODE.what),
    ("File /x could only be written to 0 of the 1 minReplication nodes. There are 1 datanode(s) running", FULL.what),
]


@pytest.mark.parametrize(("said", "what"), SAID)
def test_why_no_version_can_be_written_is_said_as_such(said: str, what: str) -> None:
    trouble = trouble_in(said)
    assert trouble is not None
    assert trouble.what == what
    assert trouble.hint


def test_an_answer_about_something_else_is_no_trouble() -> None:
    assert trouble_in("Permission denied: user=nobody, access=WRITE") is None
