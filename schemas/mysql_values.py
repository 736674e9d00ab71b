"""One form for MySQL's values of types that a snapshot and the stream log differently."""

import json
import re
from collections.abc import Callable
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

# Above this Java writes a double in full, and above that MySQL's JSON has no integers.
LONG_DOUBLE = 1e7
INTEGERS_END = 2**64
# MySQL prints a double positionally if its decimal point stands at most so far from its first digit
# (my_gcvt in strings/dtoa.cc).
POSITIONAL_DIGITS = 15
TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[:,]|\s+', re.DOTALL
)
# Java's character for bytes that it cannot read in a column's character set, although MySQL can:
# five of latin1 (0x81, 0x8d, 0x8f, 0x90 and 0x9d) are control characters there.
UNREADABLE = "\ufffd"
# What the stream may log for a TIME, a DATETIME and bytes in a document: times without the six
# digits that MySQL prints behind the point (of negative ones, minus signs anywhere), and Base64.
OPAQUE_JSON = (
    r'"-?[0-9]+:[-0-9]{2,4}:[-0-9]{2,4}(?:\.[-0-9]+)?"'
    r'|"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,5})?"'
    r'|"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"'
)
# How MySQL prints them. It breaks long Base64 into lines.
MYSQLS_OPAQUE_JSON = r':[0-9]{2}[.][0-9]{6}"|"base64:type[0-9]+:'
TIME_FRACTION = re.compile(r'(:[0-9]{2})\.([0-9]{1,6})(?=")')
NEGATIVE_TIME = re.compile(r'"-[0-9]+:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?"')
STREAMED_TIME = r'"-?[0-9]+:[-0-9]+:[-0-9.]+"'
BASE64 = re.compile(r'"base64:type[0-9]+:([^"]*)"')
# A label in a list of labels; a backslash belongs to the character behind it.
QUOTED_LABEL = re.compile(r"(?:[^\\,]|\\.|\\\Z)+", re.DOTALL)
ESCAPE = re.compile(r"\\.", re.DOTALL)
# Of a quotation mark, Debezium has taken the escape away already.
ESCAPED_CHARACTERS = {
    r"\\": "\\",
    r"\,": ",",
    r"\n": "\n",
    r"\r": "\r",
    r"\0": "\0",
}


def clock(microseconds: int) -> str:
    """Return a TIME as MySQL prints it: `-838:59:59`, `23:59:59.000001`."""
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if microseconds < 0 else ""
    text = f"{sign}{hours:02d}:{minutes:02d}:{seconds:02d}"
    return f"{text}.{fraction:06d}" if fraction else text


def year(value: int) -> int | None:
    """Return a YEAR. MySQL's year 0000, which the stream logs as 1900, is none; a snapshot logs it
    as 2000.
    """
    return None if value in (0, 1900) else value


def decimal_text(value: Decimal) -> str:
    """Return a decimal in digits, without zeros at the end of its fraction: `-0.05`, `1200`.

    So a number has the same text for any number of digits in its column.
    """
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def without_zeros(texts: pa.StringArray) -> pa.StringArray:
    """Return the texts of decimals as decimal_text gives them."""
    return pc.replace_substring_regex(texts, r"(\.[0-9]*[1-9])0+$|\.0*$", r"\1")


def six_digits(value: float) -> float:
    """Return a FLOAT with the digits that MySQL prints."""
    return float(f"{value:.6g}")


def label_reader(allowed: str) -> Callable[[str], str]:
    """Return a function that reads labels of an ENUM, whose `allowed` labels Debezium joins with
    commas.

    A snapshot logs a label as it is; the stream as MySQL's dictionary quotes it (append_unescaped
    in sql/sql_show.cc), without the marks around it, and with a comma as `\\,`. If that is another
    label of the column, it is read as the stream's: the rows of such tables are in no snapshot
    (connectors/debezium/snapshot_tables.py).
    """
    labels = {}
    for quoted_label in QUOTED_LABEL.findall(allowed):
        if "\\" in quoted_label:
            labels[quoted_label] = ESCAPE.sub(_escaped_character, quoted_label)
    return lambda value: labels.get(value, value)


def set_reader(allowed: str) -> Callable[[str], str]:
    """Return a function that reads values of a SET, labels between commas, as label_reader does."""
    read = label_reader(allowed)
    return lambda value: ",".join(map(read, value.split(",")))


def _escaped_character(match: "re.Match[str]") -> str:
    return ESCAPED_CHARACTERS.get(match[0], match[0])


def json_text(value: str) -> str:
    """Return a JSON document with MySQL's spacing, and its numbers as MySQL prints them.

    With one exception: doubles from 1e7 to 2^64 without a fraction are printed as integers, since
    the stream does not distinguish the two.
    """
    return TOKEN.sub(_token, value)


def is_same_text(streamed: str, value: str) -> bool:
    """Return whether a text is MySQL's value, but for the characters that Java could not read."""
    parts = map(re.escape, streamed.split(UNREADABLE))
    return re.fullmatch(".{0,2}".join(parts), value, re.DOTALL) is not None


def is_same_document(streamed: str, printed: str) -> bool:
    """Return whether a document is one that MySQL printed, but for how it spells opaque values.

    Both are texts of `json_text`. Inside documents MySQL keeps a TIME, a DATETIME and bytes as
    opaque values: the stream logs them as texts without zeros at the end, and as mere Base64. Of a
    negative TIME it logs other digits.
    """
    parts = map(re.escape, NEGATIVE_TIME.split(_without_opaque(printed)))
    return re.fullmatch(STREAMED_TIME.join(parts), _without_opaque(streamed)) is not None


def _without_opaque(document: str) -> str:
    plain = BASE64.sub(lambda match: f'"{match[1]}"'.replace(r"\n", ""), document)
    return TIME_FRACTION.sub(_shortest_fraction, plain)


def _shortest_fraction(match: "re.Match[str]") -> str:
    digits = match[2].rstrip("0")
    return f"{match[1]}.{digits}" if digits else match[1]


def _token(match: "re.Match[str]") -> str:
    text = match[0]
    if text.startswith('"'):
        if "\\" not in text:
            return text
        return json.dumps(json.loads(text, strict=False), ensure_ascii=False)
    if text in (":", ","):
        return text + " "
    return "" if text.isspace() else _number(text)


def _number(text: str) -> str:
    exact = Decimal(text)
    is_positional = "e" not in text.lower()
    if "." not in text and is_positional and -(2**63) <= exact < INTEGERS_END:
        return text
    double = float(text)
    is_large_integer = double.is_integer() and LONG_DOUBLE <= abs(double) < INTEGERS_END
    if is_large_integer and exact == Decimal(double):
        return str(int(double))
    if exact == Decimal(repr(double)):
        is_short = len(text) <= POSITIONAL_DIGITS + 2
        return text if is_short and is_positional else double_text(double)
    return double_text(double) if exact == Decimal(double) else text


def double_text(value: float) -> str:
    """Return a double as MySQL prints it inside JSON: its shortest digits, positional near 1,
    otherwise as `1.5e-17`.
    """
    sign, digit_values, exponent = Decimal(repr(value)).normalize().as_tuple()
    minus = "-" if sign else ""
    if not value:
        return f"{minus}0.0"
    digits = "".join(map(str, digit_values))
    point = len(digits) + int(exponent)
    if 0 < point <= POSITIONAL_DIGITS:
        whole = digits[:point].ljust(point, "0")
        return f"{minus}{whole}.{digits[point:] or '0'}"
    if -POSITIONAL_DIGITS < point <= 0:
        zeros = "0" * -point
        return f"{minus}0.{zeros}{digits}"
    mantissa = f"{digits[0]}.{digits[1:]}" if len(digits) > 1 else digits
    return f"{minus}{mantissa}e{point - 1}"
