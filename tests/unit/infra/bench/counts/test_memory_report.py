import json
from dataclasses import replace

from infra.bench.counts.memory_report import cells, present
from infra.bench.report.presentation import markdown
from tests.unit.infra.bench.sample_reports import MEMORY, MEMORY_RUN


def test_a_row_has_the_memory_and_the_return_after_a_kill() -> None:
    row = "| 1,000,000 | 2,000,000 | 99.5 | 700 MB | 8.1 s | 650 MB | exact |"
    assert row in markdown(MEMORY, present(MEMORY))
    assert cells(replace(MEMORY_RUN, lost=3))[-1] == "3 lost"
    assert "counting again 8.1 s after kill -9" in MEMORY_RUN.summary()


def test_a_report_for_scripts_keeps_its_keys() -> None:
    facts = json.loads(json.dumps(MEMORY.facts()))
    assert set(facts) == {"at", "machine", "versions", "rows_kept", "held"}
    assert facts["held"] == [vars(MEMORY_RUN)]
