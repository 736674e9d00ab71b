"""Kappa's own processes: Python modules, ready when their state file says that they run."""

import sys
from datetime import UTC, datetime, timedelta

from connectors import health_checks
from connectors.runtime.process import spark_environment
from connectors.runtime.process_state import read_state
from connectors.runtime.settings import ROOT
from infra.stack.services.service import Host, Service
from schemas.errors import Unavailable

# Where processors are few, live counting comes first, then the counts of the new generation, then
# its conversion.
COUNTS_NICENESS = 10
CONVERSION_NICENESS = 15
STALE_AFTER = timedelta(seconds=30)


def program(
    zone: str, module: str, after: tuple[str, ...], traffic: bool = False, name: str = ""
) -> Service:
    """Return the process of a module; its name is the module's unless another one is given."""
    arguments = [name] if name else []
    name = name or module.rpartition(".")[2]
    return Service(
        name=name,
        zone=zone,
        after=after,
        command=lambda host: [sys.executable, "-m", module, *arguments],
        environment=environment,
        traffic=traffic,
        stop_seconds=15,
        prepare=lambda host: forget(name, host),
        probe=lambda host: says_it_runs(host, name),
    )


def environment(host: Host) -> dict[str, str]:
    """Return the environment with the places of the project, its data and the jars for Java."""
    return {
        "PYTHONPATH": str(ROOT),
        "JAVA_HOME": str(host.java_home),
        "KAPPA_KAFKA_LIB": str(host.artifacts.kafka_lib),
        "SPARK_LOCAL_DIRS": str(host.data("tmp", "spark")),
        **spark_environment(host.settings),
    }


def says_it_runs(host: Host, name: str) -> None:
    """Raise Unavailable unless the process reported within STALE_AFTER that it runs."""
    state = read_state(host.settings.home, name)
    if not state:
        raise Unavailable(f"{name} has not reported anything yet", f"./kappa logs {name}")
    if state.get("state") != "running":
        raise Unavailable(
            f"{name} is {state.get('state')}: {state.get('detail')}", f"./kappa logs {name}"
        )
    reported_at = datetime.fromisoformat(str(state["updated_at"]))
    if datetime.now(UTC) - reported_at > STALE_AFTER:
        raise Unavailable(
            f"{name} has reported nothing since {reported_at:%H:%M:%S} UTC",
            f"./kappa logs {name}",
        )


def forget(name: str, host: Host) -> None:
    """Remove the state of an earlier run of the process."""
    (host.settings.home / "run").mkdir(parents=True, exist_ok=True)
    (host.settings.home / "run" / f"{name}.json").unlink(missing_ok=True)


def worker_name(number: int) -> str:
    """Return the name of a worker of the live counts: counts, counts-2 and so on."""
    return "counts" if number == 1 else f"counts-{number}"


def services(workers: int, proving: bool) -> list[Service]:
    """Return Kappa's own processes in the order of the data; the prover only with `proving`."""
    shop = Service(
        name="shop",
        zone="site",
        group="site",
        after=("mysql",),
        command=lambda host: [sys.executable, "-m", "producers.shop"],
        environment=environment,
        probe=lambda host: health_checks.shop(host.settings.site.shop_url),
        stop_seconds=15,
    )
    return [
        program(
            "log",
            "connectors.debezium.connector_supervisor",
            ("connect", "mysql", "kafka"),
            name="capture",
        ),
        program("log", "connectors.debezium.binlog_watch", ("mysql",), name="binlog-watch"),
        *(
            program(
                "serving",
                "processors.counts",
                ("kafka", "registry", "cassandra"),
                name=worker_name(n),
            )
            for n in range(1, workers + 1)
        ),
        program("serving", "processors.conversion", ("kafka", "registry", "cassandra")),
        program(
            "warehouse", "spark.compactor", ("kafka", "registry", "datanode", "metastore")
        ),
        *(
            [
                program(
                    "warehouse",
                    "infra.verify.warehouse.prover",
                    ("compactor", "mysql", "connect"),
                )
            ]
            if proving
            else []
        ),
        shop,
        program("site", "producers.customers", ("shop",), traffic=True),
        program("site", "producers.clicks", ("shop", "kafka", "registry"), traffic=True),
    ]
