"""`kappa dead`: the records that were set aside, and the way back for them."""

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from connectors import dead_letters, kafka
from connectors.dead_letters import Letter, Position, Survey
from connectors.redrive import Redriven, redrive_letters
from infra.answers import Answer, show
from infra.errors import KappaError, UsageError
from infra.settings import Settings
from infra.steps import Steps
from schemas.topics import CLICK_TOPICS, DEAD_SUFFIX, dead_topic

LETTERS_SHOWN = 100
EXCERPT_CHARACTERS, REASON_CHARACTERS = 48, 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Tally:
    """How many letters were redriven, by topic, and what was in the way of the others."""

    redriven: Counter[str] = field(default_factory=Counter)
    failed: list[Redriven] = field(default_factory=list)

    def add(self, each: Redriven) -> None:
        """Takes in what became of a letter."""
        if each.trouble is None:
            self.redriven[each.position.topic] += 1
        else:
            self.failed.append(each)

    @property
    def tried(self) -> int:
        """How many letters that were."""
        return self.redriven.total() + len(self.failed)


def named_topics(word: str | None, existing: Iterable[str]) -> list[str]:
    """The dead topics that a word names, by its own name or that of the topic whose records it holds; without a word those of the click topics.

    Raises UsageError for one that does not exist, with those that do.
    """
    known = [name for name in existing if name.endswith(DEAD_SUFFIX)]
    if word is None:
        return [topic for topic in map(dead_topic, CLICK_TOPICS) if topic in known]
    for name in (word, dead_topic(word)):
        if name in known:
            return [name]
    words = [name.removesuffix(DEAD_SUFFIX) for name in known]
    near = difflib.get_close_matches(word.removesuffix(DEAD_SUFFIX), words, n=1)
    meant = f"; did you mean {near[0]}?" if near else ""
    listed = f"records are set aside of {', '.join(words)}" if words else "there are no topics for dead letters yet: run ./kappa up"
    raise UsageError(f"no records are set aside of a topic {word}{meant}", listed)


def excerpt(value: bytes | None, most: int = EXCERPT_CHARACTERS) -> str | None:
    """The beginning of a record's bytes for people: as text if they are printable UTF-8, otherwise in hexadecimal; None if it has none."""
    if value is None:
        return None
    try:
        text = re.sub(r"[\r\n\t]+", " ", value.decode())
    except UnicodeDecodeError:
        text = "\0"
    return _cut(text if text.isprintable() else value[:most].hex(), most)


def as_table(letters: Iterable[Letter], redriven: Iterable[Position] | None = None) -> Answer:
    """Letters for people, one a line; `redriven` are those to be told from the others."""
    columns = ["record", "set_aside_at", "reason", "bytes", "content"]
    rows: list[list[Any]] = []
    for letter in letters:
        reason = "".join(c if c.isprintable() else " " for c in letter.reason)  # it may quote the record
        at = _at(letter).replace(microsecond=0)
        rows.append([str(letter.position), at, _cut(reason, REASON_CHARACTERS), len(letter.value or b""), excerpt(letter.value)])
    if redriven is None:
        return Answer(columns, rows)
    gone = {str(position) for position in redriven}
    return Answer([*columns, "redriven"], [[*row, "yes" if row[0] in gone else "no"] for row in rows])


def as_objects(letters: Iterable[Letter], redriven: Iterable[Position]) -> Answer:
    """Letters for programs: everything there is, bytes in hexadecimal digits."""
    columns = ("topic", "partition", "offset", "set_aside_at", "reason", "redriven", "bytes", "key_hex", "hex", "headers")
    gone, rows = set(redriven), []
    for letter in letters:
        headers = [{"name": name, "hex": _hex(value)} for name, value in letter.headers]
        size, is_gone = len(letter.value or b""), letter.position in gone
        rows.append((*letter.position, _at(letter), letter.reason, is_gone, size, _hex(letter.key), _hex(letter.value), headers))
    return Answer(columns, rows)


@click.command("dead")
@click.argument("topic", required=False)
@click.option("--redrive", is_flag=True, help="Write the records back to their topics, and list them no more.")
@click.option("--all", "all_", is_flag=True, help="List those that were redriven, too.")
@click.option(
    "-n", "--max", "most", type=click.IntRange(min=1), metavar="N", help=f"The N most recent only.  [default: {LETTERS_SHOWN} in a table, else all]"
)
@click.option("--json", "json_", is_flag=True, help="Print JSON, with all bytes in hexadecimal digits.")
@click.pass_obj
def dead_command(settings: Settings, topic: str | None, redrive: bool, all_: bool, most: int | None, json_: bool) -> None:
    """List the clicks that could not be counted and were set aside, the most recent last; or put them back.

    TOPIC is that of the clicks (productview) or of those set aside (productview.dead); by default all.

    With --redrive, each record's own bytes, key and headers are written to its topic once more, with a header redriven_from
    that says where it stood: for records that can be counted now, because a consumer was mended or a schema registered. One
    that still cannot is set aside again, at its new position. If a redrive is killed, the next one may write a few records
    that were written already. Exit code 1 if one could not be redriven.
    """
    if redrive and all_:
        raise UsageError("--redrive and --all exclude each other", "a record is redriven once: leave --all away")
    topics = named_topics(topic, kafka.list_topics(settings.kafka))
    with Steps().waiting(f"reading {', '.join(topics)}"):
        found = dead_letters.survey(settings.kafka, topics)
    positions = found.positions(redriven_too=all_)
    if redrive:
        _redrive(settings, found, _last(positions, most), json_)
    elif json_ or positions:
        _list(settings, found, _last(positions, most if most or json_ else LETTERS_SHOWN), json_, all_)
    else:
        _say_none(topics, found)


def _last(positions: list[Position], most: int | None) -> list[Position]:
    """The last so many positions, all if None; that there were more is said."""
    if most is None or len(positions) <= most:
        return positions
    click.echo(f"only the last {most} of {len(positions)}; --max gives more", err=True)
    return positions[-most:]


def _list(settings: Settings, found: Survey, positions: list[Position], json_: bool, all_: bool) -> None:
    with Steps().waiting(f"reading {len(positions)} records"):
        read = {letter.position: letter for letter in dead_letters.letters(settings.kafka, found, positions)}
    in_order = [read[position] for position in positions if position in read]
    answer = as_objects(in_order, found.redriven) if json_ else as_table(in_order, found.redriven if all_ else None)
    show(answer, "json" if json_ else "table")


def _say_none(topics: list[str], found: Survey) -> None:
    gone = f" ({len(found.redriven)} redriven; --all lists them)" if found.redriven else ""
    click.echo(f"nothing is set aside in {' or '.join(topics)}{gone}" if topics else "nothing is set aside: there are no topics for it yet")


def _redrive(settings: Settings, found: Survey, positions: list[Position], json_: bool) -> None:
    """Redrives letters and tells what became of them, also if Kafka goes away meanwhile."""
    tally = Tally()
    try:
        with Steps().waiting(lambda: f"redriving: {tally.tried} of {len(positions)}"):
            for each in redrive_letters(settings.kafka, dead_letters.letters(settings.kafka, found, positions)):
                tally.add(each)
    finally:
        if json_ or positions:
            _tell(tally, json_)
        else:
            _say_none(sorted({topic for topic, _ in found.ends}), found)
    if tally.failed:
        raise KappaError(f"{len(tally.failed)} of {len(positions)} records could not be redriven", "each is named above, with what is in its way")


def _tell(tally: Tally, json_: bool) -> None:
    if json_:
        failed = [{"record": str(each.position), "trouble": str(each.trouble)} for each in tally.failed]
        click.echo(json.dumps({"redriven": tally.redriven, "failed": failed}))
    else:
        for topic, count in sorted(tally.redriven.items()):
            click.echo(f"{topic}: {count} redriven")
    for each in tally.failed:
        click.echo(f"not redriven: {each.trouble}", err=True)
        if each.trouble and each.trouble.hint:
            click.echo(f"  next: {each.trouble.hint}", err=True)


def _at(letter: Letter) -> datetime:
    return EPOCH + timedelta(milliseconds=letter.set_aside_ms)


def _hex(value: bytes | str | None) -> str | None:
    return None if value is None else value.hex() if isinstance(value, bytes) else value.encode().hex()


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
