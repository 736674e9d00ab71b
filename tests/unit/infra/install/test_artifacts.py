import fcntl
import io
import os
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from dataclasses import fields
from pathlib import Path

import pytest

from connectors.runtime.settings import ROOT
from infra.install import apt, artifacts, maven, mysql
from infra.install.artifacts import Artifacts
from infra.terminal.progress_line import ProgressLine, silent
from schemas.errors import MachineError, Unavailable


@pytest.fixture
def cache(tmp_path):
    """A cache with every part in place, as empty folders."""
    folders = [
        *(part.folder(tmp_path) for part in artifacts.PARTS),
        artifacts._private_mysql(tmp_path),
    ]
    for folder in folders:
        folder.mkdir(parents=True)
    return tmp_path


def placed(folder):
    return Artifacts(**{field.name: folder for field in fields(Artifacts)})


def test_a_full_cache_is_used_as_it_is_without_any_tool(cache, monkeypatch):
    monkeypatch.setenv("PATH", "")
    found = artifacts.install(cache)
    assert artifacts.missing(cache) == []
    assert all(getattr(found, field.name).is_dir() for field in fields(Artifacts))


def test_only_what_is_not_there_is_missing(cache):
    next(part for part in artifacts.PARTS if part.name == "hive").folder(cache).rmdir()
    assert artifacts.missing(cache) == ["hive"]


def test_without_maven_the_error_says_what_to_install(cache, monkeypatch):
    next(part for part in artifacts.PARTS if part.name == "hive").folder(cache).rmdir()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MachineError, match="Maven") as caught:
        artifacts.install(cache)
    assert "apt-get install maven" in caught.value.hint
    assert not list(cache.glob("servers/.jars-*"))


def test_every_pom_belongs_to_exactly_one_part_and_is_a_module():
    poms = [pom for part in artifacts.PARTS for pom in part.poms]
    modules = re.findall(
        r"<module>(\w+)\.xml</module>", (maven.POMS / "pom.xml").read_text()
    )
    assert (
        sorted(poms)
        == sorted(modules)
        == sorted(file.stem for file in maven.POMS.glob("*.xml") if file.stem != "pom")
    )


def test_no_pom_leaves_a_version_open():
    for pom in maven.POMS.glob("*.xml"):
        assert not re.search(
            r"<version>\s*[\[(]|LATEST|RELEASE|SNAPSHOT", pom.read_text()
        ), pom


def test_a_second_install_waits_for_the_first_and_says_how_far_that_is(tmp_path):
    waiting = threading.Event()
    entered = threading.Event()
    said = []
    artifacts._shared_report(lambda *_: None, tmp_path / "news")("jars", 0.4, "312 MB")

    def hear(what, fraction, detail):
        said.append(detail)
        waiting.set()

    def second():
        with artifacts._install_lock(tmp_path / "lock", tmp_path / "news", hear):
            entered.set()

    with open(tmp_path / "lock", "w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        assert not entered.is_set()
    thread.join(10)
    assert entered.is_set()
    assert "jars 40% 312 MB" in said[0]


def test_what_a_killed_install_left_is_removed_by_the_next(tmp_path):
    left = tmp_path / "servers" / ".jars-killed"
    left.mkdir(parents=True)
    with artifacts._scratch(tmp_path, "jars") as scratch:
        assert scratch.is_dir()
        assert not left.exists()
    assert not scratch.exists()


def test_the_converter_is_packed_and_announced_to_connect(tmp_path):
    plugin = tmp_path / "confluent-converter"
    name = "io/confluent/connect/avro/AvroConverter.class"
    (plugin / "classes" / name).parent.mkdir(parents=True)
    (plugin / "classes" / name).write_bytes(b"class")
    artifacts._pack_converter(tmp_path)
    assert [path.name for path in plugin.iterdir()] == ["confluent-avro-converter.jar"]
    with zipfile.ZipFile(plugin / "confluent-avro-converter.jar") as jar:
        assert jar.read(name) == b"class"
        service = jar.read("META-INF/services/org.apache.kafka.connect.storage.Converter")
    assert service.decode().strip() == "io.confluent.connect.avro.AvroConverter"


def test_postgresql_is_unpacked_with_its_rights(tmp_path):
    with tarfile.open(tmp_path / "postgres.txz", "w:xz") as tree:
        program = tarfile.TarInfo("bin/postgres")
        program.mode = 0o755
        program.size = 3
        tree.addfile(program, io.BytesIO(b"elf"))
    artifacts._unpack_postgres(tmp_path)
    assert os.access(tmp_path / "bin" / "postgres", os.X_OK)
    assert not (tmp_path / "postgres.txz").exists()


def test_the_private_mysql_runs_through_its_own_loader(tmp_path):
    for name in ("lib/ld-linux-x86-64.so.2", mysql.PACKAGES_FILE):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    command = artifacts.mysql_command(placed(tmp_path), "mysqld", "--version")
    assert command == [
        str(tmp_path / "lib/ld-linux-x86-64.so.2"),
        "--library-path",
        str(tmp_path / "lib"),
        str(tmp_path / "bin/mysqld"),
        "--version",
    ]
    assert artifacts.mysql_share(placed(tmp_path)) == tmp_path / "share" / "mysql"


def test_the_machines_own_mysql_runs_as_it_is(tmp_path):
    (tmp_path / "sbin").mkdir()
    (tmp_path / "sbin" / "mysqld").touch()
    assert artifacts.mysql_command(placed(tmp_path), "mysqld") == [
        str(tmp_path / "sbin" / "mysqld")
    ]
    assert artifacts.mysql_share(placed(tmp_path)) is None
    with pytest.raises(MachineError, match="mysql is not in"):
        artifacts.mysql_command(placed(tmp_path), "mysql")


@pytest.mark.parametrize(
    ("stated", "taken"),
    [
        ("mysqld  Ver 8.0.42 for Linux on x86_64 (MySQL Community Server - GPL)", True),
        ("mysqld  Ver 9.7.4-2 for Linux on x86_64 (Debian)", True),
        ("mysqld  Ver 5.7.44 for Linux on x86_64 (MySQL Community Server (GPL))", False),
        ("mysqld  Ver 10.11.11-MariaDB-0+deb12u1 for debian-linux-gnu", False),
        ("", False),
    ],
)
def test_only_a_real_mysql_of_8_or_later_is_taken(tmp_path, stated, taken):
    program = tmp_path / "bin" / "mysqld"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho '{stated}'\n")
    program.chmod(0o755)
    assert mysql.own_server({"PATH": str(tmp_path / "bin")}) == (
        tmp_path if taken else None
    )


DEB822 = """\
Types: deb
# a remark
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""
SECURITY = (
    "Types: deb\nURIs: http://mirror.example/debian-security\nSuites: "
    "bookworm-security\nComponents: main\n"
)
OTHERS = "deb http://tools.example/apt tools-bookworm main\n"


@pytest.mark.parametrize(
    "sources",
    [
        [DEB822],
        [f"{SECURITY}\n{DEB822}", OTHERS],
        [
            OTHERS,
            "# deb http://old.example/debian bookworm main\ndeb [arch=amd64] "
            "http://mirror.example/debian bookworm main contrib\n",
        ],
    ],
)
def test_debians_mirror_is_the_one_this_machine_uses(sources):
    assert mysql.mirror(sources, "bookworm") == "http://mirror.example/debian"


def test_a_machine_without_a_mirror_of_debian_is_told_to_bring_its_own_mysql():
    with pytest.raises(MachineError, match="name no mirror") as caught:
        mysql.mirror([OTHERS, SECURITY], "bookworm")
    assert "KAPPA_MYSQL_HOST" in caught.value.hint


def test_a_library_of_the_system_is_never_mixed_in():
    listing = (
        "\tlinux-vdso.so.1 (0x7ffc)\n\tlibm.so.6 => /a b/root/lib/libm.so.6 "
        "(0x7f01)\n\t/lib64/ld-linux-x86-64.so.2 => /lib64/ld.so (0x7f)\n"
    )
    assert mysql.needed_libraries(listing, Path("/a b/root")) == [
        Path("/a b/root/lib/libm.so.6")
    ]
    for wrong in ("libz.so.1 => not found", "libz.so.1 => /usr/lib/libz.so.1 (0x7f01)"):
        with pytest.raises(MachineError, match=r"libz\.so\.1"):
            mysql.needed_libraries(f"\t{wrong}\n", Path("/a b/root"))


def test_arriving_jars_are_counted():
    seen = []
    lines = [
        "[INFO] Downloading from central: https://registry.example/a.jar\n",
        "[INFO] Downloaded from central: https://registry.example/a.jar (11 MB at 5.8 MB/s)\n",
        "[INFO] Downloaded from central: https://registry.example/b.pom (500 kB at 232 kB/s)\n",
    ]
    assert list(maven.follow(lines, lambda *report: seen.append(report))) == lines
    assert [detail for _, _, detail in seen] == ["11 MB in 1 files", "12 MB in 2 files"]
    assert 0 < seen[0][1] < seen[1][1] < 1


def test_a_registry_that_does_not_answer_is_worth_another_try_and_a_wrong_pom_is_not():
    away = maven.failure(
        [
            "[INFO] x\n",
            "[ERROR] Could not transfer artifact a:b:jar:1 from central: Unknown host "
            "registry.example\n",
        ]
    )
    wrong = maven.failure(["[ERROR] Could not find artifact a:b:jar:1\n"])
    assert isinstance(away, Unavailable)
    assert "a:b:jar:1" in str(away)
    assert "network" in away.hint
    assert isinstance(wrong, MachineError)


def test_apts_progress_and_complaints_are_understood():
    assert apt.progress("dlstatus:7:43.5:Retrieving file 7 of 60\n") == (
        0.435,
        "retrieving file 7 of 60",
    )
    assert apt.progress("pmstatus:libc6:amd64:12.5000:Unpacking libc6 (amd64)\n") == (
        0.125,
        "unpacking libc6 (amd64)",
    )
    assert apt.progress("pmerror:x:1:y\n") is None
    assert isinstance(
        apt.failure(
            [
                "E: Failed to fetch http://mirror.example/x  Could not resolve 'mirror.example'"
            ],
            "MySQL",
        ),
        Unavailable,
    )
    assert isinstance(
        apt.failure(["E: Unable to locate package maven"], "maven"), MachineError
    )


def test_progress_in_a_file_is_whole_lines():
    stream = io.StringIO()
    with ProgressLine(stream, every_seconds=0) as line:
        line("jars", 0.5, "3 MB")
        line("MySQL", None, "asking")
    assert [text.partition("] ")[2] for text in stream.getvalue().splitlines()][
        -1
    ] == "jars 50% 3 MB · MySQL asking"
    silent("jars", None, "")


def test_the_servers_can_be_installed_by_a_python_without_our_packages():
    command = [sys.executable, "-S", "-P", "-c", "import infra.install.artifacts"]
    imported = subprocess.run(
        command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert imported.returncode == 0, imported.stderr
