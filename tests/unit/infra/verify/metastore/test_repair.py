"""What follows a drift: the requests, and what is said after a second look."""

from dataclasses import replace
from pathlib import Path

import pytest

from connectors.control.repair_request import RepublishFile
from connectors.control.reread_request import RereadRequests
from connectors.hadoop.hdfs import Entry
from connectors.runtime.settings import Settings
from infra.verify.metastore.compare import FoundTable
from infra.verify.metastore.drift import NO_DRIFT, REPAIRED
from infra.verify.metastore.repair import MAX_SAID, OFF, look_and_repair
from tests.unit.infra.verify.metastore.sample_hive import SampleHive
from tests.unit.infra.verify.metastore.sample_tables import (
    DATABASE,
    FIRST,
    LAKE,
    SETTINGS,
    entries,
    folder,
)

ORDERS = (DATABASE, "orders")
D1 = folder("orders", "d1", 1)
FOREIGN = Entry("000000_0", False, 7, 99.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return replace(SETTINGS, home=tmp_path)


def published() -> SampleHive:
    hive = SampleHive()
    hive.publish(FIRST)
    return hive


def repairing(hive: SampleHive, file: RepublishFile) -> None:
    """Have a compactor carry out requests: its side is a version published again."""
    whole = {path: list(listing) for path, listing in hive.folders.items()}

    def carry_out(_: str) -> None:
        request = file.current_request()
        if request is not None:
            hive.publish(FIRST)
            for path in request.folders or ():
                hive.folders[path] = whole[path]
            file.remove_request(request)

    hive.on_call = carry_out


def test_without_a_drift_nothing_is_asked(settings: Settings) -> None:
    said: list[str] = []
    assert look_and_repair(settings, (), said.append, published().sources()) == NO_DRIFT
    assert said == []
    assert RepublishFile(settings.home).current_request() is None


def test_a_drift_is_named_and_the_compactor_is_asked(settings: Settings) -> None:
    hive = published()
    hive.tables[ORDERS] = FoundTable(None)
    hive.folders[D1] = [*hive.folders[D1], FOREIGN]
    said: list[str] = []
    report = look_and_repair(settings, (), said.append, hive.sources(), timeout_seconds=0.1)
    assert [drift.what for drift in report.drifts] == ["missing table", "extra file"]
    assert said[:-1] == [drift.text() for drift in report.drifts]
    assert "not repaired within 0 s" in report.repair
    request = RepublishFile(settings.home).current_request()
    assert request is not None
    assert request.folders == (D1,)
    assert request.reason == "a proof found: ecommerce.orders is missing in Hive"


def test_of_many_drifts_the_first_are_said(settings: Settings) -> None:
    hive = published()
    hive.folders[D1] = [replace(FOREIGN, name=f"x{number}") for number in range(MAX_SAID)]
    hive.folders[D1] += entries(10)
    hive.tables[ORDERS] = FoundTable(None)
    said: list[str] = []
    report = look_and_repair(settings, (), said.append, hive.sources(), timeout_seconds=0.1)
    assert len(report.drifts) == MAX_SAID + 1
    assert len(said) == MAX_SAID + 2
    assert said[-2] == "and 1 more differences between Hive and the manifest"


def test_a_second_look_says_that_it_is_repaired(settings: Settings) -> None:
    hive = published()
    file = RepublishFile(settings.home)
    repairing(hive, file)
    hive.tables[ORDERS] = FoundTable(None)
    hive.folders[D1] = [*hive.folders[D1], FOREIGN]
    report = look_and_repair(settings, (), lambda _: None, hive.sources())
    assert (len(report.drifts), report.repair) == (2, REPAIRED)


def test_what_comes_again_is_said_to_be_not_repaired(settings: Settings) -> None:
    hive = published()
    file = RepublishFile(settings.home)
    hive.tables[ORDERS] = FoundTable(None)

    def drop_request(_: str) -> None:
        request = file.current_request()
        if request is not None:
            file.remove_request(request)

    hive.on_call = drop_request
    report = look_and_repair(settings, (), lambda _: None, hive.sources())
    assert report.repair.startswith("not repaired, see ./kappa logs compactor: ")
    assert report.repair.endswith("ecommerce.orders is missing in Hive")


def test_damaged_files_are_asked_to_be_read_again_and_not_to_be_published(
    settings: Settings,
) -> None:
    hive = published()
    hive.folders[D1] = entries(3)
    report = look_and_repair(settings, (), lambda _: None, hive.sources())
    assert report.repair == "orders will be read again from MySQL"
    (request,) = RereadRequests(settings.home).all().values()
    assert request.topic.endswith(".orders")
    assert request.reason == report.drifts[0].text()
    assert RepublishFile(settings.home).current_request() is None


def test_damaged_files_of_the_archive_are_nothing_to_read_again(settings: Settings) -> None:
    hive = published()
    day = next(path for path in hive.folders if "data_lake" in path)
    hive.folders[day] = entries(3)
    report = look_and_repair(settings, (), lambda _: None, hive.sources())
    assert report.drifts[0].table == f"{LAKE}.orders"
    assert report.repair.startswith(f"{LAKE}.orders cannot be read again")
    assert RereadRequests(settings.home).all() == {}


def test_a_setting_turns_the_repair_off(settings: Settings) -> None:
    hive = published()
    hive.tables[ORDERS] = FoundTable(None)
    hive.folders[D1] = entries(3)
    off = replace(settings, verify=replace(settings.verify, heal=False))
    report = look_and_repair(off, (), lambda _: None, hive.sources())
    assert (len(report.drifts), report.repair) == (2, OFF)
    assert not (settings.home / "run").exists()
