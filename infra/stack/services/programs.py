"""Kappa's own processes: each is a Python module, ready when its state file says that it runs."""

import sys
from datetime import UTC, datetime, timedelta

from connectors import pulse
from infra.errors import Unavailable
from infra.services.service import Host, Service
from infra.settings import ROOT
from infra.state import read_state

STALE_AFTER = timedelta(seconds=30)


def program(zone: str, module: str, after: tuple[str, ...], traffic: bool = False, name: str = "") -> Service:
    """The process that runs a module; its name is the module's, unless it is told another one."""
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
    """Where a process finds the project, its data and the jars it hands to Java."""
    return {
        "PYTHONPATH": str(ROOT),
        "JAVA_HOME": str(host.java_home),
        "KAPPA_KAFKA_LIB": str(host.artifacts.kafka_lib),
        "SPARK_LOCAL_DIRS": str(host.data("tmp", "spark")),
    }


def says_it_runs(host: Host, name: str) -> None:
    """Raises Unavailable unless the process said within the last half minute that it runs."""
    state = read_state(host.settings.home, name)
    if not state:
        raise Unavailable(f"{name} has not said anything yet", f"./kappa logs {name}")
    if state.get("state") != "running":
        raise Unavailable(f"{name} is {state.get('state')}: {state.get('detail')}", f"./kappa logs {name}")
    said = datetime.fromisoformat(str(state["updated_at"]))
    if datetime.now(UTC) - said > STALE_AFTER:
        raise Unavailable(f"{name} has said nothing since {said:%H:%M:%S} UTC", f"./kappa logs {name}")


def forget(name: str, host: Host) -> None:
    """Remove what an earlier run of the process said, so that only the new one can be believed."""
    (host.settings.home / "run").mkdir(parents=True, exist_ok=True)
    (host.settings.home / "run" / f"{name}.json").unlink(missing_ok=True)


def worker_name(number: int) -> str:
    """The process name of a worker of the live counts: counts, counts-2 and so on."""
    return "counts" if number == 1 else f"counts-{number}"


def services(workers: int, proving: bool) -> list[Service]:
    """All of them, in the order in which data flows; the prover if asked for."""
    shop = Service(
        name="shop",
        zone="site",
        group="site",
        after=("mysql",),
        command=lambda host: [sys.executable, "-m", "producers.shop"],
        environment=environment,
        probe=lambda host: pulse.shop(host.settings.site.shop_url),
        stop_seconds=15,
    )
    return [
        program("log", "connectors.capture", ("connect", "mysql", "kafka")),
        *(program("serving", "processors.counts", ("kafka", "registry", "cassandra"), name=worker_name(n)) for n in range(1, workers + 1)),
        program("serving", "processors.conversion", ("kafka", "registry", "cassandra")),
        program("warehouse", "spark.compactor", ("kafka", "registry", "datanode", "metastore")),
        *([program("warehouse", "infra.prover", ("compactor", "mysql", "connect"))] if proving else []),
        shop,
        program("site", "producers.customers", ("shop",), traffic=True),
        program("site", "producers.clicks", ("shop", "kafka", "registry"), traffic=True),
    ]
