"""The enums of the rules, with a description for each value.

The enums are defined with the rules that use them and are independent of GraphQL. The types import them from here: if
an annotation were read before its enum is described, the GraphQL enum would have no descriptions.
"""

from collections.abc import Mapping
from enum import StrEnum

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

from app.addresses import DestinationType
from app.auth import Scope
from app.blocks import BlockReason
from app.errors import UserErrorCode
from app.hours import UnknownTimeZoneAction, Weekday
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
from app.pacing import BreakerState
from app.records import (
    CapScope,
    CapSubject,
    DedupeScope,
    DuplicateAction,
    ImportState,
    ImportStopReason,
    RejectCode,
    SuppressionSource,
    TargetOrder,
)
from app.retrying import RetryAction
from app.zones import TimeZoneSource

__all__ = [
    "AttemptState",
    "BlockReason",
    "BreakerState",
    "CapScope",
    "CapSubject",
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
    "RetryAction",
    "Scope",
    "SuppressionSource",
    "TargetEventType",
    "TargetOrder",
    "TargetStatus",
    "TimeZoneSource",
    "UnconfirmedAction",
    "UnknownTimeZoneAction",
    "UserErrorCode",
    "Weekday",
    "describe",
]


def describe(enum: type[StrEnum], description: str, values: Mapping[str, str], *, name: str | None = None) -> None:
    """Make an enum a GraphQL enum, of the same name unless another is given.

    Raises:
        ValueError: a value has no description, or a description has no value.
    """
    if odd := enum.__members__.keys() ^ values.keys():
        raise ValueError(f"{enum.__name__}: values and descriptions differ in {', '.join(sorted(odd))}")
    strawberry.enum(enum, name=name or enum.__name__, description=description)
    definition: StrawberryEnumDefinition = enum.__strawberry_definition__  # type: ignore[attr-defined]
    for value in definition.values:
        value.description = values[value.name]


describe(
    Scope,
    "A permission of a token. No scope includes another.",
    {
        "READ": "Read outdials, targets, attempts and events.",
        "WRITE": "Create, change and delete outdials and targets.",
        "DIAL": "Claim targets and report attempts, as a dialer does.",
    },
)
describe(
    OutdialState,
    "Whether dialers can claim an outdial's targets.",
    {
        "ACTIVE": "Its targets can be claimed.",
        "PAUSED": "No new claims. Attempts in progress can finish.",
    },
)
describe(
    UnconfirmedAction,
    "What happens to a target if its dialer disappears after it placed the call.",
    {
        "RETRY": "The target returns to IDLE, within its try limits. The person may be called twice.",
        "FINISH": "The target becomes DONE with the reason UNCONFIRMED. Use resetTargets to bring it back.",
    },
)
describe(
    UnknownTimeZoneAction,
    "What happens to a destination whose time zone is not known, if the calling hours have none of their own.",
    {
        "SKIP": "It is not called.",
        "USE_OUTDIAL": "The outdial's timeZone counts. If it has none, the destination is not called.",
    },
)
describe(
    Weekday,
    "A day of the week.",
    {day: f"{day.title()}." for day in Weekday.__members__},
)
describe(
    CapSubject,
    "Whose tries a cap counts.",
    {
        "ADDRESS": "Those at one address, whatever target has it. TEL and WHATSAPP share their numbers.",
        "TARGET": "Those of one target, at all its destinations.",
    },
)
describe(
    CapScope,
    "On which lists a cap counts tries.",
    {
        "CUSTOMER": "On all outdials of the customer, also on those without caps.",
        "OUTDIAL": "On the outdial that has the cap.",
    },
)
describe(
    TargetStatus,
    "The status of a target.",
    {
        "IDLE": "Waiting for its first or next try.",
        "PROGRESSING": "An attempt is in progress.",
        "DONE": "Finished. doneReason gives the reason.",
    },
)
describe(
    DoneReason,
    "Why a target is done.",
    {
        "ANSWERED": "Somebody answered.",
        "EXHAUSTED": "Every destination has reached its try limit or is not usable.",
        "DO_NOT_CALL": "The person asked not to be called, or all addresses that are left are on the do-not-call list.",
        "CANCELED": "The owner canceled the target.",
        "UNCONFIRMED": "The dialer disappeared after it placed the call, and onUnconfirmed is FINISH.",
        "FINISHED": "A retry rule of the policy finished it.",
    },
)
describe(
    DestinationType,
    "The type of an address. It decides the canonical form in which the address is stored.",
    {
        "AGENT": "A human agent, by the owner's name for them.",
        "AI": "An AI agent, by the owner's name for it.",
        "AI_TEAM": "A team of AI agents, by the owner's name for it.",
        "CONFERENCE": "A conference room.",
        "EMAIL": "An e-mail address. Stored without spaces around it and with its domain in lower case.",
        "EXTENSION": "An extension of the owner's phone system.",
        "LINE": "An account of the LINE messenger.",
        "SIP": "A SIP address. Stored with its scheme and with its host in lower case.",
        "TEL": "A phone number. Stored in E.164 form: +14155550100.",
        "WEBCHAT": "A web chat.",
        "WEB_SESSION": "A visitor's session on a web site.",
        "WHATSAPP": "A WhatsApp account, given by its phone number. Stored in E.164 form.",
    },
)
describe(
    TimeZoneSource,
    "Where the time zone of a destination is known from.",
    {
        "GIVEN": "The target's timeZone.",
        "POLICY": "The calling hours have a time zone of their own, which counts for every destination.",
        "PHONE_NUMBER": "The phone number, whose country or area has one time at that moment.",
        "OUTDIAL_DEFAULT": "The outdial's timeZone, because nothing else is known.",
        "UNKNOWN": "It is not known.",
    },
)
describe(
    AttemptState,
    "The state of an attempt. CLAIMED and DIALING hold the target's lease. All other states are final.",
    {
        "CLAIMED": "Leased to a dialer that has not placed the call yet.",
        "DIALING": "The dialer reported that it placed the call.",
        "COMPLETED": "The dialer reported a disposition.",
        "RELEASED": "The dialer returned the target without dialing. Does not count as a try.",
        "EXPIRED": "The lease expired before the call was placed. Counts as a try.",
        "UNCONFIRMED": "The lease expired after the call was placed. The result is not known.",
        "REVOKED": "The target or its outdial was canceled, finished or deleted during the attempt. Counts as a try.",
    },
)
describe(
    Disposition,
    "The result of a call. ANSWERED and DO_NOT_CALL finish the target. INVALID_DESTINATION excludes the destination "
    "permanently. All other results lead to another try.",
    {
        "ANSWERED": "The call was answered. The target becomes DONE.",
        "BUSY": "The line was busy.",
        "NO_ANSWER": "The phone rang, and nobody answered.",
        "FAILED": "The call could not be set up.",
        "CANCELED": "The dialer hung up before an answer.",
        "TIMEOUT": "No result of the call arrived in time.",
        "MACHINE": "An answering machine took the call.",
        "INVALID_DESTINATION": "The address does not exist or cannot be called. It is never tried again.",
        "DO_NOT_CALL": "The person asked not to be called. The target becomes DONE.",
        "CALLBACK": "The person asked to be called at another time, which the result's callback has.",
    },
)
describe(
    RetryAction,
    "What a retry rule does with a target.",
    {
        "RETRY": "It is tried again after the wait, at its first destination that is usable.",
        "NEXT_DESTINATION": "The next claim begins at the destination after the one that was tried; after the last "
        "one comes the first.",
        "FINISH": "It becomes DONE with the reason FINISHED.",
    },
)
describe(
    BreakerState,
    "Whether a breaker lets targets be claimed.",
    {
        "CLOSED": "They can be claimed.",
        "OPEN": "Too many calls failed. None is claimed until the pause is over.",
        "PROBING": "The pause is over, and a single call is under way that shows whether calls fail still.",
    },
)
describe(
    TargetOrder,
    "The order of a list of targets.",
    {
        "NEWEST_FIRST": "The most recently created target first.",
        "OLDEST_FIRST": "The oldest target first.",
    },
)
describe(
    DuplicateAction,
    "What happens to a row if another target already has its key.",
    {
        "REJECT": "The row is rejected with the user error CONFLICT.",
        "SKIP": "The row is skipped. The existing target is returned unchanged.",
        "UPDATE": "The row replaces the existing target's fields. Status, try counts and attempts stay.",
    },
)
describe(
    DedupeScope,
    "Among which targets an address must be unique, in all five destinations.",
    {
        "NONE": "Addresses are not compared.",
        "OUTDIAL": "Among the targets of the outdial and the earlier rows of the same request.",
        "CUSTOMER": "Among the targets of all of the customer's outdials and the earlier rows of the same request.",
    },
)
describe(
    ImportState,
    "The state of an import.",
    {
        "QUEUED": "The import waits for its turn.",
        "RUNNING": "The import reads and stores rows.",
        "COMPLETED": "The whole file was read. See counts and rejects for the result of each row.",
        "FAILED": "The import ended early. Stored rows stay. Send the file again with the same idempotency key to "
        "continue.",
        "CANCELED": "The owner stopped the import. Stored rows stay.",
    },
)
describe(
    ImportStopReason,
    "Why an import ended early.",
    {
        "FILE": "The file cannot be read: its encoding or header is wrong, or a line is too long.",
        "TOO_LARGE": "The file, or what it decompresses to, is too large.",
        "TOO_MANY_REJECTS": "More rows were rejected than max_rejects allows.",
        "INTERRUPTED": "The sender disconnected, or the server stopped.",
        "CONFLICT": "The file sent again with the same idempotency key is a different file.",
        "INTERNAL": "The server failed. The log has the error.",
        "CANCELED": "cancelImport was called.",
        "PAUSED": "The outdial was paused during the import. Send the file again with the same idempotency key to "
        "continue.",
        "DELETED": "The outdial was deleted.",
    },
)
describe(
    RejectCode,
    "Why a row of a file was rejected.",
    {
        "INVALID": "A value is not valid.",
        "SCIENTIFIC_NOTATION": "A spreadsheet turned a phone number into scientific notation (4.91512E+11). Its last "
        "digits are lost.",
        "MALFORMED": "The line cannot be read: its quotes, its JSON or its number of cells is wrong.",
        "DUPLICATE_KEY": "Another target of the outdial has this key.",
        "DUPLICATE_ADDRESS": "Another target has one of the row's addresses, and dedupe does not allow that.",
    },
    name="ImportRejectCode",
)
describe(
    UserErrorCode,
    "What is wrong with a mutation's input.",
    {
        "INVALID": "A value is not valid.",
        "NOT_FOUND": "The object does not exist, or the viewer cannot see it.",
        "CONFLICT": "The key is already used, or the idempotency key was used with a different input.",
        "LEASE_LOST": "The attempt no longer holds its lease. Another dialer may have the target now.",
        "ALREADY_ENDED": "The attempt has already ended with a different result.",
        "ALREADY_DIALED": "The call was placed. Report its result instead of releasing the target.",
        "PAUSED": "The outdial is paused.",
        "SUPPRESSED": "The address must not be called: it is on the do-not-call list.",
    },
)
describe(
    GapReason,
    "Why events may be missing.",
    {
        "CURSOR_EXPIRED": "Events after the cursor have been removed by retention.",
        "CURSOR_UNKNOWN": "The cursor is ahead of the log, for example after a backup was restored.",
    },
)
describe(
    TargetEventType,
    "What happened to one target or to many targets.",
    {
        "CREATED": "The target was created.",
        "IMPORTED": "An import created targets. count is their number, status is their status, and targetId is null.",
        "UPDATED": "The owner changed the target.",
        "CLAIMED": "A dialer claimed the target.",
        "DIALING": "The dialer placed the call.",
        "COMPLETED": "The dialer reported the result of the call.",
        "RELEASED": "The dialer returned the target without dialing.",
        "EXPIRED": "The lease expired before the call was placed.",
        "UNCONFIRMED": "The lease expired after the call was placed.",
        "CANCELED": "The owner canceled the target.",
        "EXHAUSTED": ("No usable destination was left because a limit was lowered or a destination was cleared."),
        "SUPPRESSED": "An address was added to the do-not-call list: the attempt on it was revoked, or the target is "
        "finished because it has no other destination left.",
        "CALLBACK": "A callback was scheduled or canceled by the owner. A dialer's wish comes with COMPLETED.",
        "RESET": "The target returned to IDLE. If count is above 1, targetId is null.",
        "DELETED": "The target was deleted.",
    },
)
describe(
    OutdialEventType,
    "What happened to an outdial.",
    {
        "CREATED": "The outdial was created.",
        "UPDATED": "The owner changed the outdial.",
        "DELETED": "The outdial was deleted.",
        "BREAKER_OPENED": "Too many calls failed: its targets are not claimed for a while.",
        "BREAKER_CLOSED": "Its targets can be claimed again, after a call that did not fail, or by closeBreaker.",
    },
)
describe(
    SuppressionSource,
    "How an address came to the do-not-call list.",
    {
        "OWNER": "addSuppressions was called.",
        "CALLEE": "A dialer reported DO_NOT_CALL: the person asked not to be called.",
        "IMPORT": "It was in an imported file.",
    },
)
describe(
    BlockReason,
    "Why something cannot be claimed.",
    {
        "DELETED": "The target or its outdial is deleted.",
        "PAUSED": "The outdial is paused.",
        "NOT_STARTED": "The policy's startsAt has not come.",
        "ENDED": "The policy's endsAt has passed.",
        "BREAKER_OPEN": "Too many calls of the outdial failed. until is when one is tried again.",
        "PACED": "The outdial is called as fast as the policy's pacing allows.",
        "OUTSIDE_CALLING_HOURS": "The calling hours are closed, or the list is still being sorted by time zones after "
        "they were set.",
        "DONE": "The target is DONE. doneReason says why.",
        "PROGRESSING": "The target has an attempt in progress.",
        "NOT_DUE": "The time of the next try has not come.",
        "CALLBACK_OF_ANOTHER": "A callback is kept for another dialer. until is when anybody may claim it.",
        "SUPPRESSED": "The address is on the do-not-call list.",
        "CAPPED": "It was tried as often as the policy's caps allow. until is when they leave a try, or when "
        "claims look at it again: at most 60 seconds after a release or a suppression's end has freed it.",
        "TRIES_USED_UP": "The destination was tried as often as its limit allows.",
        "INVALID_DESTINATION": "A dialer reported that the address is invalid.",
        "UNKNOWN_TIME_ZONE": "The time zone of the destination is not known, and the calling hours go by it.",
    },
)
