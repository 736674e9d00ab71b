from infra.bench.capture.binlog_limit import is_reached

SERVER = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
OTHER = "4e11fa47-71ca-11e1-9e33-c80aa9429562"


def test_the_reading_ends_with_the_last_transaction_of_the_server() -> None:
    assert not is_reached(f"{SERVER}:9", SERVER, 10)
    assert is_reached(f"{SERVER}:10", SERVER, 10)
    assert is_reached(f"{SERVER}:11", SERVER, 10)
    assert not is_reached(f"{OTHER}:11", SERVER, 10)
