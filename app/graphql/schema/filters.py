"""The filters of lists and of events. An empty tuple or None means no condition, also in the use-cases."""

from collections.abc import Sequence
from typing import TypeVar

import strawberry
from strawberry import UNSET

from app import records
from app.codes import CODES_MAX
from app.errors import BadUserInput
from app.graphql.schema.bulk import in_bulk
from app.graphql.schema.enums import (
    AttemptState,
    DestinationType,
    Disposition,
    DoneReason,
    ImportState,
    OutdialState,
    SuppressionSource,
    TargetEventType,
    TargetStatus,
)
from app.graphql.schema.fields import at_most, given, parse_id

T = TypeVar("T")

EVENT_TARGETS_MAX = 100


def _all(values: Sequence[T] | None) -> tuple[T, ...]:
    return tuple(given(values) or ())


@in_bulk
@strawberry.input(
    description="Selects outdials. All given conditions must match. Null or an empty list means no condition."
)
class OutdialFilter:
    campaign_id: strawberry.ID | None = strawberry.field(default=UNSET, description="The campaign that dials it.")
    states: list[OutdialState] | None = strawberry.field(default=UNSET, description="Any of these states.")
    name_contains: str | None = strawberry.field(
        default=UNSET, description="A part of the name, in upper or lower case."
    )

    def where(self) -> records.OutdialFilter:
        campaign_id = given(self.campaign_id)
        return records.OutdialFilter(
            campaign_id=None if campaign_id is None else parse_id(campaign_id),
            states=_all(self.states),
            name_contains=given(self.name_contains),
        )


@in_bulk
@strawberry.input(
    description="Selects targets. All given conditions must match. Null or an empty list means no condition."
)
class TargetFilter:
    statuses: list[TargetStatus] | None = strawberry.field(default=UNSET, description="Any of these statuses.")
    done_reasons: list[DoneReason] | None = strawberry.field(
        default=UNSET, description="Done for any of these reasons."
    )
    destination: str | None = strawberry.field(
        default=UNSET, description="An address in any of the five destinations, in any spelling."
    )
    key: str | None = strawberry.field(default=UNSET, description="The owner's key, in full.")
    has_callback: bool | None = strawberry.field(default=UNSET, description="Whether they have a callback.")

    def where(self) -> records.TargetFilter:
        return records.TargetFilter(
            statuses=_all(self.statuses),
            done_reasons=_all(self.done_reasons),
            destination=given(self.destination),
            key=given(self.key),
            has_callback=given(self.has_callback),
        )


@in_bulk
@strawberry.input(
    description="Selects attempts. All given conditions must match. Null or an empty list means no condition."
)
class AttemptFilter:
    states: list[AttemptState] | None = strawberry.field(default=UNSET, description="Any of these states.")
    dispositions: list[Disposition] | None = strawberry.field(
        default=UNSET, description="Reported with any of these results."
    )
    codes: list[str] | None = strawberry.field(
        default=UNSET,
        description="Reported with any of these result codes, at most 200.",
        metadata=at_most(CODES_MAX),
    )
    dialer: str | None = strawberry.field(
        default=UNSET, description="The name that the dialer gave for itself, in full."
    )
    call_id: str | None = strawberry.field(default=UNSET, description="The dialer's own id of the call, in full.")

    def where(self) -> records.AttemptFilter:
        codes = _all(self.codes)
        if len(codes) > CODES_MAX:
            raise BadUserInput(f"codes takes at most {CODES_MAX} codes.")
        return records.AttemptFilter(
            states=_all(self.states),
            dispositions=_all(self.dispositions),
            codes=codes,
            dialer=given(self.dialer),
            call_id=given(self.call_id),
        )


@strawberry.input(
    description="Selects imports. All given conditions must match. Null or an empty list means no condition."
)
class ImportFilter:
    states: list[ImportState] | None = strawberry.field(default=UNSET, description="Any of these states.")
    idempotency_key: str | None = strawberry.field(default=UNSET, description="The import's idempotency key, in full.")

    def where(self) -> records.ImportFilter:
        return records.ImportFilter(states=_all(self.states), idempotency_key=given(self.idempotency_key))


@strawberry.input(
    description="Selects suppressions. All given conditions must match. Null or an empty list means no condition."
)
class SuppressionFilter:
    target: str | None = strawberry.field(
        default=UNSET,
        description="The address, in any spelling. Without a type it is read as a number, or as an e-mail or SIP "
        "address if it looks like one. If it cannot be read, the error is BAD_USER_INPUT: nobody can say whether it is "
        "on the list.",
    )
    type: DestinationType | None = strawberry.field(
        default=UNSET, description="The type of target. TEL and WHATSAPP share their numbers."
    )
    sources: list[SuppressionSource] | None = strawberry.field(default=UNSET, description="Any of these sources.")
    expires: bool | None = strawberry.field(
        default=UNSET, description="True: those with expiresAt, also if it is past. False: those that never expire."
    )

    def where(self) -> records.SuppressionFilter:
        return records.SuppressionFilter(
            target=given(self.target), type=given(self.type), sources=_all(self.sources), expires=given(self.expires)
        )


@strawberry.input(
    description="Selects events. All given conditions must match. Null or an empty list means no condition. A "
    "subscription that resumes can use another filter. Events without a targetId always match targetIds."
)
class TargetEventFilter:
    target_ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET, description="Events of these targets, at most 100.", metadata=at_most(EVENT_TARGETS_MAX)
    )
    types: list[TargetEventType] | None = strawberry.field(default=UNSET, description="Any of these types.")
    statuses: list[TargetStatus] | None = strawberry.field(
        default=UNSET, description="Any of these statuses after the change."
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
