from infra.bench.counts.kappa import counting_span


def test_two_workers_are_timed_from_the_first_event_of_one_to_the_last_write_of_the_other() -> (
    None
):
    first = {"first_event_at": 10.0, "last_write_at": 14.0}
    second = {"first_event_at": 12.0, "last_write_at": 15.0}
    assert counting_span({"bench": first, "bench-2": second}) == (10.0, 15.0)


def test_a_worker_without_events_does_not_count_in_the_time() -> None:
    busy = {"first_event_at": 10.0, "last_write_at": 14.0}
    idle = {"first_event_at": 0.0, "last_write_at": 0.0}
    assert counting_span({"bench": busy, "bench-2": idle}) == (10.0, 14.0)
