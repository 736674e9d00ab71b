import pytest

from connectors.mysql.server_check.tables import TableFacts, table_findings

NEW = (9, 7, 4)
OLD = (8, 4, 5)


def test_ordinary_tables_are_counted() -> None:
    tables = [TableFacts(name="a"), TableFacts(name="b")]
    (finding,) = table_findings(tables, "shop", NEW)
    assert (finding.severity, finding.found) == ("ok", "2, with nothing to be noted")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (TableFacts(name="t", has_key=False), "no primary key"),
        (TableFacts(name="t", engine="MyISAM"), "ENGINE=MyISAM has no transactions"),
        (TableFacts(name="t", engine="MEMORY"), "no transactions"),
        (TableFacts(name="t", engine="FEDERATED"), "another server's"),
        (TableFacts(name="t", engine="BLACKHOLE"), "it is not captured"),
        (TableFacts(name="t", engine="ndbcluster"), "other servers of the cluster"),
        (TableFacts(name="t", unknown_columns=("column c blurb",)), "column c blurb"),
    ],
)
def test_a_table_with_a_limit_is_a_note(table: TableFacts, words: str) -> None:
    (finding,) = table_findings([table, TableFacts(name="other")], "shop", NEW)
    assert (finding.check, finding.severity) == ("table t", "note")
    assert words in finding.found


def test_a_table_without_transactions_has_its_statement() -> None:
    (finding,) = table_findings([TableFacts(name="a`b", engine="MyISAM")], "shop", NEW)
    assert finding.cure.sql == ("ALTER TABLE `shop`.`a``b` ENGINE = InnoDB;",)


def test_cascades_are_advice_where_mysql_does_not_log_them() -> None:
    table = TableFacts(name="t", cascades=("fk_1",))
    (finding,) = table_findings([table], "shop", OLD)
    assert finding.severity == "advice"
    assert "fk_1" in finding.found
    assert [found.severity for found in table_findings([table], "shop", NEW)] == ["ok"]


def test_a_table_can_have_several_limits() -> None:
    table = TableFacts(name="t", has_key=False, engine="MyISAM", cascades=("fk",))
    assert len(table_findings([table], "shop", OLD)) == 3
