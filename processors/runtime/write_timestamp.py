"""The timestamp of a write in Cassandra, by which a later write of a row wins."""

OFFSET_BITS = 48


def write_time(generation: int, version: int) -> int:
    """Return Cassandra's timestamp of a row's write.

    A later generation wins over an earlier one, then the higher version. The version of a count is
    its last offset; that of an order's conversion is whether it is converted (0 or 1).
    """
    return (generation << OFFSET_BITS) + version + 1
