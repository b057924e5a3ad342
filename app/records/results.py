"""What the use-cases return, if it is more than stored things."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.errors import UserError
from app.records.stored import (
    Attempt,
    Target,
)


@dataclass(frozen=True, slots=True)
class CreatedTargets:
    targets: Sequence[Target | None]
    """In the input's order; None for a row that was rejected."""
    created: int
    updated: int
    skipped: int
    rejected: int
    errors: tuple[UserError, ...]


@dataclass(frozen=True, slots=True)
class ChangedTargets:
    """What a change of many targets came to, or would."""

    count: int
    remaining: int
    """More that match."""


@dataclass(frozen=True, slots=True)
class AttemptBatch:
    attempts: Sequence[Attempt]
    """In the input's order, without those that have an error."""
    errors: tuple[UserError, ...]
    throttled_until: datetime | None = None
    """Of claims: as in `Claimed`."""


class Claimed(list[Attempt]):
    """New attempts."""

    throttled_until: datetime | None = None
    """When more may be claimed, if the pace of the outdial has held back some."""
