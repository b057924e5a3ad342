"""The enums of the rules below, with a description for each of their values.

The enums themselves live with the rules that use them and know nothing of GraphQL. The types import them from here:
an annotation that is read before its enum is described would make a GraphQL enum without descriptions.
"""

from collections.abc import Mapping
from enum import StrEnum

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from app.addresses import DestinationType
from app.auth import Scope
from app.errors import UserErrorCode
from app.lifecycle import (
    AttemptState,
    Disposition,
    DoneReason,
    GapReason,
    OutdialEventType,
    OutdialState,
    TargetEventType,
    TargetStatus,
    UnconfirmedAction,
)
from app.records import DedupeScope, DuplicateAction, ImportState, ImportStopReason, RejectCode, TargetOrder

__all__ = [
    "AttemptState",
    "DedupeScope",
    "DestinationType",
    "Disposition",
    "DoneReason",
    "DuplicateAction",
    "GapReason",
    "ImportState",
    "ImportStopReason",
    "OutdialEventType",
    "OutdialState",
    "RejectCode",
    "Scope",
    "TargetEventType",
    "TargetOrder",
    "TargetStatus",
    "UnconfirmedAction",
    "UserErrorCode",
    "describe",
]


def describe(enum: type[StrEnum], description: str, values: Mapping[str, str], *, name: str | None = None) -> None:
    """Make an enum a GraphQL enum, of the same name unless another is given.

    Raises:
        ValueError: a value goes undescribed, or a description speaks of none.
    """
    if odd := enum.__members__.keys() ^ values.keys():
        raise ValueError(f"{enum.__name__}: values and descriptions differ in {', '.join(sorted(odd))}")
    strawberry.enum(enum, name=name or enum.__name__, description=description)
    definition: StrawberryEnumDefinition = enum.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]


describe(
    Scope,
    "What a token allows. None implies another.",
    {
        "READ": "Read outdials, targets, attempts and events.",
        "WRITE": "Create, change and delete outdials and targets.",
        "DIAL": "Claim targets and report attempts, as a dialer does.",
    },
)
describe(
    OutdialState,
    "Whether an outdial's targets are handed out.",
    {
        "ACTIVE": "Its targets can be claimed.",
        "PAUSED": "No new claims; attempts under way may finish.",
    },
)
describe(
    UnconfirmedAction,
    "What becomes of a target whose dialer vanished after the call was placed.",
    {
        "RETRY": "Back to idle, under the usual limits; the person may be called twice.",
        "FINISH": "Done, with the reason UNCONFIRMED; resetTargets brings it back.",
    },
)
describe(
    TargetStatus,
    "Where a target stands.",
    {
        "IDLE": "Waiting to be tried, for the first time or again.",
        "PROGRESSING": "An attempt is under way.",
        "DONE": "Finished; doneReason says why.",
    },
)
describe(
    DoneReason,
    "Why a target is done.",
    {
        "ANSWERED": "Somebody answered.",
        "EXHAUSTED": "Every destination was tried as often as the policy allows, or is unusable.",
        "DO_NOT_CALL": "The person asked not to be called.",
        "CANCELED": "Finished by the owner.",
        "UNCONFIRMED": "The dialer vanished after placing the call, and the policy says FINISH.",
    },
)
describe(
    DestinationType,
    "What kind of address a destination is; it decides the address's canonical form.",
    {
        "AGENT": "A human agent, by the owner's name for them.",
        "AI": "An AI agent, by the owner's name for it.",
        "AI_TEAM": "A team of AI agents, by the owner's name for it.",
        "CONFERENCE": "A conference room.",
        "EMAIL": "A mailbox. Trimmed, its domain in lower case.",
        "EXTENSION": "An extension of the owner's telephone system.",
        "LINE": "An account of the messenger LINE.",
        "SIP": "A SIP address. Kept with its scheme, its host in lower case.",
        "TEL": "A telephone number, kept as E.164: +14155550100.",
        "WEBCHAT": "A web chat.",
        "WEB_SESSION": "A visitor's session on a web site.",
        "WHATSAPP": "A WhatsApp account by its telephone number, kept as E.164.",
    },
)
describe(
    AttemptState,
    "Where an attempt stands. CLAIMED and DIALING hold the target's lease, the others are final.",
    {
        "CLAIMED": "Leased to a dialer that has not placed the call yet.",
        "DIALING": "The dialer said that it placed the call.",
        "COMPLETED": "The dialer reported a disposition.",
        "RELEASED": "The dialer gave it back undialed; it does not count as a try.",
        "EXPIRED": "The lease ran out before the call was placed; it counts as a try.",
        "UNCONFIRMED": "The lease ran out after the call was placed: nobody knows how it ended.",
        "REVOKED": "The target or its outdial was cancelled, finished or deleted meanwhile; it counts as a try.",
    },
)
describe(
    Disposition,
    "How a call ended. ANSWERED and DO_NOT_CALL finish the target, INVALID_DESTINATION rules the destination out for "
    "good, the others are retried.",
    {
        "ANSWERED": "The call was answered; the target is done.",
        "BUSY": "The line was busy.",
        "NO_ANSWER": "It rang, and nobody answered.",
        "FAILED": "The call could not be set up.",
        "CANCELED": "The dialer hung up before an answer.",
        "TIMEOUT": "Nothing was heard of the call in time.",
        "MACHINE": "An answering machine took the call.",
        "INVALID_DESTINATION": "The address does not exist or cannot be called; it is never tried again.",
        "DO_NOT_CALL": "The person asked not to be called; the target is done.",
    },
)
describe(
    TargetOrder,
    "The order of a page of targets.",
    {
        "NEWEST_FIRST": "The last created first.",
        "OLDEST_FIRST": "The first created first.",
    },
)
describe(
    DuplicateAction,
    "What becomes of a row whose key is taken.",
    {
        "REJECT": "It is refused with the user error CONFLICT.",
        "SKIP": "Nothing; the target that has the key is returned.",
        "UPDATE": "It replaces what the target that has the key holds, but for status, try counts and attempts.",
    },
)
describe(
    DedupeScope,
    "Among which targets an address may stand once, in any of their five destinations.",
    {
        "NONE": "Addresses are not compared.",
        "OUTDIAL": "Among those of the outdial, and the rows before it.",
        "CUSTOMER": "Among those of all the customer's outdials, and the rows before it.",
    },
)
describe(
    ImportState,
    "Where an import stands.",
    {
        "QUEUED": "It waits for its turn.",
        "RUNNING": "Its rows are taken in.",
        "COMPLETED": "The whole file was read; counts and rejects say what became of its rows.",
        "FAILED": "It ended early; what it took in stays. Sent again with the same idempotency key, it goes on.",
        "CANCELED": "Its owner stopped it; what it took in stays.",
    },
)
describe(
    ImportStopReason,
    "Why an import ended early.",
    {
        "FILE": "The file cannot be read on: its encoding, its header, or a line beyond all limits.",
        "TOO_LARGE": "The file is larger than is taken, or inflates to more.",
        "TOO_MANY_REJECTS": "More rows were rejected than max_rejects.",
        "INTERRUPTED": "The sender went away, or the server ended.",
        "CONFLICT": "Sent again with the same idempotency key, the file was another one.",
        "INTERNAL": "The server failed.",
        "CANCELED": "cancelImport was called.",
        "PAUSED": "The outdial was paused while it went on. Sent again with the same idempotency key, it goes on.",
        "DELETED": "The outdial was deleted.",
    },
)
describe(
    RejectCode,
    "What is wrong with a row of a file.",
    {
        "INVALID": "A value that cannot be accepted.",
        "SCIENTIFIC_NOTATION": "A spreadsheet turned a telephone number into 4.91512E+11; its last digits are lost.",
        "MALFORMED": "The line cannot be read: its quotes, its JSON, or the number of its cells.",
        "DUPLICATE_KEY": "Its key is taken in the outdial.",
        "DUPLICATE_ADDRESS": "Another target has one of its addresses, which dedupe does not allow.",
    },
    name="ImportRejectCode",
)
describe(
    UserErrorCode,
    "What is wrong with a mutation's input.",
    {
        "INVALID": "A value that cannot be accepted.",
        "NOT_FOUND": "No such object, or none that the viewer may see.",
        "CONFLICT": "The key, or the idempotency key with another input, is taken.",
        "LEASE_LOST": "The attempt's lease was lost; the target belongs to someone else by now, or to nobody.",
        "ALREADY_ENDED": "The attempt has ended with another result.",
        "ALREADY_DIALED": "The call was placed: report how it ends instead of giving the target back.",
        "PAUSED": "The outdial is paused.",
    },
)
describe(
    GapReason,
    "Why events may be missing.",
    {
        "CURSOR_EXPIRED": "Events after the cursor are no longer kept.",
        "CURSOR_UNKNOWN": "The cursor is ahead of the log, as after a backup was restored.",
    },
)
describe(
    TargetEventType,
    "What happened to a target, or to many.",
    {
        "CREATED": "The target was created.",
        "IMPORTED": "An import created targets; count says how many, status in which status, and targetId is null.",
        "UPDATED": "Its owner changed it.",
        "CLAIMED": "A dialer leased it.",
        "DIALING": "The dialer placed the call.",
        "COMPLETED": "The dialer reported how the call ended.",
        "RELEASED": "The dialer gave it back undialed.",
        "EXPIRED": "The lease ran out before the call was placed.",
        "UNCONFIRMED": "The lease ran out after the call was placed.",
        "CANCELED": "Its owner finished it.",
        "EXHAUSTED": (
            "Nothing usable was left without an attempt ending: the limits were lowered or a destination was cleared."
        ),
        "RESET": "Brought back to idle; where count is above 1, targetId is null.",
        "DELETED": "The target was deleted.",
    },
)
describe(
    OutdialEventType,
    "What happened to an outdial.",
    {
        "CREATED": "The outdial was created.",
        "UPDATED": "Its owner changed it.",
        "DELETED": "The outdial was deleted.",
    },
)
