"""Quix Streams, as its documentation shows it: a tumbling window's count per key, to a topic.

State and changelog are its own. Windows are sent when they are closed, which is the cheaper of its
two ways; those that are still open at the end are not sent.
"""

from typing import Any

from meter import Meter, decoder, read_task, report
from quixstreams import Application
from quixstreams.kafka.configuration import ConnectionConfig
from quixstreams.models.serializers import Deserializer


class Clicks(Deserializer):
    """The values of the topic, decoded once, when they arrive."""

    def __init__(self, task: dict[str, Any], meter: Meter) -> None:
        super().__init__()
        self._decode = decoder(task["schema"])
        self._meter = meter

    def __call__(self, value: bytes, ctx: Any) -> Any:
        """Return the record of a value."""
        self._meter.begin()
        return self._decode(value)


def main() -> None:
    """Count until the process is ended."""
    task = read_task()
    meter = Meter(task["events"])
    time_field = task["time"]
    windows_total = 0

    def on_processed(_topic: str, _partition: int, _offset: int) -> None:
        if meter.add_events():
            report(result=windows_total)

    def add_window(window: dict[str, Any]) -> None:
        nonlocal windows_total
        windows_total += window["value"]

    app = Application(
        ConnectionConfig.from_librdkafka_dict(task["kafka"], ignore_extras=True),
        consumer_group=task["name"],
        auto_offset_reset="earliest",
        state_dir=task["state_dir"],
        on_message_processed=on_processed,
        loglevel="WARNING",
    )
    clicks = app.topic(
        task["topic"],
        key_deserializer="bytes",
        value_deserializer=Clicks(task, meter),
        timestamp_extractor=lambda value, _headers, _timestamp, _kind: value[time_field],
    )
    counts_topic = app.topic(
        f"{task['name']}-counts", key_serializer="bytes", value_serializer="json"
    )
    windows = app.dataframe(clicks).tumbling_window(task["window_ms"])
    counts = windows.count().final()
    counts.update(add_window).to_topic(counts_topic)
    app.run()


if __name__ == "__main__":
    main()
