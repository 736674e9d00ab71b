from infra.bench.capture.order_tables import FILL_ROWS, fill_statement, id_ranges


def test_ranges_of_ids_follow_each_other_and_have_both_ends() -> None:
    assert list(id_ranges(2, 2)) == [(2, 2)]
    last_id = 2 * FILL_ROWS + 5
    assert list(id_ranges(2, last_id)) == [
        (2, FILL_ROWS + 1),
        (FILL_ROWS + 2, 2 * FILL_ROWS + 1),
        (2 * FILL_ROWS + 2, last_id),
    ]
    assert list(id_ranges(2, 1)) == []


def test_the_statement_has_no_percent_sign_which_the_driver_takes_for_a_parameter() -> None:
    statement = fill_statement("bench_orders", 2, 100)
    assert "%" not in statement
    assert statement.startswith("INSERT INTO `bench_orders` (order_id,")
    assert "SELECT 2 UNION ALL" in statement
    assert "n < 100" in statement
