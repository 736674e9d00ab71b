from infra.bench.capture.snapshot import SnapshotPlan


def test_the_small_table_is_first_and_the_only_one_that_debezium_reads() -> None:
    plan = SnapshotPlan(rows=5000, tables=3, table_rows=100, peer_rows=200)
    table_sets = plan.table_sets()
    assert [tables.rows for tables in table_sets] == [200, 5000, 300]
    assert [tables.with_peer for tables in table_sets] == [True, False, False]
    assert table_sets[2].description == "3 tables of 100 rows"
