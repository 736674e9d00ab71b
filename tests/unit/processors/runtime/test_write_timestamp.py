"""Which write of a row wins in Cassandra."""

import itertools

import pytest

from processors.runtime.write_timestamp import write_time

# Ascending: by generation, then by version.
WRITES = [(1, 0), (1, 1), (1, 2**47), (2, 0), (2, 7), (3, 0)]


@pytest.mark.parametrize(("earlier", "later"), list(itertools.pairwise(WRITES)))
def test_a_later_generation_wins_and_then_the_higher_version(
    earlier: tuple[int, int], later: tuple[int, int]
) -> None:
    assert write_time(*earlier) < write_time(*later)
