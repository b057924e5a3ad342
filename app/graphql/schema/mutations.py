"""Mutation: all changes. Each mutation passes its input to one use-case and answers with its result."""

from typing import Annotated

import strawberry

from app import attempts, codes, imports, outdials, records, suppressions, targets
from app.auth import Scope
from app.graphql.schema import inputs
from app.graphql.schema.context import Info, reads_within
from app.graphql.schema.fields import given, mutation, parse_id
from app.graphql.schema.payloads import (
    NO_ATTEMPTS,
    NO_SUPPRESSIONS,
    NONE_CHANGED,
    NOTHING_CREATED,
    AttemptsPayload,
    CreateTargetsPayload,
    ImportPayload,
    Outcome,
    OutdialPayload,
    ResetTargetsPayload,
    ResultCodesPayload,
    SuppressionsPayload,
    TargetPayload,
    TargetsPayload,
    batch_outcome,
    outcome,
)

INPUT = strawberry.argument(name="input", description="The input of the mutation.")


async def _claim(info: Info, wish: inputs.ClaimTargetsInput) -> records.AttemptBatch:
    claimed = await attempts.claim(
        info.context.viewer,
        wish.outdial_id,
        limit=wish.limit,
        dialer=given(wish.dialer),
        lease_seconds=given(wish.lease_seconds),
        idempotency_key=given(wish.idempotency_key),
        reads=reads_within(info, "target", "OutdialTarget"),
    )
    # a plain list: compiled operations take no other
    return records.AttemptBatch(list(claimed), (), claimed.throttled_until)


@strawberry.type(
    description="Changes. Errors that the caller can correct are in userErrors of the payload; nothing is written for "
    "the values that they name."
)
class Mutation:
    # ------------------------------------------------------------ outdials

    @mutation(Scope.WRITE, OutdialPayload, "Creates an outdial without targets.")
    async def create_outdial(
        self, info: Info, wish: Annotated[inputs.CreateOutdialInput, INPUT]
    ) -> Outcome[records.Outdial | None]:
        return await outcome(
            outdials.create(info.context.viewer, draft=wish.draft(), idempotency_key=given(wish.idempotency_key)),
            refused=None,
        )

    @mutation(Scope.WRITE, OutdialPayload, "Changes the fields that are given. All other fields keep their value.")
    async def update_outdial(
        self, info: Info, wish: Annotated[inputs.UpdateOutdialInput, INPUT]
    ) -> Outcome[records.Outdial | None]:
        return await outcome(outdials.update(info.context.viewer, wish.id, changes=wish.changes()), refused=None)

    @mutation(
        Scope.WRITE,
        OutdialPayload,
        "Deletes an outdial and its targets. No target can be claimed any more, and attempts in progress lose their "
        "lease.",
    )
    async def delete_outdial(
        self,
        info: Info,
        outdial_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The outdial's id.")],
    ) -> Outcome[records.Outdial | None]:
        return await outcome(outdials.delete(info.context.viewer, parse_id(outdial_id)), refused=None)

    @mutation(
        Scope.WRITE,
        OutdialPayload,
        "Closes the breaker of an outdial: its targets can be claimed at once, and its calls are counted anew. If it "
        "is CLOSED already, nothing changes.",
    )
    async def close_breaker(
        self,
        info: Info,
        outdial_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The outdial's id.")],
    ) -> Outcome[records.Outdial | None]:
        return await outcome(outdials.close_breaker(info.context.viewer, parse_id(outdial_id)), refused=None)

    # ------------------------------------------------------------ targets

    @mutation(Scope.WRITE, TargetPayload, "Adds one target to an outdial.")
    async def create_target(
        self, info: Info, wish: Annotated[inputs.CreateTargetInput, INPUT]
    ) -> Outcome[records.Target | None]:
        return await outcome(
            targets.create(
                info.context.viewer,
                wish.outdial_id,
                draft=wish.target.draft(),
                idempotency_key=given(wish.idempotency_key),
            ),
            refused=None,
        )

    @mutation(
        Scope.WRITE,
        CreateTargetsPayload,
        "Adds up to 1,000 targets. Valid rows are created, and each other row is reported in userErrors by its index.",
    )
    async def create_targets(
        self, info: Info, wish: Annotated[inputs.CreateTargetsInput, INPUT]
    ) -> Outcome[records.CreatedTargets]:
        return await batch_outcome(
            targets.create_many(
                info.context.viewer,
                wish.outdial_id,
                drafts=wish.drafts(),
                on_duplicate_key=wish.on_duplicate_key,
                dedupe=wish.dedupe,
                idempotency_key=given(wish.idempotency_key),
            ),
            refused=NOTHING_CREATED,
        )

    @mutation(Scope.WRITE, TargetPayload, "Changes the fields that are given. All other fields keep their value.")
    async def update_target(
        self, info: Info, wish: Annotated[inputs.UpdateTargetInput, INPUT]
    ) -> Outcome[records.Target | None]:
        return await outcome(
            targets.update(info.context.viewer, wish.id, changes=wish.changes(), if_version=given(wish.if_version)),
            refused=None,
        )

    @mutation(
        Scope.WRITE,
        TargetPayload,
        "Deletes a target. An attempt in progress loses its lease. The key can be used again.",
    )
    async def delete_target(
        self,
        info: Info,
        target_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The target's id.")],
    ) -> Outcome[records.Target | None]:
        return await outcome(targets.delete(info.context.viewer, parse_id(target_id)), refused=None)

    @mutation(
        Scope.WRITE,
        TargetPayload,
        "Finishes a target with the reason CANCELED, unless it is DONE. An attempt in progress loses its lease.",
    )
    async def cancel_target(
        self,
        info: Info,
        target_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The target's id.")],
    ) -> Outcome[records.Target | None]:
        return await outcome(targets.cancel(info.context.viewer, parse_id(target_id)), refused=None)

    @mutation(
        Scope.WRITE,
        TargetPayload,
        "Lets a target be called at a time that the person asked for. A DONE target returns to IDLE and keeps its try "
        "counts. While the target is PROGRESSING, the callback waits for the end of the attempt, and stands whatever "
        "its result is. Refused if the target is DONE with DO_NOT_CALL, or if the address is on the do-not-call list.",
    )
    async def schedule_callback(
        self, info: Info, wish: Annotated[inputs.ScheduleCallbackInput, INPUT]
    ) -> Outcome[records.Target | None]:
        return await outcome(
            targets.schedule_callback(info.context.viewer, wish.target_id, draft=wish.callback.draft()), refused=None
        )

    @mutation(
        Scope.WRITE,
        TargetPayload,
        "Cancels the callback of a target, which is then as it was before. A target without one does not change.",
    )
    async def cancel_callback(
        self,
        info: Info,
        target_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The target's id.")],
    ) -> Outcome[records.Target | None]:
        return await outcome(targets.cancel_callback(info.context.viewer, parse_id(target_id)), refused=None)

    @mutation(
        Scope.WRITE,
        ResetTargetsPayload,
        "Returns DONE targets to IDLE and sets their try counts to zero. Their attempts stay on record. Resets at most "
        "10,000 targets in a call: repeat the call while remaining is above 0. Targets that are DONE with DO_NOT_CALL "
        "are reset only if doneReasons names DO_NOT_CALL.",
        rows=targets.CHANGED_TARGETS_MAX,
    )
    async def reset_targets(
        self, info: Info, wish: Annotated[inputs.ResetTargetsInput, INPUT]
    ) -> Outcome[records.ChangedTargets]:
        return await outcome(
            targets.reset(
                info.context.viewer,
                wish.outdial_id,
                done_reasons=given(wish.done_reasons),
                target_ids=given(wish.target_ids),
                where=None if (where := given(wish.where)) is None else where.where(),
                not_before=given(wish.not_before),
                dry_run=wish.dry_run,
                idempotency_key=given(wish.idempotency_key),
            ),
            refused=NONE_CHANGED,
        )

    @mutation(
        Scope.WRITE,
        TargetsPayload,
        "Changes the fields that are given of all targets that match, as updateTarget does. Targets that have these "
        "values already do not match. Changes at most 10,000 targets in a call: repeat the call while remaining is "
        "above 0. One event without a targetId tells of up to 1,000 changes with the same statuses and reason.",
        rows=targets.CHANGED_TARGETS_MAX,
    )
    async def update_targets(
        self, info: Info, wish: Annotated[inputs.UpdateTargetsInput, INPUT]
    ) -> Outcome[records.ChangedTargets]:
        return await outcome(
            targets.update_many(
                info.context.viewer,
                wish.outdial_id,
                where=wish.where.where(),
                changes=wish.changes(),
                dry_run=wish.dry_run,
                idempotency_key=given(wish.idempotency_key),
            ),
            refused=NONE_CHANGED,
        )

    @mutation(
        Scope.WRITE,
        TargetsPayload,
        "Finishes all targets that match with the reason CANCELED, as cancelTarget does. DONE targets do not match. "
        "Attempts in progress lose their lease. Cancels at most 10,000 targets in a call: repeat the call while "
        "remaining is above 0.",
        rows=targets.CHANGED_TARGETS_MAX,
    )
    async def cancel_targets(
        self, info: Info, wish: Annotated[inputs.CancelTargetsInput, INPUT]
    ) -> Outcome[records.ChangedTargets]:
        return await outcome(
            targets.cancel_many(
                info.context.viewer,
                wish.outdial_id,
                where=wish.where.where(),
                dry_run=wish.dry_run,
                idempotency_key=given(wish.idempotency_key),
            ),
            refused=NONE_CHANGED,
        )

    # ------------------------------------------------------------ suppressions

    @mutation(
        Scope.WRITE,
        SuppressionsPayload,
        "Puts up to 1,000 addresses on the do-not-call list. Once it has answered, no target is claimed and no call "
        "begins there, on any list. Attempts there that are CLAIMED become REVOKED and count as tries; those that are "
        "DIALING go on. IDLE targets without another destination become DONE with DO_NOT_CALL within seconds, unless "
        "the suppression expires. Valid rows are stored, and each other row is reported in userErrors by its index.",
    )
    async def add_suppressions(
        self, info: Info, wish: Annotated[inputs.AddSuppressionsInput, INPUT]
    ) -> Outcome[records.SuppressionBatch]:
        return await batch_outcome(suppressions.add(info.context.viewer, drafts=wish.drafts()), refused=NO_SUPPRESSIONS)

    @mutation(
        Scope.WRITE,
        SuppressionsPayload,
        "Takes addresses off the do-not-call list. They may be called again. No target that is DONE is reopened.",
    )
    async def remove_suppressions(
        self, info: Info, wish: Annotated[inputs.RemoveSuppressionsInput, INPUT]
    ) -> Outcome[records.SuppressionBatch]:
        return await batch_outcome(
            suppressions.remove(info.context.viewer, suppression_ids=given(wish.ids) or (), drafts=wish.drafts()),
            refused=NO_SUPPRESSIONS,
        )

    # ------------------------------------------------------------ result codes

    @mutation(
        Scope.WRITE,
        ResultCodesPayload,
        "Sets all result codes of the customer. Those that are left out are retired, not deleted: attempts that have "
        "one keep it, and its label can still be read. If one code is rejected, nothing is changed. Once it has "
        "answered, no result is accepted with a retired code.",
    )
    async def set_result_codes(
        self, info: Info, wish: Annotated[inputs.SetResultCodesInput, INPUT]
    ) -> Outcome[list[records.ResultCode] | None]:
        return await outcome(
            codes.set_all(info.context.viewer, drafts=wish.drafts(), idempotency_key=given(wish.idempotency_key)),
            refused=None,
        )

    # ------------------------------------------------------------ imports: files

    @mutation(
        Scope.WRITE,
        ImportPayload,
        "Stops an import. Stored rows stay. An import that has ended does not change.",
    )
    async def cancel_import(
        self,
        info: Info,
        import_id: Annotated[strawberry.ID, strawberry.argument(name="id", description="The import's id.")],
    ) -> Outcome[records.ImportJob | None]:
        return await outcome(imports.cancel(info.context.viewer, parse_id(import_id)), refused=None)

    # ------------------------------------------------------------ attempts

    @mutation(
        Scope.DIAL,
        AttemptsPayload,
        "Claims up to `limit` due targets for one dialer, those with a higher priority first, then those that have "
        "been due the longest. No target is ever leased to two dialers at once. If the pace of the outdial allows "
        "fewer, throttledUntil says when to ask again.",
    )
    async def claim_targets(
        self, info: Info, wish: Annotated[inputs.ClaimTargetsInput, INPUT]
    ) -> Outcome[records.AttemptBatch]:
        return await batch_outcome(_claim(info, wish), refused=NO_ATTEMPTS)

    @mutation(
        Scope.DIAL,
        AttemptsPayload,
        "Reports that calls are being placed, and renews their leases. From now on, an attempt whose lease expires "
        "becomes "
        "UNCONFIRMED.",
        is_report=True,
    )
    async def start_attempts(
        self, info: Info, wish: Annotated[inputs.StartAttemptsInput, INPUT]
    ) -> Outcome[records.AttemptBatch]:
        return await batch_outcome(attempts.start(info.context.viewer, starts=wish.starts()), refused=NO_ATTEMPTS)

    @mutation(Scope.DIAL, AttemptsPayload, "Renews the leases of attempts in progress.", is_report=True)
    async def extend_attempts(
        self, info: Info, wish: Annotated[inputs.ExtendAttemptsInput, INPUT]
    ) -> Outcome[records.AttemptBatch]:
        return await batch_outcome(
            attempts.extend(info.context.viewer, attempt_ids=wish.attempt_ids, lease_seconds=given(wish.lease_seconds)),
            refused=NO_ATTEMPTS,
        )

    @mutation(
        Scope.DIAL,
        AttemptsPayload,
        "Reports the results of calls. Reporting the same disposition again is not an error and changes nothing, "
        "neither the detail nor the code.",
        is_report=True,
    )
    async def complete_attempts(
        self, info: Info, wish: Annotated[inputs.CompleteAttemptsInput, INPUT]
    ) -> Outcome[records.AttemptBatch]:
        return await batch_outcome(attempts.complete(info.context.viewer, results=wish.reports()), refused=NO_ATTEMPTS)

    @mutation(
        Scope.DIAL,
        AttemptsPayload,
        "Returns targets that were not dialed. The attempts do not count as tries.",
        is_report=True,
    )
    async def release_attempts(
        self, info: Info, wish: Annotated[inputs.ReleaseAttemptsInput, INPUT]
    ) -> Outcome[records.AttemptBatch]:
        return await batch_outcome(
            attempts.release(info.context.viewer, attempt_ids=wish.attempt_ids), refused=NO_ATTEMPTS
        )
