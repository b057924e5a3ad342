"""What several inputs need."""

from collections.abc import Sequence
from typing import Any

from strawberry import UNSET


def numbers(values: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if values is None or values is UNSET else tuple(values)


def changed(source: object, *names: str) -> dict[str, Any]:
    """The fields of an input that were given."""
    return {name: value for name in names if (value := getattr(source, name)) is not UNSET}
