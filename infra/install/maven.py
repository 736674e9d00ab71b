"""Jars from Maven's registry, by the poms in `infra/jars`, with what has arrived so far."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from infra.errors import KappaError, MachineError, Unavailable
from infra.progress import Report

POMS = Path(__file__).resolve().parent / "jars"
WHAT = "jars"

# What a first download moves. It only makes the percentage, so it may be somewhat wrong; files count as much as bytes in it,
# since many small poms, one after the other, take most of the time.
FIRST_DOWNLOAD_FILES = 2200
FIRST_DOWNLOAD_MEGABYTES = 730

_ARRIVED = re.compile(r"Downloaded from \S+: (?P<url>\S+) \((?P<size>[\d.]+) (?P<unit>B|kB|MB|GB)")
_MEGABYTES = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
_NETWORK = ("Could not transfer artifact", "Unknown host", "Connection refused", "timed out", "Network is unreachable", "Connection reset")


def fetch(modules: Iterable[str], out: Path, report: Report, environment: Mapping[str, str] | None = None, pom: Path = POMS / "pom.xml") -> None:
    """Put the files of these modules of a pom under `out`, each as its own says.

    What arrived stays in Maven's own repository (`~/.m2`), so that a run after a killed one goes on where that stopped.
    Raises MachineError if Maven is missing or refuses, Unavailable if the registry does not answer.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise MachineError("Maven (mvn) is not installed, and jars are still to be fetched", "apt-get install maven, then ./kappa up")
    report(WHAT, None, "starting Maven")
    # Its folder of temporary files may be unknown to an ordinary user, so the output is kept in a nameless file.
    with tempfile.TemporaryFile("w+") as kept:
        process = subprocess.Popen(
            command(maven, modules, out, pom), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        try:
            assert process.stdout is not None
            for line in follow(process.stdout, report):
                kept.write(line)
            failed = process.wait() != 0
        finally:
            process.kill()
        if failed:
            kept.seek(0)
            raise failure(kept)
    report(WHAT, 1.0, "in place")


def command(maven: str, modules: Iterable[str], out: Path, pom: Path = POMS / "pom.xml") -> list[str]:
    """The one call that fetches all modules: eight at a time, since Maven reads each module's poms one after the other.

    It ends when we do, however that is: a Maven left alone would go on filling a folder that nobody removes.
    """
    wanted = ",".join(f":{module}" for module in modules)
    return [
        "setpriv", "--pdeathsig", "KILL", maven, "--batch-mode", "--update-snapshots", "-Dstyle.color=never",
        "-T", "8", "-Dmaven.artifact.threads=16", "-f", str(pom), "-pl", wanted, f"-Dkappa.out={out}", "generate-resources",
    ]  # fmt: skip


def follow(lines: Iterable[str], report: Report) -> Iterator[str]:
    """The same lines, reporting files and megabytes as they arrive."""
    files, megabytes = 0, 0.0
    for line in lines:
        if arrived := _ARRIVED.search(line):
            files += 1
            megabytes += float(arrived["size"]) * _MEGABYTES[arrived["unit"]]
            report(WHAT, fraction(files, megabytes), f"{megabytes:.0f} MB in {files} files")
        elif "--- maven-dependency-plugin" in line or "--- dependency:" in line:
            report(WHAT, None, f"{megabytes:.0f} MB in {files} files, unpacking")
        yield line


def fraction(files: int, megabytes: float) -> float:
    """How far a first download is; one that needs less just ends sooner."""
    return min((files / FIRST_DOWNLOAD_FILES + megabytes / FIRST_DOWNLOAD_MEGABYTES) / 2, 0.99)


def failure(output: IO[str] | Iterable[str]) -> KappaError:
    """The error that Maven's output amounts to: no answer from the registry, or something that trying again will not cure."""
    complaints = [line.removeprefix("[ERROR]").strip() for line in output if line.startswith("[ERROR]")]
    first = next((line for line in complaints if line), "Maven failed and said nothing")[:400]
    if any(sign in line for line in complaints for sign in _NETWORK):
        return Unavailable(
            f"jars could not be fetched: {first}",
            "check the network (Maven takes a proxy from ~/.m2/settings.xml), then run ./kappa up again: what has arrived is kept",
        )
    return MachineError(f"Maven failed: {first}", f"to see all of it: mvn -f {POMS / 'pom.xml'} generate-resources")
