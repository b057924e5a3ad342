"""Callbacks: what the wish to be called at a time makes of a target. Pure.

A callback is a promise. While it stands, its target is idle and due at its time, even if the limits leave no try: one
more is granted. Only an address that must never be called ends it.
"""

from collections.abc import Sequence
from typing import TypeVar

from app.changes import moved
from app.frozen import replace
from app.lifecycle import DESTINATIONS, DoneReason, Standing, TargetStatus, Tries, idle_or_done
from app.records import Callback, CalledTarget

T = TypeVar("T", bound=CalledTarget)


def offered(tries: Tries, wanted: int | None) -> tuple[int, ...]:
    """The destinations that a callback may call: the first of them that may be called at that time is.

    The one that is wanted; else those at which the limits leave a try; else all. An address that is invalid, or must
    never be called, is none of them.

    Args:
        tries: the facts without the callback.
        wanted: the index that the person asked for; None: any.
    """
    fit = _fit(tries)
    chosen: Sequence[int] = [index for index in fit if index == wanted]
    return tuple(chosen or [index for index in fit if tries.usable(index)] or fit)


def _fit(tries: Tries) -> list[int]:
    return [index for index in _set(tries) if index not in tries.suppressed or tries.suppressed[index] is not None]


def _set(tries: Tries) -> list[int]:
    return [index for index in range(DESTINATIONS) if tries.set[index] and not tries.invalid[index]]


def standing(target: T, callback: Callback, tries: Tries) -> T:
    """A target that nobody has, with a callback: due at its time. Done if its addresses must never be called.

    Args:
        target: as it is.
        callback: that it has from now on.
        tries: the facts of the target, without the callback.
    """
    if _set(tries) and not _fit(tries):
        return moved(replace(target, callback=None), Standing(TargetStatus.DONE, DoneReason.DO_NOT_CALL))
    kept = replace(callback, offered=offered(tries, callback.destination_index))
    return moved(replace(target, callback=kept), Standing(TargetStatus.IDLE, next_try_at=callback.at))


def scheduled(target: T, callback: Callback, tries: Tries) -> T:
    """A target whose callback is new, or another one. If somebody has it, it waits for the end of the attempt."""
    if target.status is TargetStatus.PROGRESSING:
        before = None
    elif target.callback is not None:
        before = target.callback.before
    else:
        before = Standing(target.status, target.done_reason, target.next_try_at)
    asked = replace(callback, after_attempt_id=target.last_attempt_id, before=before)
    return replace(target, callback=asked) if before is None else standing(target, asked, tries)


def canceled(target: T, tries: Tries) -> T:
    """A target without its callback, as it was before. One that was idle is done if no try is left meanwhile."""
    callback = target.callback
    if callback is None:
        return target
    free = replace(target, callback=None)
    before = callback.before
    if target.status is not TargetStatus.IDLE or before is None:
        return free
    due = before.next_try_at
    return moved(free, before if due is None else idle_or_done(tries, due))


def after_end(target: T, attempt_id: str, otherwise: Standing, tries: Tries) -> T:
    """A target after the end of an attempt.

    The end of an attempt that was made for the callback uses it up. One that was in progress when the callback was
    asked for does not, whatever its result is.

    Args:
        target: as the attempt has left it.
        attempt_id: of the attempt that has ended.
        otherwise: the new state without a callback.
        tries: the facts, without the callback.
    """
    callback = target.callback
    if callback is None:
        return moved(target, otherwise)
    if attempt_id != callback.after_attempt_id:
        return moved(replace(target, callback=None), otherwise)
    return standing(target, replace(callback, before=otherwise), tries)


def after_return(target: T, otherwise: Standing, tries: Tries) -> T:
    """A target after an attempt that called nobody, because it was released or revoked: its callback still stands.

    Args:
        target: as of `after_end`.
        otherwise: likewise.
        tries: likewise.
    """
    callback = target.callback
    if callback is None:
        return moved(target, otherwise)
    return standing(target, replace(callback, before=callback.before or otherwise), tries)


def judged(target: T, tries: Tries) -> T:
    """An idle target after the rules or its addresses have changed: done if nothing is left to try."""
    if target.callback is not None:
        return standing(target, target.callback, tries)
    reason = tries.done_reason()
    return target if reason is None else moved(target, Standing(TargetStatus.DONE, reason))
