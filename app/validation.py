"""Checks values, the same for GraphQL, REST and imports. Pure, except for one setting.

Each rule returns the value as it is stored, and adds errors to a list, so that a caller gets all of them at once.
Lengths are in characters.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app import addresses, hours, ids, zones
from app.errors import BadUserInput, UserError, invalid
from app.hours import CallingHours
from app.lifecycle import DESTINATIONS, UnconfirmedAction
from app.records import (
    CallCap,
    CheckedTarget,
    Destination,
    DestinationDraft,
    DialPolicy,
    Kept,
    PolicyDraft,
    TargetDraft,
)

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
CAPS_MAX = 5
CAP_TRIES_MAX = 100
CAP_WINDOW_SECONDS_MAX = 2_592_000
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


def is_code(value: str) -> bool:
    """Whether a text can be a result code: visible, since people compare codes, and not longer than the column."""
    return 1 <= len(value) <= CODE_CHARACTERS_MAX and value.isprintable() and value == value.strip()


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
    )
    if not any(draft.destinations):
        errors.append(invalid(NO_DESTINATION, *path))
    return found


def policy(draft: PolicyDraft | None, base: DialPolicy, errors: list[UserError], *path: str) -> DialPolicy:
    """`base`, with the fields that the draft gives."""
    if draft is None:
        return base
    retry, lease = draft.retry_interval_seconds, draft.lease_seconds
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
    )


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
