"""The filters of lists and of events: an empty tuple or a null leaves a field unfiltered, for the use-cases too."""

from collections.abc import Sequence
from typing import TypeVar

import strawberry
from strawberry import UNSET

from app import records
from app.errors import BadUserInput
from app.graphql.schema.enums import (
    AttemptState,
    Disposition,
    DoneReason,
    ImportState,
    OutdialState,
    TargetEventType,
    TargetStatus,
)
from app.graphql.schema.fields import given, parse_id

T = TypeVar("T")

EVENT_TARGETS_MAX = 100


def _all(values: Sequence[T] | None) -> tuple[T, ...]:
    return tuple(given(values) or ())


@strawberry.input(
    description="Which outdials. All that are given must hold; null and an empty list leave a field unfiltered."
)
class OutdialFilter:
    campaign_id: strawberry.ID | None = strawberry.field(default=UNSET, description="The campaign that dials it.")
    states: list[OutdialState] | None = strawberry.field(default=UNSET, description="Any of these states.")
    name_contains: str | None = strawberry.field(default=UNSET, description="Part of the name, whatever its case.")

    def where(self) -> records.OutdialFilter:
        campaign_id = given(self.campaign_id)
        return records.OutdialFilter(
            campaign_id=None if campaign_id is None else parse_id(campaign_id),
            states=_all(self.states),
            name_contains=given(self.name_contains),
        )


@strawberry.input(
    description="Which targets. All that are given must hold; null and an empty list leave a field unfiltered."
)
class TargetFilter:
    statuses: list[TargetStatus] | None = strawberry.field(default=UNSET, description="Any of these statuses.")
    done_reasons: list[DoneReason] | None = strawberry.field(
        default=UNSET, description="Done for any of these reasons."
    )
    destination: str | None = strawberry.field(
        default=UNSET, description="An address in any of the five destinations, canonical or not."
    )
    key: str | None = strawberry.field(default=UNSET, description="The owner's own key, in full.")

    def where(self) -> records.TargetFilter:
        return records.TargetFilter(
            statuses=_all(self.statuses),
            done_reasons=_all(self.done_reasons),
            destination=given(self.destination),
            key=given(self.key),
        )


@strawberry.input(
    description="Which attempts. All that are given must hold; null and an empty list leave a field unfiltered."
)
class AttemptFilter:
    states: list[AttemptState] | None = strawberry.field(default=UNSET, description="Any of these states.")
    dispositions: list[Disposition] | None = strawberry.field(
        default=UNSET, description="Reported with any of these results."
    )
    dialer: str | None = strawberry.field(default=UNSET, description="The dialer's name for itself, in full.")
    call_id: str | None = strawberry.field(default=UNSET, description="The dialer's own id of the call, in full.")

    def where(self) -> records.AttemptFilter:
        return records.AttemptFilter(
            states=_all(self.states),
            dispositions=_all(self.dispositions),
            dialer=given(self.dialer),
            call_id=given(self.call_id),
        )


@strawberry.input(
    description="Which imports. All that are given must hold; null and an empty list leave a field unfiltered."
)
class ImportFilter:
    states: list[ImportState] | None = strawberry.field(default=UNSET, description="Any of these states.")
    idempotency_key: str | None = strawberry.field(
        default=UNSET, description="The key that the sender gave it, in full."
    )

    def where(self) -> records.ImportFilter:
        return records.ImportFilter(states=_all(self.states), idempotency_key=given(self.idempotency_key))


@strawberry.input(
    description="Which events. All that are given must hold, null and an empty list leave a field unfiltered; it may "
    "differ when a subscription resumes. Events without a targetId pass targetIds."
)
class TargetEventFilter:
    target_ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET, description="Events of these targets, at most 100."
    )
    types: list[TargetEventType] | None = strawberry.field(default=UNSET, description="Any of these types.")
    statuses: list[TargetStatus] | None = strawberry.field(
        default=UNSET, description="The status that the change led to."
    )

    def where(self) -> records.EventFilter:
        target_ids = _all(self.target_ids)
        if len(target_ids) > EVENT_TARGETS_MAX:
            raise BadUserInput(f"targetIds takes at most {EVENT_TARGETS_MAX} ids.")
        return records.EventFilter(
            target_ids=tuple(map(parse_id, target_ids)),
            types=_all(self.types),
            statuses=_all(self.statuses),
        )
