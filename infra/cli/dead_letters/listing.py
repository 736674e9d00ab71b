"""Listing and redriving the dead letters of some topics."""

import difflib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import click

from connectors.kafka import client as kafka
from connectors.kafka import dead_letter_reader
from connectors.kafka.dead_letters import Position
from connectors.kafka.redrive import RedriveResult, redrive_letters
from connectors.runtime.settings import Settings
from infra.cli.dead_letters.render import as_objects, as_table
from infra.terminal.progress_steps import ProgressSteps
from infra.terminal.result_table import show
from schemas.errors import KappaError, UsageError
from schemas.topics import CLICK_TOPICS, DEAD_SUFFIX, dead_topic

LETTERS_IN_A_TABLE = 100


@dataclass
class Tally:
    """How many letters were redriven, by topic, and the results of those that were not."""

    redriven: Counter[str] = field(default_factory=Counter)
    failed: list[RedriveResult] = field(default_factory=list)

    def count(self, result: RedriveResult) -> None:
        """Count the result of one letter."""
        if result.error is None:
            self.redriven[result.position.topic] += 1
        else:
            self.failed.append(result)

    @property
    def attempts(self) -> int:
        """How many letters were redriven or failed."""
        return self.redriven.total() + len(self.failed)


class DeadTopics:
    """The dead letters of one topic, or of all click topics."""

    def __init__(self, settings: Settings, topic: str | None) -> None:
        """Survey the topics. Raises UsageError if nothing is set aside of `topic`, Unavailable."""
        self._settings = settings
        self._topics = named_topics(topic, kafka.list_topics(settings.kafka))
        with ProgressSteps().waiting(f"reading {', '.join(self._topics)}"):
            self._survey = dead_letter_reader.survey(settings.kafka, self._topics)

    def show(self, max_letters: int | None, *, json_: bool, with_redriven: bool) -> None:
        """Print the letters, the most recent last, or that there are none. Raises Unavailable."""
        positions = self._survey.positions(include_redriven=with_redriven)
        if not json_ and not positions:
            click.echo(nothing_set_aside(self._topics, len(self._survey.redriven)))
            return
        if max_letters is None and not json_:
            max_letters = LETTERS_IN_A_TABLE
        positions = last_positions(positions, max_letters)
        with ProgressSteps().waiting(f"reading {len(positions)} records"):
            letters = {}
            for letter in dead_letter_reader.letters(
                self._settings.kafka, self._survey, positions
            ):
                letters[letter.position] = letter
        in_order = [letters[position] for position in positions if position in letters]
        redriven = self._survey.redriven
        if json_:
            show(as_objects(in_order, redriven), "json")
        else:
            show(as_table(in_order, redriven if with_redriven else None), "table")

    def redrive(self, max_letters: int | None, *, json_: bool) -> None:
        """Write the letters back to their topics, and print how many were redriven.

        The results so far are printed even if Kafka becomes unreachable. Raises KappaError if a
        letter could not be redriven, Unavailable.
        """
        positions = last_positions(self._survey.positions(), max_letters)
        tally = Tally()
        try:
            letters = dead_letter_reader.letters(
                self._settings.kafka, self._survey, positions
            )
            progress = ProgressSteps()
            with progress.waiting(
                lambda: f"redriving: {tally.attempts} of {len(positions)}"
            ):
                for result in redrive_letters(self._settings.kafka, letters):
                    tally.count(result)
        finally:
            if json_ or positions:
                show_tally(tally, json_=json_)
            else:
                surveyed_topics = sorted({topic for topic, _ in self._survey.ends})
                click.echo(nothing_set_aside(surveyed_topics, len(self._survey.redriven)))
        if tally.failed:
            raise KappaError(
                f"{len(tally.failed)} of {len(positions)} records could not be redriven",
                "the lines above name each of them and the reason",
            )


def named_topics(name: str | None, existing: Iterable[str]) -> list[str]:
    """Return the dead topics that a name means; without a name, those of the click topics.

    A dead topic has its own name and that of the topic whose records it holds. Raises UsageError
    for one that does not exist, with those that do.
    """
    dead_topics = [topic for topic in existing if topic.endswith(DEAD_SUFFIX)]
    if name is None:
        return [topic for topic in map(dead_topic, CLICK_TOPICS) if topic in dead_topics]
    for candidate in (name, dead_topic(name)):
        if candidate in dead_topics:
            return [candidate]
    origins = [topic.removesuffix(DEAD_SUFFIX) for topic in dead_topics]
    similar = difflib.get_close_matches(name.removesuffix(DEAD_SUFFIX), origins, n=1)
    suggestion = f"; did you mean {similar[0]}?" if similar else ""
    hint = "there are no topics for dead letters yet: run ./kappa up"
    if origins:
        hint = f"records are set aside of {', '.join(origins)}"
    raise UsageError(f"no records are set aside of a topic {name}{suggestion}", hint)


def last_positions(positions: list[Position], max_letters: int | None) -> list[Position]:
    """Return the last positions, all if None; print it if there were more."""
    if max_letters is None or len(positions) <= max_letters:
        return positions
    click.echo(
        f"only the last {max_letters} of {len(positions)}; --max gives more", err=True
    )
    return positions[-max_letters:]


def nothing_set_aside(topics: list[str], redriven_count: int) -> str:
    """Return the line that says that there are no dead letters."""
    if not topics:
        return "nothing is set aside: there are no topics for it yet"
    redriven = f" ({redriven_count} redriven; --all lists them)" if redriven_count else ""
    return f"nothing is set aside in {' or '.join(topics)}{redriven}"


def show_tally(tally: Tally, *, json_: bool) -> None:
    """Print how many letters were redriven, and each that was not, with the reason."""
    if json_:
        failed = []
        for result in tally.failed:
            failed.append({"record": str(result.position), "trouble": str(result.error)})
        click.echo(json.dumps({"redriven": tally.redriven, "failed": failed}))
    else:
        for topic, count in sorted(tally.redriven.items()):
            click.echo(f"{topic}: {count} redriven")
    for result in tally.failed:
        click.echo(f"not redriven: {result.error}", err=True)
        if result.error and result.error.hint:
            click.echo(f"  next: {result.error.hint}", err=True)
