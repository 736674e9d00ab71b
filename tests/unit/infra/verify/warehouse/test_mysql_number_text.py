"""FLOAT and DOUBLE as MySQL prints them; a real MySQL says the same
(tests/integration/test_verify_rows.py).
"""

import struct

import numpy as np
import pytest

from infra.verify.warehouse.mysql_number_text import double_text, float_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (-3.40282e38, "-3.40282e38"),
        (16777200.0, "16777200"),
        (0.0, "0"),
        (1e-15, "0.000000000000001"),
        (1e-16, "1e-16"),
        (1e15, "1e15"),
        (-5.327087247328206e-13, "-5.327087247328206e-13"),
        (-1.234567890123456e-6, "-0.000001234567890123456"),
        (-3578794793000000.5, "-3578794793000000.5"),
    ],
)
def test_a_double_is_printed_as_mysql_does(value: float, text: str) -> None:
    assert double_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (123456e-10, "0.0000123456"),
        (-123456e-10, "-1.23456e-5"),
        (1e11, "100000000000"),
        (1e12, "1e12"),
    ],
)
def test_a_float_has_less_room(value: float, text: str) -> None:
    assert float_text(float(np.float32(value))) == text


def test_a_float_that_is_not_what_six_digits_say_equals_nothing_in_mysql() -> None:
    flipped = struct.unpack(
        "<f", struct.pack("<I", struct.unpack("<I", struct.pack("<f", 0.1))[0] ^ 1)
    )[0]
    assert float_text(flipped) != float_text(0.1)
