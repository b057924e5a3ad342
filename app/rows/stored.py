"""Rows of outdials, targets, attempts and suppressions as records, and records as rows."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any, TypeVar

import orjson

from app import addresses
from app.addresses import DestinationType
from app.frozen import maker
from app.lifecycle import (
    DESTINATIONS,
    AttemptState,
    Disposition,
    DoneReason,
    OutdialState,
    Standing,
    TargetStatus,
)
from app.records import (
    Attempt,
    Callback,
    CalledTarget,
    ClaimedAttempt,
    Destination,
    Outdial,
    Progress,
    ResultCode,
    Suppression,
    SuppressionSource,
    Target,
    rank_of,
)
from app.retrying import Ending
from app.rows.policies import dial_policy, hours_value, pacing_value, rule_value

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

REASON_COLUMNS = {
    DoneReason.ANSWERED: "answered",
    DoneReason.EXHAUSTED: "exhausted",
    DoneReason.DO_NOT_CALL: "do_not_call",
    DoneReason.CANCELED: "canceled",
    DoneReason.UNCONFIRMED: "unconfirmed",
    DoneReason.FINISHED: "finished",
}


def _by_value(enum: type[E]) -> Mapping[str, E]:
    """An enum's members, for columns: a tenth of the time of a call of the enum."""
    return {member.value: member for member in enum}


_OUTDIAL_STATES = _by_value(OutdialState)
_STATUSES = _by_value(TargetStatus)
_REASONS = _by_value(DoneReason)
_STATES = _by_value(AttemptState)
_DISPOSITIONS = _by_value(Disposition)
_TYPES = _by_value(DestinationType)
_NO_DESTINATIONS: frozenset[int] = frozenset()
_target = maker(Target)
_attempt = maker(Attempt)
_outdial = maker(Outdial)
_claimed_attempt = maker(ClaimedAttempt)
_called_target = maker(CalledTarget)
_destination = maker(Destination)


def outdial(row: Mapping[str, Any]) -> Outdial:
    return _outdial(
        id=row["id"],
        customer_id=row["customer_id"],
        campaign_id=row["campaign_id"],
        name=row["name"],
        detail=row["detail"],
        data=row["data"],
        state=_OUTDIAL_STATES[row["state"]],
        dial_policy=dial_policy(row),
        time_zone=row["time_zone"],
        tm_create=row["tm_create"],
        tm_update=row["tm_update"],
        tm_delete=row["tm_delete"],
    )


def outdial_values(record: Outdial) -> dict[str, Any]:
    """An outdial as the values of its model."""
    policy = record.dial_policy
    return {
        "id": record.id,
        "customer_id": record.customer_id,
        "campaign_id": record.campaign_id,
        "name": record.name,
        "detail": record.detail,
        "data": record.data,
        "state": record.state.value,
        "max_try_counts": policy.max_try_counts,
        "retry_interval_seconds": policy.retry_interval_seconds,
        "lease_seconds": policy.lease_seconds,
        "on_unconfirmed": policy.on_unconfirmed.value,
        "calling_hours": hours_value(policy.calling_hours),
        "policy_version": policy.version,
        "caps": [asdict(cap) for cap in policy.caps],
        "on_unknown_time_zone": policy.on_unknown_time_zone.value,
        "keep_order": int(policy.keep_order),
        "retry_rules": [rule_value(rule) for rule in policy.retry_rules],
        "pacing": pacing_value(policy.pacing),
        "starts_at": policy.starts_at,
        "ends_at": policy.ends_at,
        "time_zone": record.time_zone,
        "tm_create": record.tm_create,
        "tm_update": record.tm_update,
        "tm_delete": record.tm_delete,
    }


def destination(text: str | None) -> Destination | None:
    return None if text is None else _destination_of(orjson.loads(text))


def destination_of(stored: Mapping[str, str] | None) -> Destination | None:
    """A destination from the value of `destination_value`."""
    return None if stored is None else _destination_of(stored)


def _destination_of(stored: Mapping[str, str]) -> Destination:
    shown = stored.get("written") or stored["target"]
    return _destination(_TYPES[stored["type"]], shown, stored["target_name"], stored["name"], stored["detail"])


def destination_value(value: Destination | None) -> dict[str, str] | None:
    """A destination as it is stored: "target" as addresses are compared, "written" if it is shown in another way."""
    if value is None:
        return None
    address = addresses.compared(value.type, value.target)
    return {
        "type": value.type.value,
        "target": address,
        "target_name": value.target_name,
        "name": value.name,
        "detail": value.detail,
        **({} if address == value.target else {"written": value.target}),
    }


def target(row: Mapping[str, Any]) -> Target:
    limits = row["max_try_counts"]
    reason = row["done_reason"]
    return _target(
        id=row["id"],
        customer_id=row["customer_id"],
        outdial_id=row["outdial_id"],
        key=row["key"],
        name=row["name"],
        detail=row["detail"],
        data=row["data"],
        status=_STATUSES[row["status"]],
        done_reason=None if reason is None else _REASONS[reason],
        priority=row["priority"],
        time_zone=row["time_zone"],
        max_try_counts=None if limits is None else tuple(orjson.loads(limits)),
        destinations=(
            destination(row["destination_0"]),
            destination(row["destination_1"]),
            destination(row["destination_2"]),
            destination(row["destination_3"]),
            destination(row["destination_4"]),
        ),
        try_counts=try_counts(row),
        invalid_destinations=indexes_of(row["invalid_mask"]),
        first_index=row["first_index"],
        next_try_at=row["next_try_at"],
        callback=callback(row["callback"]),
        last_attempt_id=row["last_attempt_id"],
        version=row["version"],
        tm_create=row["tm_create"],
        tm_update=row["tm_update"],
        tm_delete=row["tm_delete"],
    )


def indexes_of(mask: int) -> frozenset[int]:
    return frozenset(index for index in range(DESTINATIONS) if mask >> index & 1) if mask else _NO_DESTINATIONS


def try_counts(row: Mapping[str, Any]) -> tuple[int, ...]:
    return (row["try_count_0"], row["try_count_1"], row["try_count_2"], row["try_count_3"], row["try_count_4"])


def called_columns(records: Sequence[CalledTarget]) -> dict[str, Sequence[Any]]:
    """The ids of targets, and the columns that calls change."""
    columns: dict[str, Sequence[Any]] = dict(zip(_OF_CALLS, zip(*map(_called, records), strict=True), strict=True))
    columns["status"] = [record.status._value_ for record in records]
    columns["done_reason"] = [record.done_reason and record.done_reason._value_ for record in records]
    columns["invalid_mask"] = [
        sum(1 << index for index in marked) if (marked := record.invalid_destinations) else 0 for record in records
    ]
    for index, counts in enumerate(zip(*[record.try_counts for record in records], strict=True)):
        columns[f"try_count_{index}"] = counts
    return columns


def callback_columns(records: Sequence[CalledTarget]) -> dict[str, Sequence[Any]]:
    """The columns of targets in which their callbacks are, JSON as text."""
    callbacks = [record.callback for record in records]
    return {
        "rank": [rank_of(record.priority, record.callback) for record in records],
        "callback": [value and _json(callback_value(value)) for value in callbacks],
        "callback_mask": [value and sum(1 << index for index in value.offered) for value in callbacks],
        "callback_check_at": [value and value.check_at for value in callbacks],
    }


def callback(text: str | None) -> Callback | None:
    """A callback from the JSON of `callback_value`."""
    if text is None:
        return None
    stored = orjson.loads(text)
    before = stored["before"]
    return Callback(
        at=datetime.fromisoformat(stored["at"]),
        destination_index=stored["destination_index"],
        dialer=stored["dialer"],
        window_seconds=stored["window_seconds"],
        note=stored["note"],
        opened_at=_instant(stored["opened_at"]),
        is_for_all=stored["is_for_all"],
        offered=tuple(stored["offered"]),
        after_attempt_id=stored["after_attempt_id"],
        before=before
        and Standing(
            _STATUSES[before["status"]],
            before["done_reason"] and _REASONS[before["done_reason"]],
            _instant(before["next_try_at"]),
        ),
    )


def callback_value(value: Callback) -> dict[str, Any]:
    """A callback as it is stored."""
    return {name: getattr(value, name) for name in _OF_CALLBACKS}


_OF_CALLBACKS = tuple(field.name for field in fields(Callback))


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


_OF_CALLS = ("id", "first_index", "next_try_at", "last_attempt_id", "version", "tm_update", "tm_delete")
_called = attrgetter(*_OF_CALLS)


def target_columns(records: Sequence[Target]) -> dict[str, Sequence[Any]]:
    """Targets as the columns of their rows, JSON as text."""
    columns: dict[str, Sequence[Any]] = {name: [getattr(record, name) for record in records] for name in _OF_EACH}
    for index, places in enumerate(zip(*[record.destinations for record in records], strict=True)):
        columns[f"destination_{index}"] = [place and _json(destination_value(place)) for place in places]
    columns |= {name: [getattr(record, name) for record in records] for name in _OF_ALL}
    limits = [record.max_try_counts for record in records]
    columns["max_try_counts"] = [None if counts is None else _json(counts) for counts in limits]
    return columns | called_columns(records) | callback_columns(records)


# first what differs from target to target, then what is mostly the same: columns beside each other are written as one
_OF_EACH = ("id", "key", "name", "data", "detail", "priority", "next_try_at")
_OF_ALL = ("customer_id", "outdial_id", "time_zone", "tm_create")


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def attempt(row: Mapping[str, Any]) -> Attempt:
    disposition = row["disposition"]
    dialed = destination(row["destination"])
    assert dialed is not None
    return _attempt(
        id=row["id"],
        customer_id=row["customer_id"],
        outdial_id=row["outdial_id"],
        target_id=row["target_id"],
        destination_index=row["destination_index"],
        destination=dialed,
        try_number=row["try_number"],
        state=_STATES[row["state"]],
        disposition=None if disposition is None else _DISPOSITIONS[disposition],
        code=row["code"],
        is_right_party=_flag(row["is_right_party"]),
        is_conversion=_flag(row["is_conversion"]),
        detail=row["detail"],
        dialer=row["dialer"],
        call_id=row["call_id"],
        lease_seconds=row["lease_seconds"],
        expires_at=row["expires_at"],
        claimed_at=row["claimed_at"],
        dialed_at=row["dialed_at"],
        ended_at=row["ended_at"],
        ring_seconds=row["ring_seconds"],
        talk_seconds=row["talk_seconds"],
    )


def _flag(value: int | None) -> bool | None:
    return None if value is None else bool(value)


# ---------------------------------------------------------------- rows of claims and reports

ATTEMPT_VALUES = tuple(field.name for field in fields(Attempt))
"""The columns of an attempt in the order in which `Reader` takes them."""
CALLED_VALUES = (
    *("id", "customer_id", "outdial_id", "status", "done_reason", "max_try_counts", "invalid_mask", "first_index"),
    *("next_try_at", "last_attempt_id", "version", "tm_update", "tm_delete", "priority", "callback"),
    *(f"{column}_{index}" for column in ("destination", "try_count") for index in range(DESTINATIONS)),
)
"""Likewise of its target."""


def with_target(attempt: Attempt, target: Target) -> ClaimedAttempt:
    return _claimed_attempt(*_attempt_as_tuple(attempt), target)


_attempt_as_tuple = attrgetter(*ATTEMPT_VALUES)


class Reader:
    """Makes records of rows without a look at a column by its name. The same address is read once."""

    def __init__(self) -> None:
        self._read: dict[str, Destination] = {}

    def attempt(self, values: Sequence[Any]) -> Attempt:
        """Of the values of ATTEMPT_VALUES."""
        return _attempt(*self._attempt_values(values))

    def claimed_attempt(self, values: Sequence[Any], target: Target) -> ClaimedAttempt:
        """Likewise."""
        return _claimed_attempt(*self._attempt_values(values), target)

    def _attempt_values(self, values: Sequence[Any]) -> tuple[Any, ...]:
        (*before, destination_text, try_number, state, disposition, code, right_party, conversion) = values[:_REPORTED]
        return (
            *before,
            self._destination(destination_text),
            try_number,
            _STATES[state],
            None if disposition is None else _DISPOSITIONS[disposition],
            code,
            _flag(right_party),
            _flag(conversion),
            *values[_REPORTED:],
        )

    def called_target(self, values: Sequence[Any]) -> CalledTarget:
        """Of the values of CALLED_VALUES."""
        target_id, customer_id, outdial_id, status, reason, limits, mask, first_index = values[:8]
        next_try_at, last_attempt_id, version, tm_update, tm_delete, priority, wish, *places = values[8:]
        return _called_target(
            target_id,
            customer_id,
            outdial_id,
            _STATUSES[status],
            None if reason is None else _REASONS[reason],
            None if limits is None else tuple(orjson.loads(limits)),
            tuple([None if text is None else self._destination(text) for text in places[:DESTINATIONS]]),
            tuple(places[DESTINATIONS:]),
            indexes_of(mask),
            first_index,
            next_try_at,
            last_attempt_id,
            version,
            tm_update,
            tm_delete,
            priority,
            None if wish is None else callback(wish),
        )

    def _destination(self, text: str) -> Destination:
        read = self._read.get(text)
        if read is None:
            read = self._read[text] = _destination_of(orjson.loads(text))
        return read


ENDING_VALUES = ("id", "state", "disposition", "code", "destination_index")
"""The columns of an attempt that `endings` takes."""


def endings(text: str) -> dict[str, Ending]:
    """What retry rules go by at some attempts, by their ids, from a JSON list of the values of ENDING_VALUES."""
    return {
        attempt_id: Ending(_STATES[state], None if disposition is None else _DISPOSITIONS[disposition], code, index)
        for attempt_id, state, disposition, code, index in orjson.loads(text)
    }


_REPORTED = ATTEMPT_VALUES.index("is_conversion") + 1


def progress(row: Mapping[str, Any]) -> Progress:
    return Progress(
        idle=int(row["idle"]),
        progressing=int(row["progressing"]),
        done_by_reason={reason: int(row[column]) for reason, column in REASON_COLUMNS.items()},
        attempts=int(row["attempts"]),
    )


def suppression(row: Mapping[str, Any]) -> Suppression:
    return Suppression(
        id=row["id"],
        customer_id=row["customer_id"],
        type=_TYPES[row["type"]],
        target=row["address"],
        reason=row["reason"],
        source=SuppressionSource(row["source"]),
        expires_at=row["expires_at"],
        tm_create=row["tm_create"],
    )


def result_code(row: Mapping[str, Any]) -> ResultCode:
    return ResultCode(
        code=row["code"],
        label=row["label"],
        disposition=_DISPOSITIONS[row["disposition"]],
        is_right_party=bool(row["is_right_party"]),
        is_conversion=bool(row["is_conversion"]),
        is_retired=bool(row["is_retired"]),
    )
