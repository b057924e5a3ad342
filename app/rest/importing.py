"""Imports over REST: the file is the body of the request, and its rows are stored as they arrive."""

import asyncio
from http import HTTPMethod
from typing import Any

import orjson
from starlette.datastructures import Headers, QueryParams
from starlette.types import Receive, Scope, Send

from app import auth, costs, imports
from app.auth import Viewer
from app.errors import BadUserInput
from app.imports import running
from app.imports.turning import ImportTurns
from app.pagination import PageRequest
from app.rates import Limiter
from app.records import DedupeScope, DuplicateAction, ImportJob, ImportOptions, ImportState, ImportStopReason
from app.requests import bodies
from app.requests.bodies import Upload
from app.requests.tokens import TokenReader
from app.rest import endpoint, parameters, problems
from app.rest.calls import PREFIX
from app.rest.downloads import CSV, NDJSON
from app.rest.members import ID_SCHEMA, NEVER, TIME_SCHEMA, Field, Member, Rendered, Shape, text_schema, time_text
from app.rest.problems import Problem, Reason

PATH = f"{PREFIX}/outdials/{{id}}/targets/import"
IDEMPOTENCY_KEY_HEADER = "Idempotency-Key"
PIECE_SECONDS_MAX = 60.0
"""How long the server waits for the next piece of the file."""
REJECTS_SHOWN_MAX = 100
MEDIA_TYPES = {
    "text/csv": CSV,
    "application/csv": CSV,
    "application/x-ndjson": NDJSON,
    "application/ndjson": NDJSON,
    "application/jsonl": NDJSON,
}
_UNSPECIFIC = {"application/octet-stream", "application/gzip", "application/x-gzip"}
"""Types that do not name the file's format."""

# ---------------------------------------------------------------- parameters


_FORMATS = parameters.words(CSV, NDJSON)
_EXTRAS = parameters.words("data")
_SCOPES = parameters.members(DedupeScope)
_ACTIONS = parameters.members(DuplicateAction)

PARAMETERS = (
    Field(
        "format",
        parameters.word_schema(_FORMATS),
        "The format of the body. Default: from Content-Type.",
        parameters.one_of(_FORMATS),
    ),
    Field(
        "map",
        {"type": "array", "items": {"type": "string"}, "maxItems": running.MAPPED_MAX},
        "`Header:field` maps a column to a field, for example `Telefon:phone`. `Header:` ignores the column. "
        "May be repeated.",
    ),
    Field(
        "extra",
        parameters.word_schema(_EXTRAS),
        "`data` stores unknown columns in the target's data as a JSON object. Default: they are ignored with a "
        "warning.",
        parameters.one_of(_EXTRAS),
    ),
    Field(
        "encoding",
        {"type": "string"},
        "The encoding of the text, for example windows-1252. Default: UTF-8, or the encoding of a byte order mark.",
    ),
    Field(
        "region",
        {"type": "string", "pattern": "^[A-Za-z]{2}$"},
        "The region of phone numbers without a country code, for example DE. Default: the server's default region.",
    ),
    Field(
        "dedupe",
        {**parameters.word_schema(_SCOPES), "default": "none"},
        "Among which targets an address must be unique, in all five destinations: the outdial's or all of the "
        "customer's. The rows of the file are compared as well.",
        parameters.one_of(_SCOPES),
    ),
    Field(
        "on_duplicate_key",
        {**parameters.word_schema(_ACTIONS), "default": "reject"},
        "What happens to a row if another target already has its key. With dedupe, a row with an address that another "
        "target has is skipped if this is skip, and rejected otherwise.",
        parameters.one_of(_ACTIONS),
    ),
    Field(
        "dry_run",
        {"type": "boolean", "default": False},
        "Only report the result. No target is stored.",
        parameters.flag,
    ),
    Field(
        "max_rejects",
        {"type": "integer", "minimum": 1, "maximum": running.REJECTS_MAX, "default": ImportOptions().rejects_max},
        "The import stops after this number of rejected rows.",
        parameters.number(running.REJECTS_MAX),
    ),
    Field("file_name", text_schema(running.FILE_NAME_CHARACTERS_MAX), "A name for the file, shown with the import."),
)


def _options(query: QueryParams, headers: Headers) -> ImportOptions:
    """The options that the query and the content type give.

    Raises:
        Rejected: INVALID, with everything that is wrong.
        bodies.HttpRefusal: 415.
    """
    given = parameters.read(query, PARAMETERS)
    return ImportOptions(
        is_ndjson=format_of(given.get("format"), headers) == NDJSON,
        mapping=tuple(given.get("map", ())),
        extra_kept="extra" in given,
        encoding=given.get("encoding") or bodies.charset(headers),
        region=given.get("region"),
        dedupe=given.get("dedupe", DedupeScope.NONE),
        on_duplicate_key=given.get("on_duplicate_key", DuplicateAction.REJECT),
        dry_run=given.get("dry_run", False),
        rejects_max=given.get("max_rejects", ImportOptions().rejects_max),
        file_name=given.get("file_name", ""),
    )


def format_of(named: str | None, headers: Headers) -> str:
    # Without a preflight, a page of another origin can send any body as a form or as plain text, with the viewer's
    # cookie. So these content types are never accepted, even if the query has a format.
    media_type = bodies.media_type(headers)
    found = MEDIA_TYPES.get(media_type) if named is None else named
    if found is None or media_type not in {*MEDIA_TYPES, *_UNSPECIFIC}:
        message = "Content-Type must be text/csv or application/x-ndjson, or application/octet-stream with ?format=."
        raise bodies.HttpRefusal(415, BadUserInput(message))
    return found


def is_gzip(headers: Headers) -> bool:
    coding = headers.get("content-encoding", "identity").lower()
    if coding not in {"identity", "gzip", "x-gzip"}:
        raise bodies.HttpRefusal(415, BadUserInput("The body's Content-Encoding must be gzip or identity."))
    return coding != "identity"


# ---------------------------------------------------------------- the answer

_COUNTS = ("read", "created", "updated", "skipped", "rejected", "suppressed")


def _lower(value: Any) -> str | None:
    return None if value is None else value.value.lower()


_COUNTS_SCHEMA = {
    "type": "object",
    "properties": {name: {"type": "integer", "minimum": 0} for name in _COUNTS},
    "required": list(_COUNTS),
    "additionalProperties": False,
}
_NULLABLE_REASON = {"type": ["string", "null"], "enum": [*(reason.value.lower() for reason in ImportStopReason), None]}
IMPORT = Shape(
    "ImportJob",
    (
        Member("id", ID_SCHEMA, "Its id.", lambda job: job.id),
        Member("outdial_id", ID_SCHEMA, "The outdial that gets the targets.", lambda job: job.outdial_id),
        Member("file_name", {"type": "string"}, "The file name that the sender gave.", lambda job: job.file_name),
        Member(
            "state",
            parameters.word_schema(parameters.members(ImportState)),
            "The state of the import.",
            lambda job: _lower(job.state),
        ),
        Member(
            "stop_reason",
            _NULLABLE_REASON,
            "Why the import ended early. Null if it did not.",
            lambda job: _lower(job.stop_reason),
        ),
        Member("message", {"type": "string"}, "Why the import ended early, for people.", lambda job: job.message),
        Member(
            "dry_run",
            {"type": "boolean"},
            "Whether the import only reports and stores no target.",
            lambda job: job.dry_run,
        ),
        Member(
            "counts",
            _COUNTS_SCHEMA,
            "Rows by result.",
            lambda job: {name: getattr(job.counts, name) for name in _COUNTS},
        ),
        Member(
            "warnings",
            {"type": "array", "items": {"type": "string"}},
            "Warnings, for example columns that are ignored.",
            lambda job: list(job.warnings),
        ),
        Member("tm_create", TIME_SCHEMA, "UTC.", lambda job: time_text(job.tm_create)),
        Member("tm_start", TIME_SCHEMA, f"UTC. {NEVER} while it waits.", lambda job: time_text(job.started_at)),
        Member("tm_finish", TIME_SCHEMA, f"UTC. {NEVER} until it ends.", lambda job: time_text(job.finished_at)),
    ),
)
REJECT = Shape(
    "ImportReject",
    (
        Member(
            "line_number",
            {"type": "integer", "minimum": 1},
            "The line on which the row starts. The first line of the file is 1.",
            lambda reject: reject.line_number,
        ),
        Member(
            "column",
            {"type": ["string", "null"]},
            "The column of the first error, as named in the file.",
            lambda reject: reject.column,
        ),
        Member("code", {"type": "string"}, "What is wrong, for programs.", lambda reject: _lower(reject.code)),
        Member("message", {"type": "string"}, "What is wrong, for people.", lambda reject: reject.message),
        Member(
            "row", {"type": "string"}, "The row as it is in the file. A long row is cut.", lambda reject: reject.row
        ),
    ),
)
REJECTS_SCHEMA = {
    "type": "array",
    "items": {"$ref": f"#/components/schemas/{REJECT.name}"},
    "maxItems": REJECTS_SHOWN_MAX,
    "description": f"The first {REJECTS_SHOWN_MAX} rows that were not accepted. The file of rejected rows has "
    "all of them.",
}
REASONS_OF = {
    ImportStopReason.FILE: Reason.INVALID_FILE,
    ImportStopReason.TOO_LARGE: Reason.PAYLOAD_TOO_LARGE,
    ImportStopReason.TOO_MANY_REJECTS: Reason.TOO_MANY_REJECTS,
    ImportStopReason.INTERRUPTED: Reason.SERVICE_UNAVAILABLE,
    ImportStopReason.CONFLICT: Reason.CONFLICT,
    ImportStopReason.INTERNAL: Reason.INTERNAL,
    ImportStopReason.CANCELED: Reason.IMPORT_STOPPED,
    ImportStopReason.PAUSED: Reason.IMPORT_STOPPED,
    ImportStopReason.DELETED: Reason.IMPORT_STOPPED,
}
REASONS = tuple(
    reason
    for reason in Reason
    if reason
    in {
        *REASONS_OF.values(),
        Reason.INVALID_ID,
        Reason.INVALID_ARGUMENT,
        Reason.AUTHENTICATION_REQUIRED,
        Reason.INVALID_CREDENTIALS,
        Reason.PERMISSION_DENIED,
        Reason.OUTDIAL_NOT_FOUND,
        Reason.REQUEST_TIMEOUT,
        Reason.UNSUPPORTED_MEDIA_TYPE,
        Reason.RATE_LIMIT_EXCEEDED,
    }
)
"""Every reason for another answer than 200."""
_TAKEN_OVER = "Another upload with the same idempotency key continues this import."


async def _render(viewer: Viewer, job: ImportJob) -> Rendered:
    page = (await imports.rejects(viewer, [job.id], request=PageRequest(size=REJECTS_SHOWN_MAX)))[job.id]
    return IMPORT.render(job) | {"rejects": [REJECT.render(reject) for reject in page.items]}


def _problem(job: ImportJob, rendered: Rendered) -> Problem | None:
    """Why the import is incomplete; None if it is complete."""
    if job.state is ImportState.COMPLETED:
        return None
    if job.stop_reason is None:
        return Problem(Reason.CONFLICT, _TAKEN_OVER, besides={"import": rendered})
    return Problem(REASONS_OF[job.stop_reason], job.message, besides={"import": rendered})


# ---------------------------------------------------------------- the endpoint


class ImportEndpoint:
    """The ASGI application that takes files.

    Args:
        reader: of tokens.
        limiter: who may ask for more.
        turns: whose file is read.
        stopping: set when the server begins to stop.
    """

    def __init__(self, reader: TokenReader, limiter: Limiter, turns: ImportTurns, *, stopping: asyncio.Event) -> None:
        self._reader = reader
        self._limiter = limiter
        self._stopping = stopping
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != HTTPMethod.POST:
            await endpoint.refuse(send, endpoint.not_allowed(scope["method"], {HTTPMethod.POST: self}))
            return
        upload = Upload(receive, Headers(scope=scope), seconds_max=PIECE_SECONDS_MAX)
        customer_id = None
        try:
            viewer = await endpoint.viewer(self._reader, Headers(scope=scope), QueryParams(scope["query_string"]))
            viewer.require(auth.Scope.WRITE)
            customer_id = viewer.customer_id
            await self._limiter.admit(customer_id, costs.FILE_POINTS)
            rendered, problem = await self._import(viewer, scope, upload)
        except bodies.Disconnected:
            return
        except Exception as error:  # noqa: BLE001 - the client gets the envelope for every error
            rendered, problem = {}, problems.of(error, missing=Reason.OUTDIAL_NOT_FOUND)
        await upload.discard()
        told = endpoint.rate_headers(self._limiter, customer_id)
        if problem is not None:
            await endpoint.refuse(send, problem, told)
        else:
            await endpoint.respond(send, 200, orjson.dumps(rendered), headers=told)

    async def _import(self, viewer: Viewer, scope: Scope, upload: Upload) -> tuple[Rendered, Problem | None]:
        headers, query = Headers(scope=scope), QueryParams(scope["query_string"])
        job = await imports.run(
            viewer,
            endpoint.path_id(scope["path_params"]["id"]),
            options=_options(query, headers),
            pieces=upload.pieces(),
            turns=self._turns,
            stopping=self._stopping,
            idempotency_key=headers.get(IDEMPOTENCY_KEY_HEADER),
            is_gzip=is_gzip(headers),
        )
        rendered = await _render(viewer, job)
        return rendered, _problem(job, rendered)
