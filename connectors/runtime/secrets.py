"""The generated passwords, one per role, in a file that only its owner may read."""

import json
import secrets as randomness
from pathlib import Path

from connectors.runtime.files import replace_file
from schemas.errors import SettingsError

# No role logs in with it: it is hashed before each value of a hashed column (mysql.hash_columns).
HASH_SALT = "mysql.hash_salt"
# The roles whose passwords are generated at first start, as <system>.<role>. Each process logs in
# with the role that has only the rights that it needs.
ROLES = (
    "mysql.admin",
    "mysql.shop",
    "mysql.debezium",
    "mysql.reader",
    "mysql.verifier",
    "cassandra.admin",
    "cassandra.counts",
    "cassandra.reader",
    "postgres.hive",
    "supervisor.kappa",
    HASH_SALT,
)


def secrets_file(home: Path) -> Path:
    """Return the path of the generated passwords (mode 0600)."""
    return home / "secrets.json"


def read_secrets(home: Path) -> dict[str, str]:
    """Return the passwords by role. Raises SettingsError if the stack has never been started."""
    try:
        return dict(json.loads(secrets_file(home).read_text()))
    except FileNotFoundError:
        raise SettingsError(
            f"no secrets in {home}: this stack has never been started", "run ./kappa up"
        ) from None


def make_secrets(home: Path) -> None:
    """Generate the passwords that do not exist yet. Existing ones never change."""
    path = secrets_file(home)
    existing = json.loads(path.read_text()) if path.exists() else {}
    complete = {}
    for role in ROLES:
        complete[role] = existing.get(role) or randomness.token_urlsafe(18)
    if complete != existing:
        replace_file(path, json.dumps(complete, indent=1), mode=0o600)
