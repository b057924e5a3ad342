"""What a claim sends to PostgreSQL: at how many targets it looks, and what it takes the outdial to be.

An outdial without caps, without a pace and without callbacks for one dialer pays for none of them: the claim's
statement has no such part, and shares its locks. So it is for a breaker, as long as it is closed. Which parts and locks
a claim needs is known from the claim before. If that was wrong, the statement takes nothing, and the claim is sent
again with what it has found.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from app import db
from app.store import capping

TURNS_MAX = 3
"""How often a claim is sent again because caps or a pace were set or taken away, or a breaker opened or closed."""
OUTDIALS_MAX = 10_000


class Traits(NamedTuple):
    """What an outdial is taken to have."""

    is_capped: bool = False
    is_paced: bool = False
    """A pace that limits claims."""
    is_broken: bool = False
    """A breaker that is not closed."""
    is_reserved: bool = False
    """Callbacks that were kept for one dialer."""


_PLAIN = Traits()
_known: OrderedDict[str, Traits] = OrderedDict()
"""Of outdials that have any."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a claim sends."""

    outdial_id: str
    rows: int
    """How many targets it looks at."""
    traits: Traits = _PLAIN
    turns: int = 0
    rounds: int = 1


def first(outdial_id: str, rows: int) -> Look:
    return Look(outdial_id, rows, _known.get(outdial_id, _PLAIN))


def is_reserved(outdial_id: str) -> bool:
    """Whether an outdial is taken to have callbacks that are kept for one dialer."""
    return _known.get(outdial_id, _PLAIN).is_reserved


def following(look: Look, found: Sequence[db.Row]) -> Look | None:
    """What to send after an answer; None if that was it.

    Args:
        look: what was sent.
        found: rows with `has_caps`, `has_pace`, `is_broken`, `has_reserved`, `id` (null if nothing was taken) and, with
            caps, `looked`: how many it looked at.
    """
    if not found:
        return None
    traits = Traits(*(bool(found[0][name]) for name in ("has_caps", "has_pace", "is_broken", "has_reserved")))
    if traits != look.traits:
        _note(look.outdial_id, traits)
        return replace(look, traits=traits, turns=look.turns + 1) if look.turns < TURNS_MAX else None
    if not traits.is_capped or found[0]["id"] is not None or not found[0]["looked"]:
        return None
    if look.rounds == capping.ROUNDS_MAX:
        return None
    return replace(look, rows=capping.wider_by_one(look.rows), rounds=look.rounds + 1)


def _note(outdial_id: str, traits: Traits) -> None:
    if traits == _PLAIN:
        _known.pop(outdial_id, None)
        return
    _known[outdial_id] = traits
    if len(_known) > OUTDIALS_MAX:
        _known.popitem(last=False)


class Locks(NamedTuple):
    """The names of a claim's locks, in the order in which they are taken."""

    alone: tuple[str, ...]
    shared: tuple[str, ...]
    then_alone: tuple[str, ...]
    then_shared: tuple[str, ...]


def locks(traits: Traits, *, key: Sequence[str], claims: str, pace: str, outdial: str) -> Locks:
    """Which of these locks a claim takes alone, and which it shares.

    The order is the same for all claims: key, claims, pace, outdial. Those that are not paced take all at once.

    Args:
        traits: the outdial's.
        key: that of the idempotency key, if there is one.
        claims: that of those who claim targets of the customer: with caps a claim has it alone.
        pace: that of those who claim targets of an outdial that is paced, or whose breaker is not closed: one after the
            other.
        outdial: that of the outdial, which is shared.
    """
    alone, shared = ((*key, claims), ()) if traits.is_capped else (tuple(key), (claims,))
    if traits.is_paced or traits.is_broken:
        return Locks(alone, shared, (pace,), (outdial,))
    return Locks(alone, (*shared, outdial), (), ())
