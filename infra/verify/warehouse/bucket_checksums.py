"""Counts and checksums by bucket: a row's bucket follows from its key, its checksum from all of it.

A bucket has the exclusive or, and the sum modulo 2^64, of 64 bits of each row's SHA-256, so the
order of rows does not matter. Two different sets of rows have the same count, sum and exclusive or
with a probability of about 2^-128 if each bit of a digest is random.
"""

import hashlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

ROWS_PER_BUCKET = 1000
MIN_BUCKETS = 64
MAX_BUCKETS = 2**16
MODULUS = 2**64


def bucket_count(rows: int) -> int:
    """Return how many buckets to use, a power of two.

    A bucket is small, so that one that differs is quickly read row by row.
    """
    wanted_buckets = 1 << (rows // ROWS_PER_BUCKET).bit_length()
    return min(MAX_BUCKETS, max(MIN_BUCKETS, wanted_buckets))


def bucket_sql(key: str, buckets: int) -> str:
    """Return the SQL of a row's bucket, from that of its key's text."""
    return f"CRC32({key}) & {buckets - 1}"


def checksum_sql(row: str) -> str:
    """Return the SQL of a row's checksum, from that of its text."""
    return f"CAST(CONV(LEFT(SHA2({row}, 256), 16), 16, 10) AS UNSIGNED)"


def bucket_numbers(keys: pa.Array, buckets: int) -> npt.NDArray[np.int64]:
    """Return the buckets of rows, from the texts of their keys."""
    texts = keys.cast(pa.binary()).to_pylist()
    hashes = np.fromiter(map(zlib.crc32, texts), np.int64, len(keys))
    return hashes & (buckets - 1)


def row_checksums(rows: pa.Array) -> npt.NDArray[np.uint64]:
    """Return the checksums of rows, from their texts."""
    sha256 = hashlib.sha256
    texts = rows.cast(pa.binary()).to_pylist()
    digests = b"".join([sha256(text).digest()[:8] for text in texts])
    return np.frombuffer(digests, ">u8").astype(np.uint64)


class BucketChecksums:
    """The count, exclusive or and sum of each bucket; parts may be added in any order."""

    def __init__(self, buckets: int) -> None:
        self.counts = np.zeros(buckets, np.int64)
        self._xors = np.zeros(buckets, np.uint64)
        self._sums = np.zeros(buckets, np.uint64)
        self.zero_dates = 0

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return int(self.counts.sum())

    def add_rows(self, keys: pa.Array, rows: pa.Array) -> None:
        """Add rows by the texts of their keys and of all their columns."""
        numbers = bucket_numbers(keys, len(self.counts))
        checksums = row_checksums(rows)
        self.counts += np.bincount(numbers, minlength=len(self.counts))
        np.bitwise_xor.at(self._xors, numbers, checksums)
        np.add.at(self._sums, numbers, checksums)

    def add_bucket(self, row: Mapping[str, Any]) -> None:
        """Add MySQL's figures of one bucket: `bucket`, `number`, `xored`, `summed`, and
        `zero_dates`, if any.
        """
        number = int(row["bucket"])
        self.counts[number] += int(row["number"])
        self._xors[number] ^= np.uint64(int(row["xored"]))
        total = int(self._sums[number]) + int(row["summed"])
        self._sums[number] = np.uint64(total % MODULUS)
        self.zero_dates += int(row.get("zero_dates") or 0)

    def differing_buckets(self, other: "BucketChecksums") -> list[int]:
        """Return the numbers of the buckets in which two sides differ."""
        differs = self.counts != other.counts
        differs |= self._xors != other._xors
        differs |= self._sums != other._sums
        return [int(number) for number in np.flatnonzero(differs)]
