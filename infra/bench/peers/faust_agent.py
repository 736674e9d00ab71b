"""Faust, as its documentation shows it: an agent that takes event by event and counts in a table (in memory, with its changelog)."""

from collections.abc import AsyncIterable

import mode.loop

mode.loop.use("uvloop")  # a quarter faster, and only before Faust is imported

import faust  # noqa: E402
from meter import Meter, decoder, task, tell  # noqa: E402

given = task()
decode, meter = decoder(given["schema"]), Meter(given["events"])
subject, time_field, window_ms = given["subject"], given["time"], given["window_ms"]

app = faust.App(
    given["name"],
    broker=";".join(f"kafka://{address.strip()}" for address in given["kafka"]["bootstrap.servers"].split(",")),
    store="memory://",
    datadir=given["state_dir"],
    topic_partitions=given["partitions"],
    web_enabled=False,
)
clicks = app.topic(given["topic"], value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw", partitions=given["partitions"])
counts = app.Table("counts", default=int, partitions=given["partitions"], key_type=str, value_type=int)


@app.agent(clicks)
async def count(stream: AsyncIterable[bytes]) -> None:
    """Counts each event in its window."""
    async for value in stream:
        meter.begin()
        record = decode(value)
        viewed_at = record[time_field]
        counts[f"{record[subject]}|{viewed_at - viewed_at % window_ms}"] += 1
        if meter.add():
            tell(result=sum(counts.values()))


if __name__ == "__main__":
    # Redirected, what we tell would be log lines.
    faust.Worker(app, loglevel="WARN", redirect_stdouts=False).execute_from_commandline()
