"""Figures over REST: as CSV, or as a JSON object in each line."""

from collections.abc import AsyncIterator, Awaitable
from datetime import datetime

from app import exports, ids, stats
from app.auth import Viewer
from app.errors import Rejected, UserError, invalid
from app.exports import Form
from app.figures import Bucket, Grouping
from app.rest import parameters
from app.rest.calls import PREFIX
from app.rest.exporting import COMMON, Export
from app.rest.members import ID_SCHEMA, Field
from app.rest.parameters import Given

_BUCKETS, _GROUPINGS = parameters.members(Bucket), parameters.members(Grouping)
_INSTANT = {"type": "string", "format": "date-time"}


def _instant(text: str, errors: list[UserError], *path: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        errors.append(invalid("Must be a time with its offset from UTC, such as 2026-01-31T09:00:00Z.", *path))
    return found


def _id(text: str, errors: list[UserError], *path: str) -> str | None:
    found = ids.parse(text)
    if found is None:
        errors.append(invalid("Invalid id. Use a UUID such as 018f3e4c-5b6a-7c8d-9e0f-1a2b3c4d5e6f.", *path))
    return found


_SPAN = (
    Field(
        "from", _INSTANT, "The first instant, at a full quarter of an hour; of minutes at a full minute.", _instant
    ).required(),
    Field("to", _INSTANT, "The instant after the last one.", _instant).required(),
    Field(
        "bucket",
        parameters.word_schema(_BUCKETS),
        "The length of a bucket. Default: one for the whole time.",
        parameters.one_of(_BUCKETS),
    ),
    Field("time_zone", {"type": "string", "default": "UTC"}, "The IANA time zone of hours and days."),
    Field(
        "group_by",
        parameters.word_schema(_GROUPINGS),
        "What each bucket is divided by. Default: nothing.",
        parameters.one_of(_GROUPINGS),
    ),
)
_CAMPAIGN = Field("campaign_id", ID_SCHEMA, "Only the outdials of this campaign.", _id)


def _request(given: Given) -> stats.Request:
    missing = [invalid("Give a time.", name) for name in ("from", "to") if name not in given]
    if missing:
        raise Rejected(missing)
    zone = given.get("time_zone") or "UTC"
    return stats.Request(given["from"], given["to"], given.get("bucket"), zone, given.get("group_by"))


def _of_outdial(viewer: Viewer, outdial_id: str, form: Form, given: Given) -> Awaitable[AsyncIterator[bytes]]:
    return exports.of_stats(viewer, form=form, request=_request(given), outdial_id=outdial_id)


def _of_all(viewer: Viewer, _outdial_id: str, form: Form, given: Given) -> Awaitable[AsyncIterator[bytes]]:
    return exports.of_stats(viewer, form=form, request=_request(given), campaign_id=given.get("campaign_id"))


EXPORTS = (
    Export(
        f"{PREFIX}/outdials/{{id}}/stats/export",
        "exportOutdialStats",
        "stats",
        "Export figures of an outdial's attempts by bucket and group.",
        (*COMMON, *_SPAN),
        _of_outdial,
    ),
    Export(
        f"{PREFIX}/stats/export",
        "exportStats",
        "stats",
        "Export figures of the attempts of all outdials, or of a campaign's, by bucket and group.",
        (*COMMON, *_SPAN, _CAMPAIGN),
        _of_all,
    ),
)
