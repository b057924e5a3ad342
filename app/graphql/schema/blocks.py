"""The object types that say why something cannot be claimed, and how a breaker stands."""

from datetime import datetime

import strawberry

from app import dialability
from app.graphql.schema.enums import (
    BlockReason,
    BreakerState,
)
from app.graphql.schema.fields import derived


@strawberry.type(description="Why something cannot be claimed, and until when.")
class Block:
    reason: BlockReason = strawberry.field(description="The reason, for programs.")
    until: datetime | None = strawberry.field(
        description="When this reason ends by itself. Null if it does not, or if that is not known."
    )
    detail: str = strawberry.field(description="The reason in words, for people.")


@strawberry.type(description="How many targets cannot be claimed for one reason.")
class BlockCount:
    reason: BlockReason = derived(lambda item: item[0], "The first reason of these targets.")
    count: int = derived(lambda item: item[1], "The number of targets, at least 1.")


def _blocked(found: dialability.Dialability) -> list[tuple[BlockReason, int]]:
    return list(found.blocked.items())


@strawberry.type(
    description="What claims would find at a time if nothing changes until then. A pause and the pace are left aside: "
    "they may be over. A breaker that is open counts until its pause ends."
)
class Dialability:
    at: datetime = strawberry.field(description="The time.")
    claimable: int = strawberry.field(description="Targets that can be claimed then.")
    blocked: list[BlockCount] = derived(
        _blocked,
        "The other targets, each counted once, by its first reason. Reasons without targets are left out.",
        items_max=len(BlockReason),
    )


@strawberry.type(description="How the breaker of an outdial stands. Without one in the policy it is CLOSED.")
class BreakerStatus:
    state: BreakerState = strawberry.field(description="Whether targets can be claimed.")
    opened_at: datetime | None = strawberry.field(
        description="When it opened. A call that fails after a pause changes nothing here. Null if it is CLOSED."
    )
    paused_until: datetime | None = strawberry.field(
        description="When a single target can be claimed, to see whether calls still fail. In the past if one can be "
        "now. Null unless it is OPEN."
    )
    calls: int = strawberry.field(
        description="Calls that ended within the policy's windowSeconds. If it is not CLOSED, those when it opened."
    )
    failures: int = strawberry.field(description="How many of these calls failed.")
