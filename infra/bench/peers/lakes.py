"""Spark with Iceberg, Delta, or plain Parquet: a table of orders, merges into it, and scans of it.

The session stays. The script knows nothing of the project: a JSON file (the argument) says how to
start; each line on standard input is a question, answered by a line.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

from pyspark.sql import DataFrame, SparkSession

COLUMNS = ["order_id", "user_id", "product_id", "orderedAt", "status"]
CHANGES = (
    "op string, order_id bigint, user_id bigint, product_id bigint, orderedAt timestamp, "
    "status string, order_date string"
)
DAY_COLUMN = "date_format(orderedAt, 'yyyy-MM-dd') AS order_date"
# The aggregates of a scan over the whole table, so that every column is read. They also prove that
# all tables hold the same rows.
DIGEST = (
    "count(*)",
    "sum(order_id)",
    "sum(user_id)",
    "sum(product_id)",
    "sum(cast(status AS int))",
    "sum(unix_micros(orderedAt) % 1000003)",
)


class Parquet:
    """Plain Parquet, without a table format.

    The rows of the days that no change touches, and the new ones, are written into new folders.
    """

    extensions: ClassVar[dict[str, str]] = {}

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self.root = root
        self.writes = 0
        self.folders: dict[str, str] = {}

    def create(self, rows: DataFrame) -> None:
        """Create the table with these rows, which have their day as `order_date`."""
        self._write_days(rows)

    def merge(self, days: list[str], _updates_only: bool) -> None:
        """Merge the view `changes`, which touches only these days."""
        folders = [self.folders[day] for day in days if day in self.folders]
        old_rows = self.spark.read.parquet(*folders)
        changes = self.spark.table("changes")
        changed_ids = changes.select("order_id")
        kept_rows = old_rows.join(changed_ids, "order_id", "left_anti")
        kept_rows = kept_rows.selectExpr(*COLUMNS, DAY_COLUMN)
        new_rows = changes.where("op <> 'd'").drop("op")
        self._write_days(kept_rows.unionByName(new_rows))

    def frame(self) -> DataFrame:
        """Return the table."""
        return self.spark.read.parquet(*self.folders.values())

    def files(self) -> dict[str, int]:
        """Return how many files a reader opens, and how many of them only say what is deleted."""
        return {"files": len(self.frame().inputFiles()), "delete_files": 0}

    def _write_days(self, rows: DataFrame) -> None:
        self.writes += 1
        target = f"{self.root}/{self.writes}"
        rows.repartition("order_date").write.partitionBy("order_date").parquet(target)
        path = self.spark._jvm.org.apache.hadoop.fs.Path(target)
        file_system = path.getFileSystem(self.spark._jsc.hadoopConfiguration())
        for entry in file_system.listStatus(path):
            if entry.isDirectory():
                day = entry.getPath().getName().partition("=")[2]
                self.folders[day] = entry.getPath().toString()


class MergeTable:
    """A table format with MERGE. The condition names the days, so that others are not scanned."""

    table = ""

    def __init__(self, spark: SparkSession, root: str) -> None:
        self.spark = spark
        self.root = root

    def merge(self, days: list[str], updates_only: bool) -> None:
        """Merge the view `changes`, which touches only these days.

        Without deletes and inserts, Spark needs no outer join.
        """
        names = [*COLUMNS, "order_date"]
        values = ", ".join(f"c.{name}" for name in names)
        assignments = ", ".join(f"t.{name} = c.{name}" for name in names)
        day_list = ", ".join(f"'{day}'" for day in days)
        condition = (
            "t.order_id = c.order_id AND t.order_date = c.order_date "
            f"AND t.order_date IN ({day_list})"
        )
        update = f"WHEN MATCHED THEN UPDATE SET {assignments}"
        delete = "WHEN MATCHED AND c.op = 'd' THEN DELETE"
        columns = ", ".join(names)
        insert = (
            f"WHEN NOT MATCHED AND c.op <> 'd' THEN INSERT ({columns}) VALUES ({values})"
        )
        clauses = [update] if updates_only else [delete, update, insert]
        self.spark.sql(
            f"MERGE INTO {self.table} t USING changes c ON {condition} {' '.join(clauses)}"
        )

    def frame(self) -> DataFrame:
        """Return the table."""
        return self.spark.table(self.table)


class Iceberg(MergeTable):
    """Iceberg in a catalog of files, format 3."""

    table = "ice.bench.orders"
    mode = "copy-on-write"
    extensions: ClassVar[dict[str, str]] = {
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
    }

    def create(self, rows: DataFrame) -> None:
        """Create the table with these rows, which have their day as `order_date`."""
        operations = ("merge", "update", "delete")
        modes = ", ".join(f"'write.{name}.mode'='{self.mode}'" for name in operations)
        columns = ", ".join(f"{name} {kind}" for name, kind in rows.dtypes)
        self.spark.sql(
            f"CREATE TABLE {self.table} ({columns}) USING iceberg PARTITIONED BY (order_date) "
            f"TBLPROPERTIES ('format-version'='3', {modes})"
        )
        rows.writeTo(self.table).append()

    def files(self) -> dict[str, int]:
        """Return how many files a reader opens, and how many of them only say what is deleted."""
        row = self.spark.sql(
            f"SELECT count(DISTINCT file_path), count_if(content > 0) FROM {self.table}.files"
        ).first()
        return {"files": row[0], "delete_files": row[1]}


class IcebergMergeOnRead(Iceberg):
    """The same with deletion vectors."""

    mode = "merge-on-read"


class Delta(MergeTable):
    """Delta without deletion vectors, its default: files are rewritten."""

    extensions: ClassVar[dict[str, str]] = {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "2",  # 50 tasks by default, for clusters
    }

    def __init__(self, spark: SparkSession, root: str) -> None:
        super().__init__(spark, root)
        self.table = f"delta.`{root}/orders`"

    def create(self, rows: DataFrame) -> None:
        """Create the table with these rows, which have their day as `order_date`."""
        writer = rows.repartition("order_date").write.format("delta")
        writer.partitionBy("order_date").save(f"{self.root}/orders")

    def files(self) -> dict[str, int]:
        """Return how many files a reader opens, and how many of them only say what is deleted."""
        detail = self.spark.sql(f"DESCRIBE DETAIL {self.table}").first()
        return {"files": detail["numFiles"], "delete_files": 0}


KINDS = {
    "parquet": Parquet,
    "iceberg-cow": Iceberg,
    "iceberg-mor": IcebergMergeOnRead,
    "delta": Delta,
}


def main() -> None:
    """Answer until standard input ends."""
    task = json.loads(Path(sys.argv[1]).read_text())
    kind = KINDS[task["kind"]]
    spark = session(task, kind.extensions)
    table: Any = kind(spark, task["root"])
    report(ready=True)
    for line in sys.stdin:
        report(**answer(spark, table, json.loads(line)))


def session(task: dict[str, Any], extensions: dict[str, str]) -> SparkSession:
    """Return a session that uses all cores of this machine."""
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
    """Do what a question asks; return the seconds that it took, and facts."""
    match question["do"]:
        case "create":
            return {"seconds": create(spark, table, question)}
        case "merge":
            return {"seconds": merge(spark, table, question)}
        case _:
            return scan(spark, table, question)


def create(spark: SparkSession, table: Any, question: dict[str, Any]) -> float:
    """Create the table with the orders of some files; return the seconds."""
    start = time.monotonic()
    orders = spark.read.parquet(*question["files"])
    table.create(orders.selectExpr(*COLUMNS, DAY_COLUMN))
    return time.monotonic() - start


def merge(spark: SparkSession, table: Any, question: dict[str, Any]) -> float:
    """Merge a file of changes; return the seconds.

    The schema of the changes is given, as a stream's would be; their rows are read by the merge.
    """
    changes = spark.read.schema(CHANGES).parquet(question["changes"])
    changes.createOrReplaceTempView("changes")
    start = time.monotonic()
    table.merge(question["days"], question["updates_only"])
    return time.monotonic() - start


def scan(spark: SparkSession, table: Any, question: dict[str, Any]) -> dict[str, Any]:
    """Read some files, or the table if there are none; return the seconds and the digest.

    Of the table also how many files it has.
    """
    files = question.get("files")
    frame = spark.read.parquet(*files) if files else table.frame()
    start = time.monotonic()
    row = frame.selectExpr(*DIGEST).first()
    digest = [int(value) for value in row]
    facts = {"seconds": time.monotonic() - start, "digest": digest}
    return facts if files else facts | table.files()


def report(**facts: Any) -> None:
    """Print one line for the harness."""
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    main()
