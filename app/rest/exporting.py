"""Exports over REST: files that are sent as they are read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPMethod
from typing import Any, TypeVar

from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from app import auth, exports
from app.auth import Viewer
from app.errors import NotFound, Rejected, UserError, invalid
from app.exports import Form
from app.lifecycle import AttemptState, Disposition, DoneReason, TargetStatus
from app.records import AttemptFilter, TargetFilter
from app.requests import sessions, tokens
from app.requests.tokens import TokenReader
from app.rest import endpoint, problems
from app.rest.calls import PREFIX
from app.rest.members import Field
from app.rest.problems import Problem, Reason

CSV, NDJSON = "csv", "ndjson"
MEDIA_TYPES = {CSV: "text/csv; charset=utf-8", NDJSON: "application/x-ndjson"}
E = TypeVar("E", bound=StrEnum)


def choice(names: Sequence[str]) -> Any:
    """Reads a parameter that is one of a few words."""

    def read(text: str, errors: list[UserError], *path: str) -> str:
        if text not in names:
            errors.append(invalid(f"Must be one of {', '.join(names)}.", *path))
        return text

    return read


def read_flag(text: str, errors: list[UserError], *path: str) -> bool:
    if text not in {"true", "false"}:
        errors.append(invalid("Must be true or false.", *path))
    return text == "true"


def enum_schema(*names: str) -> Mapping[str, Any]:
    return {"type": "string", "enum": list(names)}


def _of_enum(name: str, kind: type[StrEnum], description: str) -> Field:
    names = {member.value.lower(): member for member in kind}

    def read(text: str, errors: list[UserError], *path: str) -> StrEnum | None:
        if text not in names:
            errors.append(invalid(f"Must be one of {', '.join(names)}.", *path))
        return names.get(text)

    return Field(name, {"type": "array", "items": enum_schema(*names)}, f"{description} May be repeated.", read)


_COMMON = (
    Field("format", {**enum_schema(CSV, NDJSON), "default": CSV}, "The format of the file.", choice((CSV, NDJSON))),
    Field(
        "bom",
        {"type": "boolean", "default": False},
        "Whether CSV starts with a byte order mark, so that Excel reads it as UTF-8.",
        read_flag,
    ),
)
_TARGET_FILTERS = (
    _of_enum("status", TargetStatus, "Targets with this status."),
    _of_enum("done_reason", DoneReason, "Targets that are DONE for this reason."),
    Field("destination", {"type": "string"}, "Targets with this address in any destination, in any spelling."),
    Field("key", {"type": "string"}, "The target with this key."),
)
_ATTEMPT_FILTERS = (
    _of_enum("state", AttemptState, "Attempts in this state."),
    _of_enum("disposition", Disposition, "Attempts reported with this result."),
    Field("dialer", {"type": "string"}, "Attempts of this dialer."),
    Field("call_id", {"type": "string"}, "Attempts with this call id."),
)

Given = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Export:
    """One kind of file. All that is known of it stands here, for the endpoint and for the description."""

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
        (*_COMMON, *_TARGET_FILTERS),
        _of_targets,
    ),
    Export(
        f"{_OUTDIAL}/attempts/export",
        "exportAttempts",
        "attempts",
        "Export all attempts on an outdial's targets, oldest first.",
        (*_COMMON, *_ATTEMPT_FILTERS),
        _of_attempts,
    ),
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
"""Every reason why they may answer anything but 200."""


def read_query(query: QueryParams, fields: Sequence[Field]) -> Given:
    """The parameters that are given; those that may be repeated as lists.

    Raises:
        Rejected: INVALID, with everything that is wrong. A parameter that is not known could be a wish misspelt.
    """
    known = {field.name: field for field in fields}
    errors: list[UserError] = []
    given: Given = {}
    for name in query:
        field = known.get(name)
        if field is None:
            if name not in {tokens.QUERY_PARAMETER, sessions.QUERY_PARAMETER}:
                errors.append(invalid("Unknown parameter.", name))
        elif field.schema.get("type") == "array":
            given[name] = [field.read(text, errors, name) for text in query.getlist(name)]
        else:
            given[name] = field.read(query[name], errors, name)
    if errors:
        raise Rejected(errors)
    return given


class ExportEndpoint:
    """The ASGI application that sends one kind of file.

    Args:
        export: which.
        reader: of tokens.
    """

    def __init__(self, export: Export, reader: TokenReader) -> None:
        self._export = export
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in {HTTPMethod.GET, HTTPMethod.HEAD}:
            await endpoint.refuse(send, endpoint.not_allowed(scope["method"], {HTTPMethod.GET: self}))
            return
        try:
            headers, parts = await self._open(scope)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets the envelope
            await endpoint.refuse(send, problems.of(error, missing=Reason.OUTDIAL_NOT_FOUND))
            return
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        if scope["method"] == HTTPMethod.GET:
            await _send_parts(parts, receive, send)
        else:
            await send({"type": "http.response.body", "body": b""})

    async def _open(self, scope: Scope) -> tuple[dict[str, str], AsyncIterator[bytes]]:
        query = QueryParams(scope["query_string"])
        viewer = await endpoint.viewer(self._reader, Headers(scope=scope), query)
        viewer.require(auth.Scope.READ)
        outdial_id = endpoint.path_id(scope["path_params"]["id"])
        given = read_query(query, self._export.parameters)
        kind = given.get("format", CSV)
        form = Form.NDJSON if kind == NDJSON else Form.MARKED_CSV if given.get("bom") else Form.CSV
        try:
            parts = await self._export.open(viewer, outdial_id, form, given)
        except NotFound:
            raise Problem(Reason.OUTDIAL_NOT_FOUND) from None
        name = f"outdial-{outdial_id}-{self._export.noun}.{kind}"
        headers = {
            "content-type": MEDIA_TYPES[kind],
            "content-disposition": f'attachment; filename="{name}"',
            "cache-control": "no-store",
        }
        return headers, parts


async def _send_parts(parts: AsyncIterator[bytes], receive: Receive, send: Send) -> None:
    """Send what is read, no faster than it is taken, until the client hangs up.

    What goes wrong on the way is raised: the server then cuts the connection, by which the client sees that the file
    is not whole.
    """
    leaving = asyncio.create_task(_disconnect(receive), name="export disconnect")
    try:
        async for part in parts:
            if leaving.done():
                return
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)


async def _disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
