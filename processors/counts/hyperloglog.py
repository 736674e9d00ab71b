"""How many different people looked: HyperLogLog sketches, updated for many products at once.

Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog" (2007): a user's hash picks one of 2^p registers, which keeps the longest run of
zeros seen; linear counting below 2.5 registers. Adding somebody twice changes nothing, so a sketch needs no offset to be exact
under repetition.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.views import SKETCH_BITS

REGISTERS = 1 << SKETCH_BITS
HASH_BITS = 64
ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)
POWERS = np.exp2(-np.arange(HASH_BITS))
# A sketch is stored as (register, value) in three bytes each while that is shorter than all registers.
FEW, ALL = b"\x01", b"\x00"

Ints = NDArray[np.int64]
Registers = NDArray[np.uint8]


class Sketch(NamedTuple):
    """Registers (never changed in place), and the offset of an event: all that changed them are at or below it."""

    registers: Registers
    last_offset: int


NOBODY = Sketch(np.zeros(REGISTERS, np.uint8), -1)


def hashed(users: Ints) -> tuple[Ints, Registers]:
    """The register of each user, and the value that it asks for there."""
    mixed = users.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)  # SplitMix64's finaliser
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    register = (mixed & np.uint64(REGISTERS - 1)).astype(np.int64)
    rest = (mixed >> np.uint64(SKETCH_BITS + 1)).astype(np.float64)  # 52 bits: a double holds them all
    exponent = np.where(rest > 0, np.frexp(rest)[1], 0)
    return register, (HASH_BITS - SKETCH_BITS - exponent).astype(np.uint8)


def raised(sketches: Registers, places: Ints, users: Ints) -> NDArray[np.bool_]:
    """Raises the registers of some sketches (one row each, changed in place) by events: `places` are their rows. Which events raised one."""
    register, value = hashed(users)
    flat, at = sketches.reshape(-1), places * REGISTERS + register
    higher = value > flat[at]
    np.maximum.at(flat, at[higher], value[higher])
    return np.asarray(higher)


def raised_by(sketches: Sequence[Sketch], places: Ints, users: Ints, offsets: Ints) -> dict[int, Sketch]:
    """The sketches that some events raise, by place. `places` says to which sketch each event belongs; events of none have another number."""
    registers = np.stack([found.registers for found in sketches])
    inside = (places >= 0) & (places < len(sketches))
    if not inside.all():
        places, users, offsets = places[inside], users[inside], offsets[inside]
    higher = raised(registers, places, users)
    last = np.full(len(sketches), -1)
    last[places[higher]] = offsets[higher]
    changed = np.flatnonzero(last >= 0).tolist()
    return {place: Sketch(registers[place].copy(), max(int(last[place]), sketches[place].last_offset)) for place in changed}


def estimate(registers: Registers) -> int:
    """How many different people there were; the standard error is 1.04 / sqrt(2^p)."""
    alike = np.bincount(registers, minlength=HASH_BITS)
    zeros = int(alike[0])
    raw = ALPHA * REGISTERS**2 / float(alike @ POWERS)
    if raw <= 2.5 * REGISTERS and zeros:
        return round(REGISTERS * math.log(REGISTERS / zeros))
    return round(raw)


def to_bytes(registers: Registers) -> bytes:
    """A sketch as it is stored."""
    used = np.flatnonzero(registers)
    if len(used) * 3 >= REGISTERS:
        return ALL + registers.tobytes()
    return FEW + used.astype("<u2").tobytes() + registers[used].tobytes()


def from_bytes(stored: bytes) -> Registers:
    """The registers of a stored sketch."""
    if stored[:1] == ALL:
        return np.frombuffer(stored, np.uint8, offset=1)
    count = (len(stored) - 1) // 3
    registers = np.zeros(REGISTERS, np.uint8)
    registers[np.frombuffer(stored, "<u2", count, 1)] = np.frombuffer(stored, np.uint8, count, 1 + 2 * count)
    return registers
