import pytest

from infra.bench.harness.machine import machine, processor, version_in_pom

POM = """
<properties><kafka.version>4.3.1</kafka.version></properties>
<artifactId>kafka_2.13</artifactId> <version>${kafka.version}</version>
<artifactId>cassandra-all</artifactId> <version>5.0.9</version>
<artifactId>other</artifactId> <version>${other.version}</version>
"""


@pytest.mark.parametrize(
    ("artifact", "version"),
    [
        ("kafka_2.13", "4.3.1"),
        ("cassandra-all", "5.0.9"),
        ("other", "unknown"),
        ("absent", "unknown"),
    ],
)
def test_a_version_is_read_where_the_pom_states_it(artifact: str, version: str) -> None:
    assert version_in_pom(POM, artifact) == version


def test_the_processor_is_named_as_linux_names_it() -> None:
    assert processor("x\nmodel name\t: A Processor @ 2 GHz\n") == "A Processor @ 2 GHz"
    assert processor("nothing") != ""


def test_this_machine_is_described() -> None:
    facts = machine()
    assert set(facts) == {"processor", "cores", "memory", "system", "python"}
    assert int(facts["cores"]) > 0
