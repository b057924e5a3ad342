"""The inputs of dialers: claims and reports."""

import strawberry
from strawberry import UNSET

from app import records
from app.attempts.reporting import BATCH_ATTEMPTS_MAX
from app.graphql.schema.bulk import in_bulk
from app.graphql.schema.enums import (
    Disposition,
)
from app.graphql.schema.fields import at_most, given
from app.graphql.schema.inputs.common import CallbackInput


@in_bulk
@strawberry.input(description="How many targets of an outdial a dialer claims, and for how long.")
class ClaimTargetsInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial to dial.")
    limit: int = strawberry.field(default=1, description="The most targets to claim, 1 to 500.")
    dialer: str | None = strawberry.field(default=UNSET, description="A name for the dialer, at most 255 characters.")
    lease_seconds: int | None = strawberry.field(
        default=UNSET,
        description="Seconds until the leases expire, 5 to 86,400. Default: the policy's leaseSeconds.",
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description="A key of your choice. A repeated call with the same key returns the same attempts, so no target "
        "is lost if an answer is lost.",
    )


@in_bulk
@strawberry.input(description="An attempt whose call is being placed.")
class StartAttemptInput:
    attempt_id: strawberry.ID = strawberry.field(description="The attempt.")
    call_id: str | None = strawberry.field(
        default=UNSET, description="The dialer's own id of the call, at most 255 characters."
    )


@in_bulk
@strawberry.input(description="The attempts whose calls are being placed.")
class StartAttemptsInput:
    attempts: list[StartAttemptInput] = strawberry.field(
        description="The attempts, 1 to 500.", metadata=at_most(BATCH_ATTEMPTS_MAX)
    )

    def starts(self) -> list[records.AttemptStart]:
        return [records.AttemptStart(row.attempt_id, given(row.call_id)) for row in self.attempts]


@in_bulk
@strawberry.input(description="The attempts to extend.")
class ExtendAttemptsInput:
    attempt_ids: list[strawberry.ID] = strawberry.field(
        description="The attempts, 1 to 500.", metadata=at_most(BATCH_ATTEMPTS_MAX)
    )
    lease_seconds: int | None = strawberry.field(
        default=UNSET,
        description="Seconds from now until the leases expire, 5 to 86,400. Default: the length of the original lease.",
    )


@in_bulk
@strawberry.input(description="The attempts to release: their targets return without being dialed.")
class ReleaseAttemptsInput:
    attempt_ids: list[strawberry.ID] = strawberry.field(
        description="The attempts, 1 to 500.", metadata=at_most(BATCH_ATTEMPTS_MAX)
    )


@in_bulk
@strawberry.input(description="The result of one attempt.")
class AttemptResultInput:
    attempt_id: strawberry.ID = strawberry.field(description="The attempt.")
    disposition: Disposition = strawberry.field(description="The result of the call.")
    detail: str = strawberry.field(default="", description="Details, at most 4,096 characters.")
    retry_after_seconds: int | None = strawberry.field(
        default=UNSET,
        description="Replaces the policy's retryIntervalSeconds, 0 to 2,592,000. Ignored if the target becomes DONE.",
    )
    code: str | None = strawberry.field(
        default=UNSET,
        description="One of resultCodes that belongs to the disposition and is not retired. Ignored if the attempt has "
        "this disposition already.",
    )
    ring_seconds: int | None = strawberry.field(
        default=UNSET,
        description="How long it rang, 0 to 86,400 seconds. Ignored if the attempt has this disposition already.",
    )
    talk_seconds: int | None = strawberry.field(
        default=UNSET,
        description="How long the parties talked, 0 to 86,400 seconds. Ignored if the attempt has this disposition "
        "already.",
    )
    callback: CallbackInput | None = strawberry.field(
        default=UNSET,
        description="When to call again. Required if the disposition is CALLBACK; other dispositions refuse it.",
    )


@in_bulk
@strawberry.input(description="The results of attempts.")
class CompleteAttemptsInput:
    results: list[AttemptResultInput] = strawberry.field(
        description="The results, 1 to 500.", metadata=at_most(BATCH_ATTEMPTS_MAX)
    )

    def reports(self) -> list[records.AttemptResult]:
        return [
            records.AttemptResult(
                row.attempt_id,
                row.disposition,
                row.detail,
                given(row.retry_after_seconds),
                given(row.code),
                ring_seconds=given(row.ring_seconds),
                talk_seconds=given(row.talk_seconds),
                callback=None if (wish := given(row.callback)) is None else wish.draft(),
            )
            for row in self.results
        ]
