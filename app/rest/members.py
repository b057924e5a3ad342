"""The members of inputs and answers. Each is defined once, for parsing, rendering and the description."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app import addresses, ids, validation
from app.addresses import DestinationType
from app.errors import Rejected, UserError, invalid
from app.lifecycle import DESTINATIONS, TargetStatus
from app.records import DestinationDraft

NEVER = "9999-01-01 00:00:00.000000"
"""The reference's value for something that has not happened."""

Schema = Mapping[str, Any]
"""JSON Schema 2020-12."""
Rendered = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """One member of an answered object, and how it is read from a record."""

    name: str
    schema: Schema
    description: str
    of: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """An answered object. The order of the members is the reference's."""

    name: str
    members: Sequence[Member]

    def render(self, record: Any) -> Rendered:
        return {member.name: member.of(record) for member in self.members}

    @property
    def characters_max(self) -> int:
        """Of all texts whose longest is known."""
        return sum(member.schema.get("maxLength", 0) for member in self.members)


def _as_given(value: Any, _errors: list[UserError], *_path: str) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Field:
    """One member of a sent object.

    `read` turns it into the use-case's value, or reports why it cannot. The use-case checks texts, and whether they are
    text.
    """

    name: str
    schema: Schema
    description: str
    read: Callable[..., Any] = _as_given
    is_required: bool = False

    def required(self) -> "Field":
        return replace(self, is_required=True)


def parse(fields: Sequence[Field], body: Any) -> dict[str, Any]:
    """The fields that are given. Other members are ignored, as in the reference.

    Raises:
        Rejected: INVALID.
    """
    if not isinstance(body, dict):
        raise Rejected([invalid("The body must be a JSON object.")])
    errors: list[UserError] = []
    given = {field.name: field.read(body[field.name], errors, field.name) for field in fields if field.name in body}
    errors += [invalid("Required.", field.name) for field in fields if field.is_required and field.name not in body]
    if errors:
        raise Rejected(errors)
    return given


def text_schema(limit: int) -> Schema:
    return {"type": "string", "maxLength": limit}


ID_SCHEMA: Schema = {"type": "string", "format": "uuid"}
TIME_SCHEMA: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}$"}
_NAME_SCHEMA = text_schema(validation.NAME_CHARACTERS_MAX)
_DETAIL_SCHEMA = text_schema(validation.DETAIL_CHARACTERS_MAX)
_DATA_SCHEMA = text_schema(validation.DATA_CHARACTERS_MAX)

_TIME = "UTC"
_NEVER_DELETED = f"{_TIME}. {NEVER} if it is not deleted."


def time_text(instant: datetime | None) -> str:
    return NEVER if instant is None else instant.replace(tzinfo=None).isoformat(" ", "microseconds")


# ---------------------------------------------------------------- destinations

_TYPES = {kind.value.lower(): kind for kind in DestinationType}
_EXAMPLE = {"type": "tel", "target": "+821021656521"}
_TYPE_SCHEMA: Schema = {"type": "string", "enum": list(_TYPES)}
_ADDRESS_SCHEMA: Schema = {"type": "string", "minLength": 1, "maxLength": addresses.ADDRESS_CHARACTERS_MAX}
_ADDRESS = "The address in the canonical form of its type."
_TARGET_NAME = "The name of the person or thing at this address."
_LABEL = "The owner's name for it."
_NOTES = "Notes."


def _read_type(value: Any, errors: list[UserError], *path: str) -> DestinationType:
    if isinstance(value, str) and value in _TYPES:
        return _TYPES[value]
    errors.append(invalid(f"Must be one of {', '.join(_TYPES)}.", *path))
    return DestinationType.TEL


_DESTINATION_FIELDS = (
    Field("type", {**_TYPE_SCHEMA, "default": "tel"}, "The type of the address.", _read_type),
    Field(
        "target",
        {**_ADDRESS_SCHEMA, "examples": [_EXAMPLE["target"]]},
        "The address. It is stored in the canonical form of its type.",
    ),
    Field("target_name", _NAME_SCHEMA, _TARGET_NAME),
    Field("name", _NAME_SCHEMA, _LABEL),
    Field("detail", _DETAIL_SCHEMA, _NOTES),
)

DESTINATION = Shape(
    "Destination",
    (
        Member("type", _TYPE_SCHEMA, "The type of the address.", lambda destination: destination.type.value.lower()),
        Member("target", _ADDRESS_SCHEMA, _ADDRESS, lambda destination: destination.target),
        Member("target_name", _NAME_SCHEMA, _TARGET_NAME, lambda destination: destination.target_name),
        Member("name", _NAME_SCHEMA, _LABEL, lambda destination: destination.name),
        Member("detail", _DETAIL_SCHEMA, _NOTES, lambda destination: destination.detail),
    ),
)


def object_schema(fields: Sequence[Field]) -> Schema:
    """Of a sent object. Other members are ignored, so they are allowed."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {field.name: {**field.schema, "description": field.description} for field in fields},
    }
    if required := [field.name for field in fields if field.is_required]:
        schema["required"] = required
    return schema


def _destination_schema() -> Schema:
    labels = [field.name for field in _DESTINATION_FIELDS if field.name != "target"]
    # {} means unset, like null; a destination with any other member needs an address
    needed = {name: ["target"] for name in labels}
    return {
        **object_schema(_DESTINATION_FIELDS),
        "type": ["object", "null"],
        "dependentRequired": needed,
        "examples": [_EXAMPLE],
    }


def _read_destination(value: Any, errors: list[UserError], *path: str) -> DestinationDraft | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        errors.append(invalid("Must be an object or null.", *path))
        return None
    given = {
        field.name: field.read(value[field.name], errors, *path, field.name)
        for field in _DESTINATION_FIELDS
        if field.name in value
    }
    return DestinationDraft(**{"target": "", **given}) if given else None


def _destination_of(index: int) -> Callable[[Any], Rendered | None]:
    def read(target: Any) -> Rendered | None:
        destination = target.destinations[index]
        return None if destination is None else DESTINATION.render(destination)

    return read


def _try_count_of(index: int) -> Callable[[Any], int]:
    def read(target: Any) -> int:
        count: int = target.try_counts[index]
        return count

    return read


# ---------------------------------------------------------------- outdials

_CAMPAIGN = f"The campaign that dials it. {ids.ZERO} means none."

NAME = Field("name", _NAME_SCHEMA, "Its name.")
DETAIL = Field("detail", _DETAIL_SCHEMA, "What it is for.")
DATA = Field("data", _DATA_SCHEMA, "Free text for the owner's use. Never interpreted.")
CAMPAIGN = Field("campaign_id", {**ID_SCHEMA, "type": ["string", "null"]}, f"{_CAMPAIGN} Null means none, too.")

OUTDIAL = Shape(
    "Outdial",
    (
        Member("id", ID_SCHEMA, "Its id.", lambda outdial: outdial.id),
        Member("campaign_id", ID_SCHEMA, _CAMPAIGN, lambda outdial: outdial.campaign_id or ids.ZERO),
        Member("name", _NAME_SCHEMA, NAME.description, lambda outdial: outdial.name),
        Member("detail", _DETAIL_SCHEMA, DETAIL.description, lambda outdial: outdial.detail),
        Member("data", _DATA_SCHEMA, DATA.description, lambda outdial: outdial.data),
        Member("tm_create", TIME_SCHEMA, f"{_TIME}.", lambda outdial: time_text(outdial.tm_create)),
        Member(
            "tm_update",
            TIME_SCHEMA,
            f"{_TIME}. {NEVER} until the first update.",
            lambda outdial: time_text(outdial.tm_update),
        ),
        Member("tm_delete", TIME_SCHEMA, _NEVER_DELETED, lambda outdial: time_text(outdial.tm_delete)),
    ),
)


# ---------------------------------------------------------------- targets

_STATUSES = [status.value.lower() for status in TargetStatus]
DESTINATION_NAMES = tuple(f"destination_{index}" for index in range(DESTINATIONS))
_DESTINATION_OR_NULL: Schema = {"anyOf": [{"$ref": f"#/components/schemas/{DESTINATION.name}"}, {"type": "null"}]}


def _turn(index: int) -> str:
    return "Tried first" if index == 0 else f"Tried after destination {index - 1} is used up"


DESTINATION_FIELDS = tuple(
    Field(name, _destination_schema(), f"{_turn(index)}. If left out, null or {{}}, it is not set.", _read_destination)
    for index, name in enumerate(DESTINATION_NAMES)
)

TARGET = Shape(
    "OutdialTarget",
    (
        Member("id", ID_SCHEMA, "Its id.", lambda target: target.id),
        Member("outdial_id", ID_SCHEMA, "The outdial it belongs to.", lambda target: target.outdial_id),
        Member("name", _NAME_SCHEMA, "The name of the person or place.", lambda target: target.name),
        Member("detail", _DETAIL_SCHEMA, _NOTES, lambda target: target.detail),
        Member("data", _DATA_SCHEMA, DATA.description, lambda target: target.data),
        Member(
            "status",
            {"type": "string", "enum": _STATUSES},
            "idle: waiting for a try. progressing: a call is in progress. done: finished.",
            lambda target: target.status.value.lower(),
        ),
        *(
            Member(name, _DESTINATION_OR_NULL, f"{_turn(index)}. Null if it is not set.", _destination_of(index))
            for index, name in enumerate(DESTINATION_NAMES)
        ),
        *(
            Member(
                f"try_count_{index}",
                {"type": "integer", "minimum": 0},
                f"Tries at destination {index}.",
                _try_count_of(index),
            )
            for index in range(DESTINATIONS)
        ),
        Member("tm_create", TIME_SCHEMA, f"{_TIME}.", lambda target: time_text(target.tm_create)),
        Member(
            "tm_update",
            TIME_SCHEMA,
            f"{_TIME}. Equal to tm_create until the first change.",
            lambda target: time_text(target.tm_update),
        ),
        Member("tm_delete", TIME_SCHEMA, _NEVER_DELETED, lambda target: time_text(target.tm_delete)),
    ),
)
