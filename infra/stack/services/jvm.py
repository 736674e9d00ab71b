"""Command lines and configuration files of Java servers."""

from pathlib import Path
from xml.sax.saxutils import escape

from infra.stack.services.service import Host

# Servers that do little work start faster and stay smaller with the first compiler only.
LIGHT = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")

LOG4J2 = """\
status=WARN
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
# Debezium logs its settings, and has the salt of hashed columns in a setting's name.
appender.console.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC} %p %c{2}: \\
  %replace{%m}{with[.]salt[.][^ =,]+}{with.salt.***}%n
# Capture asks for its connector all the time: no line per request.
logger.rest.name=org.apache.kafka.connect.runtime.rest.RestServer
logger.rest.level=WARN
rootLogger.level=INFO
rootLogger.appenderRef.root.ref=console
"""


def java(
    host: Host,
    heap: str,
    classpath: list[Path | str],
    main: str,
    *arguments: str,
    options: tuple[str, ...] = (),
) -> list[str]:
    """Return a Java command with UTC and IPv4; entries of the class path may hold spaces.

    `heap` is a size such as `256m`.
    """
    return [
        str(host.java_home / "bin" / "java"),
        f"-Xmx{heap}",
        "-Xms32m",
        # the default makes full collections during every start, while classes are loaded
        "-XX:MetaspaceSize=128m",
        "-Duser.timezone=UTC",
        "-Dfile.encoding=UTF-8",
        "-Djava.net.preferIPv4Stack=true",
        "-Djava.awt.headless=true",
        f"-Djava.io.tmpdir={host.data('tmp')}",
        *options,
        "-cp",
        ":".join(str(entry) for entry in classpath),
        main,
        *arguments,
    ]


def log4j2(host: Host) -> str:
    """Return the option that sends a server's Log4j 2 log to its standard output."""
    path = host.write(host.conf("log4j2.properties"), LOG4J2)
    return f"-Dlog4j2.configurationFile={path.as_uri()}"


def opens(*packages: str) -> tuple[str, ...]:
    """Return `--add-opens` for packages of java.base that old libraries reflect on."""
    return tuple(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in packages)


def hadoop_xml(values: dict[str, object]) -> str:
    """Return a Hadoop or Hive configuration file."""
    rows = (
        f"  <property><name>{key}</name><value>{escape(_text(value))}</value></property>\n"
        for key, value in values.items()
    )
    return f'<?xml version="1.0"?>\n<configuration>\n{"".join(rows)}</configuration>\n'


def properties(values: dict[str, object]) -> str:
    """Return a Java properties file; backslashes, which start its escapes, are doubled."""
    lines = [f"{key}={_text(value)}\n" for key, value in values.items()]
    return "".join(lines).replace("\\", "\\\\")


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
