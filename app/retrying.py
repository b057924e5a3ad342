"""Retry rules: what happens after an attempt that reached nobody, as the owner says it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from app.lifecycle import AttemptState, Disposition

RULES_MAX = 20
CODES_MAX = 50
"""Of one rule."""
JUDGED_STATES = frozenset({AttemptState.COMPLETED, AttemptState.EXPIRED, AttemptState.UNCONFIRMED})
"""The states in which an attempt ends by itself, and a rule may decide what follows."""
UNJUDGED_DISPOSITIONS = frozenset({Disposition.ANSWERED, Disposition.DO_NOT_CALL})
"""Those that finish a target, whatever a rule says."""


class RetryAction(StrEnum):
    RETRY = "RETRY"
    NEXT_DESTINATION = "NEXT_DESTINATION"
    FINISH = "FINISH"


@dataclass(frozen=True, slots=True)
class RetryRule:
    """Empty lists match all."""

    states: tuple[AttemptState, ...]
    dispositions: tuple[Disposition, ...]
    codes: tuple[str, ...]
    destinations: tuple[int, ...]
    from_nth: int
    """From which matching attempt on since the target was created or last reset."""
    action: RetryAction
    wait_seconds: int | None
    """None: as long as without the rule; for NEXT_DESTINATION not at all."""
    jitter_percent: int
    """By up to so much the wait is made longer, by chance."""
