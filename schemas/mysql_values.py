"""MySQL's values in one form, whether a snapshot or the stream brought them. Pure; one function per type that comes in two forms."""

import json
import re
from collections.abc import Callable
from decimal import Decimal

# Above this Java writes a double in full, and above that MySQL's JSON has no integers.
LONG_DOUBLE, INTEGERS_END = 1e7, 2**64
# MySQL prints a double positionally if its decimal point stands at most so far from its first digit (my_gcvt in strings/dtoa.cc).
POSITIONAL_DIGITS = 15
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[:,]|\s+', re.DOTALL)


def clock(microseconds: int) -> str:
    """A TIME as MySQL prints it: `-838:59:59`, `23:59:59.000001`; the fraction only if there is one."""
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    shown = f"{'-' if microseconds < 0 else ''}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{shown}.{fraction:06d}" if fraction else shown


def year(value: int) -> int:
    """A YEAR. Raises ValueError for MySQL's year 0000, which the stream brings as 1900 and a snapshot as 2000."""
    if value in (0, 1900):
        raise ValueError("the year 0000, which a snapshot does not tell from 2000")
    return value


def six_digits(value: float) -> float:
    """A FLOAT with the digits that MySQL shows."""
    return float(f"{value:.6g}")


def label_reader(allowed: str) -> Callable[[str], str]:
    """Reads labels of an ENUM, given its `allowed` ones as Debezium joins them: the stream brings a comma in a label as `\\,`."""
    escaped = {label: label.replace("\\,", ",") for label in re.split(r"(?<!\\),", allowed) if "\\," in label}
    return lambda value: escaped.get(value, value)


def json_text(value: str) -> str:
    """A JSON document with MySQL's spacing, and its numbers as MySQL prints them.

    One exception, since the stream tells integers from such doubles no longer: doubles from 1e7 to 2^64 without a fraction are printed as integers.
    """
    return TOKEN.sub(_token, value)


def _token(found: "re.Match[str]") -> str:
    text = found[0]
    if text[0] == '"':
        return json.dumps(json.loads(text, strict=False), ensure_ascii=False) if "\\" in text else text
    if text in (":", ","):
        return text + " "
    return "" if text.isspace() else _number(text)


def _number(text: str) -> str:
    exact = Decimal(text)
    if "." not in text and "e" not in text.lower() and -(2**63) <= exact < INTEGERS_END:
        return text
    double = float(text)
    if double.is_integer() and LONG_DOUBLE <= abs(double) < INTEGERS_END and exact == Decimal(double):
        return str(int(double))
    if exact == Decimal(repr(double)):
        return text if len(text) <= POSITIONAL_DIGITS + 2 and "e" not in text.lower() else double_text(double)
    return double_text(double) if exact == Decimal(double) else text


def double_text(value: float) -> str:
    """A double as MySQL prints it inside JSON: its shortest digits, positional near 1, otherwise `1.5e-17`."""
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    figures, point = "".join(map(str, digits)), len(digits) + int(exponent)
    minus = "-" if sign else ""
    if not value or -POSITIONAL_DIGITS < point <= POSITIONAL_DIGITS:
        whole, fraction = (figures[:point].ljust(point, "0"), figures[point:]) if point > 0 else ("0", "0" * -point + figures)
        return f"{minus}{whole}.{fraction or '0'}" if value else f"{minus}0.0"
    mantissa = figures[0] + (f".{figures[1:]}" if len(figures) > 1 else "")
    return f"{minus}{mantissa}e{point - 1}"
