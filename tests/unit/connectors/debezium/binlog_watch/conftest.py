"""A collector, and the tables that MySQL has for it."""

import pytest

from connectors.debezium.binlog_watch.finding_collector import FindingCollector
from connectors.debezium.binlog_watch.watch_state import WatchState
from tests.unit.connectors.debezium.binlog_watch.logged_transactions import Catalogue


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue()


@pytest.fixture
def collector(catalogue: Catalogue) -> FindingCollector:
    return FindingCollector("eCommerce", catalogue.read, WatchState())
