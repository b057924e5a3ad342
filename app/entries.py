"""Entries of the do-not-call list: which one stays if an address is added that is on it already. Pure, no I/O.

An address is on the list once. What a person asked for is never shortened or relabeled by what is added later; only
removing it ends it. No file makes an entry shorter: a file that is sent again changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.frozen import replace
from app.records import Place, Suppression, SuppressionSource


@dataclass(frozen=True, slots=True)
class Added:
    """What has come of entries that were added together."""

    standing: Mapping[Place, Suppression]
    """Those of their addresses, as they are now."""
    changed: Sequence[bool]
    """Of each that was given: whether it put its address on the list or changed what is there."""
    written: Sequence[Suppression]
    """Those of the standing ones that are new or changed, each address once."""


def added(before: Mapping[Place, Suppression], given: Sequence[Suppression]) -> Added:
    """Add entries in their order to those that are there."""
    standing, seen, changed = dict(before), set[Place](), list[bool]()
    for one in given:
        place = one.place
        entry = _joined(standing.get(place), one, is_first=place not in seen)
        changed.append(entry is not None)
        if entry is not None:
            standing[place] = entry
        seen.add(place)
    touched = dict.fromkeys(one.place for one, is_changed in zip(given, changed, strict=True) if is_changed)
    return Added(standing, changed, [standing[place] for place in touched])


def _joined(standing: Suppression | None, given: Suppression, *, is_first: bool) -> Suppression | None:
    """What an entry becomes; None if it stays as it is.

    Args:
        standing: the entry of the address; None if it has none.
        given: what is added.
        is_first: nothing else was added at the address in this call.
    """
    if standing is None:
        return given
    if standing.source is SuppressionSource.CALLEE:
        return None
    if given.source is SuppressionSource.CALLEE:
        # for ever, and from now on no change of the owner's makes it shorter. What the owner wrote stays.
        return replace(standing, source=SuppressionSource.CALLEE, expires_at=None)
    if not _may_replace(standing, given, is_first=is_first):
        return None
    return replace(given, id=standing.id, tm_create=standing.tm_create)


def _may_replace(standing: Suppression, given: Suppression, *, is_first: bool) -> bool:
    if given.source is SuppressionSource.OWNER and is_first:
        # An owner corrects an entry by adding it again. With the other type of a number it is meant for another entry:
        # it does not make this one shorter.
        return given.type is standing.type or not is_longer(standing.expires_at, given.expires_at)
    return is_longer(given.expires_at, standing.expires_at)


def is_longer(one: datetime | None, other: datetime | None) -> bool:
    """Whether the first ends after the second. None is for ever."""
    return other is not None and (one is None or one > other)
