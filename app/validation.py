"""Checks values, the same for GraphQL, REST and imports. Pure, except for one setting.

Each rule returns the value as it is stored, and adds errors to a list, so that a caller gets all of them at once.
Lengths are in characters.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app import addresses, hours, ids, retrying, zones
from app.addresses import characters
from app.errors import BadUserInput, UserError, invalid
from app.hours import CallingHours
from app.lifecycle import DESTINATIONS, Disposition, UnconfirmedAction
from app.pacing import Breaker, Pacing
from app.records import (
    CallbackDraft,
    CallCap,
    CheckedTarget,
    Destination,
    DestinationDraft,
    DialPolicy,
    Kept,
    PolicyDraft,
    TargetDraft,
)
from app.retrying import RetryAction, RetryRule

NAME_CHARACTERS_MAX = 255
DETAIL_CHARACTERS_MAX = 4_096
DATA_CHARACTERS_MAX = 65_536
KEY_CHARACTERS_MAX = 255
CALL_ID_CHARACTERS_MAX = 255
CODE_CHARACTERS_MAX = 64
LABEL_CHARACTERS_MAX = 255
DIALER_CHARACTERS_MAX = 255
REASON_CHARACTERS_MAX = 255
IDEMPOTENCY_KEY_CHARACTERS_MAX = 255
SOUGHT_CHARACTERS_MAX = 1_000
PRIORITY_MAX = 9
TRY_COUNT_MAX = 100
RETRY_INTERVAL_SECONDS_MAX = 2_592_000
CALL_SECONDS_MAX = 86_400
CAPS_MAX = 5
CAP_TRIES_MAX = 100
CAP_WINDOW_SECONDS_MAX = 2_592_000
FROM_NTH_MAX = 500
"""As many tries as a target can have since its last reset."""
OPEN_ATTEMPTS_MAX = 100_000
CLAIMS_PER_SECOND_MIN = 0.001
CLAIMS_PER_SECOND_MAX = 10_000.0
BREAKER_WINDOW_SECONDS_MAX = 3_600
BREAKER_CALLS_MAX = 100_000
BREAKER_PAUSE_SECONDS_MAX = 86_400
CALLBACK_NOTE_CHARACTERS_MAX = 1_000
CALLBACK_WINDOW_SECONDS_MIN = 60
CALLBACK_WINDOW_SECONDS_MAX = 86_400
CALLBACK_AHEAD = timedelta(days=366)
"""A callback is at most so far in the future."""
LEASE_SECONDS_MIN = 5
LEASE_SECONDS_MAX = 86_400

DEFAULT_POLICY = DialPolicy(
    max_try_counts=(3, 3, 3, 3, 3),
    retry_interval_seconds=300,
    lease_seconds=120,
    on_unconfirmed=UnconfirmedAction.FINISH,
)

TEXT_LIMITS = {"name": NAME_CHARACTERS_MAX, "detail": DETAIL_CHARACTERS_MAX, "data": DATA_CHARACTERS_MAX}
"""Limits of the texts that outdials, targets and destinations have."""

_default_region: str | None = None
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
_FIRST_DATE, _LAST_DATE = _EARLIEST.date(), _LATEST.date()


def configure(*, default_region: str | None) -> None:
    """The region of telephone numbers without a country code. Set once, at the start."""
    global _default_region  # noqa: PLW0603
    _default_region = default_region


def default_region() -> str | None:
    return _default_region


def text(value: Any, limit: int, errors: list[UserError], *path: str) -> str:
    """Text of at most `limit` characters that both databases can store."""
    if value == "":
        return ""
    if not isinstance(value, str):
        errors.append(_no_text(*path))
        return ""
    if len(value) > limit:
        errors.append(invalid(f"Too long: at most {limit:,} characters.", *path))
    elif "\x00" in value:
        errors.append(invalid("Text must not contain the character NUL.", *path))
    elif not _encodable(value):
        errors.append(invalid("Text must not contain half of a surrogate pair.", *path))
    return value


def _no_text(*path: str) -> UserError:
    return invalid("Must be text.", *path)


def sought(value: str) -> str:
    """Text to search for in stored text.

    Raises:
        BadUserInput: the databases can neither store it nor take it as a parameter.
    """
    if len(value) > SOUGHT_CHARACTERS_MAX:
        raise BadUserInput(f"The search text is too long: at most {SOUGHT_CHARACTERS_MAX:,} characters.")
    if "\x00" in value or not _encodable(value):
        raise BadUserInput("Text must not contain the character NUL or half of a surrogate pair.")
    return value


def sought_address(value: str, address_type: addresses.DestinationType | None) -> tuple[str, ...]:
    """The canonical forms that an address to search for may have.

    Raises:
        BadUserInput: it cannot be read, so nobody can say whether it is there.
    """
    try:
        return addresses.readings(sought(value), address_type, _default_region)
    except addresses.InvalidAddress as error:
        other = "" if address_type else " To search for an address of another type, give its type."
        raise BadUserInput(f"The address cannot be read. {error}{other}") from None


def _encodable(value: str) -> bool:
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


NO_CODE = (
    f"Give 1 to {CODE_CHARACTERS_MAX} visible characters, without spaces around them. Letters with accents are one "
    "character each (Unicode NFC)."
)
"""Of a text that is no result code."""


def is_code(value: str) -> bool:
    """Whether a text can be a result code. People compare codes by eye: no two differ by what cannot be seen."""
    if not 1 <= len(value) <= CODE_CHARACTERS_MAX or value != value.strip() or not value.isprintable():
        return False
    return not characters.has_invisible(value) and unicodedata.is_normalized("NFC", value)


def is_visible(value: str) -> bool:
    """Whether people can see anything of a text."""
    return any(not sign.isspace() and not characters.is_invisible(sign) for sign in value)


def optional_text(value: str | None, limit: int, errors: list[UserError], *path: str) -> str | None:
    """Like `text`, but it may be null or left out. An empty text means null."""
    return text(value, limit, errors, *path) or None if value is not None else None


def number(value: Any, low: int, high: int, errors: list[UserError], *path: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        errors.append(invalid(f"Must be a whole number from {low:,} to {high:,}.", *path))
        return low
    return value


def object_id(value: Any, errors: list[UserError], *path: str) -> str:
    parsed = ids.parse(value) if isinstance(value, str) else None
    if parsed is None:
        errors.append(invalid("Invalid id. Use a UUID such as 018f3e4c-5b6a-7c8d-9e0f-1a2b3c4d5e6f.", *path))
    return parsed or ids.ZERO


def campaign_id(value: Any, errors: list[UserError], *path: str) -> str | None:
    """A campaign's id. Null and the zero UUID both mean no campaign."""
    if value is None:
        return None
    parsed = object_id(value, errors, *path)
    return None if parsed == ids.ZERO else parsed


def try_counts(value: Sequence[int] | None, errors: list[UserError], *path: str) -> tuple[int, ...] | None:
    if value is None:
        return None
    if len(value) != DESTINATIONS:
        errors.append(invalid(f"Must be {DESTINATIONS} numbers, one for each destination.", *path))
        return None
    return tuple(number(limit, 0, TRY_COUNT_MAX, errors, *path, str(index)) for index, limit in enumerate(value))


def instant(value: datetime | None, errors: list[UserError], *path: str) -> datetime | None:
    if value is not None and not _EARLIEST <= value <= _LATEST:
        errors.append(invalid("Must be a time between the years 1970 and 9000.", *path))
        return None
    return value


def time_zone(value: Any, errors: list[UserError], *path: str) -> str | None:
    """A time zone as its database spells it. Null, or an empty text, means none."""
    if value is None or value == "":
        return None
    found = zones.named(value) if isinstance(value, str) else None
    if found is None:
        errors.append(invalid("Unknown time zone. Use an IANA name such as Europe/Berlin.", *path))
    return found


def destination(draft: DestinationDraft | None, errors: list[UserError], *path: str) -> Destination | None:
    """An address in its canonical form, with its labels."""
    if draft is None:
        return None
    return Destination(
        type=draft.type,
        target=_address(draft, errors, *path, "target"),
        target_name=text(draft.target_name, NAME_CHARACTERS_MAX, errors, *path, "target_name"),
        name=text(draft.name, NAME_CHARACTERS_MAX, errors, *path, "name"),
        detail=text(draft.detail, DETAIL_CHARACTERS_MAX, errors, *path, "detail"),
    )


def _address(draft: DestinationDraft, errors: list[UserError], *path: str) -> str:
    given: Any = draft.target
    if not isinstance(given, str):
        errors.append(_no_text(*path))
        return ""
    try:
        return addresses.canonical(draft.type, given, default_region=_default_region)
    except addresses.InvalidAddress as error:
        errors.append(invalid(str(error), *path))
        return ""


NO_DESTINATION = "Set at least one destination."
"""Of a target without any."""


def target(draft: TargetDraft, errors: list[UserError], *path: str) -> CheckedTarget:
    """A target's draft in canonical form. Its errors are added to `errors`."""
    # the errors come in this order
    name = text(draft.name, NAME_CHARACTERS_MAX, errors, *path, "name")
    detail = text(draft.detail, DETAIL_CHARACTERS_MAX, errors, *path, "detail")
    data = text(draft.data, DATA_CHARACTERS_MAX, errors, *path, "data")
    found = CheckedTarget(
        key=optional_text(draft.key, KEY_CHARACTERS_MAX, errors, *path, "key"),
        name=name,
        detail=detail,
        data=data,
        priority=number(draft.priority, 0, PRIORITY_MAX, errors, *path, "priority"),
        max_try_counts=try_counts(draft.max_try_counts, errors, *path, "max_try_counts"),
        not_before=instant(draft.not_before, errors, *path, "not_before"),
        time_zone=time_zone(draft.time_zone, errors, *path, "time_zone"),
        destinations=tuple(
            [
                None if place is None else destination(place, errors, *path, f"destination_{index}")
                for index, place in enumerate(draft.destinations)
            ]
        ),
        callback=None if draft.callback is None else callback(draft.callback, errors, *path, "callback"),
    )
    if not any(draft.destinations):
        errors.append(invalid(NO_DESTINATION, *path))
    return found


def policy(draft: PolicyDraft | None, base: DialPolicy, errors: list[UserError], *path: str) -> DialPolicy:
    """`base`, with the fields that the draft gives."""
    if draft is None:
        return base
    retry, lease = draft.retry_interval_seconds, draft.lease_seconds
    starts, ends = (
        kept if value is Kept.KEPT else instant(value, errors, *path, name)
        for name, value, kept in (
            ("starts_at", draft.starts_at, base.starts_at),
            ("ends_at", draft.ends_at, base.ends_at),
        )
    )
    if starts is not None and ends is not None and ends <= starts:
        errors.append(invalid("Must be later than startsAt.", *path, "ends_at"))
    return DialPolicy(
        max_try_counts=try_counts(draft.max_try_counts, errors, *path, "max_try_counts") or base.max_try_counts,
        retry_interval_seconds=base.retry_interval_seconds
        if retry is None
        else number(retry, 0, RETRY_INTERVAL_SECONDS_MAX, errors, *path, "retry_interval_seconds"),
        lease_seconds=base.lease_seconds if lease is None else lease_seconds(lease, errors, *path, "lease_seconds"),
        on_unconfirmed=draft.on_unconfirmed or base.on_unconfirmed,
        calling_hours=base.calling_hours
        if draft.calling_hours is Kept.KEPT
        else calling_hours(draft.calling_hours, errors, *path, "calling_hours"),
        on_unknown_time_zone=draft.on_unknown_time_zone or base.on_unknown_time_zone,
        keep_order=base.keep_order if draft.keep_order is None else draft.keep_order,
        version=base.version,
        caps=base.caps if draft.caps is None else caps(draft.caps, errors, *path, "caps"),
        retry_rules=base.retry_rules
        if draft.retry_rules is None
        else retry_rules(draft.retry_rules, errors, *path, "retry_rules"),
        pacing=base.pacing if draft.pacing is Kept.KEPT else pacing(draft.pacing, errors, *path, "pacing"),
        starts_at=starts,
        ends_at=ends,
    )


TOO_FAR_AHEAD = f"Must be at most {CALLBACK_AHEAD.days} days ahead."
"""Of the time of a callback."""


def callback(draft: CallbackDraft, errors: list[UserError], *path: str) -> CallbackDraft:
    """A callback in canonical form. Whether it is too far ahead is for those who know what time it is."""
    if draft.destination_index is not None:
        number(draft.destination_index, 0, DESTINATIONS - 1, errors, *path, "destination_index")
    least, most = CALLBACK_WINDOW_SECONDS_MIN, CALLBACK_WINDOW_SECONDS_MAX
    return CallbackDraft(
        at=instant(draft.at, errors, *path, "at") or draft.at,
        destination_index=draft.destination_index,
        dialer=optional_text(draft.dialer, DIALER_CHARACTERS_MAX, errors, *path, "dialer"),
        window_seconds=number(draft.window_seconds, least, most, errors, *path, "window_seconds"),
        note=text(draft.note, CALLBACK_NOTE_CHARACTERS_MAX, errors, *path, "note"),
    )


def retry_rules(given: Sequence[RetryRule], errors: list[UserError], *path: str) -> tuple[RetryRule, ...]:
    _at_most(retrying.RULES_MAX, given, errors, *path)
    for place, rule in enumerate(given):
        _retry_rule(rule, errors, *path, str(place))
    return tuple(given)


def _retry_rule(rule: RetryRule, errors: list[UserError], *path: str) -> None:
    _at_most(len(retrying.JUDGED_STATES), rule.states, errors, *path, "states")
    _at_most(len(Disposition), rule.dispositions, errors, *path, "dispositions")
    for index, state in enumerate(rule.states):
        if state not in retrying.JUDGED_STATES:
            errors.append(invalid("Must be COMPLETED, EXPIRED or UNCONFIRMED.", *path, "states", str(index)))
    for index, disposition in enumerate(rule.dispositions):
        if disposition in retrying.UNJUDGED_DISPOSITIONS:
            detail = "ANSWERED and DO_NOT_CALL finish a target whatever a rule says. Leave them out."
            errors.append(invalid(detail, *path, "dispositions", str(index)))
    _at_most(retrying.CODES_MAX, rule.codes, errors, *path, "codes")
    for index, code in enumerate(rule.codes):
        if not is_code(code):
            errors.append(invalid(NO_CODE, *path, "codes", str(index)))
    _at_most(DESTINATIONS, rule.destinations, errors, *path, "destinations")
    for index, destination_index in enumerate(rule.destinations):
        number(destination_index, 0, DESTINATIONS - 1, errors, *path, "destinations", str(index))
    number(rule.from_nth, 1, FROM_NTH_MAX, errors, *path, "from_nth")
    number(rule.jitter_percent, 0, 100, errors, *path, "jitter_percent")
    if rule.wait_seconds is not None:
        number(rule.wait_seconds, 0, RETRY_INTERVAL_SECONDS_MAX, errors, *path, "wait_seconds")
    if rule.action is RetryAction.FINISH and (rule.wait_seconds is not None or rule.jitter_percent):
        errors.append(invalid("A rule that finishes a target has no wait.", *path, "wait_seconds"))


def pacing(draft: Pacing | None, errors: list[UserError], *path: str) -> Pacing | None:
    """None if it bounds nothing."""
    if draft is None or draft == Pacing():
        return None
    if draft.max_open_attempts is not None:
        number(draft.max_open_attempts, 1, OPEN_ATTEMPTS_MAX, errors, *path, "max_open_attempts")
    rate = draft.claims_per_second
    if rate is not None and not CLAIMS_PER_SECOND_MIN <= rate <= CLAIMS_PER_SECOND_MAX:
        detail = f"Must be a number from {CLAIMS_PER_SECOND_MIN:g} to {CLAIMS_PER_SECOND_MAX:,.0f}."
        errors.append(invalid(detail, *path, "claims_per_second"))
    if draft.breaker is not None:
        _breaker(draft.breaker, errors, *path, "breaker")
    return draft


def _breaker(draft: Breaker, errors: list[UserError], *path: str) -> None:
    number(draft.failure_percent, 1, 100, errors, *path, "failure_percent")
    number(draft.window_seconds, 1, BREAKER_WINDOW_SECONDS_MAX, errors, *path, "window_seconds")
    number(draft.min_calls, 1, BREAKER_CALLS_MAX, errors, *path, "min_calls")
    number(draft.pause_seconds, 1, BREAKER_PAUSE_SECONDS_MAX, errors, *path, "pause_seconds")


def calling_hours(draft: CallingHours | None, errors: list[UserError], *path: str) -> CallingHours | None:
    if draft is None:
        return None
    zone = time_zone(draft.time_zone, errors, *path, "time_zone")
    _at_most(hours.WINDOWS_MAX, draft.windows, errors, *path, "windows")
    _at_most(hours.EXCEPTIONS_MAX, draft.exceptions, errors, *path, "exceptions")
    dates = set()
    for index, exception in enumerate(draft.exceptions):
        place = (*path, "exceptions", str(index))
        if not _FIRST_DATE <= exception.day <= _LAST_DATE:
            errors.append(invalid("Must be a date between the years 1970 and 9000.", *place, "date"))
        elif exception.day in dates:
            errors.append(invalid("Another exception has this date. Give each date once.", *place, "date"))
        dates.add(exception.day)
        text(exception.name, NAME_CHARACTERS_MAX, errors, *place, "name")
        _at_most(hours.EXCEPTION_WINDOWS_MAX, exception.windows, errors, *place, "windows")
    return replace(draft, time_zone=zone)


def _at_most(most: int, items: Sequence[object], errors: list[UserError], *path: str) -> None:
    if len(items) > most:
        errors.append(invalid(f"Give at most {most:,}.", *path))


def caps(given: Sequence[CallCap], errors: list[UserError], *path: str) -> tuple[CallCap, ...]:
    _at_most(CAPS_MAX, given, errors, *path)
    for place, cap in enumerate(given):
        number(cap.tries, 1, CAP_TRIES_MAX, errors, *path, str(place), "tries")
        number(cap.window_seconds, 1, CAP_WINDOW_SECONDS_MAX, errors, *path, str(place), "window_seconds")
    return tuple(given)


def lease_seconds(value: int, errors: list[UserError], *path: str) -> int:
    return number(value, LEASE_SECONDS_MIN, LEASE_SECONDS_MAX, errors, *path)


def texts(given: Mapping[str, Any], errors: list[UserError], *path: str) -> dict[str, str]:
    """The given ones of name, detail and data."""
    return {name: text(given[name], limit, errors, *path, name) for name, limit in TEXT_LIMITS.items() if name in given}
