"""Spark with Iceberg, Delta, or plain Parquet: a table of orders, merges into it, and its reading, in a session that stays.

Knows nothing of the project. A JSON file (the argument) says how to start; each line on standard input is a question, answered by a line.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from pyspark.sql import DataFrame, SparkSession

COLUMNS = "order_id, user_id, product_id, orderedAt, status"
CHANGES = "op string, order_id bigint, user_id bigint, product_id bigint, orderedAt timestamp, status string, order_date string"
DAY = "date_format(orderedAt, 'yyyy-MM-dd')"
# What a reader computes over the whole table: every column is read. It is the proof that all hold the same rows, too.
DIGEST = "count(*), sum(order_id), sum(user_id), sum(product_id), sum(cast(status AS int)), sum(unix_micros(orderedAt) % 1000003)"


class Parquet:
    """Plain Parquet, without a table format: the days' rows that no change touches and the new ones are written into new folders."""

    extensions: ClassVar[dict[str, str]] = {}

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark, self.root, self.writes = spark, root, 0
        self.folders: dict[str, str] = {}

    def create(self, rows: DataFrame) -> None:
        """The table, with these rows (and their day as `order_date`)."""
        self._write(rows)

    def merge(self, days: list[str], _updates_only: bool) -> None:
        """Merge the view `changes`, which touches these days only."""
        old = self.spark.read.parquet(*(self.folders[day] for day in days if day in self.folders))
        changes = self.spark.table("changes")
        old = old.join(changes.select("order_id"), "order_id", "left_anti").selectExpr(*COLUMNS.split(", "), f"{DAY} AS order_date")
        self._write(old.unionByName(changes.where("op <> 'd'").drop("op")))

    def frame(self) -> DataFrame:
        """The table."""
        return self.spark.read.parquet(*self.folders.values())

    def files(self) -> dict[str, int]:
        """The files that a reader opens, and how many of them say what is deleted in others."""
        return {"files": len(self.frame().inputFiles()), "delete_files": 0}

    def _write(self, rows: DataFrame) -> None:
        self.writes += 1
        target = f"{self.root}/{self.writes}"
        rows.repartition("order_date").write.partitionBy("order_date").parquet(target)
        written = self.spark._jvm.org.apache.hadoop.fs.Path(target)
        for entry in written.getFileSystem(self.spark._jsc.hadoopConfiguration()).listStatus(written):
            if entry.isDirectory():
                self.folders[entry.getPath().getName().partition("=")[2]] = entry.getPath().toString()


class Merging:
    """A table format with MERGE. The condition names the days, so that nobody has to look into others."""

    table = ""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark, self.root = spark, root

    def merge(self, days: list[str], updates_only: bool) -> None:
        """Merge the view `changes`, which touches these days only. Without orders that go or come, Spark needs no outer join."""
        others = f" WHEN NOT MATCHED AND c.op <> 'd' THEN INSERT ({COLUMNS}, order_date) VALUES ({self._values()})"
        named = ", ".join(f"'{day}'" for day in days)
        self.spark.sql(
            f"MERGE INTO {self.table} t USING changes c ON t.order_id = c.order_id AND t.order_date = c.order_date AND t.order_date IN ({named}) "
            + ("" if updates_only else "WHEN MATCHED AND c.op = 'd' THEN DELETE ")
            + f"WHEN MATCHED THEN UPDATE SET {self._assigned('t.')}"
            + ("" if updates_only else others)
        )

    def frame(self) -> DataFrame:
        """The table."""
        return self.spark.table(self.table)

    def _assigned(self, target: str) -> str:
        return ", ".join(f"{target}{name} = c.{name}" for name in [*COLUMNS.split(", "), "order_date"])

    def _values(self) -> str:
        return ", ".join(f"c.{name}" for name in [*COLUMNS.split(", "), "order_date"])


class Iceberg(Merging):
    """Iceberg in a catalog of files, format 3."""

    table = "ice.bench.orders"
    mode = "copy-on-write"
    extensions: ClassVar[dict[str, str]] = {"spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"}

    def create(self, rows: DataFrame) -> None:
        """The table, with these rows (and their day as `order_date`)."""
        modes = ", ".join(f"'write.{kind}.mode'='{self.mode}'" for kind in ("merge", "update", "delete"))
        columns = ", ".join(f"{name} {kind}" for name, kind in rows.dtypes)
        self.spark.sql(
            f"CREATE TABLE {self.table} ({columns}) USING iceberg PARTITIONED BY (order_date) TBLPROPERTIES ('format-version'='3', {modes})"
        )
        rows.writeTo(self.table).append()

    def files(self) -> dict[str, int]:
        """The files that a reader opens, and how many of them say what is deleted in others."""
        found = self.spark.sql(f"SELECT count(DISTINCT file_path), count_if(content > 0) FROM {self.table}.files").first()
        return {"files": found[0], "delete_files": found[1]}


class IcebergMergeOnRead(Iceberg):
    """The same with deletion vectors."""

    mode = "merge-on-read"


class Delta(Merging):
    """Delta without deletion vectors, its default: files are written anew."""

    extensions: ClassVar[dict[str, str]] = {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "2",  # 50 tasks by default, for clusters
    }

    def __init__(self, spark: SparkSession, root: str) -> None:
        super().__init__(spark, root)
        self.table = f"delta.`{root}/orders`"

    def create(self, rows: DataFrame) -> None:
        """The table, with these rows (and their day as `order_date`)."""
        rows.repartition("order_date").write.format("delta").partitionBy("order_date").save(f"{self.root}/orders")

    def files(self) -> dict[str, int]:
        """The files that a reader opens, and how many of them say what is deleted in others."""
        return {"files": self.spark.sql(f"DESCRIBE DETAIL {self.table}").first()["numFiles"], "delete_files": 0}


KINDS = {"parquet": Parquet, "iceberg-cow": Iceberg, "iceberg-mor": IcebergMergeOnRead, "delta": Delta}


def main() -> None:
    """Answer until standard input ends."""
    task = json.loads(Path(sys.argv[1]).read_text())
    kind = KINDS[task["kind"]]
    spark = session(task, kind.extensions)
    table: Any = kind(spark, task["root"])
    say(ready=True)
    for line in sys.stdin:
        say(**answer(spark, table, json.loads(line)))


def session(task: dict[str, Any], extensions: dict[str, str]) -> SparkSession:
    """A session of this machine's cores."""
    settings = {
        "spark.jars": ",".join(task["jars"]),
        "spark.driver.memory": task["memory"],
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(2 * task["cores"]),
        "spark.hadoop.fs.defaultFS": task["default_fs"],
        "spark.sql.catalog.ice": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.ice.type": "hadoop",
        "spark.sql.catalog.ice.warehouse": f"{task['default_fs']}{task['root']}",
        **extensions,
    }
    builder = SparkSession.builder.master(f"local[{task['cores']}]").appName("kappa-bench")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def answer(spark: SparkSession, table: Any, question: dict[str, Any]) -> dict[str, Any]:
    """Do what a question asks; with the seconds that it took."""
    start, facts = time.monotonic(), {}
    if question["do"] == "create":
        table.create(spark.read.parquet(*question["files"]).selectExpr(*COLUMNS.split(", "), f"{DAY} AS order_date"))
    elif question["do"] == "merge":
        # Their schema is known, as a stream's would be; their rows are read within the merge.
        spark.read.schema(CHANGES).parquet(question["changes"]).createOrReplaceTempView("changes")
        start = time.monotonic()
        table.merge(question["days"], question["updates_only"])
    else:
        frame = spark.read.parquet(*question["files"]) if question.get("files") else table.frame()
        start = time.monotonic()
        facts["digest"] = [int(value) for value in frame.selectExpr(*split(DIGEST)).first()]
    seconds = time.monotonic() - start
    if question["do"] == "read" and not question.get("files"):
        facts |= table.files()
    return {"seconds": seconds, **facts}


def split(expressions: str) -> list[str]:
    """Expressions between the commas that are in no brackets."""
    found, depth, start = [], 0, 0
    for place, sign in enumerate(expressions):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            found, start = [*found, expressions[start:place]], place + 1
    return [*found, expressions[start:]]


def say(**facts: Any) -> None:
    """One line for the harness."""
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
