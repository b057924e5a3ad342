"""What several inputs need."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import strawberry
from strawberry import UNSET

from app import records
from app.graphql.schema.bulk import in_bulk
from app.graphql.schema.fields import given


@in_bulk
@strawberry.input(description="The wish to be called at a time.")
class CallbackInput:
    at: datetime = strawberry.field(description="When to call, at most 366 days ahead. A time in the past means now.")
    destination_index: int | None = strawberry.field(
        default=UNSET,
        description="The index of the destination to call, 0 to 4. If it is left out: in a result that of the attempt, "
        "else as without a callback. Another one is called if it is not set or turned out to be invalid.",
    )
    dialer: str | None = strawberry.field(
        default=UNSET,
        description="The name of the dialer for which it is kept, at most 255 characters. If it is left out, any "
        "dialer may claim it.",
    )
    window_seconds: int = strawberry.field(
        default=900,
        description="How long it is kept for this dialer, in seconds, 60 to 86,400. It begins when the dialer can "
        "first claim it.",
    )
    note: str = strawberry.field(default="", description="What the next dialer has to know, at most 1,000 characters.")

    def draft(self) -> records.CallbackDraft:
        return records.CallbackDraft(
            at=self.at,
            destination_index=given(self.destination_index),
            dialer=given(self.dialer),
            window_seconds=self.window_seconds,
            note=self.note,
        )


def numbers(values: Sequence[int] | None) -> tuple[int, ...] | None:
    return None if values is None or values is UNSET else tuple(values)


def changed(source: object, *names: str) -> dict[str, Any]:
    """The fields of an input that were given."""
    return {name: value for name in names if (value := getattr(source, name)) is not UNSET}
