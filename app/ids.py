"""Ids: UUIDs as canonical lower-case text."""

import re

import uuid_utils

_CANONICAL = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

ZERO = "00000000-0000-0000-0000-000000000000"


def new() -> str:
    """A UUIDv7; each is greater than the one this process made before it."""
    return str(uuid_utils.uuid7())


def parse(text: str) -> str | None:
    """The canonical form of a hyphenated id, in upper or lower case; None if it is malformed."""
    lowered = text.lower()
    return lowered if _CANONICAL.fullmatch(lowered) else None
