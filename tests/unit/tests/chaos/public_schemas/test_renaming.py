import pytest

from tests.chaos.public_schemas.renaming import renamed

NEW_NAMES = {"orders": "x_orders", "user": "x`user"}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("CREATE TABLE orders (orders INT)", "CREATE TABLE `x_orders` (orders INT)"),
        (
            "CREATE TABLE IF NOT EXISTS `user` (a INT)",
            "CREATE TABLE IF NOT EXISTS `x``user` (a INT)",
        ),
        ("CREATE TABLE Orders (a INT)", "CREATE TABLE Orders (a INT)"),
        (
            "CREATE TABLE db.orders LIKE other.user",
            "CREATE TABLE `x_orders` LIKE `x``user`",
        ),
        ("CREATE TABLE a (LIKE b.c)", "CREATE TABLE a (LIKE c)"),
        (
            "CREATE TABLE a (b INT, KEY orders (b), FOREIGN KEY (b) REFERENCES s.orders (user))",
            "CREATE TABLE a (b INT, KEY orders (b), FOREIGN KEY (b) REFERENCES `x_orders` (user))",
        ),
        (
            "DROP TABLE IF EXISTS a, orders,\n s.user",
            "DROP TABLE IF EXISTS a, `x_orders`,\n `x``user`",
        ),
        (
            "RENAME TABLE orders TO a, b TO user",
            "RENAME TABLE `x_orders` TO a, b TO `x``user`",
        ),
        ("ALTER TABLE a RENAME TO orders", "ALTER TABLE a RENAME TO `x_orders`"),
        ("ALTER TABLE a RENAME orders", "ALTER TABLE a RENAME `x_orders`"),
        (
            "ALTER TABLE orders RENAME COLUMN user TO orders, ADD user INT",
            "ALTER TABLE `x_orders` RENAME COLUMN user TO orders, ADD user INT",
        ),
        (
            "CREATE UNIQUE INDEX user ON orders (user)",
            "CREATE UNIQUE INDEX user ON `x_orders` (user)",
        ),
        (
            "INSERT INTO orders (user) VALUES (1)",
            "INSERT INTO `x_orders` (user) VALUES (1)",
        ),
        ("INSERT IGNORE orders SELECT 1", "INSERT IGNORE `x_orders` SELECT 1"),
        (
            "REPLACE orders VALUES (REPLACE(user, 1, 2))",
            "REPLACE `x_orders` VALUES (REPLACE(user, 1, 2))",
        ),
        (
            "INSERT INTO a VALUES (1) ON DUPLICATE KEY UPDATE user = orders.b",
            "INSERT INTO a VALUES (1) ON DUPLICATE KEY UPDATE user = `x_orders`.b",
        ),
        ("LOCK TABLES `a` WRITE, `orders` READ", "LOCK TABLES `a` WRITE, `x_orders` READ"),
        (
            "UPDATE orders o, user SET o.user = 1",
            "UPDATE `x_orders` o, `x``user` SET o.user = 1",
        ),
        ("DELETE orders FROM orders JOIN b", "DELETE `x_orders` FROM `x_orders` JOIN b"),
        ("TRUNCATE orders", "TRUNCATE `x_orders`"),
        (
            "CREATE OR REPLACE VIEW s.v AS SELECT orders.user, u.orders FROM (a, orders) "
            "LEFT JOIN user u ON orders.id = u.id WHERE EXISTS (SELECT s.user.a FROM s.user)",
            "CREATE OR REPLACE VIEW v AS SELECT `x_orders`.user, u.orders FROM (a, `x_orders`) "
            "LEFT JOIN `x``user` u ON `x_orders`.id = u.id "
            "WHERE EXISTS (SELECT `x``user`.a FROM `x``user`)",
        ),
        (
            "UPDATE a SET b = EXTRACT(DAY FROM t.at)",
            "UPDATE a SET b = EXTRACT(DAY FROM t.at)",
        ),
        (
            "CREATE TRIGGER s.g AFTER INSERT ON orders FOR EACH ROW "
            "UPDATE user SET orders = NEW.user",
            "CREATE TRIGGER g AFTER INSERT ON `x_orders` FOR EACH ROW "
            "UPDATE `x``user` SET orders = NEW.user",
        ),
        (
            "CREATE TABLE a (b INT REFERENCES user (c) ON DELETE CASCADE ON UPDATE CASCADE)",
            "CREATE TABLE a (b INT REFERENCES `x``user` (c) ON DELETE CASCADE ON UPDATE CASCADE)",
        ),
        (
            "/*!40000 ALTER TABLE `orders` DISABLE KEYS */",
            "/*!40000 ALTER TABLE `x_orders` DISABLE KEYS */",
        ),
        ("INSERT INTO a VALUES ('FROM orders')", "INSERT INTO a VALUES ('FROM orders')"),
        ("CREATE PROCEDURE s.p() SELECT 1 FROM a", "CREATE PROCEDURE p() SELECT 1 FROM a"),
    ],
)  # fmt: skip
def test_a_statement_speaks_of_tables_under_their_new_names(
    statement: str, expected: str
) -> None:
    assert renamed(statement, NEW_NAMES) == expected
