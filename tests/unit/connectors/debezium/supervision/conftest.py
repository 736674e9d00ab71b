"""The parts of a supervisor, beside a Connect that is played by a small HTTP server."""

import pytest

from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.debezium.connect_api import ConnectApi, Status
from connectors.debezium.schema_repair import SchemaRepair
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.supervision.failing_tables import FailingTables
from connectors.debezium.supervision.repair_log import RepairLog
from connectors.debezium.supervision.rule_changes import RuleChanges
from connectors.debezium.table_exclusion import TableExclusion
from connectors.runtime.secrets import make_secrets
from connectors.runtime.settings import Settings


@pytest.fixture
def connect_api(url: str) -> ConnectApi:
    return ConnectApi(url)


@pytest.fixture
def rules(settings: Settings) -> AppliedRules:
    return AppliedRules(settings)


@pytest.fixture
def exclusion(settings: Settings, connect_api: ConnectApi) -> TableExclusion:
    return TableExclusion(settings, connect_api)


@pytest.fixture
def schema_repair(
    settings: Settings, connect_api: ConnectApi, rules: AppliedRules
) -> SchemaRepair:
    return SchemaRepair(settings, connect_api, rules.captures)


@pytest.fixture
def repairs() -> RepairLog:
    return RepairLog()


@pytest.fixture
def expected_config(
    settings: Settings,
    connect_api: ConnectApi,
    rules: AppliedRules,
    exclusion: TableExclusion,
    monkeypatch: pytest.MonkeyPatch,
) -> ExpectedConfig:
    """Return the configuration for a MySQL whose table `history` is large."""
    monkeypatch.setattr(
        "connectors.debezium.supervision.expected_config.large_tables",
        lambda _: ["history"],
    )
    monkeypatch.setattr(
        "connectors.debezium.supervision.expected_config.distinguishes_case",
        lambda *_: False,
    )
    make_secrets(settings.home)
    return ExpectedConfig(
        settings, connect_api=connect_api, rules=rules, exclusion=exclusion
    )


@pytest.fixture
def rule_changes(
    settings: Settings,
    connect_api: ConnectApi,
    rules: AppliedRules,
    expected_config: ExpectedConfig,
    schema_repair: SchemaRepair,
    repairs: RepairLog,
) -> RuleChanges:
    return RuleChanges(
        settings,
        connect_api=connect_api,
        rules=rules,
        expected_config=expected_config,
        schema_repair=schema_repair,
        repairs=repairs,
    )


@pytest.fixture
def failing_tables(
    exclusion: TableExclusion,
    expected_config: ExpectedConfig,
    schema_repair: SchemaRepair,
    repairs: RepairLog,
) -> FailingTables:
    return FailingTables(
        exclusion,
        expected_config=expected_config,
        schema_repair=schema_repair,
        repairs=repairs,
        check_targets=lambda: None,
    )


def status_of(connect_api: ConnectApi) -> Status:
    """Return the connector's status."""
    status = connect_api.status("ecommerce")
    assert status is not None
    return status
