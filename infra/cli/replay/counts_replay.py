"""`kappa replay counts`: a generation of the counts built beside the live one, compared with it,
and switched to.
"""

import time
from dataclasses import asdict, dataclass
from typing import Any

from connectors.cassandra import bootstrap as cassandra_bootstrap
from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.cassandra.client import Session
from connectors.cassandra.generations import Generation
from connectors.kafka import client as kafka
from connectors.kafka.readers.committed_start import start_group
from connectors.retry import FOREVER
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import Settings
from infra.cli.replay.builders import Builders, PartProgress, conversion_part, counts_part
from infra.cli.replay.compare_generations import Comparison, compare
from infra.cli.watch.start_offsets import since
from infra.stack.supervisor import Supervisor
from infra.terminal.progress_steps import ProgressSteps
from schemas.count_tables import keyspace_of
from schemas.errors import UsageError
from schemas.topics import CLICK_TOPICS

# With a lag below this, a generation has caught up: the rest takes a moment.
CAUGHT_UP_LAG = 2000
SWITCH_SECONDS = 60.0
START_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class CountsOutcome:
    """The result of a replay: from which generation to which, how many clicks it counted in how
    many seconds, and the comparison.
    """

    live: int
    generation: int
    keyspace: str
    switched: bool
    events: int
    seconds: float
    comparison: Comparison

    def data(self) -> dict[str, Any]:
        """Return the outcome for JSON."""
        return asdict(self)

    def text(self) -> str:
        """Return the outcome for people."""
        rate = self.events / self.seconds if self.seconds else 0.0
        generation = f"generation {self.generation} (keyspace {self.keyspace})"
        events = f"{self.events:,} clicks counted in {self.seconds:.1f} s, {rate:,.0f}/s"
        result = "not switched: ./kappa replay counts continues with it"
        if self.switched:
            rollback = f"./kappa replay counts --rollback goes back to {self.live}"
            result = f"readers read generation {self.generation} now; {rollback}"
        return "\n".join([f"{generation}: {events}", self.comparison.text(), result])


def replay_counts(
    settings: Settings,
    start: str | None,
    *,
    rollback: bool,
    switch: bool,
    steps: ProgressSteps,
) -> CountsOutcome:
    """Build a generation of the counts, or return to the previous one if `rollback`.

    `start` is the time of the first clicks to count, None for all; `switch` says whether readers
    then read the generation. Raises UsageError for a text that is no time or if there is no
    previous generation, StackError if the build fails, Refused, Unavailable.
    """
    login = settings.login("cassandra.admin")
    with cassandra.connect(settings.cassandra, login) as session:
        live = generations.active(session, settings.cassandra.keyspace)
        if rollback:
            target = previous_generation(session, settings, live)
        else:
            target = generation_to_build(session, settings, live, start, steps)
        return CountsReplay(session, settings, live, target, steps).run(switch=switch)


def previous_generation(
    session: Session, settings: Settings, live: Generation
) -> Generation:
    """Return the generation to go back to. Raises UsageError if there is none."""
    all_generations = generations.every(session, settings.cassandra.keyspace).values()
    candidates = [
        generation for generation in all_generations if generation.state == "kept"
    ]
    if not candidates:
        raise UsageError(
            f"there is no generation to go back to: generation {live.number} is the only one",
            "./kappa replay counts builds another",
        )
    return candidates[-1]


def generation_to_build(
    session: Session,
    settings: Settings,
    live: Generation,
    start: str | None,
    steps: ProgressSteps,
) -> Generation:
    """Return the generation that an earlier replay left unfinished, or create one.

    An unfinished generation with other rules is dropped.
    """
    base = settings.cassandra.keyspace
    all_generations = generations.every(session, base)
    rules = generations.definition(settings.counts, _start_offsets(settings, start))
    unfinished_generations = [
        generation
        for generation in all_generations.values()
        if generation.state == "building"
    ]
    for generation in unfinished_generations:
        if generation.definition == rules:
            steps.say(
                f"continuing with generation {generation.number} of an earlier replay"
            )
            return generation
        generations.drop(session, base, generation.number)
    number = max(all_generations) + 1
    generation = Generation(number, keyspace_of(base, number), "building", rules)
    creating = f"creating generation {number} in keyspace {generation.keyspace}"
    steps.say(f"{creating}, beside generation {live.number}")
    cassandra_bootstrap.make_generation(session, settings, generation.keyspace)
    if rules.starts:
        offsets = {}
        for topic, offsets_by_partition in rules.starts.items():
            for partition, offset in offsets_by_partition.items():
                offsets[topic, partition] = offset
        start_group(settings.kafka, generation.group(), offsets)
    generations.add(session, base, number, "building", rules)
    return generation


def _start_offsets(settings: Settings, start: str | None) -> dict[str, dict[int, int]]:
    """The offset of each topic's partitions at a time; empty for the first records."""
    if start is None:
        return {}
    watermarks = kafka.offsets(settings.kafka, CLICK_TOPICS)
    start_ms = since(start, time.time_ns() // 1_000_000)
    starts: dict[str, dict[int, int]] = {}
    offsets_at = kafka.offsets_at(settings.kafka, CLICK_TOPICS, start_ms)
    for (topic, partition), offset in offsets_at.items():
        if offset is None:
            offset = watermarks[topic, partition].stable
        starts.setdefault(topic, {})[partition] = offset
    return starts


class CountsReplay:
    """One replay: `target` is counted up to the present and then read instead of `live`."""

    def __init__(
        self,
        session: Session,
        settings: Settings,
        live: Generation,
        target: Generation,
        steps: ProgressSteps,
    ) -> None:
        self._session = session
        self._settings = settings
        self._live = live
        self._target = target
        self._steps = steps
        counts = counts_part(settings)
        conversion = conversion_part(settings)
        self._parts = (counts, conversion)
        self._counts = PartProgress(settings, counts, target)
        self._conversion = PartProgress(settings, conversion, target)
        self._builders = Builders(settings, target)

    def run(self, *, switch: bool) -> CountsOutcome:
        """Count the target up to the present, compare it with the live generation, and switch."""
        live = self._live
        target = self._target
        started_at = time.monotonic()
        records_before = self._counts.records()
        with self._builders.running(*self._parts):
            self._catch_up(self._counts, f"counting generation {target.number}")
            events = self._counts.records() - records_before
            seconds = time.monotonic() - started_at
            speed = f"{events:,} clicks in {seconds:.1f} s"
            self._steps.say(f"  ✓ generation {target.number} has caught up: {speed}")
            self._catch_up(
                self._conversion, f"counting the conversion of generation {target.number}"
            )
            with self._steps.waiting(
                f"comparing generations {live.number} and {target.number}"
            ):
                comparison = compare(self._session, live, target, self._reach_end_of_log)
            if switch:
                self._switch()
        return CountsOutcome(
            live=live.number,
            generation=target.number,
            keyspace=target.keyspace,
            switched=switch,
            events=events,
            seconds=round(seconds, 2),
            comparison=comparison,
        )

    def _catch_up(self, progress: PartProgress, task: str) -> None:
        with self._steps.waiting(lambda: f"{task}: {progress.text()}"):
            self._builders.wait(lambda: progress.lag() <= CAUGHT_UP_LAG, FOREVER)

    def _reach_end_of_log(self) -> None:
        """Return when the target has counted everything that is in the log now."""
        ends = self._counts.log_ends()
        self._builders.wait(lambda: self._counts.has_reached(ends), SWITCH_SECONDS)

    def _switch(self) -> None:
        """Stop the live workers until the target has counted what they have, then have them
        continue the target.
        """
        supervisor = Supervisor(self._settings)
        base = self._settings.cassandra.keyspace
        workers: list[str] = []
        for part in self._parts:
            workers += part.workers
        stopped_at = time.monotonic()
        try:
            for worker in workers:
                supervisor.stop_process(f"serving:{worker}")
            self._reach_live_offsets()
            generations.switch(self._session, base, self._live.number, self._target.number)
            pause = f"the counts paused for {time.monotonic() - stopped_at:.1f} s"
            self._steps.say(f"  ✓ readers read generation {self._target.number}; {pause}")
        finally:
            for worker in workers:
                supervisor.start_process(f"serving:{worker}")
        with self._steps.waiting("waiting for the workers to take over"):
            self._builders.wait(
                lambda: all(self._is_working(worker) for worker in workers), START_SECONDS
            )
        for number in generations.every(self._session, base):
            if number not in (self._live.number, self._target.number):
                generations.drop(self._session, base, number)

    def _reach_live_offsets(self) -> None:
        """Return when the target has counted everything that the live generation has."""
        goals = []
        for progress in (self._counts, self._conversion):
            live_progress = PartProgress(self._settings, progress.part, self._live)
            goals.append((progress, live_progress.committed()))
        self._builders.wait(
            lambda: all(progress.has_reached(offsets) for progress, offsets in goals),
            SWITCH_SECONDS,
        )

    def _is_working(self, worker: str) -> bool:
        process = Supervisor(self._settings).processes()[worker]
        state = read_state(self._settings.home, worker) or {}
        if process.state != "RUNNING" or state.get("pid") != process.pid:
            return False
        return state.get("state") == "running"
