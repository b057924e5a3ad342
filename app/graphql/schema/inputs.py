"""The input types, and how they become the use-cases' values.

A field that is left out is UNSET, for which the schema prints no default. A given null is None.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

import strawberry
from strawberry import UNSET

from app import records
from app.graphql.schema.bulk import in_bulk
from app.graphql.schema.enums import (
    DedupeScope,
    DestinationType,
    Disposition,
    DoneReason,
    DuplicateAction,
    OutdialState,
    UnconfirmedAction,
)
from app.graphql.schema.fields import given
from app.lifecycle import DESTINATIONS

T = TypeVar("T")


def _numbers(values: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if values is None or values is UNSET else tuple(values)


def _changes(source: object, *names: str) -> dict[str, Any]:
    """The fields of an input that were given."""
    return {name: value for name in names if (value := getattr(source, name)) is not UNSET}


# ---------------------------------------------------------------- outdials


@strawberry.input(
    description="How often targets are tried, how long to wait between tries, and how long a lease lasts. Fields "
    "that are "
    "left out or null keep their value."
)
class DialPolicyInput:
    max_try_counts: list[int] | None = strawberry.field(
        default=UNSET,
        description="Five numbers from 0 to 100, one per destination: the most tries. Default: 3 each.",
    )
    retry_interval_seconds: int | None = strawberry.field(
        default=UNSET,
        description=(
            "Seconds from the end of an unsuccessful attempt until the target can be claimed again, 0 to 2,592,000. "
            "Default: 300."
        ),
    )
    lease_seconds: int | None = strawberry.field(
        default=UNSET,
        description=(
            "Seconds until an attempt expires if it is neither reported nor extended, 5 to 86,400. Default: 120."
        ),
    )
    on_unconfirmed: UnconfirmedAction | None = strawberry.field(
        default=UNSET,
        description="What happens to a target if its dialer disappears after it placed the call. Default: FINISH.",
    )

    def draft(self) -> records.PolicyDraft:
        return records.PolicyDraft(
            max_try_counts=_numbers(self.max_try_counts),
            retry_interval_seconds=given(self.retry_interval_seconds),
            lease_seconds=given(self.lease_seconds),
            on_unconfirmed=given(self.on_unconfirmed),
        )


def _policy(policy: DialPolicyInput | None) -> records.PolicyDraft | None:
    return policy.draft() if policy else None


@strawberry.input(description="A new outdial.")
class CreateOutdialInput:
    name: str = strawberry.field(default="", description="Its name, at most 255 characters.")
    detail: str = strawberry.field(default="", description="What it is for, at most 4,096 characters.")
    data: str = strawberry.field(
        default="", description="Free text for the owner's use, at most 65,536 characters. Never interpreted."
    )
    campaign_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The campaign that dials it. Null or the zero UUID means none."
    )
    dial_policy: DialPolicyInput | None = strawberry.field(
        default=UNSET, description="How it is dialed. Fields that are left out get their default."
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description="A key of your choice. A repeated call with the same key and input returns the first answer and "
        "creates nothing.",
    )

    def draft(self) -> records.OutdialDraft:
        return records.OutdialDraft(
            name=self.name,
            detail=self.detail,
            data=self.data,
            campaign_id=given(self.campaign_id),
            dial_policy=_policy(self.dial_policy),
        )


@strawberry.input(description="Changes to an outdial. Fields that are left out keep their value.")
class UpdateOutdialInput:
    id: strawberry.ID = strawberry.field(description="The outdial to change.")
    name: str | None = strawberry.field(default=UNSET, description="Its name, at most 255 characters. Not null.")
    detail: str | None = strawberry.field(
        default=UNSET, description="What it is for, at most 4,096 characters. Not null."
    )
    data: str | None = strawberry.field(
        default=UNSET, description="Free text for the owner's use, at most 65,536 characters. Not null."
    )
    campaign_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The campaign that dials it. Null or the zero UUID removes the campaign."
    )
    state: OutdialState | None = strawberry.field(
        default=UNSET, description="PAUSED stops new claims, ACTIVE allows them again."
    )
    dial_policy: DialPolicyInput | None = strawberry.field(
        default=UNSET, description="How it is dialed from now on. Fields that are left out keep their value."
    )

    def changes(self) -> dict[str, Any]:
        changes = _changes(self, "name", "detail", "data", "campaign_id", "state", "dial_policy")
        if "dial_policy" in changes:
            changes["dial_policy"] = _policy(changes["dial_policy"])
        return changes


# ---------------------------------------------------------------- targets


@in_bulk
@strawberry.input(description="An address that can be called or written to.")
class DestinationInput:
    type: DestinationType = strawberry.field(default=DestinationType.TEL, description="The type of the address.")
    target: str = strawberry.field(description="The address. It is stored in the canonical form of its type.")
    target_name: str = strawberry.field(
        default="", description="The name of the person or thing at this address, at most 255 characters."
    )
    name: str = strawberry.field(default="", description="The owner's name for it, at most 255 characters.")
    detail: str = strawberry.field(default="", description="Notes, at most 4,096 characters.")

    def draft(self) -> records.DestinationDraft:
        return records.DestinationDraft(
            type=self.type,
            target=self.target,
            target_name=self.target_name,
            name=self.name,
            detail=self.detail,
        )


def _destination(destination: DestinationInput | None) -> records.DestinationDraft | None:
    return destination.draft() if destination else None


_DESTINATIONS = tuple(f"destination_{index}" for index in range(DESTINATIONS))


@in_bulk
@strawberry.input(description="A new target. At least one destination must be set.")
class TargetInput:
    key: str | None = strawberry.field(
        default=UNSET,
        description="The owner's key for the target, unique in its outdial, at most 255 characters.",
    )
    name: str = strawberry.field(default="", description="The name of the person or place, at most 255 characters.")
    detail: str = strawberry.field(default="", description="Notes, at most 4,096 characters.")
    data: str = strawberry.field(
        default="", description="Free text for the owner's use, at most 65,536 characters. Never interpreted."
    )
    priority: int = strawberry.field(default=0, description="0 to 9. Targets with a higher priority are claimed first.")
    max_try_counts: list[int] | None = strawberry.field(
        default=UNSET,
        description="Five numbers from 0 to 100 that replace the policy's maxTryCounts. If null, the policy applies.",
    )
    not_before: datetime | None = strawberry.field(
        default=UNSET, description="The earliest time of the first claim. If null, the target is due at once."
    )
    destination_0: DestinationInput | None = strawberry.field(
        default=UNSET, description="The destination that is tried first."
    )
    destination_1: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried after destination 0 is used up."
    )
    destination_2: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried after destinations 0 and 1 are used up."
    )
    destination_3: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried after destinations 0 to 2 are used up."
    )
    destination_4: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried after destinations 0 to 3 are used up."
    )

    def draft(self) -> records.TargetDraft:
        return records.TargetDraft(
            key=given(self.key),
            name=self.name,
            detail=self.detail,
            data=self.data,
            priority=self.priority,
            max_try_counts=_numbers(self.max_try_counts),
            not_before=given(self.not_before),
            destinations=(
                _destination(self.destination_0),
                _destination(self.destination_1),
                _destination(self.destination_2),
                _destination(self.destination_3),
                _destination(self.destination_4),
            ),
        )


@strawberry.input(description="A new target and its outdial.")
class CreateTargetInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial that gets the target.")
    target: TargetInput = strawberry.field(description="The target.")
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description="A key of your choice. A repeated call with the same key and input returns the first answer and "
        "creates nothing.",
    )


@strawberry.input(description="New targets for one outdial.")
class CreateTargetsInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial that gets the targets.")
    targets: list[TargetInput] = strawberry.field(description="The targets, 1 to 1,000.")
    on_duplicate_key: DuplicateAction = strawberry.field(
        default=DuplicateAction.REJECT,
        description="What happens to a row if another target already has its key. With dedupe, a row with an address "
        "that another target has is skipped if this is SKIP, and rejected with CONFLICT otherwise. If the key is "
        "already used, addresses are not compared.",
    )
    dedupe: DedupeScope = strawberry.field(
        default=DedupeScope.NONE, description="Among which targets an address must be unique."
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description="A key of your choice. A repeated call with the same key and input returns the first answer and "
        "creates nothing.",
    )

    def drafts(self) -> list[records.TargetDraft]:
        return [target.draft() for target in self.targets]


@strawberry.input(description="Changes to a target. Fields that are left out keep their value.")
class UpdateTargetInput:
    id: strawberry.ID = strawberry.field(description="The target to change.")
    if_version: int | None = strawberry.field(
        default=UNSET,
        description="Change the target only if it still has this version. Otherwise the user error is CONFLICT.",
    )
    name: str | None = strawberry.field(default=UNSET, description="The name of the person or place. Not null.")
    detail: str | None = strawberry.field(default=UNSET, description="Notes. Not null.")
    data: str | None = strawberry.field(default=UNSET, description="Free text for the owner's use. Not null.")
    priority: int | None = strawberry.field(
        default=UNSET, description="0 to 9. Targets with a higher priority are claimed first. Not null."
    )
    max_try_counts: list[int] | None = strawberry.field(
        default=UNSET,
        description="Five numbers that replace the policy's maxTryCounts. If null, the policy applies again.",
    )
    not_before: datetime | None = strawberry.field(
        default=UNSET,
        description="The earliest time of the next claim of an IDLE target. If null, the target is due at once.",
    )
    destination_0: DestinationInput | None = strawberry.field(
        default=UNSET, description="The destination that is tried first. Null clears it; its try count stays."
    )
    destination_1: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried after destination 0 is used up. Null clears it; its try count stays."
    )
    destination_2: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried after destinations 0 and 1 are used up. Null clears it; its try count stays."
    )
    destination_3: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried after destinations 0 to 2 are used up. Null clears it; its try count stays."
    )
    destination_4: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried after destinations 0 to 3 are used up. Null clears it; its try count stays."
    )

    def changes(self) -> dict[str, Any]:
        changes = _changes(self, "name", "detail", "data", "priority", "max_try_counts", "not_before", *_DESTINATIONS)
        if "max_try_counts" in changes:
            changes["max_try_counts"] = _numbers(changes["max_try_counts"])
        for name in _DESTINATIONS:
            if name in changes:
                changes[name] = _destination(changes[name])
        return changes


@strawberry.input(description="Which DONE targets of an outdial return to IDLE.")
class ResetTargetsInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial of the targets.")
    done_reasons: list[DoneReason] | None = strawberry.field(
        default=UNSET, description="Targets that are DONE for these reasons. Give either this or targetIds."
    )
    target_ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET, description="These targets if they are DONE, at most 500."
    )
    dry_run: bool = strawberry.field(default=False, description="Only count the targets that would be reset.")


# ---------------------------------------------------------------- attempts


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


@strawberry.input(description="The attempts whose calls are being placed.")
class StartAttemptsInput:
    attempts: list[StartAttemptInput] = strawberry.field(description="The attempts, 1 to 500.")

    def starts(self) -> list[records.AttemptStart]:
        return [records.AttemptStart(row.attempt_id, given(row.call_id)) for row in self.attempts]


@strawberry.input(description="The attempts to extend.")
class ExtendAttemptsInput:
    attempt_ids: list[strawberry.ID] = strawberry.field(description="The attempts, 1 to 500.")
    lease_seconds: int | None = strawberry.field(
        default=UNSET,
        description="Seconds from now until the leases expire, 5 to 86,400. Default: the length of the original lease.",
    )


@strawberry.input(description="The attempts to release: their targets return without being dialed.")
class ReleaseAttemptsInput:
    attempt_ids: list[strawberry.ID] = strawberry.field(description="The attempts, 1 to 500.")


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


@strawberry.input(description="The results of attempts.")
class CompleteAttemptsInput:
    results: list[AttemptResultInput] = strawberry.field(description="The results, 1 to 500.")

    def reports(self) -> list[records.AttemptResult]:
        return [
            records.AttemptResult(row.attempt_id, row.disposition, row.detail, given(row.retry_after_seconds))
            for row in self.results
        ]
