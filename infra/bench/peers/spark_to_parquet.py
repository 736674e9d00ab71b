"""Plain Spark: a topic of Kafka into Parquet on HDFS, as bytes or as the typed columns of Debezium's rows. Knows nothing of the project."""

import json
import sys
import time
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.functions import expr

HEADER_BYTES = 5  # Confluent's wire format: a zero byte and the schema's id


def session(task: dict[str, str]) -> SparkSession:
    """As many cores and as much memory as the other contestant has."""
    config = {
        "spark.jars": task["jars"],
        "spark.driver.memory": task["driver_memory"],
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.hadoop.fs.defaultFS": task["default_fs"],
        "spark.sql.parquet.compression.codec": "zstd",
    }
    builder = SparkSession.builder.master(task["master"]).appName("plain")
    for key, value in config.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def records(spark: SparkSession, task: dict[str, str], end: str) -> DataFrame:
    """The topic from its beginning, in as many parts as there are cores."""
    options = {
        "kafka.bootstrap.servers": task["bootstrap_servers"],
        "subscribe": task["topic"],
        "startingOffsets": "earliest",
        "endingOffsets": end,
        "minPartitions": task["cores"],
    }
    return spark.read.format("kafka").options(**options).load()


def wanted(found: DataFrame, task: dict[str, str]) -> DataFrame:
    """What is written: records as they are, or the place of each change and its row after it."""
    if task["kind"] == "bytes":
        return found.select("key", "value", "topic", "partition", "offset", "timestamp")
    typed = from_avro(expr(f"substring(value, {HEADER_BYTES + 1}, length(value))"), task["schema"])
    return found.select("partition", "offset", typed.alias("change")).select(
        "partition", "offset", "change.op", "change.source.gtid", "change.after.*"
    )


def main() -> None:
    """Warm up on a few records, then write all of them."""
    task = json.loads(Path(sys.argv[1]).read_text())
    spark = session(task)
    few = json.dumps({task["topic"]: {"0": 100}})
    wanted(records(spark, task, few), task).write.mode("overwrite").parquet(task["path"])
    first_at = time.time()
    wanted(records(spark, task, "latest"), task).write.mode("overwrite").parquet(task["path"])
    last_at = time.time()
    print(json.dumps({"first_at": first_at, "last_at": last_at, "result": spark.read.parquet(task["path"]).count()}), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
