"""FLOAT and DOUBLE as MySQL prints them.

MySQL prints a number positionally if the point is at most so many places from the first digit, and
if the text is not too long (my_gcvt in strings/dtoa.cc; the lengths as a server printed them).
"""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np

POSITIONAL_DIGITS = 15
FLOAT_DIGITS = 6
FLOAT_WIDTH = 12
DOUBLE_WIDTH = 24


def float_text(value: float) -> str:
    """Return a FLOAT as MySQL prints it.

    A value that differs from its six digits is returned in full, and so equals nothing in MySQL.
    """
    six_digits = f"{value:.{FLOAT_DIGITS}g}"
    if np.float32(float(six_digits)) != np.float32(value):
        return f"exactly {value!r}"
    return _printed_text(six_digits, FLOAT_WIDTH)


def double_text(value: float) -> str:
    """Return a DOUBLE as MySQL prints it: its shortest digits, near 1 without an exponent."""
    return _printed_text(repr(value), DOUBLE_WIDTH)


@dataclass(frozen=True)
class _Digits:
    """The digits of a number without sign, and after how many of them its point is."""

    text: str
    point: int

    def positional(self) -> str:
        """Return the number without an exponent."""
        if self.point <= 0:
            return f"0.{'0' * -self.point}{self.text}"
        whole = self.text[: self.point].ljust(self.point, "0")
        fraction = self.text[self.point :]
        return f"{whole}.{fraction}" if fraction else whole

    def scientific(self) -> str:
        """Return the number with an exponent."""
        fraction = f".{self.text[1:]}" if len(self.text) > 1 else ""
        return f"{self.text[0]}{fraction}e{self.point - 1}"

    def is_near_one(self) -> bool:
        """Return whether the point is near the first digit, or among the digits."""
        is_near = -POSITIONAL_DIGITS < self.point <= POSITIONAL_DIGITS
        return is_near or 0 < self.point < len(self.text)


def _printed_text(shortest: str, width: int) -> str:
    if "n" in shortest:
        return shortest  # inf and nan, which MySQL does not have
    sign, figures, exponent = Decimal(shortest).normalize().as_tuple()
    minus = "-" if sign else ""
    text = "".join(map(str, figures))
    if text == "0":
        return f"{minus}0"
    digits = _Digits(text, point=len(figures) + int(exponent))
    positional = minus + digits.positional()
    if digits.is_near_one() and len(positional) <= width:
        return positional
    return minus + digits.scientific()
