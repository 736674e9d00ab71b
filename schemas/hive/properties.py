"""Properties of tables and databases in Hive, whose metastore limits their length. Pure."""

import hashlib
import json
from collections.abc import Mapping

# Of a value (PARAM_VALUE in the package.jdo of Hive 4): 4,000 characters of a database, 32,672 of a
# table. Some metastores have 4,000 for both.
VALUE_LENGTH = 4000


def gtid_property(gtids: str) -> str:
    """Return a GTID set as a property has it; of one that is too long, what tells it from others.

    A version's manifest has the whole set.
    """
    if len(gtids) <= VALUE_LENGTH:
        return gtids
    digest = hashlib.sha256(gtids.encode()).hexdigest()
    return f"{len(gtids)} characters, sha256 {digest}"


def json_properties(name: str, content: Mapping[str, str]) -> dict[str, str]:
    """Return texts as JSON: in the property `name`, and those that it cannot hold in `name.2` and
    so on.
    """
    parts: list[dict[str, str]] = []
    length = VALUE_LENGTH
    for key, value in content.items():
        item_length = len(json.dumps({key: value}))
        if length + item_length > VALUE_LENGTH:
            parts.append({})
            length = 0
        parts[-1][key] = value
        length += item_length
    properties = {}
    for number, part in enumerate(parts, 1):
        property_name = name if number == 1 else f"{name}.{number}"
        properties[property_name] = json.dumps(part)
    return properties
