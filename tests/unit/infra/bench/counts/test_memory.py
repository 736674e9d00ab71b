from infra.bench.counts import memory


def test_memory_is_measured_with_clicks_that_are_all_on_different_products() -> None:
    clicks = list(memory.clicks(1000, 1000, 1_800_000_000_000, seed=1))
    assert len({click["product_id"] for click in clicks}) == 1000
