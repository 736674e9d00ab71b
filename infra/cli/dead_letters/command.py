"""`kappa dead`: the records that were set aside."""

import click

from connectors.runtime.settings import Settings
from schemas.errors import UsageError


@click.command()
@click.argument("topic", required=False)
@click.option(
    "--redrive",
    is_flag=True,
    help="Write the records back to their topics, and do not list them any longer.",
)
@click.option(
    "--all", "with_redriven", is_flag=True, help="Also list those that were redriven."
)
@click.option(
    "-n",
    "--max",
    "max_letters",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only the N most recent.  [default: 100 in a table, else all]",
)
@click.option(
    "--json",
    "json_",
    is_flag=True,
    help="Print JSON, with all bytes in hexadecimal digits.",
)
@click.pass_obj
def dead(
    settings: Settings,
    topic: str | None,
    redrive: bool,
    with_redriven: bool,
    max_letters: int | None,
    json_: bool,
) -> None:
    """List the clicks that could not be counted and were set aside, the most recent last; or
    redrive them.

    TOPIC is that of the clicks (productview) or its dead topic (productview.dead); by default all
    of them.

    With --redrive, each record's own bytes, key and headers are written to its topic again, with a
    header redriven_from that says where it was: for records that can be counted now, because a
    consumer was repaired or a schema registered. A record that still cannot be counted is set aside
    again, at its new position. If a redrive is killed, the next one can write a few records a
    second time. Exit code 1 if a record could not be redriven.
    """
    from infra.cli.dead_letters.listing import DeadTopics

    if redrive and with_redriven:
        raise UsageError(
            "--redrive and --all exclude each other",
            "a record is redriven once: leave out --all",
        )
    dead_topics = DeadTopics(settings, topic)
    if redrive:
        dead_topics.redrive(max_letters, json_=json_)
    else:
        dead_topics.show(max_letters, json_=json_, with_redriven=with_redriven)
