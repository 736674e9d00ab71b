"""What a sketch of some users must say: HyperLogLog (Flajolet and others, 2007) over SplitMix64's
hash, in Python's whole numbers.
"""

import math

from schemas.count_tables import SKETCH_BITS

WORD = 2**64 - 1


def estimated(users: set[int]) -> int:
    """How many different users the sketch of these makes out."""
    registers: dict[int, int] = {}
    for user in users:
        mixed = _mixed(user)
        place = mixed % 2**SKETCH_BITS
        rest = mixed >> (SKETCH_BITS + 1)
        registers[place] = max(
            registers.get(place, 0), 64 - SKETCH_BITS - rest.bit_length()
        )
    size = 2**SKETCH_BITS
    empty = size - len(registers)
    raw = (
        0.7213
        / (1 + 1.079 / size)
        * size**2
        / (empty + sum(2.0**-value for value in registers.values()))
    )
    found: float = size * math.log(size / empty) if raw <= 2.5 * size and empty else raw
    return round(found)


def _mixed(user: int) -> int:
    mixed = (user + 0x9E3779B97F4A7C15) & WORD
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9 & WORD
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EB & WORD
    return mixed ^ (mixed >> 31)
