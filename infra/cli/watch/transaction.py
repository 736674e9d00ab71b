"""One MySQL transaction in the log, for `kappa watch --gtid`."""

from collections import Counter
from dataclasses import dataclass, field

from infra.cli.watch.record import Record
from schemas.topics import TRANSACTIONS, kafka_topic, topic_of_collection


@dataclass
class Transaction:
    """The records of a transaction: their number by topic, as its END states it (None until it is
    read) and as read so far.
    """

    gtid: str
    expected: dict[str, int] | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def includes(self, record: Record) -> bool:
        """Return whether a record belongs to the transaction, and count it if it does."""
        if (record.gtid or "").lower() != self.gtid.lower():
            return False
        if record.topic != TRANSACTIONS:
            self.counts[record.topic] += 1
        elif record.value["status"] == "END":
            expected: Counter[str] = Counter()
            for collection in record.value["data_collections"] or ():
                topic = kafka_topic(topic_of_collection(collection["data_collection"]))
                expected[topic] += collection["event_count"]
            self.expected = dict(expected)
        return True

    def is_complete(self, topics: set[str]) -> bool:
        """Return whether all its changes in these topics were read."""
        if self.expected is None:
            return False
        return all(
            self.counts[topic] >= count
            for topic, count in self.expected.items()
            if topic in topics
        )
