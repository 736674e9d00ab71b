"""What information_schema of MySQL 9.7 says of a column of each type of docs/types.md."""

from connectors.mysql.column_types import ColumnFacts, ReadColumn, read_column


def facts(
    type_name: str,
    full_type: str,
    *,
    digits: int = 0,
    scale: int | None = None,
    fraction: int = 0,
    charset: str = "",
) -> ColumnFacts:
    return ColumnFacts(
        "c",
        type_name,
        full_type,
        digits=digits,
        scale=scale,
        fraction=fraction,
        charset=charset,
    )


def read_column_of(mysql: str) -> ReadColumn:
    """Return the column of a type."""
    return read_column(FACTS[mysql], "table t")


FACTS = {
    "TINYINT": facts("tinyint", "tinyint", digits=3, scale=0),
    "TINYINT UNSIGNED": facts("tinyint", "tinyint unsigned", digits=3, scale=0),
    "TINYINT(1)": facts("tinyint", "tinyint(1)", digits=3, scale=0),
    "BOOLEAN": facts("tinyint", "tinyint(1)", digits=3, scale=0),
    "SMALLINT": facts("smallint", "smallint", digits=5, scale=0),
    "SMALLINT UNSIGNED": facts("smallint", "smallint unsigned", digits=5, scale=0),
    "MEDIUMINT": facts("mediumint", "mediumint", digits=7, scale=0),
    "MEDIUMINT UNSIGNED": facts("mediumint", "mediumint unsigned", digits=7, scale=0),
    "INT": facts("int", "int", digits=10, scale=0),
    "INT UNSIGNED ZEROFILL": facts("int", "int(10) unsigned zerofill", digits=10, scale=0),
    "BIGINT": facts("bigint", "bigint", digits=19, scale=0),
    "BIGINT UNSIGNED": facts("bigint", "bigint unsigned", digits=20, scale=0),
    "DECIMAL(10)": facts("decimal", "decimal(10,0)", digits=10, scale=0),
    "DECIMAL(10,2) UNSIGNED": facts(
        "decimal", "decimal(10,2) unsigned", digits=10, scale=2
    ),
    "DECIMAL(38,10)": facts("decimal", "decimal(38,10)", digits=38, scale=10),
    "DECIMAL(65,30)": facts("decimal", "decimal(65,30)", digits=65, scale=30),
    "FLOAT": facts("float", "float", digits=12),
    "FLOAT(10,3)": facts("float", "float(10,3)", digits=10, scale=3),
    "DOUBLE": facts("double", "double", digits=22),
    "BIT(1)": facts("bit", "bit(1)", digits=1),
    "BIT(9)": facts("bit", "bit(9)", digits=9),
    "BIT(64)": facts("bit", "bit(64)", digits=64),
    "DATE": facts("date", "date"),
    "DATETIME": facts("datetime", "datetime"),
    "DATETIME(3)": facts("datetime", "datetime(3)", fraction=3),
    "DATETIME(6)": facts("datetime", "datetime(6)", fraction=6),
    "TIMESTAMP": facts("timestamp", "timestamp"),
    "TIMESTAMP(6)": facts("timestamp", "timestamp(6)", fraction=6),
    "TIME": facts("time", "time"),
    "TIME(6)": facts("time", "time(6)", fraction=6),
    "YEAR": facts("year", "year"),
    "CHAR(10)": facts("char", "char(10)", charset="utf8mb4"),
    "VARCHAR(50)": facts("varchar", "varchar(50)", charset="utf8mb4"),
    "VARCHAR(10) CHARACTER SET latin1": facts("varchar", "varchar(10)", charset="latin1"),
    "VARCHAR(10) CHARACTER SET sjis": facts("varchar", "varchar(10)", charset="sjis"),
    "VARCHAR(10) CHARACTER SET utf16": facts("varchar", "varchar(10)", charset="utf16"),
    "TINYTEXT": facts("tinytext", "tinytext", charset="utf8mb4"),
    "TEXT": facts("text", "text", charset="utf8mb4"),
    "MEDIUMTEXT": facts("mediumtext", "mediumtext", charset="utf8mb4"),
    "LONGTEXT": facts("longtext", "longtext", charset="utf8mb4"),
    "BINARY(5)": facts("binary", "binary(5)"),
    "VARBINARY(10)": facts("varbinary", "varbinary(10)"),
    "TINYBLOB": facts("tinyblob", "tinyblob"),
    "BLOB": facts("blob", "blob"),
    "MEDIUMBLOB": facts("mediumblob", "mediumblob"),
    "LONGBLOB": facts("longblob", "longblob"),
    "ENUM('a','it''s','x,y','ż')": facts(
        "enum", "enum('a','it''s','x,y','ż')", charset="utf8mb4"
    ),
    "SET('a','b c','ż')": facts("set", "set('a','b c','ż')", charset="utf8mb4"),
    "JSON": facts("json", "json"),
    "POINT": facts("point", "point"),
    "POINT SRID 4326": facts("point", "point"),
    "LINESTRING": facts("linestring", "linestring"),
    "POLYGON": facts("polygon", "polygon"),
    "MULTIPOINT": facts("multipoint", "multipoint"),
    "MULTILINESTRING": facts("multilinestring", "multilinestring"),
    "MULTIPOLYGON": facts("multipolygon", "multipolygon"),
    "GEOMETRYCOLLECTION": facts("geomcollection", "geomcollection"),
    "GEOMETRY": facts("geometry", "geometry"),
    "VECTOR(3)": facts("vector", "vector(3)"),
}
