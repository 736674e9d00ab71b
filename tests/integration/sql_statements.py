"""Statements that Hive and `kappa sql` understand alike, with the names of the shop's tables."""

ORDERS = (
    "SELECT * FROM orders",
    "SELECT * FROM orders WHERE order_id = 7",
    "SELECT * FROM orders WHERE order_id IN (1, 3, 5, 7)",
    "SELECT count(*) FROM orders",
    "SELECT count(*), count(status), count(DISTINCT user_id) FROM orders",
    "SELECT status, count(*) FROM orders GROUP BY status",
    "SELECT order_date, count(*) FROM orders GROUP BY order_date",
    "SELECT min(orderedat), max(orderedat) FROM orders",
    "SELECT min(order_id), max(order_id), sum(order_id) FROM orders",
    "SELECT avg(product_id) FROM orders WHERE status = '1'",
    "SELECT order_id FROM orders WHERE orderedat >= TIMESTAMP '2026-01-01 00:00:00'",
    "SELECT order_id FROM orders WHERE orderedat < TIMESTAMP '2026-01-01 00:00:00'",
    "SELECT year(orderedat), month(orderedat), day(orderedat), hour(orderedat), count(*) "
    "FROM orders GROUP BY year(orderedat), month(orderedat), day(orderedat), hour(orderedat)",
    "SELECT order_id, CAST(orderedat AS date) FROM orders WHERE order_id < 20",
    "SELECT count(*) FROM orders WHERE CAST(orderedat AS date) <> CAST(order_date AS date)",
    "SELECT user_id, count(*) AS n FROM orders GROUP BY user_id HAVING count(*) > 1",
    "SELECT order_id FROM orders ORDER BY order_id LIMIT 10",
    "SELECT order_id FROM orders WHERE order_id BETWEEN 5 AND 15 AND status = '0'",
    "SELECT product_id, order_id, row_number() OVER (PARTITION BY product_id ORDER BY order_id) "
    "FROM orders",
    "SELECT order_id, lag(order_id) OVER (ORDER BY order_id) FROM orders",
    "SELECT CASE WHEN status = '1' THEN 'done' ELSE 'open' END, count(*) FROM orders "
    "GROUP BY CASE WHEN status = '1' THEN 'done' ELSE 'open' END",
    "SELECT coalesce(status, 'none'), upper(status), length(status) FROM orders",
)
JOINS = (
    "SELECT count(*) FROM orders o JOIN completed_orders c ON o.order_id = c.order_id",
    "SELECT o.order_id, c.completedat FROM orders o LEFT JOIN completed_orders c "
    "ON o.order_id = c.order_id",
    "SELECT o.order_id FROM orders o LEFT JOIN completed_orders c ON o.order_id = c.order_id "
    "WHERE c.order_id IS NULL",
    "SELECT p.category, count(*) FROM orders o JOIN products p ON o.product_id = p.product_id "
    "GROUP BY p.category",
    "SELECT p.product_id, p.name FROM products p LEFT SEMI JOIN orders o "
    "ON p.product_id = o.product_id",
    "WITH n AS (SELECT user_id, count(*) AS orders FROM orders GROUP BY user_id) "
    "SELECT max(orders) FROM n",
    "SELECT product_id FROM products UNION SELECT product_id FROM orders",
    "SELECT product_id FROM products EXCEPT SELECT product_id FROM orders",
    "SELECT product_id FROM products INTERSECT SELECT product_id FROM orders",
    "SELECT name FROM products WHERE product_id IN (SELECT product_id FROM orders)",
    "SELECT completion_date, count(*) FROM completed_orders GROUP BY completion_date",
    "SELECT * FROM completed_orders",
)
OTHERS = (
    "SELECT * FROM products",
    "SELECT category, count(*) FROM products GROUP BY category ORDER BY category",
    "SELECT name FROM products WHERE name LIKE '%a%'",
    "SELECT product_id, substr(name, 1, 3) FROM products",
    "SELECT concat(category, ': ', name) FROM products",
    "SELECT count(*), count(DISTINCT event_id) FROM productview",
    "SELECT view_date, count(*) FROM productview GROUP BY view_date",
    "SELECT product_id, count(*) FROM productview GROUP BY product_id",
    "SELECT min(viewed_at), max(viewed_at) FROM productview",
    "SELECT source, count(*) FROM orderview GROUP BY source",
    "SELECT count(*) FROM productview v JOIN orders o ON v.product_id = o.product_id "
    "AND v.user_id = o.user_id",
)
# Of the table that the test makes, with a value of every kind and a row of nulls.
TYPES = (
    "SELECT * FROM sql_types",
    "SELECT price, price * 2, round(price, 1) FROM sql_types",
    "SELECT sum(price), min(price), max(huge) FROM sql_types",
    "SELECT made_at, seen FROM sql_types WHERE made_at > TIMESTAMP '2026-01-01 00:00:00'",
    "SELECT day, count(*) FROM sql_types GROUP BY day",
    "SELECT ratio, small FROM sql_types WHERE ratio IS NOT NULL",
    "SELECT b FROM sql_types WHERE b = 'ż'",
    "SELECT a FROM sql_types WHERE price IS NULL",
    "SELECT late FROM sql_types",
)
# Those that Hive answers quickly, with all columns of all tables.
SHORT_STATEMENTS = (
    ORDERS[0],
    ORDERS[4],
    *(
        "SELECT * FROM completed_orders",
        "SELECT * FROM products",
        "SELECT * FROM productview",
    ),
    "SELECT * FROM sql_types",
    JOINS[3],
)
STATEMENTS = (*ORDERS, *JOINS, *OTHERS, *TYPES)
