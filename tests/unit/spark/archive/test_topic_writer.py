"""Records of one topic become archive files, and what the cut and the merge plan with."""

import json
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest

from connectors.mysql.ambiguous_values import AmbiguousValue
from schemas.ddl.statements import Position
from schemas.errors import ContractError, Unavailable
from schemas.gtid import GtidSet, gtid_set
from schemas.logical_types import columns_of
from schemas.warehouse_layout import WHOLE
from spark.archive import topic_writer
from spark.archive.archived_ranges import ArchivedRanges
from spark.archive.topic_writer import TopicWriter, VersionFiles
from spark.log.consistent_cut import AllowedTransactions, Transaction, allow_transactions
from spark.log.range_reader import OffsetRange
from spark.log.row_decoder import RowDecoder
from tests.unit.connectors.kafka.readers.assigned_consumer import LogMessage
from tests.unit.spark.debezium_log import TABLE, UUID, DebeziumLog
from tests.unit.spark.memory_files import MemoryFiles

FIRST = OffsetRange(TABLE, 0, 0, 100)
SECOND = OffsetRange(TABLE, 1, 0, 100)


@pytest.fixture
def log() -> DebeziumLog:
    return DebeziumLog()


@dataclass
class AmbiguousRows:
    """What MySQL holds that Debezium cannot show. Notes the keys that it was asked for."""

    values: list[AmbiguousValue] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)

    def find(self, table: str, columns: Any, key: Any, keys: Any) -> list[AmbiguousValue]:
        self.keys.append(keys)
        return self.values


def allowing(*numbers: int, earlier: str = "") -> AllowedTransactions:
    merged = gtid_set(f"{UUID}:{earlier}") if earlier else GtidSet()
    return allow_transactions(merged, [Transaction(f"{UUID}:{n}", {}, n) for n in numbers])


class Archive:
    """A writer of the table's topic, and the files that it uploads."""

    def __init__(
        self,
        log: DebeziumLog,
        *,
        allowed: AllowedTransactions | None = None,
        obsolete_until: Position | None = None,
        failure: Exception | None = None,
        stop_at_zero_dates: bool = False,
    ) -> None:
        self.files = MemoryFiles()
        self.failure = failure
        self.ambiguous_rows = AmbiguousRows()
        self.writer = TopicWriter(
            archived=ArchivedRanges(source=TABLE, ranges=(FIRST, SECOND)),
            target=VersionFiles(7, "/staging", self.upload, stop_at_zero_dates),
            decoder=RowDecoder(log.registry),
            ambiguous_values=self.ambiguous_rows,
            allowed=allowed,
            obsolete_until=obsolete_until,
        )

    def upload(self, path: str, data: bytes) -> "Future[None]":
        upload: Future[None] = Future()
        if self.failure is not None:
            upload.set_exception(self.failure)
        else:
            self.files.write_bytes(path, data)
            upload.set_result(None)
        return upload

    def write(self, *messages: LogMessage, offset_range: OffsetRange = FIRST) -> bool:
        return self.writer.write_records(offset_range, messages)

    def finish(self) -> ArchivedRanges:
        self.writer.start_uploads()
        return self.writer.finish()

    def rows(self) -> list[dict[str, Any]]:
        """The rows of all files, by offset."""
        rows = []
        for path in self.files.contents:
            rows += self.files.table(path).to_pylist()
        return sorted(rows, key=lambda row: row["offset"])


def test_records_become_rows_with_position_bytes_and_columns(log: DebeziumLog) -> None:
    archive = Archive(log)
    message = log.change(3, "u", 5, value="new")
    assert archive.write(message)
    archived = archive.finish()
    (row,) = archive.rows()
    assert (row["offset"], row["version"], row["value"]) == (3, 7, message.value())
    assert (row["op"], row["gtid"], row["binlog_pos"]) == ("u", f"{UUID}:1", 30)
    assert row["after"] == {"id": 5, "v": "new"}
    assert (archived.records, archived.unreadable, archived.refusal) == (1, {}, None)
    assert archived.summary.position == (1, 30, f"{UUID}:1")
    assert (archived.summary.schema_id, archived.summary.key_schema_id) == (1, 2)
    assert archived.summary.hive_partitions == {WHOLE}
    (file,) = archived.files
    assert (file.day, file.schema_id, file.path in archive.files.contents) == (
        "2026-03-30",
        1,
        True,
    )


def test_records_of_another_day_or_schema_go_to_another_file(log: DebeziumLog) -> None:
    archive = Archive(log)
    archive.write(
        log.change(1, "c", 1), log.change(2, "c", 2, day=1), log.change(3, "c", 3)
    )
    log.values = log.encoder(log.registry.schema(1))
    archive.write(log.change(4, "c", 4))
    files = {(file.day, file.schema_id) for file in archive.finish().files}
    assert files == {("2026-03-30", 1), ("2026-03-31", 1), ("2026-03-30", 4)}


def test_tombstones_and_unreadable_records_share_the_file_of_those_before_them(
    log: DebeziumLog,
) -> None:
    archive = Archive(log)
    archive.write(
        log.change(1, "d", 1),
        log.message(2, None),
        log.message(3, b"{}"),
        log.message(4, b"\x00\x00\x00\x00\x01broken"),
    )
    archived = archive.finish()
    assert len(archived.files) == 1
    assert archived.records == 4
    assert sum(archived.unreadable.values()) == 2
    errors = [row["error"] for row in archive.rows()]
    assert errors[:2] == [None, None]
    assert "not Avro" in errors[2] and "not a record of schema id 1" in errors[3]
    assert [row["schema_id"] for row in archive.rows()] == [1, None, None, None]


def test_a_file_that_has_become_large_is_closed(
    log: DebeziumLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_writer, "FILE_BYTES", -1)
    archive = Archive(log)
    archive.write(log.change(1, "c", 1))
    archive.write(log.change(2, "c", 2))
    assert len(archive.finish().files) == 2


def test_an_upload_that_fails_fails_the_task(log: DebeziumLog) -> None:
    archive = Archive(log, failure=Unavailable("HDFS does not answer"))
    archive.write(log.change(1, "c", 1))
    with pytest.raises(Unavailable, match="HDFS does not answer"):
        archive.finish()


# The cut


def test_a_range_ends_before_the_first_change_that_the_version_must_not_hold(
    log: DebeziumLog,
) -> None:
    archive = Archive(log, allowed=allowing(2, earlier="1"))
    first = [log.change(offset, "c", offset, transaction=offset) for offset in (1, 2, 3, 4)]
    assert not archive.write(*first)
    assert archive.write(
        log.change(9, "c", 9, transaction=2, partition=1), offset_range=SECOND
    )
    archived = archive.finish()
    assert [row["offset"] for row in archive.rows()] == [1, 2, 9]
    assert [(part.partition, part.end) for part in archived.ranges] == [(0, 3), (1, 100)]
    first_part, second_part = archived.partition_changes
    assert first_part.changes == second_part.changes == {f"{UUID}:2": 1}
    assert (first_part.is_beyond, second_part.is_beyond) == (True, False)


def test_a_truncate_of_an_allowed_place_is_counted_by_its_gtid(log: DebeziumLog) -> None:
    archive = Archive(log, allowed=allowing(2, earlier="1"))
    assert archive.write(log.change(1, "t", 0, transaction=3))
    archived = archive.finish()
    assert (archived.truncate_gtids, archived.summary.is_truncated) == ({f"{UUID}:3"}, True)


def test_a_truncate_before_which_a_transaction_is_missing_waits(log: DebeziumLog) -> None:
    archive = Archive(log, allowed=allowing(2, earlier="1"))
    assert not archive.write(log.change(1, "t", 0, transaction=9))
    (part, _) = archive.finish().partition_changes
    assert "a TRUNCATE" in part.waiting_reason


# Refusals


def test_a_refused_topic_has_a_reason_with_its_hint_and_no_files(log: DebeziumLog) -> None:
    archive = Archive(log)
    archive.write(log.change(1, "c", 1))
    archive.writer.refuse(ContractError("no key", "give it one"))
    archived = archive.finish()
    assert (archived.refusal, archived.files) == ("no key; give it one", [])


def test_a_delete_without_its_row_and_an_unknown_schema_stop_the_topic(
    log: DebeziumLog,
) -> None:
    with pytest.raises(ContractError, match="table t: a delete without the row"):
        Archive(log).write(log.change(1, "d", 1, old_image=False))
    unknown = log.change(1, "c", 1)
    assert unknown.value_ is not None
    unknown.value_ = b"\x00\x00\x00\x00\x63" + unknown.value_[5:]
    with pytest.raises(ContractError, match="no schema id 99"):
        Archive(log).write(unknown)


def test_records_of_a_dropped_table_keep_their_bytes_without_stopping_the_topic(
    log: DebeziumLog,
) -> None:
    archive = Archive(log, obsolete_until=(1, 15))
    without_old_image = log.change(1, "d", 1, old_image=False)
    archive.write(without_old_image, log.change(2, "c", 2))
    archived = archive.finish()
    dropped, present = archive.rows()
    assert dropped["error"].endswith("it removes; the table was dropped since")
    assert (dropped["value"], dropped.get("after")) == (without_old_image.value_, None)
    assert (present["error"], present["after"]["id"]) == (None, 2)
    assert archived.unreadable == {}, "nobody has to look at it"


def test_a_record_without_its_row_after_the_table_was_recreated_stops_the_topic(
    log: DebeziumLog,
) -> None:
    without_old_image = log.change(2, "d", 1, old_image=False)
    with pytest.raises(ContractError, match="table t: a delete without the row"):
        Archive(log, obsolete_until=(1, 15)).write(without_old_image)


def test_a_table_without_a_key_is_archived_and_said_to_have_none(log: DebeziumLog) -> None:
    archive = Archive(log)
    messages = [log.change(1, "c", 1), log.change(2, "c", 1)]
    messages[1].key_ = None
    archive.write(*messages)
    summary = archive.finish().summary
    assert (summary.is_keyless, summary.key_schema_id) == (True, 2)
    assert [row["after"]["id"] for row in archive.rows()] == [1, 1]


@pytest.mark.parametrize("stop_at_zero_dates", [False, True])
def test_values_that_debezium_cannot_show_are_looked_up_in_mysql(
    log: DebeziumLog, monkeypatch: pytest.MonkeyPatch, stop_at_zero_dates: bool
) -> None:
    day = {"type": "int", "connect.name": "io.debezium.time.Date"}
    row = {
        "type": "record",
        "name": "Value",
        "fields": [{"name": "id", "type": "long"}, {"name": "v", "type": day}],
    }
    columns = columns_of(row, "table t")
    archive = Archive(log, stop_at_zero_dates=stop_at_zero_dates)
    decoder = archive.writer._decoder
    contract = decoder.contract(TABLE, 1)
    monkeypatch.setattr(decoder, "contract", lambda *_: type(contract)(columns))
    archive.ambiguous_rows.values = [AmbiguousValue("v", (5,), None)]
    schema_id, record = decoder.decode(TABLE, log.change(1, "c", 5).value_ or b"")
    record["after"] = {"id": 5, "v": 0}
    monkeypatch.setattr(decoder, "decode", lambda *_: (schema_id, record))
    message = log.change(1, "c", 5)
    if stop_at_zero_dates:
        with pytest.raises(ContractError, match=r"v holds a zero date \(row id 5\)"):
            archive.write(message)
    else:
        archive.write(message)
        archive.finish()
        assert [row["after"] for row in archive.rows()] == [{"id": 5, "v": None}]
    assert archive.ambiguous_rows.keys == [[(5,)]]


def test_records_of_another_table_in_the_same_topic_of_kafka_are_left_out(
    log: DebeziumLog,
) -> None:
    archive = Archive(log, allowed=allowing(1))
    foreign_key = log.keys.encode({"id": 2})
    assert archive.write(
        log.change(1, "c", 1, table="t"),
        log.message(2, None, key=log.keys.encode({"id": 1})),
        log.change(3, "d", 2, table="T", transaction=99),
        log.message(4, None, key=foreign_key),
        log.change(5, "c", 3, table="t", order=2),
    )
    archived = archive.finish()
    assert [row["offset"] for row in archive.rows()] == [1, 2, 5]
    assert (archived.records, archived.partition_changes[0].changes) == (
        3,
        {f"{UUID}:1": 2},
    )


def test_a_table_is_not_refused_for_columns_of_another_in_the_same_topic_of_kafka(
    log: DebeziumLog,
) -> None:
    unknown = ["null", {"type": "int", "connect.name": "com.example.Unknown"}]
    envelope = json.loads(json.dumps(log.registry.schema(1)))
    envelope["fields"][0]["type"][1]["fields"][1]["type"] = unknown
    foreign = log.encoder(envelope)
    log.values, own = foreign, log.values
    message = log.change(1, "c", 1, table="T", value=7)  # type: ignore[arg-type]
    own_message = log.change(1, "c", 1, table="t", value=7)  # type: ignore[arg-type]
    log.values = own
    archive = Archive(log)
    assert archive.write(message, log.change(2, "c", 2, table="t"))
    assert archive.finish().records == 1
    with pytest.raises(ContractError, match="column v has the semantic type"):
        archive.write(own_message)
