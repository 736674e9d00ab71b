"""Quix Streams, as its documentation shows it: a tumbling window's count per key, with its own state and changelog, to a topic.

The windows are sent when they are closed, which is the cheaper of its two ways; those that are still open at the end are not sent.
"""

from typing import Any

from meter import Meter, decoder, task, tell
from quixstreams import Application
from quixstreams.kafka.configuration import ConnectionConfig
from quixstreams.models.serializers import Deserializer


class Clicks(Deserializer):
    """The values of the topic, decoded once, when they arrive."""

    def __init__(self, given: dict[str, Any], meter: Meter) -> None:
        super().__init__()
        self._decode, self._meter = decoder(given["schema"]), meter

    def __call__(self, value: bytes, ctx: Any) -> Any:
        """A record."""
        self._meter.begin()
        return self._decode(value)


def main() -> None:
    """Counts until it is ended."""
    given = task()
    meter, sent = Meter(given["events"]), [0]

    def processed(_topic: str, _partition: int, _offset: int) -> None:
        if meter.add():
            tell(result=sent[0])

    def note(window: dict[str, Any]) -> None:
        sent[0] += window["value"]

    app = Application(
        ConnectionConfig.from_librdkafka_dict(given["kafka"], ignore_extras=True),
        consumer_group=given["name"],
        auto_offset_reset="earliest",
        state_dir=given["state_dir"],
        on_message_processed=processed,
        loglevel="WARNING",
    )
    time_field = given["time"]
    clicks = app.topic(
        given["topic"],
        key_deserializer="bytes",
        value_deserializer=Clicks(given, meter),
        timestamp_extractor=lambda value, _headers, _timestamp, _kind: value[time_field],
    )
    counts = app.topic(f"{given['name']}-counts", key_serializer="bytes", value_serializer="json")
    app.dataframe(clicks).tumbling_window(given["window_ms"]).count().final().update(note).to_topic(counts)
    app.run()


if __name__ == "__main__":
    main()
