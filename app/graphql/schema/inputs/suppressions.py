"""The inputs of the do-not-call list."""

from datetime import datetime

import strawberry
from strawberry import UNSET

from app import records
from app.graphql.schema.enums import (
    DestinationType,
)
from app.graphql.schema.fields import at_most, given
from app.suppressions import SUPPRESSIONS_MAX


@strawberry.input(description="An address that must not be called.")
class SuppressionInput:
    type: DestinationType = strawberry.field(default=DestinationType.TEL, description="The type of the address.")
    target: str = strawberry.field(description="The address, however it is written.")
    reason: str = strawberry.field(default="", description="Why, for people, at most 255 characters.")
    expires_at: datetime | None = strawberry.field(
        default=UNSET, description="When it stops to count by itself, in the future. If null, it never does."
    )

    def draft(self) -> records.SuppressionDraft:
        return records.SuppressionDraft(self.target, self.type, self.reason, given(self.expires_at))


@strawberry.input(description="Addresses for the do-not-call list.")
class AddSuppressionsInput:
    suppressions: list[SuppressionInput] = strawberry.field(
        description="The addresses, 1 to 1,000. One that is on the list already gets the new reason and expiry, but "
        "not if its source is CALLEE: that one stays as it is until it is removed. If an address is given twice, the "
        "longer expiry counts.",
        metadata=at_most(SUPPRESSIONS_MAX),
    )

    def drafts(self) -> list[records.SuppressionDraft]:
        return [row.draft() for row in self.suppressions]


@strawberry.input(description="An address on the do-not-call list.")
class SuppressedAddressInput:
    type: DestinationType = strawberry.field(default=DestinationType.TEL, description="The type of the address.")
    target: str = strawberry.field(description="The address, in any spelling.")


@strawberry.input(description="Which suppressions to remove. Give either ids or addresses.")
class RemoveSuppressionsInput:
    ids: list[strawberry.ID] | None = strawberry.field(
        default=UNSET, description="By id, at most 1,000.", metadata=at_most(SUPPRESSIONS_MAX)
    )
    addresses: list[SuppressedAddressInput] | None = strawberry.field(
        default=UNSET, description="By address, at most 1,000.", metadata=at_most(SUPPRESSIONS_MAX)
    )

    def drafts(self) -> list[records.SuppressionDraft]:
        return [records.SuppressionDraft(row.target, row.type) for row in given(self.addresses) or ()]
