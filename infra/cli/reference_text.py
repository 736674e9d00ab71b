"""The prose of the reference pages, around the tables that `reference_docs` generates."""

from connectors.runtime.settings import DEFAULT_PORT_BASE, PORTS

SETTINGS_INTRODUCTION = f"""\
# Settings

Every setting has a default. A value comes from the first of these that has it:

1. the environment: `KAPPA_<GROUP>_<KEY>`, for example `KAPPA_SPARK_INTERVAL_SECONDS=5`;
2. `kappa.toml` at the root of the project (`KAPPA_CONFIG` names another file): `[spark]` and `interval_seconds = 5`;
3. the default below.

Three settings belong to no group (in `kappa.toml` they stand before the first group):

| variable | in `kappa.toml` | default | what it is |
|---|---|---|---|
| `KAPPA_HOME` | `home` | `var/` in the project | the folder of all data, logs, secrets and generated configuration |
| `KAPPA_PORT_BASE` | `port_base` | `{DEFAULT_PORT_BASE}` | the first of {len(PORTS)} consecutive ports; each of several stacks needs another one |
| `KAPPA_CACHE` | | `~/.cache/kappa` | the downloaded and unpacked software, shared by all clones of a user |

**External systems.** A setting marked *address* makes its group external: `kappa up` then uses the system at that address and starts none.
Everything else stays the same: topics, subjects, tables, users and databases are created there with the group's administrative log-in.
`./kappa doctor mysql` says what a MySQL server elsewhere lacks ([operating](warehouse/operating.md#a-mysql-server-that-is-there-already)).

**Secrets.** The first start generates a password for each role in `<home>/secrets.json`, which only its owner can read (mode 0600).
Each process logs in as a role that has only the rights it needs. `kappa env` shows the readers' log-ins, `kappa env --admin` the owner's.
"""  # noqa: E501

CLI_INTRODUCTION = """\
# The command line

`./kappa` creates the project's Python environment on first use and then runs these commands. Each has `--help`. Exit codes: 0 success,
1 something failed or differs, 2 wrong usage. An error is one line, followed by the next step. Data goes to standard output; progress and
remarks go to standard error, so the output of `--json` and `--csv` can be piped.
"""  # noqa: E501

COUNTS_INTRODUCTION = """\
# The live counts

Every click is counted in Cassandra exactly once and within tenths of a second, also when processes are killed. There is a table for each question:

"""  # noqa: E501

COUNTS_EXPLANATION = f"""\
## How to read them

`./kappa query cassandra` reads the active generation; for other clients, `./kappa env` names its keyspace. A row counts one partition of the
topic, so an answer is a sum over `kafka_partition`, for which CQL has `GROUP BY`. A product has rows of several partitions only if clicks were
written under other keys, or if partitions were added. The lists of `top_products` and the sketches of `product_viewers_by_hour` are per
partition too.

Rows of windows are written immediately, all others within three seconds. `last_offset` is the last click that a row includes.

## Why they are exact

- **Absolute rows, fenced by their offset.** A row is a count and the offset of the last click in it. A click at or below that offset is already
  in the count, so reading it again changes nothing. No row is ever incremented in the store.
- **The offset is the write's time.** Rows are written `USING TIMESTAMP` generation and offset. So Cassandra itself rejects the write that has
  seen less of the log: from a worker that lost its partitions and continues later, sent again after a lost answer, or with a wrong clock.
- **Commit after the write.** Offsets are committed when all rows of the clicks before them are acknowledged.
- **Nothing to recover.** With each offset, the largest event time before it is committed. It tells a worker that takes over a partition that
  rows of later windows hold only clicks that it has not read yet, so it starts them at zero. It reads older rows when it needs them.
- **The best of a window stay exact without a list of all products**, because counts only grow: a product that enters the list was just viewed.
- **Conversion needs no fence.** Each order has a row, and its `converted` only ever changes from 0 to 1. By its write time 1 wins over 0, in
  every order of clicks and orders.

`./kappa verify counts` proves it: it counts the log again, with independent code, up to the offset that each row states, and names the rows that
differ.

## Late, absurd and unreadable clicks

A late click counts in its own window if it is logged within the horizon (`counts.horizon_seconds`, a week) by the broker's clock. A click that
is later, a click from the future, and a record that cannot be read become dead letters: they go to `<topic>.dead` with their bytes, headers,
position and reason, and counting continues. `./kappa dead` lists them, `./kappa dead --redrive` sends them again.

## Counting again

`./kappa replay counts` counts the log again from its start, or `--from` a time, by the rules in the settings. It builds a new *generation*
beside the live one, compares the two, and switches readers when the new one has everything that the old one has. `--rollback` goes back.
The rules of a generation never change: after a change of, for example, `counts.window_seconds`, `./kappa status` asks for a replay.

## More workers

`counts.workers` processes share the partitions; the figures of each are at `http://127.0.0.1:<port>/metrics` (Prometheus; the first
port is `KAPPA_PORT_BASE` + {PORTS.index("counts")}) and in `./kappa status`. A worker keeps at most `counts.rows_kept` rows in memory
beside those that change, and pauses while 25,000 windows wait to be written. So its memory is bounded for any number of products: at most
344 MB with a thousand, 782 MB with a million, all of them new (`./kappa bench memory`, docs/benchmarks.md). In that last case a click costs five
rows in Cassandra, of which one node writes about 6,000 per second.
"""  # noqa: E501

TYPES_INTRODUCTION = """\
# From MySQL's types to Hive's

Every column type of MySQL 8 and 9, and its type in Hive. Rows from a snapshot and rows from the stream are the same in Hive. Each line is a test
with the values at the limits of the type (tests/integration/test_types.py). The Avro column is what Debezium writes, with the last part of its
semantic name.

"""  # noqa: E501

TYPES_EXPLANATION = """\
NULL stays NULL in every type. A zero date, which Hive has no value for, is NULL too (or stops its table: `warehouse.zero_dates`); `./kappa status`
shows how many each table has, from the last proof. A MySQL timestamp is an instant; a DATETIME has no zone and is read as UTC. DATETIMEs between 1582-10-05 and
1582-10-14, days that Java's calendar does not have, are ten days later in a snapshot.

## Names

Hive's names are lower case and made of letters, digits and `_`. Every table and every column of MySQL has one of its own there:

| in MySQL | in Hive |
|---|---|
| `Orders` | `orders` |
| `net-price`, `größe`, `1st` | `net_price`, `gr__e`, `_1st` (tables: `1st`) |
| a table `Cart` and a table `cart` | `cart` for the first to come, `cart_` with six digits of a hash of its name for the other |
| the columns `net-price`, `net_price` and `net price` of one table | `net_price` for `net_price`; for the others the same with a hash of their name |
| a table `客户` | `t_` with a hash of its name |

A table keeps its name. `./kappa status` shows the tables that have another name than in MySQL. Each table has MySQL's name as the property
`kappa.mysql_table`, and `kappa.mysql_columns` has the columns' as JSON, of very many in parts
(`kappa.mysql_columns.2`, …; `DESCRIBE FORMATTED`). Commands take both. Debezium's topic of a table has
`_` for what Kafka does not allow, so that tables may share one; a record says whose it is (`source.table`). Where two columns of a table would be one
field in Avro, the fields of all tables change to `_uXXXX` for each character that is no letter or digit (`avro_unicode`); schemas keep MySQL's name
as the parameter `__debezium.source.column.name`.

## Keys

Rows are told apart by the primary key or, if a table has none, by the first UNIQUE key whose columns are NOT NULL. A table without either (or with a
key that has a FLOAT in it, of which the log has six digits) has as many copies of a row as MySQL: NULL equals NULL, and any difference in a value makes
another row. What it costs: all of the table is rewritten with every version that changes it, in memory, and `verify warehouse` reads it in one query.
It is not partitioned by a date, and `explain` does not know its rows.

## What stops a table

A table that cannot be replicated stops, with the name of the table and the column, before a row of it is written. All other tables continue.
`./kappa status` shows the reason, and the table is [read from MySQL again](warehouse/rereads.md) by itself. What is left:

"""  # noqa: E501

TYPES_STATEMENTS = """\

## Statements that change a table

A statement reaches the warehouse through the log, in its place between the writes before and after it. Old rows are then rewritten with the new
columns: every file of a table has the newest columns, so Hive and Spark read all of them by name. MySQL logs no row for the effect of a
statement on existing rows. A statement is applied to them only if it was read whole, with its comments and quotes, and its effect is certain:

| statement | in Hive |
|---|---|
| `CREATE TABLE` | a table, with its first row |
| `ADD` (first, after, last) | a column; older rows have NULL, or a default that is a plain integer or a plain text; 0 or '' in a `NOT NULL` column without one |
| `DROP`, also with `ADD` of the same name | the column is removed, with its values |
| `RENAME COLUMN`, `CHANGE`, swaps of names, a new order | the values under the new name, in the new order |
| wider integers, `DECIMAL`, texts and fractions of seconds, labels behind those of an `ENUM` or `SET` | the same values in the wider type |
| indexes, checks, foreign keys, comments, `ALTER … SET DEFAULT`, `PARTITION BY`, `ADD` and `REORGANIZE PARTITION` | nothing: rows keep their values |
| `TRUNCATE` | no rows |
| `DROP TABLE`, `DROP DATABASE` | no table; `ecommerce_lake` keeps its history |
| `DROP` and `CREATE` under the same name | only the new table's rows, with its types |
| `RENAME TABLE`, swaps of names | the rows under the new name |

A new column appears with the first row that is written after its statement.

The registry accepts every schema of a table (`NONE` for the subjects of change topics): a refusal would end capture for all tables.

After any other statement, the rows of the table have to be read from MySQL again: another type whose values may differ (`INT` to `VARCHAR`, fewer
digits, other labels, `NULL` to `NOT NULL`), another character set or primary key, a default or column that MySQL computes (`DEFAULT (…)`,
`CURRENT_TIMESTAMP`, `TRUE`, a date, `GENERATED`, `AUTO_INCREMENT`), `DROP`, `TRUNCATE` and `EXCHANGE PARTITION`, a table that comes from another
database, and whatever is not understood. That happens [by itself](warehouse/rereads.md): until then the published rows stay.
"""  # noqa: E501
