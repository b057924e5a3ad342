"""The inputs of targets."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import strawberry
from strawberry import UNSET

from app import records
from app.graphql.schema.bulk import in_bulk
from app.graphql.schema.enums import (
    DedupeScope,
    DestinationType,
    DoneReason,
    DuplicateAction,
)
from app.graphql.schema.fields import at_most, given
from app.graphql.schema.filters import TargetFilter
from app.graphql.schema.inputs.common import CallbackInput, changed, numbers
from app.lifecycle import DESTINATIONS
from app.targets.changing import SETTABLE
from app.targets.creating import CREATE_TARGETS_MAX
from app.targets.resetting import RESET_IDS_MAX


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
        metadata=at_most(DESTINATIONS),
    )
    not_before: datetime | None = strawberry.field(
        default=UNSET, description="The earliest time of the first claim. If null, the target is due at once."
    )
    time_zone: str | None = strawberry.field(
        default=UNSET,
        description="The target's IANA time zone, such as Europe/Berlin. If null, it is taken from each phone number "
        "where that is certain.",
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
            max_try_counts=numbers(self.max_try_counts),
            not_before=given(self.not_before),
            time_zone=given(self.time_zone),
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


@in_bulk
@strawberry.input(description="New targets for one outdial.")
class CreateTargetsInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial that gets the targets.")
    targets: list[TargetInput] = strawberry.field(
        description="The targets, 1 to 1,000.", metadata=at_most(CREATE_TARGETS_MAX)
    )
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


def _settings(source: object, names: Sequence[str]) -> dict[str, Any]:
    """The given fields of an update, with try counts as they are stored."""
    changes = changed(source, *names)
    if "max_try_counts" in changes:
        changes["max_try_counts"] = numbers(changes["max_try_counts"])
    return changes


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
        metadata=at_most(DESTINATIONS),
    )
    not_before: datetime | None = strawberry.field(
        default=UNSET,
        description="The earliest time of the next claim of an IDLE target. If null, the target is due at once.",
    )
    time_zone: str | None = strawberry.field(
        default=UNSET,
        description="The target's IANA time zone, such as Europe/Berlin. If null, it is taken from each phone number "
        "where that is certain.",
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
        changes = _settings(self, ("name", "detail", "data", *SETTABLE, *_DESTINATIONS))
        for name in _DESTINATIONS:
            if name in changes:
                changes[name] = _destination(changes[name])
        return changes


_WHERE_OF_MANY = "The filter of the list. An empty one means all targets of the outdial."
_KEY_OF_MANY = (
    "A key of your choice. A repeated call with the same key and input returns the first answer and changes nothing. "
    "If the first call was cut off, the repeated one finishes its work. Use a new key for the targets that remain."
)


@strawberry.input(description="Which DONE targets of an outdial return to IDLE, and when they are due.")
class ResetTargetsInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial of the targets.")
    done_reasons: list[DoneReason] | None = strawberry.field(
        default=UNSET,
        description="Targets that are DONE for these reasons. Give one of this, targetIds and where.",
    )
    target_ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET,
        description="These targets if they are DONE, at most 500.",
        metadata=at_most(RESET_IDS_MAX),
    )
    where: TargetFilter | None = strawberry.field(
        default=UNSET,
        description="The targets that match and are DONE: by the filter of the list. Those that are DONE with "
        "DO_NOT_CALL match only if its doneReasons name that reason.",
    )
    not_before: datetime | None = strawberry.field(
        default=UNSET, description="The earliest time of the next claim. If null, the targets are due at once."
    )
    dry_run: bool = strawberry.field(default=False, description="Only count the targets that would be reset.")
    idempotency_key: str | None = strawberry.field(default=UNSET, description=_KEY_OF_MANY)


@strawberry.input(
    description="Changes to all targets of an outdial that match. Fields that are left out keep their value. Give at "
    "least one of priority, maxTryCounts, notBefore and timeZone."
)
class UpdateTargetsInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial of the targets.")
    where: TargetFilter = strawberry.field(description=_WHERE_OF_MANY)
    priority: int | None = strawberry.field(
        default=UNSET, description="0 to 9. Targets with a higher priority are claimed first. Not null."
    )
    max_try_counts: list[int] | None = strawberry.field(
        default=UNSET,
        description="Five numbers that replace the policy's maxTryCounts. If null, the policy applies again. IDLE "
        "targets that have no try left become DONE with EXHAUSTED.",
        metadata=at_most(DESTINATIONS),
    )
    not_before: datetime | None = strawberry.field(
        default=UNSET,
        description="The earliest time of the next claim of IDLE targets. If null, they are due at once.",
    )
    time_zone: str | None = strawberry.field(
        default=UNSET,
        description="The targets' IANA time zone, such as Europe/Berlin. If null, it is taken from each phone number "
        "where that is certain.",
    )
    dry_run: bool = strawberry.field(default=False, description="Only count the targets that would change.")
    idempotency_key: str | None = strawberry.field(default=UNSET, description=_KEY_OF_MANY)

    def changes(self) -> dict[str, Any]:
        return _settings(self, SETTABLE)


@strawberry.input(description="Which targets of an outdial are canceled.")
class CancelTargetsInput:
    outdial_id: strawberry.ID = strawberry.field(description="The outdial of the targets.")
    where: TargetFilter = strawberry.field(description=_WHERE_OF_MANY)
    dry_run: bool = strawberry.field(default=False, description="Only count the targets that would be canceled.")
    idempotency_key: str | None = strawberry.field(default=UNSET, description=_KEY_OF_MANY)


@strawberry.input(description="A target and the wish to be called at a time.")
class ScheduleCallbackInput:
    target_id: strawberry.ID = strawberry.field(description="The target.")
    callback: CallbackInput = strawberry.field(description="The wish. It replaces an earlier one of the target.")
