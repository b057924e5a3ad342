"""The input types, and what the use-cases take for them.

A field left out is UNSET, which the schema prints as no default; a null that was given stays a null.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import strawberry
from strawberry import UNSET
from strawberry.types.arguments import InputContext
from strawberry.types.base import StrawberryOptional, get_object_definition
from strawberry.utils.str_converters import to_camel_case

from app import records
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


def _in_bulk(cls: type[T]) -> type[T]:
    """Have an input that comes by the hundred built in one step, and those in it that are marked so too.

    When strawberry gets it, graphql-core has coerced every value, and only the Python names are left to be found.
    Strawberry asks each field for its name and type again, row by row: for 1,000 targets 190 ms of a blocked loop,
    and 11 ms this way.
    """
    definition = get_object_definition(cls, strict=True)
    names: dict[str, tuple[str, Callable[..., Any] | None]] = {}
    for field in definition.fields:
        field_type = field.type.of_type if isinstance(field.type, StrawberryOptional) else field.type
        nested = get_object_definition(field_type)
        names[to_camel_case(field.python_name)] = field.python_name, nested.from_input if nested else None

    def build(_cls: type, values: Mapping[str, Any], context: InputContext) -> T:
        arguments: dict[str, Any] = {}
        for name, value in values.items():
            python_name, nested = names[name]
            arguments[python_name] = nested(_cls, value, context) if nested and value is not None else value
        return cls(**arguments)

    definition.from_input = build
    return cls


def _changes(source: object, *names: str) -> dict[str, Any]:
    """The fields of an input that were given."""
    return {name: value for name in names if (value := getattr(source, name)) is not UNSET}


# ---------------------------------------------------------------- outdials


@strawberry.input(description="How often, how soon and how long targets are tried. A field left out or null stays.")
class DialPolicyInput:
    max_try_counts: list[int] | None = strawberry.field(
        default=UNSET,
        description="Five numbers from 0 to 100, one per destination: how often it may be tried. At first 3 each.",
    )
    retry_interval_seconds: int | None = strawberry.field(
        default=UNSET,
        description=(
            "Seconds from the end of an unsuccessful attempt until the target can be claimed again, 0 to 2,592,000. "
            "At first 300."
        ),
    )
    lease_seconds: int | None = strawberry.field(
        default=UNSET,
        description=(
            "Seconds until an attempt that is neither reported nor extended expires, 5 to 86,400. At first 120."
        ),
    )
    on_unconfirmed: UnconfirmedAction | None = strawberry.field(
        default=UNSET,
        description="What becomes of a target whose dialer vanished after the call was placed. At first FINISH.",
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
        default="", description="Free text for the owner's use, at most 65,536 characters; never interpreted."
    )
    campaign_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="The campaign that dials it. Null and the zero UUID: none does."
    )
    dial_policy: DialPolicyInput | None = strawberry.field(
        default=UNSET, description="How it is dialed; the defaults hold for what is left out."
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description="The same key with the same input returns the first answer and creates nothing more.",
    )

    def draft(self) -> records.OutdialDraft:
        return records.OutdialDraft(
            name=self.name,
            detail=self.detail,
            data=self.data,
            campaign_id=given(self.campaign_id),
            dial_policy=_policy(self.dial_policy),
        )


@strawberry.input(description="Changes to an outdial: the fields that are given; the rest stays.")
class UpdateOutdialInput:
    id: strawberry.ID = strawberry.field(description="The outdial to change.")
    name: str | None = strawberry.field(default=UNSET, description="Its name, at most 255 characters; not null.")
    detail: str | None = strawberry.field(
        default=UNSET, description="What it is for, at most 4,096 characters; not null."
    )
    data: str | None = strawberry.field(
        default=UNSET, description="Free text for the owner's use, at most 65,536 characters; not null."
    )
    campaign_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description="Null detaches it from its campaign, and so does the zero UUID."
    )
    state: OutdialState | None = strawberry.field(
        default=UNSET, description="PAUSED stops new claims, ACTIVE allows them again."
    )
    dial_policy: DialPolicyInput | None = strawberry.field(default=UNSET, description="How it is dialed from now on.")

    def changes(self) -> dict[str, Any]:
        changes = _changes(self, "name", "detail", "data", "campaign_id", "state", "dial_policy")
        if "dial_policy" in changes:
            changes["dial_policy"] = _policy(changes["dial_policy"])
        return changes


# ---------------------------------------------------------------- targets


@_in_bulk
@strawberry.input(description="An address that can be called or written to.")
class DestinationInput:
    type: DestinationType = strawberry.field(default=DestinationType.TEL, description="What kind of address it is.")
    target: str = strawberry.field(description="The address itself; it is kept in its type's canonical form.")
    target_name: str = strawberry.field(default="", description="Whose address it is, at most 255 characters.")
    name: str = strawberry.field(default="", description="The owner's name for it, at most 255 characters.")
    detail: str = strawberry.field(default="", description="Notes on it, at most 4,096 characters.")

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


@_in_bulk
@strawberry.input(description="A new target. At least one destination must be set.")
class TargetInput:
    key: str | None = strawberry.field(
        default=UNSET,
        description="The owner's own key for it, unique in its outdial, at most 255 characters.",
    )
    name: str = strawberry.field(default="", description="Who or what it is, at most 255 characters.")
    detail: str = strawberry.field(default="", description="Notes on it, at most 4,096 characters.")
    data: str = strawberry.field(
        default="", description="Free text for the owner's use, at most 65,536 characters; never interpreted."
    )
    priority: int = strawberry.field(default=0, description="0 to 9; targets of higher priority are claimed first.")
    max_try_counts: list[int] | None = strawberry.field(
        default=UNSET,
        description="Five numbers from 0 to 100 that stand in for the policy's; the policy holds where it is null.",
    )
    not_before: datetime | None = strawberry.field(
        default=UNSET, description="Not claimable before this; at once where it is null."
    )
    destination_0: DestinationInput | None = strawberry.field(default=UNSET, description="The first to be tried.")
    destination_1: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried once destination 0 is used up."
    )
    destination_2: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried once destinations 0 and 1 are used up."
    )
    destination_3: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried once destinations 0 to 2 are used up."
    )
    destination_4: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried once destinations 0 to 3 are used up."
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


@strawberry.input(description="A new target and the outdial that it is for.")
class CreateTargetInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial that gets it.")
    target: TargetInput = strawberry.field(description="The target.")
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description="The same key with the same input returns the first answer and creates nothing more.",
    )


@strawberry.input(description="Many new targets for one outdial.")
class CreateTargetsInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial that gets them.")
    targets: list[TargetInput] = strawberry.field(description="The targets, 1 to 1,000.")
    on_duplicate_key: DuplicateAction = strawberry.field(
        default=DuplicateAction.REJECT,
        description="What becomes of a row whose key is taken. With dedupe, a row whose address is taken is skipped "
        "under SKIP and refused with CONFLICT otherwise; one whose key is taken goes by the key alone.",
    )
    dedupe: DedupeScope = strawberry.field(
        default=DedupeScope.NONE, description="Among which targets an address may stand once."
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description="The same key with the same input returns the first answer and creates nothing more.",
    )

    def drafts(self) -> list[records.TargetDraft]:
        return [target.draft() for target in self.targets]


@strawberry.input(description="Changes to a target: the fields that are given; the rest stays.")
class UpdateTargetInput:
    id: strawberry.ID = strawberry.field(description="The target to change.")
    if_version: int | None = strawberry.field(
        default=UNSET, description="Only if the target still has this version, else CONFLICT."
    )
    name: str | None = strawberry.field(default=UNSET, description="Who or what it is; not null.")
    detail: str | None = strawberry.field(default=UNSET, description="Notes on it; not null.")
    data: str | None = strawberry.field(default=UNSET, description="Free text for the owner's use; not null.")
    priority: int | None = strawberry.field(
        default=UNSET, description="0 to 9; targets of higher priority are claimed first. Not null."
    )
    max_try_counts: list[int] | None = strawberry.field(
        default=UNSET, description="Five numbers that stand in for the policy's. Null lets the policy hold again."
    )
    not_before: datetime | None = strawberry.field(
        default=UNSET, description="When an idle target can next be claimed; null is at once."
    )
    destination_0: DestinationInput | None = strawberry.field(
        default=UNSET, description="The first to be tried. Null clears a destination; its try count stays."
    )
    destination_1: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried once destination 0 is used up. Null clears it."
    )
    destination_2: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried once destinations 0 and 1 are used up. Null clears it."
    )
    destination_3: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried once destinations 0 to 2 are used up. Null clears it."
    )
    destination_4: DestinationInput | None = strawberry.field(
        default=UNSET, description="Tried once destinations 0 to 3 are used up. Null clears it."
    )

    def changes(self) -> dict[str, Any]:
        changes = _changes(self, "name", "detail", "data", "priority", "max_try_counts", "not_before", *_DESTINATIONS)
        if "max_try_counts" in changes:
            changes["max_try_counts"] = _numbers(changes["max_try_counts"])
        for name in _DESTINATIONS:
            if name in changes:
                changes[name] = _destination(changes[name])
        return changes


@strawberry.input(description="Which done targets of an outdial come back to idle.")
class ResetTargetsInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial whose targets they are.")
    done_reasons: list[DoneReason] | None = strawberry.field(
        default=UNSET, description="Done targets with these reasons. Give this or targetIds, not both."
    )
    target_ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET, description="These targets where they are done, at most 500."
    )
    dry_run: bool = strawberry.field(default=False, description="Only count what would be reset.")


# ---------------------------------------------------------------- attempts


@strawberry.input(description="How many targets of an outdial a dialer takes, and for how long.")
class ClaimTargetsInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial to dial.")
    limit: int = strawberry.field(default=1, description="At most so many, 1 to 500.")
    dialer: str | None = strawberry.field(
        default=UNSET, description="The dialer's name for itself, at most 255 characters."
    )
    lease_seconds: int | None = strawberry.field(
        default=UNSET,
        description="Seconds until the leases run out, 5 to 86,400. The policy's lease where it is null.",
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET, description="The same key returns the same attempts, so that a lost answer loses no targets."
    )


@_in_bulk
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


@strawberry.input(description="The attempts whose leases are renewed.")
class ExtendAttemptsInput:
    attempt_ids: list[strawberry.ID] = strawberry.field(description="The attempts, 1 to 500.")
    lease_seconds: int | None = strawberry.field(
        default=UNSET,
        description="Seconds from now until the leases run out, 5 to 86,400; as long as at first where it is null.",
    )


@strawberry.input(description="The attempts that are given back undialed.")
class ReleaseAttemptsInput:
    attempt_ids: list[strawberry.ID] = strawberry.field(description="The attempts, 1 to 500.")


@_in_bulk
@strawberry.input(description="How one attempt ended.")
class AttemptResultInput:
    attempt_id: strawberry.ID = strawberry.field(description="The attempt.")
    disposition: Disposition = strawberry.field(description="How the call ended.")
    detail: str = strawberry.field(default="", description="More about it, at most 4,096 characters.")
    retry_after_seconds: int | None = strawberry.field(
        default=UNSET,
        description="Overrides the policy's retry interval, 0 to 2,592,000; ignored where the target is finished.",
    )


@strawberry.input(description="How attempts ended.")
class CompleteAttemptsInput:
    results: list[AttemptResultInput] = strawberry.field(description="The results, 1 to 500.")

    def reports(self) -> list[records.AttemptResult]:
        return [
            records.AttemptResult(row.attempt_id, row.disposition, row.detail, given(row.retry_after_seconds))
            for row in self.results
        ]
