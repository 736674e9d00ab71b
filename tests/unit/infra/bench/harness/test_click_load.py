import io
from itertools import pairwise

import fastavro

from infra.bench.harness import click_load
from schemas.events import CONTRACTS, SUBJECT_ID
from schemas.topics import PRODUCT_VIEW

END_MS = 1_800_000_000_000


def test_the_load_is_the_same_whenever_it_is_made() -> None:
    assert list(click_load.clicks(1000, END_MS)) == list(click_load.clicks(1000, END_MS))


def test_the_load_spreads_over_ten_minutes_in_the_order_of_time() -> None:
    clicks = list(click_load.clicks(10_000, END_MS))
    times = [click["viewed_at"] for click in clicks]
    assert all(time <= next_time for time, next_time in pairwise(times))
    assert times[0] == END_MS - click_load.SPREAD_MS
    assert 0 < END_MS - times[-1] < 1000


def test_the_load_has_popular_products() -> None:
    clicks = list(click_load.clicks(20_000, END_MS))
    products = [click["product_id"] for click in clicks]
    assert set(products) <= set(range(500))
    assert products.count(0) > 20 * products.count(499) > 0
    assert len({click["event_id"] for click in clicks}) == len(clicks)


def test_a_click_of_the_load_fits_the_contract() -> None:
    click = next(click_load.clicks(1, END_MS))
    schema = fastavro.parse_schema(CONTRACTS[PRODUCT_VIEW])
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, schema, click)
    stream.seek(0)
    record = fastavro.schemaless_reader(stream, schema, None)
    assert isinstance(record, dict)
    assert record["user_id"] == click["user_id"]
    assert click_load.key(click) == str(click[SUBJECT_ID[PRODUCT_VIEW]]).encode()
