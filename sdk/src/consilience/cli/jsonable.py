"""Values as JSON: what `--json` prints. Bytes are hex, times ISO 8601, durations seconds, enums their names."""

import dataclasses
import enum
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from consilience.envelopes import Signed
from consilience.identity import format_node_id

_NODES = {"node_id", "old_node_id", "new_node_id", "audience", "payee"}
_OTHERS = {"caller", "payer", "issuer", "issuers", "reviewer", "author", "judge", "path"}
_KEYS = {"public_key", "signing_key"} | _NODES | _OTHERS


def jsonable(value: object, *, name: str = "") -> Any:  # noqa: ANN401 - JSON is of any type
    """Returns a value as what `json.dumps` takes.

    Args:
        value: A value type, or what one holds.
        name: The field that holds it: keys are told in their text form.
    """
    match value:
        case Signed():
            return jsonable(value.value) | {"digest": value.digest.hex()}
        case enum.Enum():
            return value.name
        case bytes():
            return format_node_id(value) if value and name in _KEYS else value.hex()
        case date():  # a time is one as well
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case tuple() | list():
            return [jsonable(item, name=name) for item in value]
        case Mapping():
            return {str(key): jsonable(item) for key, item in value.items()}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = (field.name for field in dataclasses.fields(value))
            return {field: jsonable(getattr(value, field), name=field) for field in fields}
        case _:
            return value
