"""The live counts against the log, for tests: `kappa verify counts`, once everything that was in
the topics on arrival is counted.
"""

from connectors.cassandra import client as cassandra
from connectors.cassandra import generations
from connectors.kafka import client as kafka
from connectors.runtime.settings import Settings
from infra.verify.counts.verify import verify
from schemas import topics
from tests.eventually import eventually


def assert_cassandra_agrees_with_the_topics(settings: Settings, within: float = 120) -> int:
    """Waits until everything that is in the click topics now is counted, then compares every row;
    returns the number of clicks recounted.

    Traffic may go on: a row that is further than the topics were when we came is compared up to the
    offset that it states.
    """
    ends = {
        place: found.stable
        for place, found in kafka.offsets(settings.kafka, topics.CLICK_TOPICS).items()
    }
    group = live_group(settings)
    eventually(
        lambda: is_counted(settings, group, ends),
        within=within,
        because="the counts reach the end of the click topics",
    )
    report = verify(settings)
    found = [difference.text() for difference in report.differences()]
    assert not report.differing, (
        f"{report.differing} rows of generation {report.generation} differ from the log:\n"
        + "\n".join(found[:20])
    )
    return report.recounted_clicks


def live_group(settings: Settings) -> str:
    """The consumer group of the generation that readers use."""
    with cassandra.connect(
        settings.cassandra, settings.login("cassandra.reader")
    ) as session:
        return generations.active(session, settings.cassandra.keyspace).group()


def is_counted(settings: Settings, group: str, ends: dict[tuple[str, int], int]) -> bool:
    """Whether a group has committed everything before those ends."""
    committed = kafka.committed(settings.kafka, group, {topic for topic, _ in ends})
    return all(committed.get(place, 0) >= end for place, end in ends.items())
