import pytest

from infra.bench.capture.thread_dumps import (
    Profile,
    ThreadState,
    kind_of_thread,
    parse_dump,
    profile,
    shares,
    work_of,
)

DUMP = """\
2026-03-01 12:00:00
Full thread dump OpenJDK 64-Bit Server VM (17.0.9+9 mixed mode, sharing):

"task-thread-kappa-0" #71 prio=5 os_prio=0 cpu=5012.34ms elapsed=60.00s tid=0x1 nid=0x2 runnable
   java.lang.Thread.State: RUNNABLE
\tat java.util.HashMap.get(java.base@17.0.9/HashMap.java:552)
\tat com.fasterxml.jackson.core.JsonParser.nextToken(JsonParser.java:10)
\t- locked <0x00000000e0> (a java.lang.Object)
\tat io.confluent.connect.avro.AvroConverter.fromConnectData(AvroConverter.java:1)

"blc-127.0.0.1:3306" #80 [99] prio=5 os_prio=0 cpu=10.00ms elapsed=59.00s tid=0x3 nid=0x4 runnable
   java.lang.Thread.State: RUNNABLE
\tat com.github.shyiko.mysql.binlog.BinaryLogClient$$Lambda$12/0x0000.run(Unknown Source)

"GC Thread#1" os_prio=0 cpu=123.00ms elapsed=60.00s tid=0x5 nid=0x6 runnable

JNI global refs: 40, weak refs: 0
"""


def test_a_dump_has_the_threads_with_their_time_and_methods() -> None:
    task, reader, collector = parse_dump(DUMP)
    assert (task.name, task.cpu_ms) == ("task-thread-kappa-0", 5012.34)
    assert task.methods == (
        "java.util.HashMap.get",
        "com.fasterxml.jackson.core.JsonParser.nextToken",
        "io.confluent.connect.avro.AvroConverter.fromConnectData",
    )
    assert reader.methods[0].startswith("com.github.shyiko.mysql.binlog")
    assert (collector.name, collector.cpu_ms, collector.methods) == ("GC Thread#1", 123, ())
    assert parse_dump("jcmd: no such process") == []


def test_the_innermost_method_that_is_not_the_languages_says_what_a_thread_does() -> None:
    works = [work_of(thread) for thread in parse_dump(DUMP)]
    assert works == ["JSON", "reading the binary log", "garbage collection"]
    assert work_of(ThreadState("a", 1, ("java.lang.Object.wait",))) == "other"
    assert work_of(ThreadState("a", 1, ("org.example.A.b",))) == "other"
    assert work_of(ThreadState("C2 CompilerThread0", 1)) == "compiling"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("task-thread-kappa-0", "task-thread-kappa"),
        ("GC Thread#1", "GC Thread"),
        ("C2 CompilerThread0", "C2 CompilerThread"),
        ("blc-127.0.0.1:3306", "blc-127.0.0.1:3306"),
    ],
)
def test_threads_of_a_kind_have_one_name(name: str, kind: str) -> None:
    assert kind_of_thread(name) == kind


def test_the_time_between_two_dumps_counts_for_what_the_later_one_shows() -> None:
    read = ("com.github.shyiko.mysql.A.b",)
    encode = ("org.apache.avro.A.b",)
    dumps = [
        [ThreadState("task-0", 1000, read), ThreadState("idle", 5, encode)],
        [ThreadState("task-0", 1030, encode), ThreadState("idle", 5, encode)],
        [ThreadState("task-0", 1040, read), ThreadState("new-1", 20, read)],
    ]
    result = profile(dumps)
    assert result == Profile(
        3, {"task": 40, "new": 20}, {"Avro": 30, "reading the binary log": 30}
    )
    assert shares(result.by_thread, 1) == [("task", pytest.approx(2 / 3))]
    assert shares({}, 3) == []
