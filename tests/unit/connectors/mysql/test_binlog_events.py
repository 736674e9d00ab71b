"""The transactions of a recorded binary log of MySQL 9.7, `binlog.bin`: the packets of a dump.

The database `shop` has `orders` (id, state, note, extra JSON, a generated column, an index on an
expression), `hidden` (id, an invisible column), `keyless` (a, with an invisible generated key) and
`plain` (MyISAM).
"""

import struct
from pathlib import Path

import pytest

from connectors.mysql.binlog_events import (
    ANONYMOUS_GTID,
    ANY_DATABASE,
    GTID,
    INCIDENT,
    MAX_ROW_CHANGE_BYTES,
    MAX_ROW_CHANGES,
    QUERY,
    TABLE_MAP,
    UPDATE_ROWS,
    WRITE_ROWS,
    XID,
    BinlogTransaction,
    TransactionAssembler,
    XaEvent,
    packed_integer,
    payload_events,
    tagged_gtid,
    variable_length_integer,
)
from connectors.mysql.binlog_stream import PacketSplitter
from schemas.errors import ContractError

RECORDED = Path(__file__).with_name("binlog.bin")
SERVER = "3eddfd8e-ebd2-11f1-a1ae-02fc00000001"
LATIN1 = {8: "cp1252"}


@pytest.fixture(scope="module")
def recorded() -> dict[str, BinlogTransaction]:
    """The transactions by the end of their GTID."""
    assembler = TransactionAssembler(LATIN1)
    transactions = {}
    for event in PacketSplitter("MySQL").events(RECORDED.read_bytes()):
        transaction = assembler.add_event(*event)
        if transaction is not None:
            transactions[transaction.gtid.removeprefix(f"{SERVER}:")] = transaction
    return transactions


def test_each_gtid_of_the_log_is_a_transaction(
    recorded: dict[str, BinlogTransaction],
) -> None:
    numbers = [str(number) for number in range(1, 36)]
    numbers.insert(22, "mytag:1")
    assert list(recorded) == numbers


def test_positions_ascend_and_follow_the_log_into_its_next_file(
    recorded: dict[str, BinlogTransaction],
) -> None:
    positions = [transaction.position for transaction in recorded.values()]
    assert positions == sorted(positions)
    assert [number for number, _ in positions] == [1] * 23 + [2] * 13


ORDERS = {"orders"}
HIDDEN = {"hidden"}
KEYLESS = {"keyless"}
NONE: set[str] = set()


@pytest.mark.parametrize(
    ("gtid", "tables", "partial_tables"),
    [
        pytest.param("6", ORDERS, NONE, id="insert with generated columns"),
        pytest.param("7", ORDERS | HIDDEN, NONE, id="two tables, invisible column"),
        pytest.param("8", KEYLESS, NONE, id="insert with an invisible key"),
        pytest.param("9", KEYLESS, NONE, id="delete with an invisible key"),
        pytest.param("10", {"plain"}, NONE, id="MyISAM, which ends with COMMIT"),
        pytest.param("11", ORDERS, ORDERS, id="MINIMAL insert"),
        pytest.param("12", ORDERS, ORDERS, id="MINIMAL update"),
        pytest.param("13", ORDERS, ORDERS, id="MINIMAL delete"),
        pytest.param("14", ORDERS, ORDERS, id="NOBLOB update of a table with a text"),
        pytest.param("15", HIDDEN, NONE, id="NOBLOB update of a table without a text"),
        pytest.param("16", ORDERS, ORDERS, id="PARTIAL_JSON update"),
        pytest.param("17", NONE, NONE, id="statement"),
        pytest.param("22", {"copied2"}, NONE, id="CREATE TABLE … SELECT in row format"),
        pytest.param("mytag:1", HIDDEN, NONE, id="GTID with a tag"),
        pytest.param("23", HIDDEN, NONE, id="compressed"),
        pytest.param("24", HIDDEN, HIDDEN, id="compressed MINIMAL update"),
        pytest.param("25", HIDDEN, NONE, id="XA PREPARE"),
        pytest.param("26", NONE, NONE, id="XA COMMIT"),
        pytest.param("29", HIDDEN, NONE, id="XA COMMIT … ONE PHASE"),
    ],
)
def test_a_transaction_has_its_tables_and_those_without_all_columns(
    recorded: dict[str, BinlogTransaction],
    gtid: str,
    tables: set[str],
    partial_tables: set[str],
) -> None:
    transaction = recorded[gtid]
    assert transaction.tables == {("shop", name) for name in tables}
    assert transaction.partial_tables == {("shop", name) for name in partial_tables}
    assert not transaction.has_incident


@pytest.mark.parametrize(
    ("gtid", "texts", "are_in_transaction"),
    [
        pytest.param("1", ["create database shop"], False, id="DDL"),
        pytest.param("7", [], False, id="rows"),
        pytest.param(
            "17", ["update orders set note='it''s' where id=1"], True, id="row change"
        ),
        pytest.param(
            "18",
            ["insert into hidden (id) values (21)", "insert into keyless values (9)"],
            True,
            id="two row changes with a savepoint between them",
        ),
        pytest.param(
            "19",
            ["create table copied as select id from hidden"],
            False,
            id="CREATE TABLE … SELECT as a statement",
        ),
        pytest.param("20", ["insert into plain values (2)"], True, id="MyISAM"),
        pytest.param(
            "22",
            ["CREATE TABLE `copied2` (\n  `id` int NOT NULL\n) START TRANSACTION"],
            False,
            id="CREATE TABLE … SELECT with rows",
        ),
        pytest.param("25", [], False, id="XA PREPARE"),
        pytest.param("27", [], False, id="XA PREPARE without a branch"),
        pytest.param("28", [], False, id="XA ROLLBACK"),
        pytest.param("30", ["create table größe (id int)"], False, id="Latin 1"),
    ],
)
def test_statements_are_ddl_or_changes_of_rows(
    recorded: dict[str, BinlogTransaction],
    gtid: str,
    texts: list[str],
    are_in_transaction: bool,
) -> None:
    statements = recorded[gtid].statements
    assert [statement.text for statement in statements] == texts
    assert {statement.is_in_transaction for statement in statements} <= {are_in_transaction}
    assert {statement.database for statement in statements} <= {"shop"}


def test_load_data_is_a_changed_row_logged_as_a_statement(
    recorded: dict[str, BinlogTransaction],
) -> None:
    (statement,) = recorded["21"].statements
    assert statement.text.startswith("LOAD DATA LOCAL INFILE '/tmp/rows.csv'")
    assert statement.is_in_transaction


def test_a_statement_says_which_databases_it_changes(
    recorded: dict[str, BinlogTransaction],
) -> None:
    assert recorded["31"].statements[0].updated_databases == {"shop", "mysql"}
    assert recorded["33"].statements[0].updated_databases is None


@pytest.mark.parametrize(
    ("gtid", "xa"),
    [
        ("25", XaEvent(id="X'7831',X'62',7", step="prepare")),
        ("26", XaEvent(id="X'7831',X'62',7", step="commit")),
        ("27", XaEvent(id="X'7832',X'',1", step="prepare")),
        ("28", XaEvent(id="X'7832',X'',1", step="rollback")),
        ("29", None),
        ("7", None),
    ],
)
def test_the_parts_of_an_xa_transaction_have_its_id(
    recorded: dict[str, BinlogTransaction], gtid: str, xa: XaEvent | None
) -> None:
    assert recorded[gtid].xa == xa


GTID_BODY = bytes([1]) + bytes(range(16)) + (5).to_bytes(8, "little")


def test_an_incident_is_a_transaction_that_says_so() -> None:
    assembler = TransactionAssembler()
    assert assembler.add_event(GTID, GTID_BODY, 100) is None
    transaction = assembler.add_event(INCIDENT, b"\x01\x00", 200)
    assert transaction is not None
    assert transaction.has_incident
    assert transaction.gtid == "00010203-0405-0607-0809-0a0b0c0d0e0f:5"


def test_a_transaction_without_gtid_is_refused() -> None:
    with pytest.raises(ContractError, match="without GTID"):
        TransactionAssembler().add_event(ANONYMOUS_GTID, GTID_BODY, 100)


def query(text: str) -> bytes:
    return struct.pack("<IIBHH", 1, 0, 4, 0, 0) + b"shop\0" + text.encode()


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("COMMIT", True),
        ("commit /* by hand */", True),
        ("ROLLBACK", True),
        ("rollback to `s1`", False),
        ("ROLLBACK WORK TO s1", False),
        ("SAVEPOINT `s1`", False),
        ("RELEASE SAVEPOINT s1", False),
        ("XA END X'31',X'',1", False),
    ],
)
def test_control_statements_end_a_transaction_or_not_and_are_no_row_changes(
    text: str, ends: bool
) -> None:
    assembler = TransactionAssembler()
    assembler.add_event(GTID, GTID_BODY, 100)
    assembler.add_event(QUERY, query("BEGIN"), 150)
    transaction = assembler.add_event(QUERY, query(text), 200)
    assert (transaction is not None) == ends
    transaction = transaction or assembler.add_event(XID, bytes(8), 300)
    assert transaction is not None
    assert transaction.statements == ()


def updating_query(text: str, *databases: str) -> bytes:
    """Return a statement that says which databases it changes."""
    names = b"".join(database.encode() + b"\0" for database in databases)
    variables = bytes([12, len(databases)]) + names
    header = struct.pack("<IIBHH", 1, 0, 4, 0, len(variables))
    return header + variables + b"shop\0" + text.encode()


@pytest.mark.parametrize(
    ("texts", "kept"),
    [
        (["INSERT 1"] * 3, 3),
        (["INSERT 1"] * (MAX_ROW_CHANGES + 3), MAX_ROW_CHANGES),
        (["INSERT" + "x" * (MAX_ROW_CHANGE_BYTES // 4)] * 9 + ["INSERT 1"], 3),
        (["INSERT 1", "INSERT" + "x" * MAX_ROW_CHANGE_BYTES], 1),
    ],
    ids=["few", "many", "long ones", "one that is very long"],
)
def test_of_a_huge_transaction_of_statements_only_a_part_is_kept(
    texts: list[str], kept: int
) -> None:
    assembler = TransactionAssembler()
    assembler.add_event(GTID, GTID_BODY, 100)
    assembler.add_event(QUERY, query("BEGIN"), 150)
    for text in texts:
        assert assembler.add_event(QUERY, updating_query(text, "other"), 200) is None
    transaction = assembler.add_event(XID, bytes(8), 300)
    assert transaction is not None
    assert len(transaction.statements) == kept
    is_whole = kept == len(texts)
    assert transaction.more_databases == (NONE if is_whole else {"shop", "other"})
    # The next transaction is kept again.
    assembler.add_event(GTID, GTID_BODY, 400)
    assembler.add_event(QUERY, query("BEGIN"), 450)
    assembler.add_event(QUERY, query("INSERT 1"), 500)
    after = assembler.add_event(XID, bytes(8), 600)
    assert after is not None
    assert (len(after.statements), after.more_databases) == (1, NONE)


def test_a_statement_that_is_not_kept_may_be_about_any_database() -> None:
    assembler = TransactionAssembler()
    assembler.add_event(GTID, GTID_BODY, 100)
    assembler.add_event(QUERY, query("BEGIN"), 150)
    assembler.add_event(QUERY, query("x" * MAX_ROW_CHANGE_BYTES), 200)
    transaction = assembler.add_event(XID, bytes(8), 300)
    assert transaction is not None
    assert transaction.more_databases == {"shop", ANY_DATABASE}


def rows_event(columns: int, *bitmaps: int) -> bytes:
    size = (columns + 7) // 8
    width = bytes([columns]) if columns < 251 else b"\xfc" + columns.to_bytes(2, "little")
    images = b"".join(bitmap.to_bytes(size, "little") for bitmap in bitmaps)
    return bytes(6) + bytes(2) + struct.pack("<H", 4) + b"\x01\x02" + width + images


@pytest.mark.parametrize(
    ("kind", "columns", "bitmaps", "is_partial"),
    [
        pytest.param(WRITE_ROWS, 8, (0xFF,), False, id="all of 8"),
        pytest.param(WRITE_ROWS, 3, (0b111,), False, id="all of 3"),
        pytest.param(WRITE_ROWS, 3, (0xFF,), False, id="bits that mean nothing"),
        pytest.param(WRITE_ROWS, 3, (0b101,), True, id="2 of 3"),
        pytest.param(WRITE_ROWS, 300, (2**300 - 1,), False, id="all of 300"),
        pytest.param(WRITE_ROWS, 300, (2**299 - 1,), True, id="all but the last of 300"),
        pytest.param(UPDATE_ROWS, 9, (0x1FF, 0x1FF), False, id="both images full"),
        pytest.param(UPDATE_ROWS, 9, (0x1FF, 0x0FF), True, id="after image partial"),
        pytest.param(UPDATE_ROWS, 9, (0x001, 0x1FF), True, id="before image partial"),
    ],
)
def test_a_row_is_partial_if_a_column_is_missing_in_an_image(
    kind: int, columns: int, bitmaps: tuple[int, ...], is_partial: bool
) -> None:
    assembler = TransactionAssembler()
    assembler.add_event(GTID, GTID_BODY, 100)
    assembler.add_event(TABLE_MAP, bytes(8) + b"\x04shop\0\x06orders\0", 200)
    assembler.add_event(kind, rows_event(columns, *bitmaps), 300)
    transaction = assembler.add_event(XID, bytes(8), 400)
    assert transaction is not None
    assert transaction.tables == {("shop", "orders")}
    assert bool(transaction.partial_tables) == is_partial


def test_rows_of_no_table_end_a_statement_and_change_nothing() -> None:
    assembler = TransactionAssembler()
    assembler.add_event(GTID, GTID_BODY, 100)
    assembler.add_event(WRITE_ROWS, b"\xff\xff\xff\0\0\0\x01\0", 300)
    transaction = assembler.add_event(XID, bytes(8), 400)
    assert transaction is not None
    assert transaction.tables == frozenset()


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x00", 0),
        (b"\xfa", 250),
        (b"\xfc\xfb\x00", 251),
        (b"\xfd\x00\x00\x01", 65536),
        (b"\xfe" + (2**40).to_bytes(8, "little"), 2**40),
    ],
)
def test_packed_integers_have_1_3_4_or_9_bytes(data: bytes, value: int) -> None:
    assert packed_integer(b"x" + data + b"x", 1) == (value, 1 + len(data))


def test_what_begins_no_packed_integer_is_refused() -> None:
    with pytest.raises(ContractError, match="begins no length-encoded integer"):
        packed_integer(b"\xff", 0)


# 65535 is the example of MySQL's readme of the serialization library.
@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\x00", 0),
        (b"\xfe", 127),
        (b"\x01\x02", 128),
        (b"\xfb\xff\x07", 65535),
        (b"\x7f" + b"\xff" * 7, 2**56 - 1),
        (b"\xff" + b"\xff" * 8, 2**64 - 1),
    ],
)
def test_variable_length_integers_have_up_to_nine_bytes(data: bytes, value: int) -> None:
    assert variable_length_integer(b"x" + data + b"x", 1) == (value, 1 + len(data))


def tagged_body(*fields: bytes) -> bytes:
    # The version, the size and the last field that must be understood come first.
    return b"\x02\x02\x04" + b"".join(fields)


FLAGS = b"\x00\x02"
# Bytes up to 127 are one byte, others are two.
UUID_FIELD = b"\x02" + bytes([1 << 1] * 15) + b"\x01\x02"
NUMBER = b"\x04" + bytes([5 << 2])
TAG = b"\x06" + bytes([3 << 1]) + b"tag"
ORIGIN = "01010101-0101-0101-0101-010101010180"


@pytest.mark.parametrize(
    ("tag", "gtid"), [(TAG, f"{ORIGIN}:tag:5"), (b"\x06\x00", f"{ORIGIN}:5")]
)
def test_a_tagged_gtid_has_a_tag_if_it_is_not_empty(tag: bytes, gtid: str) -> None:
    assert tagged_gtid(tagged_body(FLAGS, UUID_FIELD, NUMBER, tag)) == gtid


def test_a_tagged_gtid_with_other_fields_is_refused() -> None:
    with pytest.raises(ContractError, match="has field 2 instead of 1"):
        tagged_gtid(tagged_body(FLAGS, NUMBER))


def test_a_payload_without_compression_is_read_and_another_one_is_refused() -> None:
    event = struct.pack("<IBIIIH", 0, XID, 1, 19 + 8, 0, 0) + bytes(8)
    uncompressed = b"\x02\x03\xfc\xff\x00\x00"
    assert list(payload_events(uncompressed + event)) == [(XID, bytes(8))]
    with pytest.raises(ContractError, match="compression 7"):
        list(payload_events(b"\x02\x01\x07\x00" + event))
