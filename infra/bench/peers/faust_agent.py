"""Faust, as its documentation shows it: an agent that counts event by event in a table.

The table is in memory, with its changelog.
"""

from collections.abc import AsyncIterable

import mode.loop

mode.loop.use("uvloop")  # a quarter faster, and only before Faust is imported

import faust  # noqa: E402
from meter import Meter, decoder, read_task, report  # noqa: E402

task = read_task()
decode = decoder(task["schema"])
meter = Meter(task["events"])
subject = task["subject"]
time_field = task["time"]
window_ms = task["window_ms"]
addresses = task["kafka"]["bootstrap.servers"].split(",")

app = faust.App(
    task["name"],
    broker=";".join(f"kafka://{address.strip()}" for address in addresses),
    store="memory://",
    datadir=task["state_dir"],
    topic_partitions=task["partitions"],
    web_enabled=False,
)
clicks = app.topic(
    task["topic"],
    value_type=bytes,
    value_serializer="raw",
    key_type=bytes,
    key_serializer="raw",
    partitions=task["partitions"],
)
counts = app.Table(
    "counts", default=int, partitions=task["partitions"], key_type=str, value_type=int
)


@app.agent(clicks)
async def count(stream: AsyncIterable[bytes]) -> None:
    """Count each event in its window."""
    async for value in stream:
        meter.begin()
        record = decode(value)
        viewed_at = record[time_field]
        counts[f"{record[subject]}|{viewed_at - viewed_at % window_ms}"] += 1
        if meter.add_events():
            report(result=sum(counts.values()))


if __name__ == "__main__":
    # Redirected, our reports would be log lines.
    faust.Worker(app, loglevel="WARN", redirect_stdouts=False).execute_from_commandline()
