import json
import logging
import os
import subprocess
import sys

import pytest

from connectors.runtime.process_state import ProcessState, is_running, read_state


def test_what_a_process_says_last_about_itself_can_be_read(tmp_path):
    state = ProcessState(tmp_path, "customers", every_seconds=0)
    state.report("waiting", "for the shop")
    state.report("running", "4.0 actions/s", orders=7)
    said = read_state(tmp_path, "customers")
    assert (said["state"], said["detail"], said["orders"]) == (
        "running",
        "4.0 actions/s",
        7,
    )


def test_a_process_that_never_spoke_has_no_state(tmp_path):
    assert read_state(tmp_path, "customers") is None


def test_only_a_change_of_state_is_logged(tmp_path, caplog):
    state = ProcessState(tmp_path, "customers", every_seconds=0)
    with caplog.at_level(logging.INFO):
        for detail in ("first", "second", "third"):
            state.report("running", detail)
        state.report("waiting", "the shop went away")
    assert [record.getMessage() for record in caplog.records] == [
        "running: first",
        "waiting: the shop went away",
    ]


def test_a_change_of_state_is_written_at_once_and_news_of_the_same_state_is_not(tmp_path):
    state = ProcessState(tmp_path, "clicks", every_seconds=3600)
    state.report("running", "first")
    state.report("running", "second")
    assert read_state(tmp_path, "clicks")["detail"] == "first"
    state.report("waiting", "third")
    assert read_state(tmp_path, "clicks")["detail"] == "third"


@pytest.mark.parametrize("pid", [None, 0, "0", -1, "-1", "", "1234", 1.5, []])
def test_a_state_without_a_process_id_is_no_running_process_and_nothing_is_asked_of_others(
    tmp_path, monkeypatch, pid
):
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("a process was asked"))
    (tmp_path / "run").mkdir()
    state = {"state": "running"} | ({} if pid is None else {"pid": pid})
    (tmp_path / "run" / "compactor.json").write_text(json.dumps(state))
    assert not is_running(tmp_path, "compactor")


def test_a_process_runs_until_it_has_ended(tmp_path):
    assert not is_running(tmp_path, "compactor")
    ProcessState(tmp_path, "compactor").report("running", "as ever")
    assert is_running(tmp_path, "compactor")
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    (tmp_path / "run" / "compactor.json").write_text(json.dumps({"pid": ended.pid}))
    assert not is_running(tmp_path, "compactor")


@pytest.mark.parametrize("content", ["", '{"state": "runn', "[]"])
def test_a_state_that_a_power_failure_cut_off_is_none(tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "capture.json").write_text(content)
    assert read_state(tmp_path, "capture") is None
