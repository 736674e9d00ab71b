"""Plain Spark: a topic of Kafka into Parquet on HDFS, as bytes or as the typed columns of rows.

The rows are those of Debezium's changes. It knows nothing of the project.
"""

import json
import sys
import time
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.avro.functions import from_avro
from pyspark.sql.functions import expr

HEADER_BYTES = 5  # Confluent's wire format: a zero byte and the schema's id
WARM_UP_RECORDS = 100


def session(task: dict[str, str]) -> SparkSession:
    """Return a session with as many cores and as much memory as Kappa has."""
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
    """Return the topic from its beginning, in as many parts as there are cores."""
    options = {
        "kafka.bootstrap.servers": task["bootstrap_servers"],
        "subscribe": task["topic"],
        "startingOffsets": "earliest",
        "endingOffsets": end,
        "minPartitions": task["cores"],
    }
    return spark.read.format("kafka").options(**options).load()


def columns(topic: DataFrame, task: dict[str, str]) -> DataFrame:
    """Return what is written: records as they are, or each change's position and row after it."""
    if task["kind"] == "bytes":
        return topic.select("key", "value", "topic", "partition", "offset", "timestamp")
    body = expr(f"substring(value, {HEADER_BYTES + 1}, length(value))")
    change = from_avro(body, task["schema"]).alias("change")
    changes = topic.select("partition", "offset", change)
    return changes.select(
        "partition", "offset", "change.op", "change.source.gtid", "change.after.*"
    )


def copy_records(spark: SparkSession, task: dict[str, str], end: str) -> None:
    """Write the records up to an end into the task's folder, which is overwritten."""
    rows = columns(records(spark, task, end), task)
    rows.write.mode("overwrite").parquet(task["path"])


def main() -> None:
    """Warm up on a few records, then write all of them."""
    task = json.loads(Path(sys.argv[1]).read_text())
    spark = session(task)
    warm_up_end = json.dumps({task["topic"]: {"0": WARM_UP_RECORDS}})
    copy_records(spark, task, warm_up_end)
    first_at = time.time()
    copy_records(spark, task, "latest")
    last_at = time.time()
    rows = spark.read.parquet(task["path"]).count()
    print(
        json.dumps({"first_at": first_at, "last_at": last_at, "result": rows}), flush=True
    )
    spark.stop()


if __name__ == "__main__":
    main()
