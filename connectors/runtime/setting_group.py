"""How a group of settings is declared, and how its values are read from a file and the environment.

The environment takes precedence over the file, and the file over the default of the declaration.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from schemas.errors import SettingsError

GroupT = TypeVar("GroupT", bound="Group")

TRUTH_VALUES = {"true": True, "1": True, "false": False, "0": False}


def setting(default: Any, doc: str, *, address: bool = False, secret: bool = False) -> Any:
    """Declare a dataclass field with its documentation.

    `address` marks the field that makes its group external; a secret does not show in `repr`.
    """
    return field(
        default=default, metadata={"doc": doc, "address": address}, repr=not secret
    )


@dataclass(frozen=True)
class Group:
    """A group of settings. It is external if an address outside this stack was given."""

    external: bool = field(default=False, kw_only=True)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a settings file, empty if there is none. Raises SettingsError."""
    if not path.exists():
        return {}
    try:
        return tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"{path}: {error}", "correct the file, or move it away to use the defaults"
        ) from error


def read_group(
    name: str, kind: type[GroupT], environment: Mapping[str, str], content: Any, path: Path
) -> GroupT:
    """Return a group from the environment, the `content` of its table in the file `path`, and the
    defaults.

    Raises SettingsError for unknown keys and for values of another type.
    """
    fields = {
        field.name: field for field in dataclasses.fields(kind) if field.name != "external"
    }
    _check_keys(name, content, list(fields), path)
    values: dict[str, Any] = {}
    external = False
    for key, declared in fields.items():
        variable = f"KAPPA_{name}_{key}".upper()
        if variable in environment:
            value = convert(variable, type(declared.default), environment[variable])
        elif key in content:
            value = convert(f"{path}: {name}.{key}", type(declared.default), content[key])
        else:
            continue
        values[key] = value
        external = external or bool(declared.metadata["address"] and value)
    return kind(external=external, **values)


def _check_keys(name: str, content: Any, keys: list[str], path: Path) -> None:
    if not isinstance(content, dict):
        problem = f"[{name}] is not a table"
    elif unknown_keys := content.keys() - keys:
        problem = f"unknown setting {name}.{min(unknown_keys)}"
    else:
        return
    raise SettingsError(
        f"{path}: {problem}", f"[{name}] takes {', '.join(keys)}; see docs/settings.md"
    )


def convert(where: str, kind: type, value: Any) -> Any:
    """Return a value in its declared type. Raises SettingsError, which says where it was set."""
    try:
        if kind is bool:
            return TRUTH_VALUES[str(value).lower()]
        if isinstance(value, bool):
            raise ValueError
        return kind(value)
    except (ValueError, KeyError):
        raise SettingsError(
            f"{where} is {value!r}, which is no {kind.__name__}", "see docs/settings.md"
        ) from None
