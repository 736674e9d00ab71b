from infra.bench.counts.latency_probe import Probes
from infra.bench.counts.latency_rate import Usage, latency_figures


def test_figures_are_per_second_of_the_measurement() -> None:
    before = Usage(100.0, 1_000, 50, {"worker": 3.0, "producer": 1.0, "prober": 0.5})
    after = Usage(110.0, 11_000, -1, {"worker": 5.0, "producer": 1.5, "prober": 1.5})
    probes = Probes(waiting={7: 1.0}, latencies=[20.0, 10.0, 30.04])
    figures = latency_figures(999.9, probes, before, after)
    assert (figures.rate, figures.reached_rate) == (1000, 1000)
    assert (figures.probes, figures.lost_probes) == (3, 1)
    assert (figures.p50, figures.p99, figures.longest) == (20.0, 30.0, 30.0)
    assert figures.cpu == {"worker": 0.2, "producer": 0.05, "prober": 0.1}
    # Offsets may be committed between the two readings of the log.
    assert figures.uncommitted == 0
