"""Counts and checksums by bucket: what both sides of a proof boil down to. A row's bucket comes from its key, its checksum from all of it.

Order-free: the exclusive or, and the sum modulo 2^64, of 64 bits of each row's SHA-256. Two sets of rows that differ have the same count, sum
and exclusive or with a chance of about 2^-128 if each bit of a digest is random.
"""

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from infra.canonical import BETWEEN

ROWS_PER_BUCKET = 1000
FEWEST, MOST = 64, 2**16
MODULUS = 2**64


def buckets_for(rows: int) -> int:
    """How many buckets, a power of two, so that one that differs is quickly read row by row."""
    return min(MOST, max(FEWEST, 1 << (rows // ROWS_PER_BUCKET).bit_length()))


def bucket_sql(key: str, buckets: int) -> str:
    """The SQL of a row's bucket, from that of its key's text."""
    return f"CRC32({key}) & {buckets - 1}"


def checksum_sql(row: str) -> str:
    """The SQL of a row's checksum, from that of its text."""
    return f"CAST(CONV(LEFT(SHA2({row}, 256), 16), 16, 10) AS UNSIGNED)"


def bucket_numbers(keys: pa.Array, buckets: int) -> npt.NDArray[np.int64]:
    """The buckets of rows, from the texts of their keys."""
    found = np.fromiter(map(zlib.crc32, keys.cast(pa.binary()).to_pylist()), np.int64, len(keys))
    return found & (buckets - 1)


def checksums(rows: pa.Array) -> npt.NDArray[np.uint64]:
    """The checksums of rows, from their texts."""
    sha256 = hashlib.sha256
    digests = b"".join([sha256(text).digest()[:8] for text in rows.cast(pa.binary()).to_pylist()])
    return np.frombuffer(digests, ">u8").astype(np.uint64)


class Buckets:
    """The count, exclusive or and sum of each bucket. Adding up parts in any order gives the same."""

    def __init__(self, number: int) -> None:
        self.count = np.zeros(number, np.int64)
        self._xor, self._sum = np.zeros(number, np.uint64), np.zeros(number, np.uint64)

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return int(self.count.sum())

    def add(self, keys: pa.Array, rows: pa.Array) -> None:
        """Add rows by the texts of their keys and of all their columns."""
        numbers, sums = bucket_numbers(keys, len(self.count)), checksums(rows)
        self.count += np.bincount(numbers, minlength=len(self.count))
        np.bitwise_xor.at(self._xor, numbers, sums)
        np.add.at(self._sum, numbers, sums)

    def add_counted(self, row: Mapping[str, Any]) -> None:
        """Add what MySQL has made of one bucket: `bucket`, `number`, `xored` and `summed`."""
        number = int(row["bucket"])
        self.count[number] += int(row["number"])
        self._xor[number] ^= np.uint64(int(row["xored"]))
        self._sum[number] = np.uint64((int(self._sum[number]) + int(row["summed"])) % MODULUS)

    def differing(self, other: "Buckets") -> list[int]:
        """The buckets in which two sides differ."""
        differs = (self.count != other.count) | (self._xor != other._xor) | (self._sum != other._sum)
        return [int(number) for number in np.flatnonzero(differs)]


def key_text_sql(columns: list[str]) -> str:
    """The SQL of a key's text; key columns are never NULL in MySQL."""
    return f"CONCAT_WS('{BETWEEN}', {', '.join(columns)})"
