import stat

import pytest

from connectors.runtime import secrets, settings
from schemas.errors import SettingsError


@pytest.fixture
def written(tmp_path):
    """A kappa.toml with the given text."""

    def write(text):
        file = tmp_path / "kappa.toml"
        file.write_text(text)
        return file

    return write


def test_without_a_word_everything_runs_here_on_the_loopback(tmp_path):
    ours = settings.load({"HOME": "/home/ann"}, tmp_path / "none.toml")
    assert (ours.mysql.host, ours.mysql.port) == ("127.0.0.1", settings.DEFAULT_PORT_BASE)
    assert ours.kafka.bootstrap_servers == f"127.0.0.1:{ours.port('kafka')}"
    assert not any(getattr(ours, name).external for name in settings.GROUPS)


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(written):
    file = written("[site]\ncustomer_rate = 7\nclick_rate = 9\n")
    ours = settings.load({"KAPPA_SITE_CUSTOMER_RATE": "2.5"}, file)
    assert (ours.site.customer_rate, ours.site.click_rate, ours.site.users) == (
        2.5,
        9.0,
        500,
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[site]\nrate = 7\n", "unknown setting site.rate"),
        ("[shop]\nport = 1\n", r"unknown group \[shop\]"),
        ("site = 3\n", r"\[site\] is not a table"),
        ("[site]\nusers = 'many'\n", "site.users is 'many', which is no int"),
        ("[site\n", "kappa.toml"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_its_file(written, text, complaint):
    file = written(text)
    with pytest.raises(SettingsError, match=complaint) as caught:
        settings.load({}, file)
    assert str(file) in str(caught.value)
    assert caught.value.hint


def test_a_setting_with_a_choice_names_what_it_can_be(tmp_path):
    file = tmp_path / "none.toml"
    assert settings.load({}, file).warehouse.zero_dates == "null"
    assert (
        settings.load({"KAPPA_WAREHOUSE_ZERO_DATES": "stop"}, file).warehouse.zero_dates
        == "stop"
    )
    with pytest.raises(SettingsError, match=r"warehouse\.zero_dates is 'text'") as caught:
        settings.load({"KAPPA_WAREHOUSE_ZERO_DATES": "text"}, file)
    assert caught.value.hint == "it can be null or stop"


def test_a_malformed_variable_is_named(tmp_path):
    with pytest.raises(SettingsError, match="KAPPA_MYSQL_PORT is 'x'"):
        settings.load({"KAPPA_MYSQL_PORT": "x"}, tmp_path / "none.toml")


def test_a_group_with_an_address_of_its_own_is_external_and_keeps_its_usual_port(written):
    ours = settings.load(
        {},
        written(
            "[mysql]\nhost = 'db.example.org'\n[cassandra]\nhost = 'c1,c2'\nport = 9999\n"
        ),
    )
    assert (ours.mysql.external, ours.mysql.host, ours.mysql.port) == (
        True,
        "db.example.org",
        3306,
    )
    assert (ours.cassandra.external, ours.cassandra.port) == (True, 9999)
    assert not ours.kafka.external


def test_the_port_base_moves_every_port_and_no_two_are_the_same(tmp_path):
    here, there = (
        settings.load({"KAPPA_PORT_BASE": base}, tmp_path / "none.toml")
        for base in ("21000", "31000")
    )
    assert {there.port(name) - here.port(name) for name in settings.PORTS} == {10000}
    assert len({here.port(name) for name in settings.PORTS}) == len(settings.PORTS)
    assert there.connect.url == f"http://127.0.0.1:{there.port('connect')}"


@pytest.mark.parametrize("base", ["80", "65530"])
def test_a_port_base_that_leaves_the_range_is_refused(tmp_path, base):
    with pytest.raises(SettingsError, match=f"KAPPA_PORT_BASE is {base}"):
        settings.load({"KAPPA_PORT_BASE": base}, tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"HOME": "/home/ann"}, "/home/ann/.cache/kappa"),
        ({"HOME": "/home/ann", "XDG_CACHE_HOME": "/big/cache"}, "/big/cache/kappa"),
        ({"HOME": "/home/ann", "XDG_CACHE_HOME": ""}, "/home/ann/.cache/kappa"),
        (
            {
                "HOME": "/home/ann",
                "XDG_CACHE_HOME": "/big/cache",
                "KAPPA_CACHE": "/mine here",
            },
            "/mine here",
        ),
    ],
)
def test_downloads_are_kept_per_user_wherever_the_user_says(environment, folder):
    assert str(settings.cache_folder(environment)) == folder


def test_passwords_are_made_once_and_only_their_owner_reads_them(tmp_path):
    secrets.make_secrets(tmp_path / "var")
    made = secrets.read_secrets(tmp_path / "var")
    secrets.make_secrets(tmp_path / "var")
    assert secrets.read_secrets(tmp_path / "var") == made
    assert set(made) == set(secrets.ROLES)
    assert len(set(made.values())) == len(made)
    assert stat.S_IMODE(secrets.secrets_file(tmp_path / "var").stat().st_mode) == 0o600


def test_a_stack_that_never_started_has_no_passwords_and_says_what_to_do(tmp_path):
    with pytest.raises(SettingsError, match="never been started") as caught:
        settings.load({"KAPPA_HOME": str(tmp_path)}, tmp_path / "none.toml").login(
            "mysql.shop"
        )
    assert "kappa up" in caught.value.hint


def test_a_password_never_shows_in_what_is_printed(tmp_path):
    secrets.make_secrets(tmp_path)
    ours = settings.load(
        {"KAPPA_HOME": str(tmp_path), "KAPPA_KAFKA_SASL_PASSWORD": "hush"},
        tmp_path / "none.toml",
    )
    assert ours.login("mysql.shop").password not in repr(ours.login("mysql.shop"))
    assert "hush" not in repr(ours)


def test_an_external_owner_logs_in_with_the_password_that_was_given(tmp_path):
    given = {
        "KAPPA_MYSQL_HOST": "db",
        "KAPPA_MYSQL_ADMIN_USER": "boss",
        "KAPPA_MYSQL_ADMIN_PASSWORD": "hush",
    }
    login = settings.load(given, tmp_path / "none.toml").login("mysql.admin")
    assert (login.user, login.password) == ("boss", "hush")


@pytest.mark.parametrize(
    ("value", "heals"),
    [("true", True), ("True", True), ("1", True), ("false", False), ("0", False)],
)
def test_a_setting_may_be_true_or_false(tmp_path, value, heals):
    ours = settings.load({"KAPPA_VERIFY_HEAL": value}, tmp_path / "none.toml")
    assert ours.verify.heal is heals


def test_toml_has_truth_values_of_its_own(written):
    assert settings.load({}, written("[verify]\nheal = false\n")).verify.heal is False
    with pytest.raises(SettingsError, match=r"verify\.heal is 'maybe', which is no bool"):
        settings.load({}, written("[verify]\nheal = 'maybe'\n"))
    with pytest.raises(SettingsError, match=r"site\.users is True, which is no int"):
        settings.load({}, written("[site]\nusers = true\n"))


def test_the_capture_rules_are_read_and_a_wrong_pattern_is_named_at_every_start(tmp_path):
    file = tmp_path / "none.toml"
    environment = {
        "KAPPA_HOME": str(tmp_path),
        "KAPPA_MYSQL_EXCLUDE_TABLES": "tmp_*, *_old",
        "KAPPA_MYSQL_HASH_COLUMNS": "*.email",
    }
    rules = settings.load(environment, file).mysql.capture_rules
    assert rules.exclude_tables == ("tmp_*", "*_old")
    assert rules.hash_columns == ("*.email",)
    with pytest.raises(SettingsError, match=r"mysql\.mask_columns: name is no column"):
        settings.load({**environment, "KAPPA_MYSQL_MASK_COLUMNS": "name"}, file)


def test_a_salt_is_needed_only_if_columns_are_hashed(tmp_path):
    environment = {"KAPPA_HOME": str(tmp_path)}
    assert settings.load(environment, tmp_path / "none.toml").hash_salt() == ""
    environment["KAPPA_MYSQL_HASH_COLUMNS"] = "user.email"
    hashing = settings.load(environment, tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="never been started"):
        hashing.hash_salt()
    secrets.make_secrets(tmp_path)
    assert hashing.hash_salt() == secrets.read_secrets(tmp_path)["mysql.hash_salt"]
