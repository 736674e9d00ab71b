"""The tests mirror the code: `spark/merge/rewrite.py` has `tests/unit/spark/merge/test_rewrite.py`.

A module without such a test is named below, with the test that covers it.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("schemas", "connectors", "producers", "processors", "spark", "infra")
# Programs of other projects' environments, which this one cannot import.
PEERS = "infra/bench/peers/"

# By test: modules that the test of their users executes, and modules that need real servers.
COVERED_MODULES = {
    "integration/test_cassandra.py": (
        "connectors/cassandra/bootstrap.py",
        "infra/cli/query/cassandra.py",
    ),
    "integration/test_consistent_snapshot.py": ("connectors/mysql/consistent_snapshot.py",),
    "integration/test_conversion.py": ("processors/conversion/__main__.py",),
    "integration/test_counts.py": (
        "processors/counts/__main__.py",
        "processors/runtime/faust_app.py",
    ),
    "integration/test_dead.py": ("infra/cli/dead_letters/command.py",),
    "integration/test_doctor_mysql.py": ("connectors/mysql/server_check/server_facts.py",),
    "integration/test_history.py": (
        "spark/history/row_history.py",
        "infra/cli/explain/command.py",
    ),
    "integration/test_log.py": (
        "infra/cli/watch/command.py",
        "infra/cli/watch/stream.py",
    ),
    "integration/test_never_wrong.py": ("spark/compactor/__main__.py",),
    "integration/test_reread.py": (
        "spark/reread/__main__.py",
        "infra/cli/resync/command.py",
    ),
    "integration/test_replay_counts.py": (
        "connectors/cassandra/generations.py",
        "infra/cli/replay/counts_replay.py",
    ),
    "integration/test_replay_past.py": ("connectors/control/replay_request.py",),
    "integration/test_replay_warehouse.py": (
        "spark/replayer/__main__.py",
        "spark/replayer/rebuild.py",
    ),
    "integration/test_shop.py": (
        "connectors/mysql/client.py",
        "producers/order_store.py",
    ),
    "integration/test_stack.py": (
        "connectors/runtime/logging_setup.py",
        "infra/stack/services/run.py",
        "infra/stack/startup.py",
        "infra/stack/supervisord.py",
    ),
    "integration/test_types.py": ("schemas/mysql_types.py",),
    "integration/test_verify_counts.py": ("infra/verify/counts/verify.py",),
    "integration/test_verify_warehouse.py": (
        "infra/cli/verify/command.py",
        "infra/verify/warehouse/prover.py",
        "infra/verify/warehouse/verify.py",
    ),
    "integration/test_warehouse.py": ("infra/cli/versions/command.py",),
    "unit/connectors/cassandra/test_client.py": (
        "connectors/cassandra/driver_errors.py",
        "connectors/cassandra/row_batches.py",
    ),
    "unit/connectors/debezium/test_connector_config.py": (
        "connectors/kafka/java_client.py",
    ),
    "unit/connectors/hadoop/test_webhdfs_reader.py": ("connectors/hadoop/file_reader.py",),
    "unit/connectors/kafka/readers/test_aligned_reader.py": (
        "connectors/kafka/readers/broker_loss.py",
        "connectors/kafka/readers/topic_reader.py",
    ),
    "unit/connectors/kafka/readers/test_group_reader.py": (
        "connectors/kafka/readers/committed_start.py",
    ),
    "unit/connectors/kafka/readers/test_range_consumer.py": (
        "connectors/kafka/readers/partition_consumer.py",
    ),
    "unit/connectors/kafka/test_dead_letters.py": (
        "connectors/kafka/dead_letter_reader.py",
    ),
    "unit/connectors/runtime/test_settings.py": (
        "connectors/runtime/secrets.py",
        "connectors/runtime/setting_group.py",
    ),
    "unit/infra/bench/test_command.py": ("infra/bench/options.py",),
    "unit/infra/bench/warehouse/test_merge_report.py": (
        "infra/bench/warehouse/merge_results.py",
    ),
    "unit/infra/cli/check/test_code_figures.py": (
        "infra/cli/check/folders.py",
        "infra/cli/check/names.py",
        "infra/cli/check/prose.py",
        "infra/cli/check/sources.py",
        "infra/cli/check/statements.py",
    ),
    "unit/infra/cli/query/test_command.py": ("infra/cli/query/hive.py",),
    "unit/infra/cli/sql/test_command.py": ("infra/cli/sql/run.py",),
    "unit/infra/cli/sql/test_session.py": ("infra/cli/sql/catalog.py",),
    "unit/infra/cli/replay/test_warehouse_replay.py": ("infra/cli/replay/command.py",),
    "unit/infra/cli/status/test_command.py": ("infra/cli/options.py",),
    "unit/infra/cli/test_reference_docs.py": ("infra/cli/reference_text.py",),
    "unit/infra/docs/test_pictures.py": (
        "infra/docs/flow_picture.py",
        "infra/docs/recording.py",
        "infra/docs/terminal_screen.py",
        "infra/docs/terminal_svg.py",
    ),
    "unit/infra/install/test_artifacts.py": (
        "infra/install/maven.py",
        "infra/install/mysql.py",
    ),
    "unit/infra/stack/services/test_configurations.py": (
        "infra/stack/services/cassandra.py",
        "infra/stack/services/connect.py",
        "infra/stack/services/datanode.py",
        "infra/stack/services/hadoop.py",
        "infra/stack/services/hive.py",
        "infra/stack/services/hiveserver2.py",
        "infra/stack/services/jvm.py",
        "infra/stack/services/kafka.py",
        "infra/stack/services/metastore.py",
        "infra/stack/services/mysql.py",
        "infra/stack/services/namenode.py",
        "infra/stack/services/postgres.py",
        "infra/stack/services/programs.py",
        "infra/stack/services/registry.py",
    ),
    "unit/infra/stack/test_lifecycle.py": (
        "infra/stack/services/catalogue.py",
        "infra/stack/services/service.py",
    ),
    "unit/infra/terminal/test_error_line.py": ("schemas/errors.py",),
    "unit/infra/verify/counts/test_recount.py": (
        "infra/verify/counts/differences.py",
        "infra/verify/counts/event_groups.py",
    ),
    "unit/infra/verify/warehouse/test_compare_table.py": (
        "infra/verify/warehouse/hdfs_rows.py",
        "infra/verify/warehouse/mysql_rows.py",
    ),
    "unit/processors/conversion/test_join_processor.py": (
        "processors/conversion/progress.py",
        "processors/runtime/ordered_batches.py",
    ),
    "unit/processors/counts/test_batch_counter.py": (
        "connectors/kafka/readers/batches.py",
        "processors/counts/cassandra_writer.py",
        "processors/counts/metrics.py",
        "processors/counts/progress.py",
        "processors/runtime/clock.py",
    ),
    "unit/processors/counts/test_topic_state.py": (
        "processors/counts/rollups.py",
        "processors/counts/row_codec.py",
        "processors/counts/state_tables.py",
    ),
    "unit/processors/decoding/test_columnar_avro.py": ("schemas/events.py",),
    "unit/producers/test_seed.py": ("producers/words.py",),
    "unit/producers/test_shop.py": ("producers/contract.py",),
    "unit/schemas/test_manifest.py": ("connectors/hadoop/manifest_store.py",),
    "unit/spark/replayer/test_recovery_target.py": ("spark/replayer/target_search.py",),
}
COVERED_BY = {}
for covering_test, covered_modules in COVERED_MODULES.items():
    COVERED_BY.update(dict.fromkeys(covered_modules, covering_test))

# Measurements: `./kappa bench` runs them by hand, against a running stack. Their loads, figures and
# reports have tests.
MEASUREMENTS = {
    "infra/bench/counts/latency.py",
    "infra/bench/counts/latency_replay.py",
    "infra/bench/counts/throughput.py",
    "infra/bench/harness/peer_environment.py",
    "infra/bench/harness/peer_jars.py",
    "infra/bench/warehouse/merge_kappa.py",
    "infra/bench/warehouse/replay.py",
    "infra/bench/warehouse/replay_kappa.py",
}

# Tests whose subject is not a module of that name.
OTHER_SUBJECTS = {
    "connectors/driver_exceptions.py": "the exception classes of every driver",
    "infra/cli/launcher.py": "./kappa",
    "infra/docs/pictures.py": "the pictures of the pages",
    "infra/stack/services/configurations.py": "all servers' configurations and commands",
    "spark/merge/random_changes.py": "the rows of a table, over many versions and statements",
    "spark/merge/random_histories.py": "the lineages of tables, over many versions",
}


def test_every_module_has_a_mirrored_test_or_is_named_with_the_test_that_covers_it() -> (
    None
):
    named = {*COVERED_BY, *MEASUREMENTS}
    missing = [module for module in modules() if not mirrored_test(module).exists()]
    assert [module for module in missing if module not in named] == []


def test_every_named_module_exists_and_has_no_mirrored_test() -> None:
    existing = set(modules())
    for module in (*COVERED_BY, *MEASUREMENTS):
        assert module in existing, f"{module} does not exist: remove its line"
        assert not mirrored_test(module).exists(), f"{module} has a test: remove its line"


@pytest.mark.parametrize("module", COVERED_BY)
def test_the_test_that_covers_a_module_exists_and_a_unit_test_imports_it(
    module: str,
) -> None:
    test = f"tests/{COVERED_BY[module]}"
    assert (ROOT / test).exists()
    # Tests of a running stack start the module in a process.
    if test.startswith("tests/unit/"):
        assert module in reachable(test)


def test_every_mirrored_test_has_its_module() -> None:
    strays = []
    for folder in FOLDERS:
        for test in sorted((ROOT / "tests" / "unit" / folder).rglob("test_*.py")):
            module = str(test.relative_to(ROOT / "tests" / "unit")).replace("test_", "", 1)
            is_module = (ROOT / module).exists() or mirrored_program(module).exists()
            if not is_module and module not in OTHER_SUBJECTS:
                strays.append(module)
    assert strays == []


def modules() -> Iterator[str]:
    """Yield the modules, by their paths."""
    for folder in FOLDERS:
        for file in sorted((ROOT / folder).rglob("*.py")):
            path = file.relative_to(ROOT).as_posix()
            if file.name != "__init__.py" and not path.startswith(PEERS):
                yield path


def mirrored_test(module: str) -> Path:
    """Return the path of a module's test; `test_main.py` is that of `__main__.py`."""
    path = Path(module)
    name = path.name.strip("_") if path.name == "__main__.py" else path.name
    return ROOT / "tests" / "unit" / path.parent / f"test_{name.replace('__', '')}"


def mirrored_program(module: str) -> Path:
    """Return the path of the `__main__.py` that `test_main.py` is about."""
    path = ROOT / module
    return path.with_name("__main__.py") if path.name == "main.py" else path


@cache
def reachable(file: str) -> frozenset[str]:
    """Return the modules that a file imports, directly or through other modules."""
    reached: set[str] = set()
    pending = [file]
    while pending:
        imported = imports(pending.pop())
        pending += imported - reached
        reached |= imported
    return frozenset(reached)


@cache
def imports(file: str) -> frozenset[str]:
    """Return the modules of the project that a file imports, at its top or in a function."""
    names = set()
    for node in ast.walk(ast.parse((ROOT / file).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    paths = {f"{name.replace('.', '/')}.py" for name in names}
    return frozenset(path for path in paths if (ROOT / path).exists())
