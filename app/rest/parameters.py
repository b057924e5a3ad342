"""Parameters of the query string: a reader for each type, and one function that reads them all."""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar

from starlette.datastructures import QueryParams

from app.errors import Rejected, UserError, invalid
from app.requests import sessions, tokens
from app.rest.members import Field

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

Given = dict[str, Any]
Reader = Callable[..., T]
"""Turns a text into the use-case's value. If it is wrong, appends to the errors; the return value is then ignored."""

_OF_EVERY_CALL = {tokens.QUERY_PARAMETER, sessions.QUERY_PARAMETER}


def read(query: QueryParams, fields: Sequence[Field], *, ignores_others: bool = False) -> Given:
    """The parameters that are given, by name; those that may be repeated as lists.

    Args:
        query: the query string.
        fields: the call's parameters. An array may be repeated; of others, the last one counts.
        ignores_others: as the reference does. If not, an unknown parameter is an error: it may be misspelt.

    Raises:
        Rejected: INVALID, with everything that is wrong.
    """
    known = {field.name: field for field in fields}
    errors: list[UserError] = []
    given: Given = {}
    for name in query:
        field = known.get(name)
        if field is None:
            if not ignores_others and name not in _OF_EVERY_CALL:
                errors.append(invalid("Unknown parameter.", name))
        elif field.schema.get("type") == "array":
            given[name] = [field.read(text, errors, name) for text in query.getlist(name)]
        else:
            given[name] = field.read(query[name], errors, name)
    if errors:
        raise Rejected(errors)
    return given


# ---------------------------------------------------------------- readers


def one_of(meanings: Mapping[str, T]) -> Reader[T]:
    """Reads one of a few words, and returns its meaning."""

    def read_word(text: str, errors: list[UserError], *path: str) -> T:
        if text not in meanings:
            errors.append(invalid(f"Must be one of {', '.join(meanings)}.", *path))
        return meanings.get(text, next(iter(meanings.values())))

    return read_word


def words(*names: str) -> dict[str, str]:
    """Reads one of a few words, and returns it."""
    return {name: name for name in names}


def members(kind: type[E]) -> dict[str, E]:
    """The members of an enumeration by their names in REST."""
    return {member.value.lower(): member for member in kind}


def flag(text: str, errors: list[UserError], *path: str) -> bool:
    """Reads true or false."""
    if text not in {"true", "false"}:
        errors.append(invalid("Must be true or false.", *path))
    return text == "true"


def number(maximum: int) -> Reader[int]:
    """Reads a whole number from 1 to a maximum."""

    def read_number(text: str, errors: list[UserError], *path: str) -> int:
        found = whole_number(text, most=maximum + 1)
        if not 1 <= found <= maximum:
            errors.append(invalid(f"Must be a whole number from 1 to {maximum:,}.", *path))
        return found

    return read_number


def whole_number(text: str, *, most: int) -> int:
    """The number, at most `most`; 0 if there are no digits. Python converts no more than 4,300 digits."""
    if not (text.isascii() and text.isdecimal()):
        return 0
    digits = text.lstrip("0")
    return most if len(digits) > len(str(most)) else min(int(digits or "0"), most)


# ---------------------------------------------------------------- their schemas


def word_schema(meanings: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"type": "string", "enum": list(meanings)}


def list_schema(meanings: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of a parameter that may be repeated."""
    return {"type": "array", "items": word_schema(meanings)}
