"""The folders of what was read; tests/integration/test_reread.py has them in HDFS."""

import pytest

from connectors.hadoop.hdfs import Hdfs
from connectors.runtime.settings import load
from spark.reread.base_store import BaseStore

# HDFS refuses longer names of folders, and `:` in them.
MAX_NAME_BYTES = 255


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("cdc.eCommerce.orders", "cdc.eCommerce.orders"),
        ("cdc.eCommerce.größe", "cdc.eCommerce.größe"),
        ("cdc.eCommerce.2024:a/b", None),
        (f"cdc.{'庫' * 64}.{'表' * 64}", None),
    ],
)
def test_a_table_of_every_name_has_a_folder_of_its_own(
    topic: str, name: str | None
) -> None:
    store = BaseStore(Hdfs(load({"HOME": "/"}).hdfs), "/root")
    folder, _, attempt = store.folder(topic, "request", "1").rpartition("/")
    assert attempt == "request-1"
    parent, _, folder_name = folder.rpartition("/")
    assert parent == "/root/_bases"
    assert len(folder_name.encode()) <= MAX_NAME_BYTES
    assert ":" not in folder_name
    assert name is None or folder_name == name
    assert store.folder(topic + "2", "request", "1") != f"{folder}/request-1"
