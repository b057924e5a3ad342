"""The input of the owner's own results of calls."""

import strawberry
from strawberry import UNSET

from app import records
from app.codes import CODES_MAX
from app.graphql.schema.bulk import in_bulk
from app.graphql.schema.enums import Disposition
from app.graphql.schema.fields import at_most


@in_bulk
@strawberry.input(description="A result code as it should be.")
class ResultCodeInput:
    code: str = strawberry.field(
        description="The code, 1 to 64 visible characters, without spaces around it. Upper and lower case differ."
    )
    label: str = strawberry.field(description="The code in words, 1 to 255 characters.")
    disposition: Disposition = strawberry.field(description="The disposition with which it is reported.")
    is_right_party: bool = strawberry.field(
        default=False, description="Whether such a call reached the person who was wanted."
    )
    is_conversion: bool = strawberry.field(default=False, description="Whether such a call was a success.")
    is_retired: bool = strawberry.field(default=False, description="Whether it is refused in new results.")

    def draft(self) -> records.ResultCodeDraft:
        return records.ResultCodeDraft(
            self.code, self.label, self.disposition, self.is_right_party, self.is_conversion, self.is_retired
        )


@in_bulk
@strawberry.input(description="All result codes of the customer.")
class SetResultCodesInput:
    codes: list[ResultCodeInput] = strawberry.field(
        description="The codes in the order in which people choose from them, at most 200. Those that are left out are "
        "retired.",
        metadata=at_most(CODES_MAX),
    )
    idempotency_key: str | None = strawberry.field(
        default=UNSET,
        description="A key of your choice. A repeated call with the same key changes nothing, even if the codes have "
        "changed since.",
    )

    def drafts(self) -> list[records.ResultCodeDraft]:
        return [code.draft() for code in self.codes]
