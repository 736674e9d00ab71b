from infra.bench.capture.debezium_snapshot import HISTORY, peer_config


def test_the_peer_reads_one_table_with_the_stacks_converters_and_shares_nothing_else() -> (
    None
):
    config = {
        "name": "kappa",
        "topic.prefix": "cdc",
        "database.server.id": "1",
        "key.converter": "avro",
        "snapshot.mode": "when_needed",
        "snapshot.select.statement.overrides": "shop.a",
        "snapshot.select.statement.overrides.shop.a": "SELECT",
        "table.exclude.list": "shop.secret",
        HISTORY: "_schema_history.cdc",
    }
    assert peer_config(config, "shop", "bench_a", "bench", 7) == {
        "topic.prefix": "bench",
        "database.server.id": "7",
        "key.converter": "avro",
        "table.include.list": r"shop\.bench_a",
        "snapshot.mode": "initial_only",
        "snapshot.locking.mode": "none",
        HISTORY: "_schema_history.bench",
    }
