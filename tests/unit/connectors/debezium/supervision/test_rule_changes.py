"""What becomes of the connector and of the tables when capture rules or their meaning change."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from connectors.control.reread_request import RereadRequests
from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.debezium.capture_rules.rules_record import RulesFile
from connectors.debezium.capture_rules.table_columns import TableColumns
from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.schema_repair import SchemaRepair
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.supervision.repair_log import RepairLog
from connectors.debezium.supervision.rule_changes import RuleChanges
from connectors.debezium.table_exclusion import TableExclusion
from connectors.runtime.secrets import make_secrets
from connectors.runtime.settings import Settings, load
from schemas.errors import SettingsError, Unavailable
from tests.unit.connectors.debezium.capture_rules.protected_tables import table
from tests.unit.connectors.debezium.connect_cluster import Cluster

Tables = dict[str, TableColumns]
Hashing = Callable[[Tables], RuleChanges]


@pytest.fixture
def settings(url: str, tmp_path: Path) -> Settings:
    """Return the settings of a stack that hashes user.email."""
    environment = {
        "HOME": str(tmp_path),
        "KAPPA_HOME": str(tmp_path),
        "KAPPA_CONNECT_URL": url,
        "KAPPA_MYSQL_HASH_COLUMNS": "user.email",
    }
    make_secrets(tmp_path)
    return load(environment, tmp_path / "none.toml")


@pytest.fixture
def hashing(
    settings: Settings,
    connect_api: ConnectApi,
    exclusion: TableExclusion,
    repairs: RepairLog,
    monkeypatch: pytest.MonkeyPatch,
) -> Hashing:
    """Return a function of MySQL's tables: what a new process makes of them."""
    monkeypatch.setattr(
        "connectors.debezium.supervision.expected_config.large_tables", lambda _: []
    )
    monkeypatch.setattr(
        "connectors.debezium.supervision.expected_config.distinguishes_case",
        lambda *_: False,
    )

    def reconfigure(config: Mapping[str, str], _tables: Iterable[str]) -> None:
        connect_api.put_config("ecommerce", config)

    def rule_changes(tables: Tables) -> RuleChanges:
        rules = AppliedRules(settings)
        monkeypatch.setattr(rules, "_read_tables", lambda: tables)
        schema_repair = SchemaRepair(settings, connect_api, rules.captures)
        monkeypatch.setattr(schema_repair, "reconfigure", reconfigure)
        return RuleChanges(
            settings,
            connect_api=connect_api,
            rules=rules,
            expected_config=ExpectedConfig(
                settings, connect_api=connect_api, rules=rules, exclusion=exclusion
            ),
            schema_repair=schema_repair,
            repairs=repairs,
        )

    return rule_changes


def requested(settings: Settings) -> set[str]:
    return set(RereadRequests(settings.home).all())


def test_a_connector_that_has_not_begun_does_not_begin_if_the_rules_cannot_be_kept(
    cluster: Cluster, hashing: Hashing
) -> None:
    rule_changes = hashing({"user": table("id", "email", key="email")})
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"mysql\.hash_columns names user\.email"):
            rule_changes.follow(100)
    assert cluster.config is None


def test_a_first_connector_begins_with_the_rules_and_reads_nothing_again(
    settings: Settings, hashing: Hashing, repairs: RepairLog
) -> None:
    hashing({"user": table("id", "email")}).follow(100)
    assert requested(settings) == set()
    assert repairs.entries() == []
    record = RulesFile(settings.home).read()
    assert record is not None
    assert record.protected.keys() == {"user"}


def test_a_connector_that_was_removed_has_the_tables_read_again_whose_rules_changed_since(
    settings: Settings, hashing: Hashing
) -> None:
    hashing({"user": table("id", "email")}).follow(100)
    hashing({"user": table("id", "email:9")}).follow(102)
    assert requested(settings) == {"cdc.eCommerce.user"}


def test_a_connector_gets_new_rules_and_the_tables_are_read_again_once(
    cluster: Cluster, settings: Settings, hashing: Hashing, repairs: RepairLog
) -> None:
    cluster.config = {"name": "ecommerce"}
    rule_changes = hashing({"user": table("id", "email")})
    rule_changes.follow(100)
    assert "(?isu)eCommerce\\.(?:user\\.email)" in cluster.config.values()
    assert requested(settings) == {"cdc.eCommerce.user"}
    assert [entry["rules"] for entry in repairs.entries()] == [["user"]]
    cluster.told.clear()
    rule_changes.follow(102)
    hashing({"user": table("id", "email")}).follow(104)
    assert cluster.told == []
    assert len(repairs.entries()) == 1


def test_a_change_that_could_not_be_applied_is_applied_at_the_next_look(
    cluster: Cluster, settings: Settings, hashing: Hashing
) -> None:
    cluster.config = {"name": "ecommerce"}
    rule_changes = hashing({"user": table("id", "email")})
    cluster.broken = 503
    with pytest.raises(Unavailable):
        rule_changes.follow(100)
    assert requested(settings) == set()
    cluster.broken = None
    rule_changes.follow(102)
    assert requested(settings) == {"cdc.eCommerce.user"}


def test_a_table_whose_column_is_renamed_is_taken_out_of_the_connector(
    cluster: Cluster, settings: Settings, hashing: Hashing
) -> None:
    hashing({"user": table("id", "email")}).follow(100)
    cluster.config = {"name": "ecommerce"}
    hashing({"user": table("id", "mail")}).follow(102)
    assert cluster.config["table.exclude.list"] == "eCommerce\\.user"
    record = RulesFile(settings.home).read()
    assert record is not None
    assert record.refused.keys() == {"user"}
    assert requested(settings) == set()
