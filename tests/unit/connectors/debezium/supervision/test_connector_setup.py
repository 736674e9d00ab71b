"""How often the connector, its topics and the registry are looked at, and what is set there."""

import pytest

from connectors.debezium.binlog_watch.state_file import STATE_FILE, BinlogWatchFile
from connectors.debezium.binlog_watch.watch_state import WatchState
from connectors.debezium.capture_rules.applied_rules import AppliedRules
from connectors.debezium.supervision.connector_setup import (
    CONFIGURE_SECONDS,
    ConnectorSetup,
)
from connectors.debezium.supervision.expected_config import ExpectedConfig
from connectors.debezium.supervision.rule_changes import RuleChanges
from connectors.kafka.schema_registry import SchemaRegistry
from connectors.runtime.settings import Kafka, Settings
from schemas.errors import Refused, Unavailable
from schemas.gtid import GtidSet
from schemas.topics import KEEP_EVERYTHING, Topic
from tests.unit.connectors.debezium.connect_cluster import Cluster

MODULE = "connectors.debezium.supervision.connector_setup"
ORDERS = "cdc.eCommerce.orders"


class Registry(SchemaRegistry):
    """A registry with a few subjects. It keeps what is set for them."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:1")
        self.names = [f"{ORDERS}-key", f"{ORDERS}-value", "productview-value"]
        self.levels: list[tuple[str, str]] = []

    def subjects(self) -> list[str]:
        return self.names

    def set_compatibility(self, subject: str, level: str) -> None:
        self.levels.append((subject, level))


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def checked_topics(monkeypatch: pytest.MonkeyPatch) -> list[Topic]:
    """Return the list of topics that are checked in a Kafka with clicks and one changed table."""
    topics: list[Topic] = []

    def check_topics(_kafka: Kafka, candidates: list[Topic]) -> None:
        topics.extend(candidates)

    monkeypatch.setattr(f"{MODULE}.ensure_topics", lambda *_: [])
    monkeypatch.setattr(f"{MODULE}.check_topics", check_topics)
    monkeypatch.setattr(
        f"{MODULE}.kafka.list_topics", lambda _: {"productview": 4, ORDERS: 1}
    )
    return topics


@pytest.fixture
def setup(
    settings: Settings,
    rules: AppliedRules,
    rule_changes: RuleChanges,
    expected_config: ExpectedConfig,
    registry: Registry,
    checked_topics: list[Topic],
) -> ConnectorSetup:
    """Return the setup of a stack whose binlog watch has begun."""
    BinlogWatchFile(settings.home).write(WatchState(gtids=GtidSet()))
    return ConnectorSetup(
        settings,
        registry=registry,
        rules=rules,
        rule_changes=rule_changes,
        expected_config=expected_config,
    )


def test_the_connector_is_configured_and_its_topics_keep_everything(
    cluster: Cluster, setup: ConnectorSetup, checked_topics: list[Topic]
) -> None:
    setup.configure(100)
    assert cluster.told == [("PUT", "/connectors/ecommerce/config")]
    assert checked_topics == [Topic(ORDERS, 1, KEEP_EVERYTHING)]


def test_capture_begins_once_the_binlog_watch_has_begun(
    cluster: Cluster, settings: Settings, setup: ConnectorSetup
) -> None:
    (settings.home / "run" / STATE_FILE).unlink()
    with pytest.raises(Unavailable, match="binlog-watch has not begun"):
        setup.configure(100)
    assert cluster.config is None
    BinlogWatchFile(settings.home).write(WatchState(gtids=GtidSet()))
    setup.configure(102)
    assert cluster.config is not None


def test_everything_is_looked_at_again_after_a_while(
    cluster: Cluster, setup: ConnectorSetup
) -> None:
    setup.configure(100)
    cluster.config = None
    setup.configure(99 + CONFIGURE_SECONDS)
    assert cluster.config is None
    setup.configure(100 + CONFIGURE_SECONDS)
    assert cluster.config is not None


def test_a_connector_that_is_gone_is_configured_in_the_next_step(
    cluster: Cluster, setup: ConnectorSetup
) -> None:
    setup.configure(100)
    cluster.config = None
    setup.expire()
    setup.configure(102)
    assert cluster.config is not None


def test_what_failed_is_due_in_the_next_step(
    setup: ConnectorSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Refused("topic would lose records")

    monkeypatch.setattr(f"{MODULE}.check_topics", refuse)
    with pytest.raises(Refused):
        setup.configure(100)
    assert setup.is_due(102)


def test_the_capture_rules_are_followed_in_every_step_and_compared_when_all_is_due(
    setup: ConnectorSetup, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    monkeypatch.setattr(setup._rules, "look_again", lambda: looks.append("compare"))
    monkeypatch.setattr(setup._rule_changes, "follow", lambda _: looks.append("follow"))
    setup.configure(100)
    setup.configure(102)
    assert looks == ["compare", "follow", "follow"]


def test_the_registry_accepts_every_schema_of_a_table_once_it_has_one(
    setup: ConnectorSetup, registry: Registry
) -> None:
    registry.names.remove(f"{ORDERS}-value")
    setup.configure(100)
    assert registry.levels == [(f"{ORDERS}-key", "NONE")]
    registry.names.append(f"{ORDERS}-value")
    setup.configure(100 + CONFIGURE_SECONDS)
    assert registry.levels == [(f"{ORDERS}-key", "NONE"), (f"{ORDERS}-value", "NONE")]


def test_all_restrictions_are_lifted_again_after_a_schema_was_refused(
    setup: ConnectorSetup, registry: Registry
) -> None:
    setup.configure(100)
    registry.levels.clear()
    setup.expire_subjects()
    setup.configure(102)
    assert set(registry.levels) == {(f"{ORDERS}-key", "NONE"), (f"{ORDERS}-value", "NONE")}
