"""Estimate the number of different viewers: HyperLogLog sketches, many in one call.

Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog" (2007): a user's hash selects one of 2^p
registers, which keeps the longest run of zeros seen. Estimates up to 2.5 times the number of
registers are by linear counting. Adding a user twice changes nothing, so a sketch needs no
offset to be exact when a batch is repeated.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.count_tables import SKETCH_BITS

REGISTERS = 1 << SKETCH_BITS
HASH_BITS = 64
ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)
POWERS = np.exp2(-np.arange(HASH_BITS))
LINEAR_COUNTING_LIMIT = 2.5 * REGISTERS
# First byte of a stored sketch. The sparse format has three bytes for each register that
# is not 0, and is used while it is shorter than all registers.
SPARSE_FORMAT = b"\x01"
DENSE_FORMAT = b"\x00"
SPARSE_BYTES = 3
# SplitMix64: the increment and the two multipliers of its finaliser.
INCREMENT = np.uint64(0x9E3779B97F4A7C15)
FIRST_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)
SECOND_MULTIPLIER = np.uint64(0x94D049BB133111EB)

Ints = NDArray[np.int64]
Registers = NDArray[np.uint8]


class Sketch(NamedTuple):
    """Registers, which are never changed in place, and an offset.

    Every event that changed the registers is at or below `last_offset`.
    """

    registers: Registers
    last_offset: int


EMPTY_SKETCH = Sketch(np.zeros(REGISTERS, np.uint8), -1)


def registers_and_ranks(users: Ints) -> tuple[Ints, Registers]:
    """Return the register of each user, and the rank that the user's hash has there."""
    hashes = _splitmix64(users)
    register = (hashes & np.uint64(REGISTERS - 1)).astype(np.int64)
    remaining_bits = hashes >> np.uint64(SKETCH_BITS + 1)
    mantissa = remaining_bits.astype(np.float64)  # 52 bits: a double holds them all
    exponent = np.where(mantissa > 0, np.frexp(mantissa)[1], 0)
    return register, (HASH_BITS - SKETCH_BITS - exponent).astype(np.uint8)


def _splitmix64(values: Ints) -> NDArray[np.uint64]:
    bits = values.astype(np.uint64) + INCREMENT
    bits = (bits ^ (bits >> np.uint64(30))) * FIRST_MULTIPLIER
    bits = (bits ^ (bits >> np.uint64(27))) * SECOND_MULTIPLIER
    return bits ^ (bits >> np.uint64(31))


def raise_registers(
    sketches: Registers, sketch_of_event: Ints, users: Ints
) -> NDArray[np.bool_]:
    """Add events to sketches in place, and return a mask of the events that changed one.

    `sketches` has one row of registers per sketch; `sketch_of_event` has row indices.
    """
    register, rank = registers_and_ranks(users)
    flat = sketches.reshape(-1)
    position = sketch_of_event * REGISTERS + register
    is_higher = rank > flat[position]
    np.maximum.at(flat, position[is_higher], rank[is_higher])
    return np.asarray(is_higher)


def update_sketches(
    sketches: Sequence[Sketch], sketch_of_event: Ints, users: Ints, offsets: Ints
) -> dict[int, Sketch]:
    """Return the sketches that the events change, by their index.

    `sketch_of_event` says to which sketch each event belongs. Events with an index outside
    of `sketches` are skipped.
    """
    registers = np.stack([sketch.registers for sketch in sketches])
    inside = (sketch_of_event >= 0) & (sketch_of_event < len(sketches))
    if not inside.all():
        sketch_of_event = sketch_of_event[inside]
        users = users[inside]
        offsets = offsets[inside]
    is_higher = raise_registers(registers, sketch_of_event, users)
    last_offsets = np.full(len(sketches), -1)
    last_offsets[sketch_of_event[is_higher]] = offsets[is_higher]
    changed_sketches = {}
    for index in np.flatnonzero(last_offsets >= 0).tolist():
        last_offset = max(int(last_offsets[index]), sketches[index].last_offset)
        changed_sketches[index] = Sketch(registers[index].copy(), last_offset)
    return changed_sketches


def estimate(registers: Registers) -> int:
    """Estimate the number of different users; the standard error is 1.04 / sqrt(2^p)."""
    rank_counts = np.bincount(registers, minlength=HASH_BITS)
    zeros = int(rank_counts[0])
    raw_estimate = ALPHA * REGISTERS**2 / float(rank_counts @ POWERS)
    if raw_estimate <= LINEAR_COUNTING_LIMIT and zeros:
        return round(REGISTERS * math.log(REGISTERS / zeros))
    return round(raw_estimate)


def registers_to_bytes(registers: Registers) -> bytes:
    """Encode registers as they are stored, in the shorter of the two formats."""
    indices = np.flatnonzero(registers)
    if len(indices) * SPARSE_BYTES >= REGISTERS:
        return DENSE_FORMAT + registers.tobytes()
    return SPARSE_FORMAT + indices.astype("<u2").tobytes() + registers[indices].tobytes()


def registers_from_bytes(data: bytes) -> Registers:
    """Decode stored registers."""
    if data[:1] == DENSE_FORMAT:
        return np.frombuffer(data, np.uint8, offset=1)
    count = (len(data) - 1) // SPARSE_BYTES
    indices = np.frombuffer(data, "<u2", count, 1)
    registers = np.zeros(REGISTERS, np.uint8)
    registers[indices] = np.frombuffer(data, np.uint8, count, 1 + 2 * count)
    return registers
