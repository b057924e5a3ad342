"""Gives schemathesis ids that exist on the tested server, and valid addresses.

It invents ids and addresses, so few of its calls would reach an object. Loaded by SCHEMATHESIS_HOOKS.
"""

import json
import os
from typing import Any
from uuid import UUID

import schemathesis

_known: list[list[str]] = json.loads(os.environ["SCHEMATHESIS_KNOWN"])
"""[[outdial id, target id, import id], …]"""
_ADDRESSES: list[dict[str, str]] = [
    {"target": "+821021656521"},
    {"type": "tel", "target": "+1 (415) 555-0100", "name": "at work"},
    {"type": "email", "target": "somebody@EXAMPLE.com"},
    {"type": "sip", "target": "sip:alice@example.com"},
    {"type": "agent", "target": "7"},
]


_FILES = (
    "phone,name\n+821021656521,Ann\n",
    'key;phone;data\r\na;"+1 (415) 555-0100";"x\r\ny"\r\nb;nobody;\r\n',
    '{"phone": "+821021656521"}\n',
    "",
)


def _number(value: Any) -> int | None:
    """Of a well-formed id. Malformed ids stay, and must be refused."""
    try:
        return UUID(value).int if isinstance(value, str) and len(value) == 36 else None
    except ValueError:
        return None


@schemathesis.hook
def map_path_parameters(_context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Three of four well-formed ids are replaced by existing ones, the same each time."""
    if not path_parameters:
        return path_parameters
    numbers = {name: _number(value) for name, value in path_parameters.items()}
    number = numbers.get("target_id", numbers.get("import_id", numbers.get("id")))
    if number is None or None in numbers.values() or number % 4 == 0:
        return path_parameters
    known = dict(zip(("id", "target_id", "import_id"), _known[number % len(_known)], strict=True))
    return {name: known[name] for name in path_parameters}


_INSTANTS = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-03T12:15:00Z"}


@schemathesis.hook
def map_query(_context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Half of the addresses that are looked for are some, and of the times most are at a full quarter of an hour."""
    if not query:
        return query
    given = {
        name: _ADDRESSES[0]["target"] if name in {"target", "destination"} and len(str(value)) % 2 else value
        for name, value in query.items()
    }
    if _INSTANTS.keys() <= given.keys() and len(str(given)) % 4:
        given |= _INSTANTS
        given.pop("time_zone", None)
    return given


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """A new target without a destination gets one, and a file is one of a few."""
    if context.operation.path.endswith("/import"):
        return _FILES[len(str(body)) % len(_FILES)]
    is_target = context.operation.path.endswith("/targets")
    if not is_target or not isinstance(body, dict) or any(name.startswith("destination_") for name in body):
        return body
    return {**body, "destination_0": _ADDRESSES[len(body) % len(_ADDRESSES)]}
