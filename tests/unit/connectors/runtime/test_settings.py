import stat

import pytest

from infra import settings
from infra.errors import SettingsError


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
    assert (ours.site.customer_rate, ours.site.click_rate, ours.site.users) == (2.5, 9.0, 500)


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


def test_a_malformed_variable_is_named(tmp_path):
    with pytest.raises(SettingsError, match="KAPPA_MYSQL_PORT is 'x'"):
        settings.load({"KAPPA_MYSQL_PORT": "x"}, tmp_path / "none.toml")


def test_a_group_with_an_address_of_its_own_is_external_and_keeps_its_usual_port(written):
    ours = settings.load({}, written("[mysql]\nhost = 'db.example.org'\n[cassandra]\nhost = 'c1,c2'\nport = 9999\n"))
    assert (ours.mysql.external, ours.mysql.host, ours.mysql.port) == (True, "db.example.org", 3306)
    assert (ours.cassandra.external, ours.cassandra.port) == (True, 9999)
    assert not ours.kafka.external


def test_the_port_base_moves_every_port_and_no_two_are_the_same(tmp_path):
    here, there = (settings.load({"KAPPA_PORT_BASE": base}, tmp_path / "none.toml") for base in ("21000", "31000"))
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
        ({"HOME": "/home/ann", "XDG_CACHE_HOME": "/big/cache", "KAPPA_CACHE": "/mine here"}, "/mine here"),
    ],
)
def test_downloads_are_kept_per_user_wherever_the_user_says(environment, folder):
    assert str(settings.cache_folder(environment)) == folder


def test_passwords_are_made_once_and_only_their_owner_reads_them(tmp_path):
    settings.make_secrets(tmp_path / "var")
    made = settings.read_secrets(tmp_path / "var")
    settings.make_secrets(tmp_path / "var")
    assert settings.read_secrets(tmp_path / "var") == made
    assert set(made) == set(settings.ROLES)
    assert len(set(made.values())) == len(made)
    assert stat.S_IMODE(settings.secrets_file(tmp_path / "var").stat().st_mode) == 0o600


def test_a_stack_that_never_started_has_no_passwords_and_says_what_to_do(tmp_path):
    with pytest.raises(SettingsError, match="never been started") as caught:
        settings.load({"KAPPA_HOME": str(tmp_path)}, tmp_path / "none.toml").login("mysql.shop")
    assert "kappa up" in caught.value.hint


def test_a_password_never_shows_in_what_is_printed(tmp_path):
    settings.make_secrets(tmp_path)
    ours = settings.load({"KAPPA_HOME": str(tmp_path), "KAPPA_KAFKA_SASL_PASSWORD": "hush"}, tmp_path / "none.toml")
    assert ours.login("mysql.shop").password not in repr(ours.login("mysql.shop"))
    assert "hush" not in repr(ours)


def test_an_external_owner_logs_in_with_the_password_that_was_given(tmp_path):
    given = {"KAPPA_MYSQL_HOST": "db", "KAPPA_MYSQL_ADMIN_USER": "boss", "KAPPA_MYSQL_ADMIN_PASSWORD": "hush"}
    login = settings.load(given, tmp_path / "none.toml").login("mysql.admin")
    assert (login.user, login.password) == ("boss", "hush")
