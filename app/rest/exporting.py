"""Exports over REST: files that are sent while they are read."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from starlette.datastructures import QueryParams

from app import exports
from app.auth import Viewer
from app.errors import NotFound
from app.exports import Form
from app.lifecycle import AttemptState, Disposition, DoneReason, TargetStatus
from app.rates import Limiter
from app.records import AttemptFilter, SuppressionFilter, SuppressionSource, TargetFilter
from app.requests.tokens import TokenReader
from app.rest import parameters
from app.rest.calls import PREFIX
from app.rest.downloads import CSV, MEDIA_TYPES, NDJSON, Download, DownloadEndpoint, Sharing
from app.rest.members import Field
from app.rest.parameters import Given
from app.rest.problems import Problem, Reason

_FORMATS = parameters.words(CSV, NDJSON)


def _filter(name: str, kind: type[StrEnum], description: str) -> Field:
    meanings = parameters.members(kind)
    schema = parameters.list_schema(meanings)
    return Field(name, schema, f"{description} May be repeated.", parameters.one_of(meanings))


COMMON = (
    Field(
        "format",
        {**parameters.word_schema(_FORMATS), "default": CSV},
        "The format of the file.",
        parameters.one_of(_FORMATS),
    ),
    Field(
        "bom",
        {"type": "boolean", "default": False},
        "Whether CSV starts with a byte order mark, so that Excel reads it as UTF-8.",
        parameters.flag,
    ),
)
_TARGET_FILTERS = (
    _filter("status", TargetStatus, "Targets with this status."),
    _filter("done_reason", DoneReason, "Targets that are DONE for this reason."),
    Field("destination", {"type": "string"}, "Targets with this address in any destination, in any spelling."),
    Field("key", {"type": "string"}, "The target with this key."),
)
_SUPPRESSION_FILTERS = (
    _filter("source", SuppressionSource, "Addresses from this source."),
    Field("target", {"type": "string"}, "This address, in any spelling. One that cannot be read is refused."),
)
_ATTEMPT_FILTERS = (
    _filter("state", AttemptState, "Attempts in this state."),
    _filter("disposition", Disposition, "Attempts reported with this result."),
    Field("code", {"type": "string"}, "Attempts reported with this result code."),
    Field("dialer", {"type": "string"}, "Attempts of this dialer."),
    Field("call_id", {"type": "string"}, "Attempts with this call id."),
)


@dataclass(frozen=True, slots=True)
class Export:
    """One kind of file, defined once for the endpoint and for the description."""

    path: str
    name: str
    noun: str
    summary: str
    parameters: Sequence[Field]
    open: Callable[[Viewer, str, Form, Given], Awaitable[AsyncIterator[bytes]]]


def _of_targets(viewer: Viewer, outdial_id: str, form: Form, given: Given) -> Awaitable[AsyncIterator[bytes]]:
    where = TargetFilter(
        statuses=tuple(given.get("status", ())),
        done_reasons=tuple(given.get("done_reason", ())),
        destination=given.get("destination"),
        key=given.get("key"),
    )
    return exports.of_targets(viewer, outdial_id, form=form, where=where)


def _of_attempts(viewer: Viewer, outdial_id: str, form: Form, given: Given) -> Awaitable[AsyncIterator[bytes]]:
    where = AttemptFilter(
        states=tuple(given.get("state", ())),
        dispositions=tuple(given.get("disposition", ())),
        codes=(given["code"],) if given.get("code") else (),
        dialer=given.get("dialer"),
        call_id=given.get("call_id"),
    )
    return exports.of_attempts(viewer, outdial_id, form=form, where=where)


_OUTDIAL = f"{PREFIX}/outdials/{{id}}"
EXPORTS = (
    Export(
        f"{_OUTDIAL}/targets/export",
        "exportTargets",
        "targets",
        "Export an outdial's targets with their status and tries, oldest first. The file can be imported again.",
        (*COMMON, *_TARGET_FILTERS),
        _of_targets,
    ),
    Export(
        f"{_OUTDIAL}/attempts/export",
        "exportAttempts",
        "attempts",
        "Export all attempts on an outdial's targets, oldest first.",
        (*COMMON, *_ATTEMPT_FILTERS),
        _of_attempts,
    ),
)


def _of_suppressions(viewer: Viewer, _outdial_id: str, form: Form, given: Given) -> Awaitable[AsyncIterator[bytes]]:
    where = SuppressionFilter(target=given.get("target"), sources=tuple(given.get("source", ())))
    return exports.of_suppressions(viewer, form=form, where=where)


OF_SUPPRESSIONS = Export(
    f"{PREFIX}/suppressions/export",
    "exportSuppressions",
    "suppressions",
    "Export the do-not-call list, oldest first. The file can be imported again.",
    (*COMMON, *_SUPPRESSION_FILTERS),
    _of_suppressions,
)
REASONS = tuple(
    reason
    for reason in Reason
    if reason
    in {
        Reason.INVALID_ID,
        Reason.INVALID_ARGUMENT,
        Reason.AUTHENTICATION_REQUIRED,
        Reason.INVALID_CREDENTIALS,
        Reason.PERMISSION_DENIED,
        Reason.OUTDIAL_NOT_FOUND,
        Reason.RATE_LIMIT_EXCEEDED,
        Reason.INTERNAL,
        Reason.SERVICE_UNAVAILABLE,
    }
)
"""Every reason for another answer than 200."""


def endpoint_of(export: Export, reader: TokenReader, limiter: Limiter, sharing: Sharing) -> DownloadEndpoint:
    """The ASGI application that sends one kind of export."""

    async def open_export(viewer: Viewer, ids: dict[str, str], query: QueryParams) -> Download:
        given = parameters.read(query, export.parameters)
        kind = given.get("format", CSV)
        form = Form.NDJSON if kind == NDJSON else Form.MARKED_CSV if given.get("bom") else Form.CSV
        try:
            parts = await export.open(viewer, ids.get("id", ""), form, given)
        except NotFound:
            raise Problem(Reason.OUTDIAL_NOT_FOUND) from None
        name = f"outdial-{ids['id']}-{export.noun}" if ids else f"outdial-{export.noun}"
        return Download(f"{name}.{kind}", MEDIA_TYPES[kind], parts)

    return DownloadEndpoint(open_export, reader, limiter, sharing)
