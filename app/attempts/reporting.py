"""Reports: what dialers report about their attempts, and the changes that follow.

A batch is processed in order. Each row sees the changes of the rows before it, and can succeed if they fail. The rules
are in `app.lifecycle`; this module applies them to rows.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from app import callbacks, ids, lifecycle, metrics, validation
from app.attempts.desk import Desk, Task, work_on_desk
from app.auth import Viewer
from app.changes import ended, moved, ruled
from app.errors import Rejected, UserError, UserErrorCode, invalid
from app.frozen import replace
from app.lifecycle import AttemptState, Disposition, DoneReason, TargetEventType, TargetStatus, Verdict
from app.records import (
    Attempt,
    AttemptBatch,
    AttemptResult,
    AttemptStart,
    Callback,
    CallbackDraft,
    CalledTarget,
    code_refusal,
)

BATCH_ATTEMPTS_MAX = 500

_REFUSALS = {
    Verdict.LEASE_LOST: (
        UserErrorCode.LEASE_LOST,
        "The attempt no longer holds its lease. Stop the call if you can, and claim again.",
    ),
    Verdict.ALREADY_ENDED: (UserErrorCode.ALREADY_ENDED, "The attempt has already ended with a different result."),
    Verdict.ALREADY_DIALED: (
        UserErrorCode.ALREADY_DIALED,
        "The call was placed. Report its result instead of releasing the target.",
    ),
    Verdict.SUPPRESSED: (
        UserErrorCode.SUPPRESSED,
        "The address must not be called: it was added to the do-not-call list. Do not place the call; claim again.",
    ),
}


async def _report(
    viewer: Viewer,
    attempt_ids: Sequence[str | None],
    step: Callable[[Desk, int, Attempt], Verdict | UserError | None],
    field_name: str,
    id_name: str | None,
    early_errors: Sequence[UserError],
    *,
    may_suppress: bool = False,
    codes: frozenset[str] = frozenset(),
) -> tuple[AttemptBatch, list[Disposition]]:
    """Take each row of a batch through `step`, which returns None for one whose error is known already.

    Rows with an error that need no step are None.
    """
    known = [attempt_id for attempt_id in attempt_ids if attempt_id is not None]

    def decide(desk: Desk) -> tuple[AttemptBatch, list[Disposition]]:
        errors = list(early_errors)
        done: list[str] = []
        for index, attempt_id in enumerate(attempt_ids):
            if attempt_id is None:
                continue
            path = (field_name, str(index)) if id_name is None else (field_name, str(index), id_name)
            attempt = desk.attempts.get(attempt_id)
            if attempt is None:
                errors.append(UserError(UserErrorCode.NOT_FOUND, "Attempt not found.", path))
                continue
            verdict = step(desk, index, attempt)
            if verdict is None:
                continue
            if isinstance(verdict, UserError):
                errors.append(verdict)
            elif verdict in _REFUSALS:
                code, message = _REFUSALS[verdict]
                errors.append(UserError(code, message, path))
            else:
                done.append(attempt_id)
        errors.sort(key=lambda error: int(error.path[1]))
        return AttemptBatch([desk.attempts[attempt_id] for attempt_id in done], tuple(errors)), desk.dispositions

    return await work_on_desk(viewer, Task(known, decide, may_suppress=may_suppress, codes=codes))


def _checked_ids(
    given: Sequence[str], errors: list[UserError], field_name: str, id_name: str | None
) -> list[str | None]:
    if not 1 <= len(given) <= BATCH_ATTEMPTS_MAX:
        raise Rejected([invalid(f"Give 1 to {BATCH_ATTEMPTS_MAX} in a call.", field_name)])
    checked = [ids.parse(text) for text in given]
    errors.extend(
        invalid(
            "Invalid id. Use a UUID such as 018f3e4c-5b6a-7c8d-9e0f-1a2b3c4d5e6f.",
            field_name,
            str(index),
            *([id_name] if id_name else []),
        )
        for index, attempt_id in enumerate(checked)
        if attempt_id is None
    )
    return checked


# ---------------------------------------------------------------- start


async def start(viewer: Viewer, *, starts: Sequence[AttemptStart]) -> AttemptBatch:
    """Record that calls are being placed. From now on, an expired lease means that the result is unknown.

    Raises:
        Rejected: INVALID, if there are none or more than 500.
    """
    errors: list[UserError] = []
    checked = _checked_ids([start.attempt_id for start in starts], errors, "attempts", "attempt_id")
    call_ids: list[str | None] = []
    for index, start in enumerate(starts):
        before = len(errors)
        call_ids.append(
            validation.optional_text(
                start.call_id, validation.CALL_ID_CHARACTERS_MAX, errors, "attempts", str(index), "call_id"
            )
        )
        if len(errors) > before:
            checked[index] = None

    def step(desk: Desk, index: int, attempt: Attempt) -> Verdict:
        suppressed = attempt.id in desk.suppressed_attempts
        verdict = lifecycle.judge_start(attempt.state, holds=desk.holds(attempt), suppressed=suppressed)
        if verdict is Verdict.APPLY:
            _start(desk, attempt, call_ids[index])
        return verdict

    batch, _ = await _report(viewer, checked, step, "attempts", "attempt_id", errors)
    return batch


def _start(desk: Desk, attempt: Attempt, call_id: str | None) -> None:
    first = attempt.state is AttemptState.CLAIMED
    started = desk.put_attempt(
        replace(
            attempt,
            state=AttemptState.DIALING,
            call_id=call_id or attempt.call_id,
            dialed_at=desk.now if first else attempt.dialed_at,
            expires_at=desk.now + timedelta(seconds=attempt.lease_seconds),
        )
    )
    if first:
        desk.put_target(desk.targets[attempt.target_id], TargetEventType.DIALING, started)


# ---------------------------------------------------------------- extend


async def extend(viewer: Viewer, *, attempt_ids: Sequence[str], lease_seconds: int | None = None) -> AttemptBatch:
    """Renew leases that have not expired. `lease_seconds` becomes their new length; by default it stays. No event.

    Raises:
        Rejected: INVALID.
    """
    errors: list[UserError] = []
    if lease_seconds is not None:
        validation.lease_seconds(lease_seconds, errors, "lease_seconds")
    if errors:
        raise Rejected(errors)
    checked = _checked_ids(attempt_ids, errors, "attempt_ids", None)

    def step(desk: Desk, _index: int, attempt: Attempt) -> Verdict:
        suppressed = attempt.id in desk.suppressed_attempts
        verdict = lifecycle.judge_extend(attempt.state, holds=desk.holds(attempt), suppressed=suppressed)
        if verdict is Verdict.APPLY:
            seconds = attempt.lease_seconds if lease_seconds is None else lease_seconds
            desk.put_attempt(replace(attempt, lease_seconds=seconds, expires_at=desk.now + timedelta(seconds=seconds)))
        return verdict

    batch, _ = await _report(viewer, checked, step, "attempt_ids", None, errors)
    return batch


# ---------------------------------------------------------------- release


async def release(viewer: Viewer, *, attempt_ids: Sequence[str]) -> AttemptBatch:
    """Release targets that were not dialed: they are due at once, and the try does not count.

    Raises:
        Rejected: INVALID.
    """
    errors: list[UserError] = []
    checked = _checked_ids(attempt_ids, errors, "attempt_ids", None)

    def step(desk: Desk, _index: int, attempt: Attempt) -> Verdict:
        verdict = lifecycle.judge_release(attempt.state, holds=desk.holds(attempt))
        if verdict is Verdict.APPLY:
            _release(desk, attempt)
        return verdict

    batch, _ = await _report(viewer, checked, step, "attempt_ids", None, errors)
    return batch


def _release(desk: Desk, attempt: Attempt) -> None:
    released = desk.put_attempt(ended(attempt, AttemptState.RELEASED, desk.now))
    target = desk.targets[attempt.target_id]
    counts = list(target.try_counts)
    counts[attempt.destination_index] -= 1
    back = replace(target, try_counts=tuple(counts))
    tries = desk.tries(back)
    after = callbacks.after_return(back, lifecycle.idle_or_done(tries, desk.now), tries)
    desk.put_target(after, TargetEventType.RELEASED, released)
    desk.made[attempt.outdial_id] -= 1


# ---------------------------------------------------------------- complete


async def complete(viewer: Viewer, *, results: Sequence[AttemptResult]) -> AttemptBatch:
    """Report how calls ended. The same result again is no error and changes nothing.

    A wish not to be called counts although its row has an error: the address is listed, and nothing else is changed.

    Raises:
        Rejected: INVALID, if there are none or more than 500.
    """
    errors: list[UserError] = []
    checked = _checked_ids([result.attempt_id for result in results], errors, "results", "attempt_id")
    given: list[AttemptResult] = []
    faulty = set[int]()
    for index, result in enumerate(results):
        path = ("results", str(index))
        before = len(errors)
        validation.text(result.detail, validation.DETAIL_CHARACTERS_MAX, errors, *path, "detail")
        if result.retry_after_seconds is not None:
            most = validation.RETRY_INTERVAL_SECONDS_MAX
            validation.number(result.retry_after_seconds, 0, most, errors, *path, "retry_after_seconds")
        for name, seconds in (("ring_seconds", result.ring_seconds), ("talk_seconds", result.talk_seconds)):
            if seconds is not None:
                validation.number(seconds, 0, validation.CALL_SECONDS_MAX, errors, *path, name)
        wish = _checked_wish(result, errors, *path, "callback")
        given.append(result if wish is result.callback else replace(result, callback=wish))
        if len(errors) > before:
            faulty.add(index)
            if result.disposition is not Disposition.DO_NOT_CALL:
                checked[index] = None

    def step(desk: Desk, index: int, attempt: Attempt) -> Verdict | UserError | None:
        if index in faulty:
            _hear(desk, attempt, results[index].disposition)
            return None
        return _complete(desk, attempt, given[index], "results", str(index))

    batch, dispositions = await _report(
        viewer,
        checked,
        step,
        "results",
        "attempt_id",
        errors,
        may_suppress=any(result.disposition is Disposition.DO_NOT_CALL for result in results),
        codes=frozenset(result.code for result in results if result.code and validation.is_code(result.code)),
    )
    for disposition, number in Counter(dispositions).items():
        metrics.completed_attempts.labels(disposition=disposition.value).inc(number)
    return batch


def _checked_wish(result: AttemptResult, errors: list[UserError], *path: str) -> CallbackDraft | None:
    """The callback of a result, which has one exactly if its disposition is CALLBACK."""
    is_wished = result.disposition is Disposition.CALLBACK
    if result.callback is None:
        if is_wished:
            errors.append(invalid("The disposition CALLBACK needs a callback: say when to call again.", *path))
        return None
    if not is_wished:
        errors.append(invalid("Only the disposition CALLBACK has a callback.", *path))
    return validation.callback(result.callback, errors, *path)


def _hear(desk: Desk, attempt: Attempt, disposition: Disposition) -> None:
    """Put the attempt's address on the do-not-call list if its person asked for that."""
    if lifecycle.asks_not_to_be_called(reported=attempt.disposition, disposition=disposition):
        desk.wishes.append(attempt.destination)
        desk.suppress({attempt.destination.place: None})


def _complete(desk: Desk, attempt: Attempt, result: AttemptResult, *path: str) -> Verdict | UserError:
    target = desk.targets[attempt.target_id]
    holds = desk.holds(attempt)
    newest = target.last_attempt_id == attempt.id
    verdict = lifecycle.judge_complete(
        attempt.state,
        holds=holds,
        reported=attempt.disposition,
        disposition=result.disposition,
        newest=newest,
        deleted=desk.deleted(attempt),
        do_not_call=target.done_reason is DoneReason.DO_NOT_CALL,
    )
    _hear(desk, attempt, result.disposition)
    code = None if result.code is None else desk.codes.get(result.code)
    # A result that is sent again changes nothing, so its code is not looked at: it may be retired by now.
    if verdict is Verdict.APPLY and result.code is not None:
        refusal = code_refusal(code, result.disposition)
        if refusal is not None:
            return invalid(refusal, *path, "code")
    if verdict is not Verdict.APPLY:
        return verdict
    if result.callback is not None and result.callback.at > desk.now + validation.CALLBACK_AHEAD:
        return invalid(validation.TOO_FAR_AHEAD, *path, "callback", "at")
    late = attempt.state in lifecycle.UNKNOWN and newest
    if holds or late or attempt.state in lifecycle.LIVE:
        attempt = desk.put_attempt(
            ended(
                attempt,
                AttemptState.COMPLETED,
                desk.now,
                disposition=result.disposition,
                code=result.code,
                is_right_party=code and code.is_right_party,
                is_conversion=code and code.is_conversion,
                detail=result.detail,
                ring_seconds=result.ring_seconds,
                talk_seconds=result.talk_seconds,
            )
        )
        target = _marked(target, attempt, result.disposition)
    elif target.status is TargetStatus.PROGRESSING:
        # reported for an earlier attempt: the person must not be called, so the attempt in progress loses its lease
        assert target.last_attempt_id is not None
        desk.put_attempt(ended(desk.attempts[target.last_attempt_id], AttemptState.REVOKED, desk.now))
    policy, ruling = desk.policy(attempt), desk.ruling(attempt, attempt.state)
    target = ruled(target, ruling)
    standing = lifecycle.after_disposition(
        result.disposition,
        desk.tries(target),
        desk.now,
        retry_interval_seconds=policy.retry_interval_seconds,
        retry_after_seconds=result.retry_after_seconds,
        ruling=ruling,
    )
    if result.disposition is Disposition.DO_NOT_CALL:
        # no late report brings the target back
        after = moved(replace(target, last_attempt_id=None, callback=None), standing)
    elif result.callback is not None:
        wish = replace(_wish(result.callback, attempt, desk.now), after_attempt_id=attempt.id, before=standing)
        after = callbacks.standing(target, wish, desk.tries(target))
    else:
        after = callbacks.after_end(target, attempt.id, standing, desk.tries(target))
    desk.put_target(after, TargetEventType.COMPLETED, attempt, disposition=result.disposition)
    desk.dispositions.append(result.disposition)
    return verdict


def _wish(draft: CallbackDraft, attempt: Attempt, now: datetime) -> Callback:
    """A callback as a dialer reports it: at the destination where it was asked for, if it gives none."""
    wanted = draft.destination_index
    return draft.callback(now, attempt.destination_index if wanted is None else wanted)


def _marked(target: CalledTarget, attempt: Attempt, disposition: Disposition) -> CalledTarget:
    """Mark a destination as unusable, if it still has the address that was dialed."""
    index = attempt.destination_index
    now_there = target.destinations[index]
    dialed = attempt.destination
    if disposition is not Disposition.INVALID_DESTINATION or now_there is None:
        return target
    if now_there.address != dialed.address:
        return target
    return replace(target, invalid_destinations=target.invalid_destinations | {index})
