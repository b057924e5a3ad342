"""The description of the calls in OpenAPI 3.1, made from the same definitions that parse, answer and refuse them.

Source: https://spec.openapis.org/oas/v3.1.1
"""

from collections.abc import Iterator, Sequence
from typing import Any

from app.requests import tokens
from app.rest import importing, paging, rejects, summing, suppressing
from app.rest.calls import CALLS, PREFIX, Call
from app.rest.downloads import MEDIA_TYPES
from app.rest.endpoint import BODY_BYTES_MAX, JSON
from app.rest.exporting import EXPORTS, OF_SUPPRESSIONS, REASONS, Export
from app.rest.members import DESTINATION, ID_SCHEMA, OUTDIAL, TARGET, Field, Schema, Shape, object_schema
from app.rest.problems import HEADERS, STATUSES, Reason
from app.validation import IDEMPOTENCY_KEY_CHARACTERS_MAX

Document = dict[str, Any]

_DESCRIPTION = f"""\
Outbound calling lists: outdials, and the targets in them.

Send the token as the cookie `{tokens.COOKIE}`, as `?{tokens.QUERY_PARAMETER}=` or as `Authorization: Bearer`. If there
are several, the first of these is used. GET needs the scope READ, all other calls need WRITE.

A body is a JSON object of at most {BODY_BYTES_MAX:,} bytes. Unknown members are ignored. Imports send the file as the
body, and unknown parameters of imports and exports are rejected. All errors have the same form. Their `request_id` is
also the header X-Request-Id, and it is in the server's log.
"""
_ID_DESCRIPTIONS = {"id": "The outdial's id.", "target_id": "The target's id.", "import_id": "The import's id."}
_ERROR = "Error"
_SECURITY = {
    "cookie": {"type": "apiKey", "in": "cookie", "name": tokens.COOKIE},
    "query": {"type": "apiKey", "in": "query", "name": tokens.QUERY_PARAMETER},
    "header": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}


def document(base_path: str = "") -> Document:
    """The description, with its paths below the base path."""
    paths: dict[str, Any] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    paths[importing.PATH] = {"post": _import_operation()}
    paths[rejects.PATH] = {"get": _rejects_operation()}
    paths |= {
        export.path: {"get": _export_operation(export)} for export in (*EXPORTS, OF_SUPPRESSIONS, *summing.EXPORTS)
    }
    paths[suppressing.PATH] = {"post": _suppressions_operation()}
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Outdial REST",
            "version": PREFIX.lstrip("/v"),
            "summary": "The REST API of Outdial",
            "description": _DESCRIPTION,
        },
        "servers": [{"url": base_path or "/"}],
        "security": [{name: []} for name in _SECURITY],
        "paths": paths,
        "components": {
            "securitySchemes": _SECURITY,
            "schemas": {
                **{shape.name: _shape_schema(shape) for shape in (OUTDIAL, TARGET, DESTINATION)},
                **{_list_name(shape): _list_schema(shape) for shape in (OUTDIAL, TARGET)},
                importing.REJECT.name: _shape_schema(importing.REJECT),
                importing.IMPORT.name: _import_schema(),
                suppressing.SHAPE.name: _shape_schema(suppressing.SHAPE),
                _ERROR: _error_schema(),
            },
        },
    }


def _operation(call: Call) -> Document:
    operation: Document = {
        "operationId": call.name,
        "summary": call.summary,
        "parameters": [*_parameters(call)],
        "responses": {"200": _answer(call), **dict(_refusals(call.reasons))},
    }
    if call.body is not None:
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": object_schema(call.body)}}}
    return operation


def _import_operation() -> Document:
    key = {
        "name": importing.IDEMPOTENCY_KEY_HEADER,
        "in": "header",
        "description": "A key of your choice. Send the file again with the same key to continue an import. A "
        "completed import is not repeated.",
        "schema": {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARACTERS_MAX},
    }
    file = {"schema": {"type": "string", "contentMediaType": "text/csv"}}
    return {
        "operationId": "importTargets",
        "summary": "Import a file of targets. Valid rows are stored, all other rows are reported with line and reason.",
        "parameters": [_id_parameter("id"), *map(_query_parameter, importing.PARAMETERS), key],
        "requestBody": {"required": True, "content": dict.fromkeys(importing.MEDIA_TYPES, file)},
        "responses": {
            "200": {"description": "The whole file was read.", "content": _content(importing.IMPORT.name)},
            **dict(_refusals(importing.REASONS)),
        },
    }


def _export_operation(export: Export) -> Document:
    is_of_outdial = "{id}" in export.path
    parameters = [_id_parameter("id")] if is_of_outdial else []
    parameters += map(_query_parameter, export.parameters)
    of_outdials = {Reason.INVALID_ID, Reason.OUTDIAL_NOT_FOUND}
    reasons = [reason for reason in REASONS if is_of_outdial or reason not in of_outdials]
    return _download_operation(export.name, export.summary, parameters, reasons)


def _suppressions_operation() -> Document:
    file = {"schema": {"type": "string", "contentMediaType": "text/csv"}}
    return {
        "operationId": "importSuppressions",
        "summary": "Put the addresses of a file on the do-not-call list. If it was cut off, send it again.",
        "parameters": [*map(_query_parameter, suppressing.PARAMETERS)],
        "requestBody": {"required": True, "content": dict.fromkeys(importing.MEDIA_TYPES, file)},
        "responses": {
            "200": {"description": "The whole file was read.", "content": _content(suppressing.SHAPE.name)},
            **dict(_refusals(suppressing.REASONS)),
        },
    }


def _rejects_operation() -> Document:
    parameters = [_id_parameter("id"), _id_parameter("import_id")]
    return _download_operation(rejects.NAME, rejects.SUMMARY, parameters, rejects.REASONS)


def _download_operation(name: str, summary: str, parameters: list[Document], reasons: Sequence[Reason]) -> Document:
    files = {media_type.partition(";")[0]: {"schema": {"type": "string"}} for media_type in MEDIA_TYPES.values()}
    return {
        "operationId": name,
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "The file. It is incomplete if the connection breaks.", "content": files},
            **dict(_refusals(reasons)),
        },
    }


def _id_parameter(name: str) -> Document:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _ID_DESCRIPTIONS[name],
        "schema": ID_SCHEMA,
    }


def _parameters(call: Call) -> Iterator[Document]:
    for name in call.id_names:
        yield _id_parameter(name)
    for field in paging.PARAMETERS if call.is_list else ():
        yield _query_parameter(field)


def _query_parameter(field: Field) -> Document:
    required = {"required": True} if field.is_required else {}
    return {"name": field.name, "in": "query", **required, "description": field.description, "schema": field.schema}


def _answer(call: Call) -> Document:
    name = _list_name(call.answers) if call.is_list else call.answers.name
    return {
        "description": "The object after the change." if call.method != "GET" else "The result.",
        "content": _content(name),
    }


def _refusals(reasons: Sequence[Reason]) -> Iterator[tuple[str, Document]]:
    for status in sorted({reason.http_status for reason in reasons}):
        names = ", ".join(reason for reason in reasons if reason.http_status == status)
        refusal: Document = {"description": f"{STATUSES[status]}: {names}", "content": _content(_ERROR)}
        if headers := HEADERS.get(status):
            refusal["headers"] = {name: {"schema": {"type": "string"}} for name in headers}
        yield str(status), refusal


def _content(schema_name: str) -> Document:
    return {JSON: {"schema": _reference(schema_name)}}


def _reference(schema_name: str) -> Document:
    return {"$ref": f"#/components/schemas/{schema_name}"}


# ---------------------------------------------------------------- schemas


def _shape_schema(shape: Shape) -> Schema:
    return _closed({member.name: {**member.schema, "description": member.description} for member in shape.members})


def _import_schema() -> Schema:
    schema = _shape_schema(importing.IMPORT)
    return _closed({**schema["properties"], "rejects": importing.REJECTS_SCHEMA})


def _list_name(shape: Shape) -> str:
    return f"{shape.name}List"


def _list_schema(shape: Shape) -> Schema:
    return _closed(
        {
            "result": {"type": "array", "items": _reference(shape.name), "maxItems": paging.SIZE_MAX},
            "next_page_token": {
                "type": "string",
                "description": 'The page_token of the next page. "" on the last page.',
            },
        }
    )


def _error_schema() -> Schema:
    detail = _closed(
        {
            "path": {
                "type": "array",
                "items": {"type": "string"},
                "description": "The path of the member or parameter.",
            },
            "message": {"type": "string"},
        }
    )
    error = _closed(
        {
            "status": {"type": "string", "enum": [*STATUSES.values()]},
            "reason": {"type": "string", "enum": [reason.value for reason in Reason]},
            "message": {"type": "string", "description": "For people. The text may change."},
            "request_id": {"type": "string"},
            "details": {"type": "array", "items": detail, "description": "What is wrong with each value."},
            "import": {**_reference(importing.IMPORT.name), "description": "The import, with the result so far."},
        }
    )
    optional = {"details", "import"}
    return _closed({"error": {**error, "required": [name for name in error["properties"] if name not in optional]}})


def _closed(properties: Document) -> Schema:
    """Of an answered object: it has all of these members and no others."""
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
