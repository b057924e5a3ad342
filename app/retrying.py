"""Retry rules: what happens after an attempt that reached nobody, as the owner says it. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.lifecycle import DESTINATIONS, AttemptState, Disposition, Ruling

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
    """None: as long as without the rule; not at all if NEXT_DESTINATION leads to another address."""
    jitter_percent: int
    """By up to so much the wait is made longer, by chance."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What rules go by at an attempt that has ended."""

    state: AttemptState
    disposition: Disposition | None
    code: str | None
    destination_index: int


def judge(rules: Sequence[RetryRule], ended: Ending, earlier: Collection[Ending], chance: float) -> Ruling | None:
    """What the first rule says that matches an attempt; None if none does.

    Args:
        rules: of the policy in force now.
        ended: the attempt.
        earlier: those of its target before it, since the target was created or last reset. Not needed if no rule
            counts from a later attempt on than the first.
        chance: of [0, 1), by which waits with jitter are made longer.
    """
    rule = _first(rules, ended, earlier)
    if rule is None:
        return None
    moves_on = rule.action is RetryAction.NEXT_DESTINATION
    return Ruling(
        is_final=rule.action is RetryAction.FINISH,
        wait_seconds=rule.wait_seconds,
        longer_by=chance * rule.jitter_percent / 100,
        first_index=(ended.destination_index + 1) % DESTINATIONS if moves_on else 0,
        left_index=ended.destination_index if moves_on else None,
    )


def _first(rules: Sequence[RetryRule], ended: Ending, earlier: Collection[Ending]) -> RetryRule | None:
    for rule in rules:
        if matches(rule, ended) and sum(matches(rule, one) for one in earlier) + 1 >= rule.from_nth:
            return rule
    return None


def matches(rule: RetryRule, ended: Ending) -> bool:
    """Whether an attempt matches each list of a rule: never if it did not end by itself, or has finished its target."""
    if ended.state not in JUDGED_STATES or ended.disposition in UNJUDGED_DISPOSITIONS:
        return False
    return (
        (not rule.states or ended.state in rule.states)
        and (not rule.dispositions or ended.disposition in rule.dispositions)
        and (not rule.codes or ended.code in rule.codes)
        and (not rule.destinations or ended.destination_index in rule.destinations)
    )
