"""`python -m tests.chaos.schedules --count 500 --seed 1`: many random schedules against a running
stack (KAPPA_HOME and so on).

With --record, verdicts are kept as a line of JSON each, and the schedules that have one are not
played again: a long run may be done in pieces. Exits with 1 if anything was ever wrong.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from connectors.runtime.settings import load
from tests.chaos.schedules.play import Verdict
from tests.chaos.schedules.removal import alone
from tests.chaos.schedules.runner import Runner
from tests.chaos.schedules.schedule import KINDS, TOGETHER, schedule


def main() -> None:
    chosen = _arguments()
    settings = load(os.environ)
    record: Path = chosen.record or settings.home / "run" / "schedules.jsonl"
    known = _known(record)
    wanted = range(chosen.seed, chosen.seed + chosen.count)

    def tell(verdict: Verdict) -> None:
        print(verdict.line(), flush=True)
        known[verdict.seed] = verdict.data()
        with record.open("a") as lines:
            lines.write(json.dumps(verdict.data()) + "\n")

    with alone(settings):
        plans = [schedule(seed, chosen.fault) for seed in wanted if seed not in known]
        Runner(settings, plans, tell, 60 * chosen.minutes).run(chosen.worlds)
    verdicts = [known[seed] for seed in wanted if seed in known]
    print(*summary(verdicts), f"in {record}", sep="\n")
    sys.exit(any(verdict["wrong"] for verdict in verdicts))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.schedules", description=__doc__
    )
    parser.add_argument("--count", type=int, default=20, help="how many schedules")
    parser.add_argument(
        "--seed",
        type=int,
        default=1,
        help="the first one's seed; each following one has the next",
    )
    parser.add_argument(
        "--worlds", type=int, default=2, help="so many sets of workers at once"
    )
    parser.add_argument(
        "--fault",
        action="append",
        choices=list(KINDS),
        help="these faults instead of random ones (can be given several times)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=float("inf"),
        help="after this time no further one begins",
    )
    parser.add_argument(
        "--record",
        type=Path,
        help="the file of verdicts; by default one of the stack's home",
    )
    return parser.parse_args()


def _known(record: Path) -> dict[int, dict[str, Any]]:
    """The verdicts that are kept, by seed."""
    lines = record.read_text().splitlines() if record.exists() else []
    return {verdict["seed"]: verdict for verdict in map(json.loads, lines)}


def summary(verdicts: Sequence[dict[str, Any]]) -> list[str]:
    """What came of all schedules."""
    happened: Counter[str] = Counter()
    for verdict in verdicts:
        happened.update(verdict["faults"])
    seconds = sum(sum(verdict["seconds"].values()) for verdict in verdicts) / max(
        1, len(verdicts)
    )
    wrong = [verdict["seed"] for verdict in verdicts if verdict["wrong"]]
    figures = [
        f"{sum(verdict[name] for verdict in verdicts):,} {said}"
        for name, said in (("events", "clicks"), ("poison", "poison"), ("rows", "rows"))
    ]
    return [
        f"{len(verdicts)} schedules of {seconds:.1f} s each, several at a time: "
        f"{', '.join(figures)} compared",
        "faults: " + ", ".join(f"{happened[kind]} {kind}" for kind in (*KINDS, TOGETHER)),
        f"wrong: {len(wrong)}"
        + (f", with the seeds {', '.join(map(str, wrong))}" if wrong else ""),
    ]


if __name__ == "__main__":
    main()
