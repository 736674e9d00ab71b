"""MySQL's column types under one name each, and which changes of a type keep every value."""

from dataclasses import KW_ONLY, dataclass

from schemas.ddl.tokens import NotUnderstood, Token, TokenReader, unquote

INTEGER_BITS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}
# The most bytes of a value; 0: the declared length, in characters or bytes.
TEXT_LENGTHS = {
    "VARCHAR": 0,
    "TINYTEXT": 2**8 - 1,
    "TEXT": 2**16 - 1,
    "MEDIUMTEXT": 2**24 - 1,
    "LONGTEXT": 2**32 - 1,
}
BLOB_LENGTHS = {
    "VARBINARY": 0,
    "TINYBLOB": 2**8 - 1,
    "BLOB": 2**16 - 1,
    "MEDIUMBLOB": 2**24 - 1,
    "LONGBLOB": 2**32 - 1,
}
MAX_CHARACTER_BYTES = 4
# Types of which the character set and the collation are a part.
CHARACTER_TYPES = ("CHAR", *TEXT_LENGTHS, "ENUM", "SET")
# The types that have no other name, with the size that they have without one.
DEFAULT_SIZES: dict[str, tuple[int | None, int | None]] = {
    **dict.fromkeys((*INTEGER_BITS, *TEXT_LENGTHS, *BLOB_LENGTHS), (None, None)),
    **dict.fromkeys(("FLOAT", "DOUBLE", "REAL"), (None, None)),
    **dict.fromkeys(("ENUM", "SET", "JSON", "DATE", "YEAR"), (None, None)),
    **dict.fromkeys(("DATETIME", "TIMESTAMP", "TIME"), (0, None)),
    **dict.fromkeys(("CHAR", "BINARY", "BIT"), (1, None)),
    **dict.fromkeys(("GEOMETRY", "POINT", "LINESTRING", "POLYGON"), (None, None)),
    **dict.fromkeys(("MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON"), (None, None)),
    "GEOMETRYCOLLECTION": (None, None),
    "DECIMAL": (10, 0),
    "VECTOR": (2048, None),
}
# MySQL 9 manual, 13.9 Using Data Types from Other Database Engines, and its grammar (sql_yacc.yy).
SYNONYMS = {
    "INT1": "TINYINT",
    "BOOL": "TINYINT",
    "BOOLEAN": "TINYINT",
    "INT2": "SMALLINT",
    "INT3": "MEDIUMINT",
    "MIDDLEINT": "MEDIUMINT",
    "INT4": "INT",
    "INTEGER": "INT",
    "INT8": "BIGINT",
    "DEC": "DECIMAL",
    "FIXED": "DECIMAL",
    "NUMERIC": "DECIMAL",
    "FLOAT4": "FLOAT",
    "FLOAT8": "DOUBLE",
    "DOUBLE PRECISION": "DOUBLE",
    "CHARACTER": "CHAR",
    "CHAR VARYING": "VARCHAR",
    "CHARACTER VARYING": "VARCHAR",
    "VARCHARACTER": "VARCHAR",
    "LONG": "MEDIUMTEXT",
    "LONG VARCHAR": "MEDIUMTEXT",
    "LONG VARBINARY": "MEDIUMBLOB",
    "GEOMCOLLECTION": "GEOMETRYCOLLECTION",
}
# Of the character set utf8mb3.
NATIONAL_TYPES = {
    "NCHAR": "CHAR",
    "NATIONAL CHAR": "CHAR",
    "NATIONAL CHARACTER": "CHAR",
    "NVARCHAR": "VARCHAR",
    "NCHAR VARCHAR": "VARCHAR",
    "NCHAR VARYING": "VARCHAR",
    "NATIONAL VARCHAR": "VARCHAR",
    "NATIONAL VARCHARACTER": "VARCHAR",
    "NATIONAL CHAR VARYING": "VARCHAR",
    "NATIONAL CHARACTER VARYING": "VARCHAR",
}
MAX_WORDS = 3
# The digits of a binary fraction up to which FLOAT(p) is a FLOAT.
FLOAT_PRECISION = 24
UNSIGNED_WORDS = ("UNSIGNED", "ZEROFILL")
SIGN_WORDS = (*UNSIGNED_WORDS, "SIGNED")


@dataclass(frozen=True)
class DataType:
    """A type by its one name, with the sizes that matter, and the labels of an ENUM or SET."""

    base: str
    _: KW_ONLY
    length: int | None = None
    scale: int | None = None
    unsigned: bool = False
    zerofill: bool = False
    labels: tuple[str, ...] = ()
    national: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the type has a character set."""
        return self.base in CHARACTER_TYPES

    @property
    def integer_range(self) -> tuple[int, int] | None:
        """The lowest and the highest value; None for other types."""
        bits = INTEGER_BITS.get(self.base)
        if bits is None:
            return None
        if self.unsigned:
            return 0, 2**bits - 1
        return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1


def data_type(
    name: str,
    length: int | None = None,
    scale: int | None = None,
    labels: tuple[str, ...] = (),
) -> DataType:
    """Return the type that a name and its attributes mean (`INT UNSIGNED`, `CHARACTER VARYING`).

    `labels` are quoted as in the statement. Raises NotUnderstood for an unknown type.
    """
    words = name.upper().split()
    signs = [word for word in words if word in SIGN_WORDS]
    base_name = " ".join(word for word in words if word not in (*SIGN_WORDS, "BINARY"))
    if not base_name:
        base_name = "BINARY"
    base = SYNONYMS.get(base_name) or NATIONAL_TYPES.get(base_name) or base_name
    if base not in DEFAULT_SIZES:
        raise NotUnderstood(f"the type {name} is unknown")
    if base == "FLOAT" and length is not None and scale is None:
        base = "FLOAT" if length <= FLOAT_PRECISION else "DOUBLE"
        length = None
    if base in (*INTEGER_BITS, "YEAR", "ENUM", "SET"):
        length = None  # a width for display, or the width that Debezium works out
    default_length, default_scale = DEFAULT_SIZES[base]
    return DataType(
        base,
        length=default_length if length is None else length,
        scale=default_scale if scale is None else scale,
        unsigned=any(word in UNSIGNED_WORDS for word in signs),
        zerofill="ZEROFILL" in signs,
        # Debezium keeps the labels of a column that is no longer an ENUM.
        labels=tuple(map(label_text, labels)) if base in ("ENUM", "SET") else (),
        national=base_name in NATIONAL_TYPES,
    )


def label_text(label: str) -> str:
    """Return a quoted label as MySQL stores it, without trailing spaces.

    One with a backslash keeps its quotes: what it means depends on the session's sql_mode.
    """
    return label if "\\" in label else unquote(label).rstrip(" ")


def read_data_type(reader: TokenReader) -> DataType:
    """Consume a type with its size or labels and its sign. Raises NotUnderstood."""
    name = _type_name(reader)
    labels: list[str] = []
    sizes: list[int] = []
    if reader.accept_symbol("("):
        while True:
            if name in ("ENUM", "SET"):
                labels.append(reader.string().text)
            else:
                sizes.append(_size(reader))
            if not reader.accept_symbol(","):
                break
        reader.expect_symbol(")")
    if len(sizes) > 2 or (name in ("ENUM", "SET") and not labels):
        raise reader.failure()
    signs = []
    while sign := reader.accept_one_of(*SIGN_WORDS):
        signs.append(sign)
    length, scale = (*sizes, None, None)[:2]
    return data_type(" ".join([name, *signs]), length, scale, tuple(labels))


def _type_name(reader: TokenReader) -> str:
    """The longest name of a type that comes next."""
    first: Token = reader.next
    for size in range(MAX_WORDS, 0, -1):
        for name in (*DEFAULT_SIZES, *SYNONYMS, *NATIONAL_TYPES):
            words = name.split()
            if len(words) == size and words[0] == first.word and reader.accept(*words):
                return name
    raise reader.failure()


def _size(reader: TokenReader) -> int:
    number = reader.number()
    if not number.isdecimal():
        raise NotUnderstood(f"a size is {number}")
    return int(number)


def keeps_values(old: DataType, new: DataType) -> bool:
    """Return whether every value of the old type is the same value in the new one.

    The character sets are taken to be the same. Without doubt only: a CHAR that becomes a VARCHAR
    gets its spaces back in a session with PAD_CHAR_TO_FULL_LENGTH, and REAL_AS_FLOAT changes REAL.
    """
    if "REAL" in (old.base, new.base):
        return False
    if old == new:
        return not any("\\" in label for label in new.labels)
    old_range = old.integer_range
    new_range = new.integer_range
    if old_range is not None and new_range is not None:
        return new_range[0] <= old_range[0] and old_range[1] <= new_range[1]
    if old.base in TEXT_LENGTHS and new.base in TEXT_LENGTHS:
        return _text_fits(old, new)
    if old.base in BLOB_LENGTHS and new.base in BLOB_LENGTHS:
        return _blob_fits(old, new)
    if old.base != new.base:
        return False
    if old.base in ("ENUM", "SET"):
        return _labels_are_appended(old, new)
    if old.base == "DECIMAL":
        return _decimal_fits(old, new)
    if old.base in ("CHAR", "DATETIME", "TIMESTAMP", "TIME"):
        return (old.length or 0) <= (new.length or 0)
    return False


def _text_fits(old: DataType, new: DataType) -> bool:
    """A VARCHAR is measured in characters, a TEXT in bytes; TEXT(n) is any type that holds n."""
    old_bytes = TEXT_LENGTHS[old.base]
    new_bytes = TEXT_LENGTHS[new.base]
    if any(kind.base != "VARCHAR" and kind.length is not None for kind in (old, new)):
        return False
    if not old_bytes and not new_bytes:
        return (old.length or 0) <= (new.length or 0)
    if not old_bytes:
        return (old.length or 0) * MAX_CHARACTER_BYTES <= new_bytes
    return old_bytes <= (new_bytes or new.length or 0)


def holds_wider_characters(old: DataType, new: DataType) -> bool:
    """Return whether texts that fit as they are also do if their characters get more bytes.

    Only a TEXT has its size in bytes.
    """
    old_bytes = TEXT_LENGTHS.get(old.base, 0)
    new_bytes = TEXT_LENGTHS.get(new.base, 0)
    return not (old_bytes and new_bytes) or old_bytes * MAX_CHARACTER_BYTES <= new_bytes


def _blob_fits(old: DataType, new: DataType) -> bool:
    if any(kind.base != "VARBINARY" and kind.length is not None for kind in (old, new)):
        return False
    old_bytes = BLOB_LENGTHS[old.base] or old.length or 0
    return old_bytes <= (BLOB_LENGTHS[new.base] or new.length or 0)


def _labels_are_appended(old: DataType, new: DataType) -> bool:
    if any("\\" in label for label in new.labels):
        return False
    return new.labels[: len(old.labels)] == old.labels


def _decimal_fits(old: DataType, new: DataType) -> bool:
    if new.unsigned and not old.unsigned:
        return False
    old_scale = old.scale or 0
    new_scale = new.scale or 0
    old_digits = (old.length or 0) - old_scale
    return old_scale <= new_scale and old_digits <= (new.length or 0) - new_scale
