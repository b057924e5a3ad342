"""The process's clock, in one place so that tests can move it."""

from datetime import UTC, datetime, timedelta

shift = timedelta(0)
"""Added to every reading, the database's included. Only tests set it."""


def now() -> datetime:
    return datetime.now(UTC) + shift


def spelled(instant: datetime) -> str:
    """As SQLite stores it: always the same width and in UTC, so that texts sort as times."""
    return instant.astimezone(UTC).isoformat(" ", "microseconds")


def iso(spelled: str) -> str:
    """The text that SQLite stores as ISO 8601 has it, with T and Z."""
    return f"{spelled[:10]}T{spelled[11:26]}Z"
