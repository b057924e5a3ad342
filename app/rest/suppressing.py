"""The do-not-call list as a file over REST: put into it, and taken out of it, of any length."""

from typing import Any

from starlette.datastructures import Headers, QueryParams
from starlette.types import Scope

from app import imports
from app.auth import Viewer
from app.files.drafting import ROW_CHARACTERS_MAX, RejectedRow
from app.imports import suppressing
from app.imports.suppressing import Report
from app.records import ImportOptions
from app.requests import bodies
from app.requests.bodies import Upload
from app.rest import importing, parameters
from app.rest.calls import PREFIX
from app.rest.downloads import NDJSON
from app.rest.importing import REASONS_OF, REJECT, ImportEndpoint, format_of, is_gzip
from app.rest.members import Field, Member, Rendered, Shape
from app.rest.problems import Problem, Reason

PATH = f"{PREFIX}/suppressions/import"
_NAMES = {"format", "map", "encoding", "region"}
PARAMETERS: tuple[Field, ...] = tuple(field for field in importing.PARAMETERS if field.name in _NAMES)
_COUNTS = {
    "read": "Rows read, without blank lines and the header.",
    "added": "Rows that put an address on the list, or kept one on it for longer.",
    "unchanged": "Rows whose addresses were all on the list for as long already.",
    "expired": "Rows whose expires_at is past. They are left out.",
    "rejected": "Rows that were not accepted.",
}
_COUNTS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "integer", "minimum": 0, "description": told} for name, told in _COUNTS.items()},
    "required": [*_COUNTS],
    "additionalProperties": False,
}
SHAPE = Shape(
    "SuppressionsImport",
    (
        Member(
            "counts",
            _COUNTS_SCHEMA,
            "Rows by result.",
            lambda report: {name: getattr(report, name) for name in _COUNTS},
        ),
        Member(
            "warnings",
            {"type": "array", "items": {"type": "string"}},
            "Warnings, for example columns that are ignored.",
            lambda report: list(report.warnings),
        ),
        Member(
            "rejects",
            {
                "type": "array",
                "items": {"$ref": f"#/components/schemas/{REJECT.name}"},
                "maxItems": suppressing.REJECTS_SHOWN_MAX,
            },
            f"The first {suppressing.REJECTS_SHOWN_MAX} rows that were not accepted.",
            lambda report: [_reject(reject) for reject in report.rejects],
        ),
    ),
)
REASONS = tuple(
    reason
    for reason in importing.REASONS
    if reason not in {Reason.INVALID_ID, Reason.OUTDIAL_NOT_FOUND, Reason.CONFLICT}
)
"""Every reason for another answer than 200."""


def _reject(reject: RejectedRow) -> Rendered:
    return {
        "line_number": reject.line_number,
        "column": reject.column,
        "code": reject.code.value.lower(),
        "message": reject.message,
        "row": reject.text[:ROW_CHARACTERS_MAX],
    }


class SuppressionsImportEndpoint(ImportEndpoint):
    """The ASGI application that takes such files."""

    async def _import(self, viewer: Viewer, scope: Scope, upload: Upload) -> tuple[Rendered, Problem | None]:
        headers, query = Headers(scope=scope), QueryParams(scope["query_string"])
        given = parameters.read(query, PARAMETERS)
        options = ImportOptions(
            is_ndjson=format_of(given.get("format"), headers) == NDJSON,
            mapping=tuple(given.get("map", ())),
            encoding=given.get("encoding") or bodies.charset(headers),
            region=given.get("region"),
        )
        report = await imports.suppress(
            viewer,
            options=options,
            pieces=upload.pieces(),
            turns=self._turns,
            stopping=self._stopping,
            is_gzip=is_gzip(headers),
        )
        return SHAPE.render(report), _problem(report)


def _problem(report: Report) -> Problem | None:
    """Why the file was not read to its end; None if it was."""
    if report.reason is None:
        return None
    listed = report.added + report.unchanged
    before = {0: "No row of the file is on the list.", 1: "One row before is on the list."}.get(
        listed, f"{listed:,} rows before are on the list."
    )
    return Problem(REASONS_OF[report.reason], f"{report.message} {before}")
