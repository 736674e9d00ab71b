-- What MySQL can do to a row, statement by statement; after each "version" line the compactor makes one, so that the next part meets its rows.
-- A table that is dropped keeps its rows in Hive, also when one of its name comes: hence TRUNCATE, on a stack that has run this before.
CREATE TABLE scenario_keys (id INT PRIMARY KEY, v VARCHAR(20));
TRUNCATE TABLE scenario_keys;
CREATE TABLE scenario_pairs (a INT, b VARCHAR(10), v VARCHAR(20), PRIMARY KEY (a, b));
TRUNCATE TABLE scenario_pairs;
CREATE TABLE scenario_parent (id INT PRIMARY KEY);
TRUNCATE TABLE scenario_parent;
CREATE TABLE scenario_child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES scenario_parent (id) ON DELETE CASCADE ON UPDATE CASCADE);
TRUNCATE TABLE scenario_child;
CREATE TABLE scenario_emptied (id INT PRIMARY KEY, v VARCHAR(20));
TRUNCATE TABLE scenario_emptied;

INSERT INTO scenario_keys VALUES (1, 'one'), (2, 'two'), (3, 'three'), (4, 'four'), (5, 'five'), (6, 'six'), (7, 'seven');
INSERT INTO scenario_pairs VALUES (1, 'a', 'x'), (1, 'b', 'y'), (2, 'a', 'z');
INSERT INTO scenario_parent VALUES (1), (2), (3);
INSERT INTO scenario_child VALUES (10, 1), (11, 1), (20, 2), (30, 3);
INSERT INTO scenario_emptied VALUES (1, 'a'), (2, 'b');
-- insert, delete and insert of one key in one transaction
BEGIN;
INSERT INTO scenario_keys VALUES (50, 'first');
DELETE FROM scenario_keys WHERE id = 50;
INSERT INTO scenario_keys VALUES (50, 'second');
UPDATE scenario_keys SET v = 'third' WHERE id = 50;
COMMIT;
-- what is rolled back never was
BEGIN;
INSERT INTO scenario_keys VALUES (60, 'never');
DELETE FROM scenario_keys WHERE id = 1;
ROLLBACK;
BEGIN;
INSERT INTO scenario_keys VALUES (61, 'kept');
SAVEPOINT here;
INSERT INTO scenario_keys VALUES (62, 'never');
ROLLBACK TO SAVEPOINT here;
COMMIT;
-- version
UPDATE scenario_keys SET v = 'ONE' WHERE id = 1;
DELETE FROM scenario_keys WHERE id = 2;
INSERT INTO scenario_keys VALUES (2, 'again');
DELETE FROM scenario_keys WHERE id = 7;
-- a changed key, and two keys that change places
UPDATE scenario_keys SET id = 33 WHERE id = 3;
BEGIN;
UPDATE scenario_keys SET id = -1 WHERE id = 4;
UPDATE scenario_keys SET id = 4 WHERE id = 5;
UPDATE scenario_keys SET id = 5 WHERE id = -1;
COMMIT;
UPDATE scenario_pairs SET b = 'c' WHERE a = 1 AND b = 'a';
UPDATE scenario_pairs SET a = 3, v = 'moved' WHERE a = 2;
REPLACE INTO scenario_keys VALUES (6, 'replaced'), (70, 'new');
REPLACE INTO scenario_pairs VALUES (1, 'b', 'replaced');
INSERT INTO scenario_keys VALUES (6, 'x'), (71, 'y') ON DUPLICATE KEY UPDATE v = 'upserted';
-- cascades
DELETE FROM scenario_parent WHERE id = 1;
UPDATE scenario_parent SET id = 22 WHERE id = 2;
TRUNCATE TABLE scenario_emptied;
INSERT INTO scenario_emptied VALUES (1, 'after'), (3, 'c');
-- version
TRUNCATE TABLE scenario_emptied;
DELETE FROM scenario_keys WHERE id IN (33, 50);
INSERT INTO scenario_keys VALUES (3, 'back');
DELETE FROM scenario_parent;
