"""The parts of the connector's configuration that follow from what has happened."""

import pytest

from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.debezium.capture_rules.rules_record import RulesFile, RulesRecord
from connectors.debezium.connect_api import ConnectApi
from connectors.debezium.snapshot_tables import OVERRIDES
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.table_exclusion import Exclusion, ExclusionFile, TableExclusion
from connectors.runtime.settings import Settings
from tests.unit.connectors.debezium.connect_cluster import Cluster

EXCLUDED = "table.exclude.list"
FIELD_NAMES = "field.name.adjustment.mode"


def test_a_connector_keeps_the_tables_that_its_snapshot_left_out(
    settings: Settings,
    connect_api: ConnectApi,
    rules: AppliedRules,
    exclusion: TableExclusion,
    expected_config: ExpectedConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert expected_config.config()[OVERRIDES] == "eCommerce.history"
    expected_config.put()
    monkeypatch.setattr(
        "connectors.debezium.supervision.expected_config.large_tables",
        lambda _: ["history", "new"],
    )
    another = ExpectedConfig(
        settings, connect_api=connect_api, rules=rules, exclusion=exclusion
    )
    assert another.config()[OVERRIDES] == "eCommerce.history"
    another.select_large_tables()
    assert another.config()[OVERRIDES] == "eCommerce.history,eCommerce.new"


def test_tables_are_taken_out_that_fail_or_that_the_rules_cannot_protect(
    settings: Settings, expected_config: ExpectedConfig
) -> None:
    assert EXCLUDED not in expected_config.config()
    ExclusionFile(settings.home).write({"orders": Exclusion("why", "")})
    RulesFile(settings.home).write(RulesRecord(refused={"user": "why"}))
    assert expected_config.config()[EXCLUDED] == "eCommerce\\.orders,eCommerce\\.user"
    # Rules that are about to be applied.
    config = expected_config.config(["products"])
    assert config[EXCLUDED] == "eCommerce\\.orders,eCommerce\\.products"


def test_only_the_very_table_is_taken_out_where_mysql_distinguishes_letter_case(
    settings: Settings, expected_config: ExpectedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "connectors.debezium.supervision.expected_config.distinguishes_case",
        lambda *_: True,
    )
    assert expected_config.config(["orders"])[EXCLUDED] == "(?-i:eCommerce\\.orders)"


def test_fields_are_distinguished_by_another_configuration(
    cluster: Cluster, expected_config: ExpectedConfig
) -> None:
    assert expected_config.has_plain_field_names()
    assert expected_config.config()[FIELD_NAMES] == "avro"
    expected_config.distinguish_fields("field name duplication")
    assert not expected_config.has_plain_field_names()
    assert cluster.config is not None
    assert cluster.config[FIELD_NAMES] == "avro_unicode"


def test_a_configuration_is_put_once(
    cluster: Cluster, expected_config: ExpectedConfig
) -> None:
    assert expected_config.put()
    assert not expected_config.put()
    assert cluster.told == [("PUT", "/connectors/ecommerce/config")]


def test_a_connect_elsewhere_gets_the_password_itself(
    settings: Settings, expected_config: ExpectedConfig
) -> None:
    assert settings.connect.external
    password = settings.login("mysql.debezium").password
    assert expected_config.config()["database.password"] == password
