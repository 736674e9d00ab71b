"""`kappa replay`: a view of the log computed anew beside the live one, compared with it, and switched in."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass

import click

from connectors import cassandra, cassandra_setup, generations, kafka
from connectors.cassandra import Session
from connectors.generations import Generation
from connectors.kafka_group import start_group
from infra.errors import StackError, UsageError
from infra.generation_compare import Comparison, compare
from infra.replay_warehouse import warehouse
from infra.services.programs import worker_name
from infra.settings import Settings
from infra.state import read_state
from infra.steps import Steps
from infra.suggesting import Suggesting
from infra.supervision import MARK, Supervisor, log_file
from infra.watch_start import since
from schemas.tables import ORDERS
from schemas.topics import CLICK_TOPICS, PRODUCT_VIEW, change_topic
from schemas.views import keyspace_of

POLL_SECONDS = 0.1
# Fewer clicks behind than this, a generation has caught up: the rest is a moment's work.
NEARLY_THERE = 2000
SWITCH_SECONDS = 60.0
STARTING_SECONDS = 120.0
ENDING_SECONDS = 20.0
# Where processors are few, live counting comes first, then the counts of the new generation, then its conversion.
COUNTS_NICENESS, CONVERSION_NICENESS = 10, 15

Builders = dict[str, "subprocess.Popen[bytes]"]


@dataclass(frozen=True)
class Part:
    """One of the two computations that make a generation: the process that builds it, the topics it reads, the workers that it hands over to."""

    builder: str
    module: str
    topics: tuple[str, ...]
    workers: tuple[str, ...]
    niceness: int

    def group(self, generation: Generation) -> str:
        """The consumer group of a generation."""
        return generation.group() if self.topics == CLICK_TOPICS else generation.conversion_group


def parts(settings: Settings) -> tuple[Part, Part]:
    """The counts and the conversion."""
    names = tuple(worker_name(number) for number in range(1, settings.counts.workers + 1))
    orders = change_topic(settings.mysql.database, ORDERS.name)
    counts = Part("replay", "processors.counts", CLICK_TOPICS, names, COUNTS_NICENESS)
    return counts, Part("replay-conversion", "processors.conversion", (PRODUCT_VIEW, orders), ("conversion",), CONVERSION_NICENESS)


@click.group(cls=Suggesting)
def replay() -> None:
    """Compute a view of the log anew, beside the live one, and switch to it."""


replay.add_command(warehouse)


@replay.command()
@click.option("--from", "start", metavar="TIME", help="Count only clicks logged from then on: 90s, 10m, 2h, 1d (ago) or an ISO time (UTC).")
@click.option("--no-switch", is_flag=True, help="Build and compare only; the next replay goes on with it.")
@click.option("--rollback", is_flag=True, help="Go back to the generation that was read before.")
@click.option("--json", "json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def counts(settings: Settings, start: str | None, no_switch: bool, rollback: bool, json_: bool) -> None:
    """Count the clicks again from the log, by the rules that the settings ask for now; compare; switch.

    The live counts go on meanwhile, and readers never see a count go down or a window half rebuilt: they read the old generation until the
    new one has counted everything that the old one has. The old one is kept, for --rollback. `kappa query cassandra` and `kappa env` always
    name the generation to read.
    """
    if rollback and (start or no_switch):
        raise UsageError("--rollback excludes --from and --no-switch", "give it alone")
    if not Supervisor(settings).alive():
        raise StackError("the stack is not running", "run ./kappa up")
    steps = Steps()
    with cassandra.connect(settings.cassandra, settings.login("cassandra.admin")) as session:
        live = generations.active(session, settings.cassandra.keyspace)
        target = earlier(session, settings, live) if rollback else build(session, settings, live, start, steps)
        done = run(session, settings, live, target, steps, switch=not no_switch)
    if json_:
        click.echo(json.dumps(asdict(done)))
    else:
        click.echo(done.told())


@dataclass(frozen=True)
class Done:
    """What a replay did: from which generation to which, how many clicks it counted and how fast, what the comparison found."""

    live: int
    generation: int
    keyspace: str
    switched: bool
    events: int
    seconds: float
    comparison: Comparison

    def told(self) -> str:
        """The same for people."""
        rate = self.events / self.seconds if self.seconds else 0.0
        built = f"generation {self.generation} (keyspace {self.keyspace}): {self.events:,} clicks counted in {self.seconds:.1f} s, {rate:,.0f}/s"
        after = f"readers read generation {self.generation} now; ./kappa replay counts --rollback goes back to {self.live}"
        return "\n".join([built, self.comparison.told(), after if self.switched else "not switched: ./kappa replay counts goes on with it"])


def earlier(session: Session, settings: Settings, live: Generation) -> Generation:
    """The generation to go back to. Raises UsageError if there is none."""
    kept = [found for found in generations.every(session, settings.cassandra.keyspace).values() if found.state == "kept"]
    if not kept:
        raise UsageError(f"there is no generation to go back to: generation {live.number} is the only one", "./kappa replay counts makes another")
    return kept[-1]


def build(session: Session, settings: Settings, live: Generation, start: str | None, steps: Steps) -> Generation:
    """The generation to build: one that an earlier replay left unfinished, if it has the same rules, or a new one."""
    base = settings.cassandra.keyspace
    known = generations.every(session, base)
    rules = generations.definition(settings.counts, _starts(settings, start))
    for found in [found for found in known.values() if found.state == "building"]:
        if found.definition == rules:
            steps.say(f"going on with generation {found.number}, which an earlier replay began")
            return found
        generations.drop(session, base, found.number)
    number = max(known) + 1
    made = Generation(number, keyspace_of(base, number), "building", rules)
    steps.say(f"making generation {number} in keyspace {made.keyspace}, beside generation {live.number}")
    cassandra_setup.make_generation(session, settings, made.keyspace)
    if rules.starts:
        start_group(settings.kafka, made.group(), {(topic, p): offset for topic, found in rules.starts.items() for p, offset in found.items()})
    generations.add(session, base, number, "building", rules)
    return made


def _starts(settings: Settings, start: str | None) -> dict[str, dict[int, int]]:
    """The offset of each partition at a time; none for the first records."""
    if start is None:
        return {}
    ends = kafka.offsets(settings.kafka, CLICK_TOPICS)
    found: dict[str, dict[int, int]] = {}
    for (topic, partition), offset in kafka.offsets_at(settings.kafka, CLICK_TOPICS, since(start, time.time_ns() // 1_000_000)).items():
        found.setdefault(topic, {})[partition] = ends[topic, partition].stable if offset is None else offset
    return found


def run(session: Session, settings: Settings, live: Generation, target: Generation, steps: Steps, *, switch: bool) -> Done:
    """Count the target up to the present, compare it with the live one, and switch."""
    both, begin = parts(settings), time.monotonic()
    counts, conversion = both
    before = _counted(settings, counts, target)
    with building(settings, target, both) as builders:
        with steps.waiting(lambda: f"counting generation {target.number}: {_progress(settings, counts)}"):
            _wait(lambda: _behind(settings, counts, target) <= NEARLY_THERE, builders, settings, float("inf"))
        events, seconds = _counted(settings, counts, target) - before, time.monotonic() - begin
        steps.say(f"  ✓ generation {target.number} has caught up: {events:,} clicks in {seconds:.1f} s")
        with steps.waiting(lambda: f"counting the conversion of generation {target.number}: {_progress(settings, conversion)}"):
            _wait(lambda: _behind(settings, conversion, target) <= NEARLY_THERE, builders, settings, float("inf"))
        with steps.waiting(f"comparing generations {live.number} and {target.number}"):
            comparison = compare(session, live, target, lambda: _catch_up(settings, counts, target, builders))
        if switch:
            change_over(session, settings, live, target, builders, steps)
    return Done(live.number, target.number, target.keyspace, switch, events, round(seconds, 2), comparison)


def change_over(session: Session, settings: Settings, live: Generation, target: Generation, builders: Builders, steps: Steps) -> None:
    """The moment of the switch: the live workers rest until the target has all that they had, then count the target themselves."""
    supervisor, base, both = Supervisor(settings), settings.cassandra.keyspace, parts(settings)
    names = [name for part in both for name in part.workers]
    begin = time.monotonic()
    try:
        for name in names:
            supervisor.stop_process(f"serving:{name}")
        had = {part: kafka.committed(settings.kafka, part.group(live), part.topics) for part in both}
        _wait(lambda: all(_has(settings, part, target, places) for part, places in had.items()), builders, settings, SWITCH_SECONDS)
        generations.switch(session, base, live.number, target.number)
        steps.say(f"  ✓ readers read generation {target.number}; the counts rested {time.monotonic() - begin:.1f} s")
    finally:
        for name in names:
            supervisor.start_process(f"serving:{name}")
    with steps.waiting("waiting for the workers to take over"):
        _wait(lambda: all(_works(settings, name) for name in names), builders, settings, STARTING_SECONDS)
    for found in generations.every(session, base).values():
        if found.number not in (live.number, target.number):
            generations.drop(session, base, found.number)


@contextlib.contextmanager
def building(settings: Settings, target: Generation, both: Iterable[Part]) -> Iterator[Builders]:
    """The processes that make a generation beside the live one, by name; they end with us, and hand their work over when told to end."""
    builders: Builders = {}
    try:
        for part in both:
            (settings.home / "run" / f"{part.builder}.json").unlink(missing_ok=True)
            builders[part.builder] = _started(settings, part, target)
        yield builders
    finally:
        for process in builders.values():
            process.terminate()
        for process in builders.values():
            try:
                process.wait(ENDING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _started(settings: Settings, part: Part, target: Generation) -> "subprocess.Popen[bytes]":
    command = ["nice", "-n", str(part.niceness), sys.executable, "-m", part.module, part.builder, "--generation", str(target.number)]
    environment = {**os.environ, MARK: str(settings.home), "PYTHONUNBUFFERED": "1"}
    with open(log_file(settings, part.builder), "ab") as log:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )  # fmt: skip


def _wait(arrived: Callable[[], bool], builders: Builders, settings: Settings, seconds: float) -> None:
    """Comes back when something is so. Raises StackError if a builder dies first, or it takes too long."""
    deadline = time.monotonic() + seconds
    while not arrived():
        for name, process in builders.items():
            if process.poll() is not None:
                raise StackError(f"the process {name} ended with {process.returncode}", f"see {log_file(settings, name)}")
        if time.monotonic() > deadline:
            said = "; ".join(f"{name}: {(read_state(settings.home, name) or {}).get('detail', 'nothing')}" for name in builders)
            raise StackError(f"the switch took longer than {seconds:.0f} s; the processes that make the new generation say {said}", "try again")
        time.sleep(POLL_SECONDS)


def _catch_up(settings: Settings, part: Part, target: Generation, builders: Builders) -> None:
    """Comes back when a generation has counted everything that is in the log now."""
    ends = {place: found.stable for place, found in kafka.offsets(settings.kafka, part.topics).items() if found.stable > found.low}
    _wait(lambda: _has(settings, part, target, ends), builders, settings, SWITCH_SECONDS)


def _behind(settings: Settings, part: Part, target: Generation) -> int:
    """Records in the log that a generation does not include yet."""
    done, ends = kafka.committed(settings.kafka, part.group(target), part.topics), kafka.offsets(settings.kafka, part.topics)
    return sum(max(0, found.stable - done.get(place, found.low)) for place, found in ends.items())


def _has(settings: Settings, part: Part, target: Generation, places: Mapping[tuple[str, int], int]) -> bool:
    done = kafka.committed(settings.kafka, part.group(target), part.topics)
    return all(done.get(place, 0) >= offset for place, offset in places.items())


def _counted(settings: Settings, part: Part, target: Generation) -> int:
    """The offsets that a generation has counted, from the first record of each partition on."""
    done, ends = kafka.committed(settings.kafka, part.group(target), part.topics), kafka.offsets(settings.kafka, part.topics)
    return sum(offset - ends[place].low for place, offset in done.items())


def _works(settings: Settings, name: str) -> bool:
    process = Supervisor(settings).processes()[name]
    state = read_state(settings.home, name) or {}
    return process.state == "RUNNING" and state.get("pid") == process.pid and state.get("state") == "running"


def _progress(settings: Settings, part: Part) -> str:
    state = read_state(settings.home, part.builder) or {}
    if "events" not in state:
        return str(state.get("detail", "starting"))
    return f"{state['events']:,} clicks, {state['events_per_second']:,.0f}/s, {state['lag']:,} to go"
