import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connectors.cassandra.generations import Definition, Generation
from connectors.kafka.client import Watermarks
from connectors.runtime.settings import load
from infra.cli.status.report import (
    all_ready,
    counts_report,
    probe_error,
    process_report,
    rereads_report,
    total_lag,
)
from infra.stack.services.service import Host, Service, host_for_probes
from infra.stack.supervisor import Process
from schemas.errors import Unavailable

RULES = Definition(window_ms=10_000, horizon_ms=1000, ahead_ms=1000)
LIVE = Generation(3, "shop_g3", "live", RULES)


def service(
    *, traffic: bool = False, probe: Callable[[Host], None] = lambda host: None
) -> Service:
    return Service(
        name="shop", zone="site", command=lambda host: [], probe=probe, traffic=traffic
    )


def process(state: str, pid: int = os.getpid()) -> Process:
    return Process(name="shop", zone="site", state=state, pid=pid, started_at=0.0)


RUNNING = process("RUNNING")
STOPPED = process("STOPPED", pid=0)


@pytest.mark.parametrize(
    ("supervised", "trouble", "external", "expected"),
    [
        pytest.param(
            RUNNING,
            "",
            False,
            {"state": "RUNNING", "ready": True, "trouble": None, "pid": os.getpid()},
            id="ready",
        ),
        pytest.param(
            RUNNING,
            "no answer",
            False,
            {"state": "RUNNING", "ready": False, "trouble": "no answer"},
            id="runs, but does not answer",
        ),
        pytest.param(
            process("BACKOFF", pid=0),
            "no answer",
            False,
            {"state": "BACKOFF", "ready": False, "pid": None, "memory_mb": None},
            id="ends again and again",
        ),
        pytest.param(
            process("BACKOFF", pid=0),
            "",
            False,
            {"ready": False, "trouble": None},
            id="another process answers at its port",
        ),
        pytest.param(
            None,
            "no answer",
            False,
            {"state": "STOPPED", "ready": False, "up_seconds": None},
            id="unknown to the supervisor",
        ),
        pytest.param(
            None, "", True, {"state": "EXTERNAL", "ready": True, "pid": None}, id="external"
        ),
        pytest.param(
            None,
            "no answer",
            True,
            {"state": "EXTERNAL", "ready": False, "trouble": "no answer"},
            id="external, does not answer",
        ),
    ],
)
def test_a_process_is_ready_if_it_answers_and_is_ours_or_external(
    supervised: Process | None, trouble: str, external: bool, expected: dict[str, Any]
) -> None:
    report = process_report(service(), supervised, trouble, external=external)
    assert {name: report[name] for name in expected} == expected
    assert report["name"] == "site:shop"
    assert report["resting"] is False


def test_a_running_process_has_an_age_and_memory() -> None:
    report = process_report(service(), RUNNING, "", external=False)
    assert report["up_seconds"] > 1_000_000_000
    assert report["memory_mb"] > 0


def test_a_process_that_has_just_ended_has_no_memory() -> None:
    ended = process("RUNNING", pid=2**22 + 1)
    assert process_report(service(), ended, "", external=False)["memory_mb"] == 0


@pytest.mark.parametrize(
    ("traffic", "supervised", "resting"),
    [
        (True, STOPPED, True),
        (True, RUNNING, False),
        (True, None, False),
        (False, STOPPED, False),
    ],
)
def test_only_traffic_that_was_stopped_rests(
    traffic: bool, supervised: Process | None, resting: bool
) -> None:
    report = process_report(
        service(traffic=traffic), supervised, "no answer", external=False
    )
    assert report["resting"] is resting


@pytest.mark.parametrize(
    ("processes", "ready"),
    [
        ([], True),
        ([{"ready": True, "resting": False}], True),
        ([{"ready": True, "resting": False}, {"ready": False, "resting": True}], True),
        ([{"ready": True, "resting": False}, {"ready": False, "resting": False}], False),
    ],
)
def test_the_stack_is_ready_if_every_process_is_ready_or_rests(
    processes: list[dict[str, bool]], ready: bool
) -> None:
    assert all_ready(processes) is ready


def test_a_probe_says_why_a_service_does_not_answer(tmp_path: Path) -> None:
    host = host_for_probes(
        load({"KAPPA_HOME": str(tmp_path), "KAPPA_CONFIG": "/none.toml"})
    )

    def refuse(host: Host) -> None:
        raise Unavailable("the shop does not answer", "see its log")

    assert probe_error(service(), host) == ""
    assert probe_error(service(probe=refuse), host) == "the shop does not answer"


@pytest.mark.parametrize(
    ("generation", "outdated"),
    [
        (None, False),
        (LIVE, False),
        (replace(LIVE, definition=replace(RULES, starts={"productview": {0: 5}})), False),
        (replace(LIVE, definition=replace(RULES, window_ms=30_000)), True),
        (replace(LIVE, definition=replace(RULES, horizon_ms=1)), True),
    ],
    ids=[
        "unknown",
        "same rules",
        "same rules from a time on",
        "other windows",
        "other horizon",
    ],
)
def test_a_generation_is_outdated_if_the_settings_have_other_rules(
    generation: Generation | None, outdated: bool
) -> None:
    states = {"counts": {"detail": "counting", "events": 7}, "counts-2": {}}
    report = counts_report(states, generation, RULES, None if generation is None else 12)
    assert report["outdated"] is outdated
    assert report["generation"] == (None if generation is None else 3)
    assert report["lag"] == (None if generation is None else 12)
    assert (report["events"], report["workers"]) == (7, states)


@pytest.mark.parametrize(
    ("committed", "lag"),
    [
        ({}, 15),
        ({("productview", 0): 20, ("orderview", 0): 5}, 0),
        ({("productview", 0): 18}, 7),
        ({("productview", 0): 99, ("orderview", 0): 4}, 1),
    ],
    ids=[
        "nothing committed",
        "at the end",
        "one partition",
        "beyond the end of a new topic",
    ],
)
def test_the_lag_is_what_follows_the_committed_offsets(
    committed: dict[tuple[str, int], int], lag: int
) -> None:
    watermarks = {
        ("productview", 0): Watermarks(low=10, stable=20, high=25),
        ("orderview", 0): Watermarks(low=0, stable=5, high=5),
    }
    assert total_lag(watermarks, committed) == lag


def test_a_topic_that_is_not_replicated_has_its_reason_and_the_progress_of_its_reading() -> (
    None
):
    refused = {"cdc.shop.user": "a hole", "cdc.shop.orders": "too large"}
    progress = {"cdc.shop.orders": {"rows": 5}, "cdc.shop.other": {"rows": 7}}
    assert rereads_report(refused, progress) == {
        "cdc.shop.orders": {"reason": "too large", "rows": 5},
        "cdc.shop.user": {"reason": "a hole"},
    }
    assert rereads_report({}, progress) == {}
