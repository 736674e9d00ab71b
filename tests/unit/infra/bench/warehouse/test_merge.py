from infra.bench.warehouse.merge import POM, MergePlan, versions_of_peers


def test_the_releases_of_the_peers_are_pinned() -> None:
    assert set(versions_of_peers()) == {"iceberg", "delta"}
    pom = POM.read_text()
    assert "LATEST" not in pom
    assert "[" not in pom


def test_ours_and_plain_spark_which_reads_our_table_always_run() -> None:
    assert MergePlan(only=["delta"]).names == ["ours", "parquet", "delta"]
    assert len(MergePlan().names) == 6
