import pytest

from tests.chaos.public_schemas.statement_choice import reason_left_out


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE user (a INT)",
        "/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`%`*/ /*!50003 TRIGGER g BEFORE INSERT ON t */",
        "CREATE DEFINER=CURRENT_USER SQL SECURITY INVOKER VIEW v AS SELECT 1",
        "alter table t add column `user` int",
        "DROP TEMPORARY TABLE IF EXISTS t",
        "RENAME TABLE a TO b",
        "/*!40101 SET NAMES utf8 */",
        "SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='TRADITIONAL'",
        "LOCK TABLES a WRITE",
        "START TRANSACTION",
        "INSERT INTO t VALUES ('mysql.user')",
    ],
)
def test_a_statement_about_tables_is_played(statement: str) -> None:
    assert reason_left_out(statement) == ""


@pytest.mark.parametrize(
    "statement",
    [
        "DROP DATABASE IF EXISTS shop",
        "CREATE USER a IDENTIFIED BY 'TABLE'",
        "RENAME USER a TO b",
        "GRANT ALL ON *.* TO a",
        "SET GLOBAL max_connections = 1",
        "SET @@SESSION.SQL_LOG_BIN = 0",
        "SET PASSWORD = 'x'",
        "SHUTDOWN",
        "LOCK INSTANCE FOR BACKUP",
        "START REPLICA",
        "ALTER INSTANCE ROTATE INNODB MASTER KEY",
        "INSERT INTO `mysql` . user VALUES (1)",
        "ALTER TABLE t DISCARD TABLESPACE",
        "CREATE FUNCTION f RETURNS INTEGER SONAME 'f.so'",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
        "SELECT * FROM t INTO OUTFILE 'x'",
        "flush tables with read lock",
        "()",
    ],
)
def test_a_statement_about_the_server_is_left_out(statement: str) -> None:
    assert reason_left_out(statement)
