"""Where a Java process spends its time: thread dumps, weighted by the CPU time of each thread.

`jcmd Thread.print` names each thread with the CPU time that it has used so far. What a thread used
between two dumps counts for where the later one finds it.
"""

import re
import shutil
import subprocess
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from schemas.errors import KappaError

DUMPS = 50
DUMP_SECONDS = 30
# jcmd is a Java program itself: it takes CPU time from what is measured.
LIGHT_JVM = ("-J-XX:TieredStopAtLevel=1", "-J-XX:+UseSerialGC", "-J-Xshare:auto")
HEADER = re.compile(r'^"(?P<name>.*)" .*?\bcpu=(?P<cpu>[\d.]+)ms')
FRAME = re.compile(r"^\s+at (?P<method>[\w.$<>/]+)\(")
# What distinguishes a thread from others of its kind: `task-thread-kappa-0`, `GC Thread#1`.
NUMBER = re.compile(r"(?:[-#]|(?<=[A-Za-z]))\d+$")
# Frames of the language say nothing about whose work it is.
LANGUAGE = ("java.", "javax.", "jdk.", "sun.", "com.sun.")
# By the beginning of a method's name; the first that fits.
WORK = (
    ("com.github.shyiko.mysql.", "reading the binary log"),
    ("com.mysql.", "MySQL's driver"),
    ("io.debezium.", "Debezium: rows into records"),
    ("org.apache.kafka.connect.transforms.", "transforms"),
    ("org.apache.kafka.connect.data.", "Connect's records"),
    ("org.apache.kafka.connect.", "Connect"),
    ("org.apache.avro.", "Avro"),
    ("com.fasterxml.jackson.", "JSON"),
    ("io.confluent.", "Avro converter"),
    ("io.vertx.", "registry's client"),
    ("com.microsoft.kiota.", "registry's client"),
    ("com.github.luben.zstd.", "compression"),
    ("net.jpountz.", "compression"),
    ("org.xerial.snappy.", "compression"),
    ("org.apache.kafka.", "Kafka's producer and clients"),
    ("org.eclipse.jetty.", "Connect's REST interface"),
    ("org.glassfish.", "Connect's REST interface"),
)
# Threads of the JVM have no frames.
JVM_THREADS = (
    ("GC", "garbage collection"),
    ("G1 ", "garbage collection"),
    ("Compiler", "compiling"),
    ("VM ", "the JVM itself"),
)
OTHER = "other"


@dataclass(frozen=True)
class ThreadState:
    """A thread in one dump: its CPU milliseconds so far, and its methods, the innermost first."""

    name: str
    cpu_ms: float
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class Profile:
    """CPU milliseconds by thread and by kind of work, in the time of some dumps."""

    dumps: int
    by_thread: dict[str, float] = field(default_factory=dict)
    by_work: dict[str, float] = field(default_factory=dict)


def parse_dump(text: str) -> list[ThreadState]:
    """Return the threads of a dump."""
    threads: list[ThreadState] = []
    name = ""
    cpu_ms = 0.0
    methods: list[str] = []
    for line in [*text.splitlines(), '"end" cpu=0ms']:
        header = HEADER.match(line)
        if header is not None:
            if name:
                threads.append(ThreadState(name, cpu_ms, tuple(methods)))
            name = header["name"]
            cpu_ms = float(header["cpu"])
            methods = []
        elif frame := FRAME.match(line):
            methods.append(frame["method"])
    return threads


def work_of(thread: ThreadState) -> str:
    """Return what a thread does: whose code is innermost, apart from the language's own."""
    for method in thread.methods:
        if method.startswith(LANGUAGE):
            continue
        return next((work for start, work in WORK if method.startswith(start)), OTHER)
    for part, work in JVM_THREADS:
        if part in thread.name:
            return work
    return OTHER


def kind_of_thread(name: str) -> str:
    """Return a thread's name without its number among others of its kind."""
    return NUMBER.sub("", name)


def profile(dumps: Sequence[Sequence[ThreadState]]) -> Profile:
    """Return the shares of the time between the first dump and the last."""
    by_thread: defaultdict[str, float] = defaultdict(float)
    by_work: defaultdict[str, float] = defaultdict(float)
    before: dict[str, float] = {}
    for number, threads in enumerate(dumps):
        cpu_by_name: dict[str, float] = {}
        for thread in threads:
            cpu_by_name[thread.name] = thread.cpu_ms
            # A thread that begins between two dumps has used all of its time since.
            used_ms = thread.cpu_ms - before.get(thread.name, 0.0)
            if number and used_ms > 0:
                by_thread[kind_of_thread(thread.name)] += used_ms
                by_work[work_of(thread)] += used_ms
        before = cpu_by_name
    return Profile(len(dumps), dict(by_thread), dict(by_work))


def shares(milliseconds: dict[str, float], most: int) -> list[tuple[str, float]]:
    """Return the shares of the total, the largest first, at most so many of them."""
    total = sum(milliseconds.values())
    ordered = sorted(milliseconds.items(), key=lambda item: -item[1])
    return [(name, value / total) for name, value in ordered[:most] if total]


class DumpSampler(threading.Thread):
    """Takes dumps of a Java process in the background, spread over some seconds."""

    def __init__(self, pid: int, seconds: float) -> None:
        """`pid` is the service's. Raises KappaError if it runs no Java, or if there is no jcmd."""
        super().__init__(name=f"thread dumps of {pid}", daemon=True)
        self._java_pid = java_process(pid)
        self._jcmd = find_jcmd(self._java_pid)
        self._pause_seconds = seconds / DUMPS
        self._end = threading.Event()
        self._dumps: list[list[ThreadState]] = []

    def run(self) -> None:
        """Sample until there are DUMPS dumps, or until `finish`."""
        while len(self._dumps) < DUMPS and not self._end.wait(self._pause_seconds):
            command = [self._jcmd, *LIGHT_JVM, str(self._java_pid), "Thread.print"]
            try:
                result = subprocess.run(
                    command, capture_output=True, text=True, timeout=DUMP_SECONDS
                )
            except subprocess.TimeoutExpired:
                continue
            threads = parse_dump(result.stdout)
            if threads:
                self._dumps.append(threads)

    def finish(self) -> Profile:
        """End the sampling, and return what it shows."""
        self._end.set()
        self.join()
        return profile(self._dumps)


def java_process(pid: int) -> int:
    """Return the process of a service that runs Java: itself, or a descendant."""
    process = psutil.Process(pid)
    for member in [process, *process.children(recursive=True)]:
        if member.name() == "java":
            return member.pid
    raise KappaError(f"process {pid} runs no Java", "see ./kappa status")


def find_jcmd(pid: int) -> str:
    """Return the jcmd of the Java of a process, or the one on the PATH."""
    beside = Path(psutil.Process(pid).exe()).with_name("jcmd")
    path = str(beside) if beside.exists() else shutil.which("jcmd")
    if not path:
        raise KappaError("--profile needs jcmd, which is in a JDK", "install a JDK 17")
    return path
