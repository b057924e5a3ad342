"""The object type of the owner's own results of calls."""

import strawberry

from app.graphql.schema.enums import Disposition


@strawberry.type(
    description="A result code: the owner's own word for how a call ended, such as SALE or WRONG_PERSON. A dialer may "
    "report it with the disposition that it belongs to. The disposition alone decides what becomes of the target."
)
class ResultCode:
    code: str = strawberry.field(description="The code, for programs. Unique among the customer's codes.")
    label: str = strawberry.field(description="The code in words, for people.")
    disposition: Disposition = strawberry.field(description="The disposition with which it is reported.")
    is_right_party: bool = strawberry.field(
        description="Whether such a call reached the person who was wanted, for the owner's figures."
    )
    is_conversion: bool = strawberry.field(
        description="Whether such a call was a success, for the owner's figures: a sale, a promise, an appointment."
    )
    is_retired: bool = strawberry.field(
        description="Whether it is refused in new results. Attempts that have it keep it, and its label can be read."
    )
