"""Where a rewritten partition lies, and what a task carries to a worker."""

import pickle

from schemas.warehouse_layout import WHOLE
from tests.unit.spark.merge.rewrite_setup import CLICKS, ORDERS, USERS, date, task_for


def test_a_new_folder_names_table_partition_version_and_token() -> None:
    orders = task_for(ORDERS, {})
    assert (
        orders.folder(date(1)) == f"/r/data_warehouse/orders/order_date={date(1)}/v=7-token"
    )
    assert task_for(USERS, {}).folder(WHOLE) == "/r/data_warehouse/user/v=7-token"


def test_a_past_state_has_its_folders_below_its_own_root() -> None:
    folder = task_for(USERS, {}).folder(WHOLE, root="/past/db")
    assert folder == "/past/db/data_warehouse/user/v=7-token"


def test_only_a_table_with_a_key_has_a_key_type() -> None:
    assert str(USERS.key_type) == "int64"
    assert CLICKS.key_type is None


def test_a_task_arrives_on_a_worker_as_it_was_sent() -> None:
    task = task_for(ORDERS, {date(1): None}, "/archive/1.parquet", merged="")
    assert pickle.loads(pickle.dumps(task)) == task
