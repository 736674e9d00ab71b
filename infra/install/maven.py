"""Fetch jars from Maven's registry, by the poms in `infra/install/jars`, with progress."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO

from infra.terminal.progress_line import Report
from schemas.errors import KappaError, MachineError, Unavailable

POMS = Path(__file__).resolve().parent / "jars"
SUBJECT = "jars"

# The size of a first download. It only makes the percentage, so it may be somewhat wrong. Files
# count as much as bytes, since many small poms, one after the other, take most of the time.
FIRST_DOWNLOAD_FILES = 2200
FIRST_DOWNLOAD_MEGABYTES = 820

_DOWNLOADED = re.compile(
    r"Downloaded from \S+: (?P<url>\S+) \((?P<size>[\d.]+) (?P<unit>B|kB|MB|GB)"
)
_MEGABYTES = {"B": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
_NETWORK = (
    "Could not transfer artifact",
    "Unknown host",
    "Connection refused",
    "timed out",
    "Network is unreachable",
    "Connection reset",
)


def fetch(
    modules: Iterable[str],
    out: Path,
    report: Report,
    environment: Mapping[str, str] | None = None,
    pom: Path = POMS / "pom.xml",
) -> None:
    """Put the files of these modules of a pom under `out`, as each module's pom says.

    Downloads stay in Maven's own repository (`~/.m2`), so that a run after a killed one continues
    where that stopped. Raises MachineError if Maven is missing or refuses, Unavailable if the
    registry does not answer.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise MachineError(
            "Maven (mvn) is not installed, and jars are missing",
            "apt-get install maven, then ./kappa up",
        )
    report(SUBJECT, None, "starting Maven")
    # A nameless file: its folder of temporary files may be unknown to an ordinary user.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            command(maven, modules, out, pom),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(environment or {})},
        )
        try:
            assert process.stdout is not None
            for line in follow(process.stdout, report):
                output.write(line)
            failed = process.wait() != 0
        finally:
            process.kill()
        if failed:
            output.seek(0)
            raise failure(output)
    report(SUBJECT, 1.0, "in place")


def command(
    maven: str, modules: Iterable[str], out: Path, pom: Path = POMS / "pom.xml"
) -> list[str]:
    """Return the call that fetches all modules, eight at a time.

    Maven reads the poms of one module one after the other. It ends when this process ends in any
    way: on its own, it would continue to fill a folder that no process removes.
    """
    projects = ",".join(f":{module}" for module in modules)
    return [
        "setpriv",
        "--pdeathsig",
        "KILL",
        maven,
        "--batch-mode",
        "--update-snapshots",
        "-Dstyle.color=never",
        "-T",
        "8",
        "-Dmaven.artifact.threads=16",
        "-f",
        str(pom),
        "-pl",
        projects,
        f"-Dkappa.out={out}",
        "generate-resources",
    ]


def follow(lines: Iterable[str], report: Report) -> Iterator[str]:
    """Yield the same lines; report files and megabytes as they arrive."""
    files = 0
    megabytes = 0.0
    for line in lines:
        if download := _DOWNLOADED.search(line):
            files += 1
            megabytes += float(download["size"]) * _MEGABYTES[download["unit"]]
            report(
                SUBJECT, fraction(files, megabytes), f"{megabytes:.0f} MB in {files} files"
            )
        elif "--- maven-dependency-plugin" in line or "--- dependency:" in line:
            report(SUBJECT, None, f"{megabytes:.0f} MB in {files} files, unpacking")
        yield line


def fraction(files: int, megabytes: float) -> float:
    """Return how far a first download is; a smaller one just ends sooner."""
    return min(
        (files / FIRST_DOWNLOAD_FILES + megabytes / FIRST_DOWNLOAD_MEGABYTES) / 2, 0.99
    )


def failure(output: IO[str] | Iterable[str]) -> KappaError:
    """Return the error for Maven's output.

    It is Unavailable if the registry did not answer, otherwise MachineError.
    """
    complaints = [
        line.removeprefix("[ERROR]").strip()
        for line in output
        if line.startswith("[ERROR]")
    ]
    first = next((line for line in complaints if line), "Maven failed without a message")[
        :400
    ]
    text = "\n".join(complaints)
    if any(sign in text for sign in _NETWORK):
        return Unavailable(
            f"jars could not be fetched: {first}",
            "check the network (Maven takes a proxy from ~/.m2/settings.xml), then run ./kappa "
            "up again: finished downloads are kept",
        )
    return MachineError(
        f"Maven failed: {first}",
        f"to see its whole output: mvn -f {POMS / 'pom.xml'} generate-resources",
    )
