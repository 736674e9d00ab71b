"""The footer of a Parquet file, with instants described as timestamps without a zone.

The warehouse writes every instant as a timestamp "adjusted to UTC". DuckDB takes it for a timestamp
with a zone: to show it as Hive does, in UTC and without a zone, it would convert every value and
skip no row group. One bit of a column's description says so, and nothing else of the file depends
on it. The footer is Thrift's compact protocol (parquet.thrift: FileMetaData.schema,
SchemaElement.logicalType, LogicalType.TIMESTAMP, TimestampType.isAdjustedToUTC).
"""

MAGIC = b"PAR1"
# At the end of a file: the footer's length in four bytes, and the magic number.
TRAILER_BYTES = 8

# Thrift's compact protocol: the types of fields, in the low half of a field's first byte.
STOP = 0
TRUE = 1
FALSE = 2
BYTE = 3
VARINTS = (4, 5, 6)
DOUBLE = 7
BINARY = 8
LISTS = (9, 10)
MAP = 11
STRUCT = 12

# Field numbers of parquet.thrift.
SCHEMA = 2
LOGICAL_TYPE = 10
TIMESTAMP = 8
IS_ADJUSTED_TO_UTC = 1


def footer_length(tail: bytes) -> int | None:
    """Return the bytes of the footer with its trailer, None if the file does not end as Parquet."""
    if len(tail) < TRAILER_BYTES or tail[-len(MAGIC) :] != MAGIC:
        return None
    return int.from_bytes(tail[-TRAILER_BYTES : -len(MAGIC)], "little") + TRAILER_BYTES


def without_zones(footer: bytes) -> bytes:
    """Return a footer (with or without its trailer) whose timestamps have no zone.

    It has the same length. Raises ValueError for bytes that are no footer.
    """
    walk = _FooterWalk(bytearray(footer))
    try:
        walk.visit_file_metadata()
    except IndexError as error:
        raise ValueError("the footer ends too early") from error
    return bytes(walk.data)


class _FooterWalk:
    """Walks through a footer and clears the flags on its way."""

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self._position = 0

    def visit_file_metadata(self) -> None:
        number = 0
        while True:
            number, kind, _ = self._field(number)
            if kind == STOP:
                return
            if number == SCHEMA and kind in LISTS:
                self._visit_schema()
                # Nothing behind the schema describes types.
                return
            self._skip(kind)

    def _visit_schema(self) -> None:
        count, kind = self._list_header()
        if kind != STRUCT:
            raise ValueError("the footer's schema is no list of structs")
        for _ in range(count):
            self._visit(LOGICAL_TYPE, TIMESTAMP, IS_ADJUSTED_TO_UTC)

    def _visit(self, *path: int) -> None:
        """Pass a struct, and clear the flag at the end of a path of field numbers in it."""
        number = 0
        while True:
            number, kind, at = self._field(number)
            if kind == STOP:
                return
            if number != path[0]:
                self._skip(kind)
            elif len(path) > 1 and kind == STRUCT:
                self._visit(*path[1:])
            elif len(path) == 1 and kind == TRUE:
                self.data[at] = self.data[at] & 0xF0 | FALSE
            else:
                self._skip(kind)

    def _field(self, previous: int) -> tuple[int, int, int]:
        """Return a field's number, its type and the position of its first byte."""
        at = self._position
        head = self._byte()
        kind = head & 0x0F
        if kind == STOP:
            return 0, STOP, at
        delta = head >> 4
        return (previous + delta if delta else self._zigzag()), kind, at

    def _skip(self, kind: int) -> None:
        if kind in (TRUE, FALSE):
            return
        if kind == BYTE:
            self._position += 1
        elif kind in VARINTS:
            self._varint()
        elif kind == DOUBLE:
            self._position += 8
        elif kind == BINARY:
            length = self._varint()
            self._position += length
        elif kind in LISTS:
            self._skip_list()
        elif kind == MAP:
            self._skip_map()
        elif kind == STRUCT:
            self._skip_struct()
        else:
            raise ValueError(f"the footer has a field of the unknown type {kind}")

    def _skip_struct(self) -> None:
        number = 0
        while True:
            number, kind, _ = self._field(number)
            if kind == STOP:
                return
            self._skip(kind)

    def _skip_list(self) -> None:
        count, kind = self._list_header()
        for _ in range(count):
            self._skip_element(kind)

    def _skip_map(self) -> None:
        count = self._varint()
        if not count:
            return
        kinds = self._byte()
        for _ in range(count):
            self._skip_element(kinds >> 4)
            self._skip_element(kinds & 0x0F)

    def _skip_element(self, kind: int) -> None:
        """Pass an element of a list or map: there, a truth value has a byte of its own."""
        if kind in (TRUE, FALSE):
            self._position += 1
        else:
            self._skip(kind)

    def _list_header(self) -> tuple[int, int]:
        head = self._byte()
        count = head >> 4
        return (self._varint() if count == 15 else count), head & 0x0F

    def _byte(self) -> int:
        value = self.data[self._position]
        self._position += 1
        return value

    def _varint(self) -> int:
        value = 0
        shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
