import pytest

from infra.bench.report.measurement import ratio_text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(None, "—"), (0.304, "0.30 ×"), (2.5, "2.50 ×"), (13.6, "14 ×"), (129.4, "129 ×")],
)
def test_a_ratio_is_as_precise_as_it_is_small(ratio: float | None, text: str) -> None:
    assert ratio_text(ratio) == text
