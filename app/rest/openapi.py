"""The description of the calls in OpenAPI 3.1, made of what they are parsed, answered and refused by.

Source: https://spec.openapis.org/oas/v3.1.1
"""

from collections.abc import Iterator, Sequence
from typing import Any

from app import carriers
from app.rest import paging
from app.rest.calls import CALLS, PREFIX, Call
from app.rest.endpoint import BODY_BYTES_MAX, JSON
from app.rest.members import DESTINATION, ID_SCHEMA, OUTDIAL, TARGET, Field, Schema, Shape, object_schema
from app.rest.problems import HEADERS, STATUSES, Reason

Document = dict[str, Any]

_DESCRIPTION = f"""\
Outbound calling lists: outdials, and the targets in them.

A token comes as the cookie `{carriers.COOKIE}`, as `?{carriers.QUERY_PARAMETER}=` or as `Authorization: Bearer`; where
there are several, the first of these counts. GET needs the scope read, the other calls write.

A body is a JSON object of at most {BODY_BYTES_MAX:,} bytes; members that are not known are ignored. Every error has
one envelope, whose `request_id` is the header X-Request-Id and in the server's log.
"""
_ID_DESCRIPTIONS = {"id": "The outdial's id.", "target_id": "The target's id."}
_ERROR = "Error"
_SECURITY = {
    "cookie": {"type": "apiKey", "in": "cookie", "name": carriers.COOKIE},
    "query": {"type": "apiKey", "in": "query", "name": carriers.QUERY_PARAMETER},
    "header": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
}


def document() -> Document:
    paths: dict[str, Any] = {}
    for call in CALLS:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call)
    return {
        "openapi": "3.1.1",
        "info": {
            "title": "Outdial REST",
            "version": PREFIX.lstrip("/v"),
            "summary": "The REST face of an Outdial server",
            "description": _DESCRIPTION,
        },
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in _SECURITY],
        "paths": paths,
        "components": {
            "securitySchemes": _SECURITY,
            "schemas": {
                **{shape.name: _shape_schema(shape) for shape in (OUTDIAL, TARGET, DESTINATION)},
                **{_list_name(shape): _list_schema(shape) for shape in (OUTDIAL, TARGET)},
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


def _parameters(call: Call) -> Iterator[Document]:
    for name in call.id_names:
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "description": _ID_DESCRIPTIONS[name],
            "schema": ID_SCHEMA,
        }
    for field in paging.PARAMETERS if call.is_list else ():
        yield _query_parameter(field)


def _query_parameter(field: Field) -> Document:
    return {"name": field.name, "in": "query", "description": field.description, "schema": field.schema}


def _answer(call: Call) -> Document:
    name = _list_name(call.answers) if call.is_list else call.answers.name
    return {"description": "It is done." if call.method != "GET" else "Here it is.", "content": _content(name)}


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


def _list_name(shape: Shape) -> str:
    return f"{shape.name}List"


def _list_schema(shape: Shape) -> Schema:
    return _closed(
        {
            "result": {"type": "array", "items": _reference(shape.name), "maxItems": paging.SIZE_MAX},
            "next_page_token": {"type": "string", "description": 'The next page\'s page_token; "" on the last page.'},
        }
    )


def _error_schema() -> Schema:
    detail = _closed(
        {
            "path": {"type": "array", "items": {"type": "string"}, "description": "Of the member or parameter."},
            "message": {"type": "string"},
        }
    )
    error = _closed(
        {
            "status": {"type": "string", "enum": [*STATUSES.values()]},
            "reason": {"type": "string", "enum": [reason.value for reason in Reason]},
            "message": {"type": "string", "description": "For people; it may change."},
            "request_id": {"type": "string"},
            "details": {"type": "array", "items": detail, "description": "What is wrong with each value."},
        }
    )
    return _closed({"error": {**error, "required": [name for name in error["properties"] if name != "details"]}})


def _closed(properties: Document) -> Schema:
    """Of an object that is answered: with all of these and no others."""
    return {"type": "object", "properties": properties, "required": [*properties], "additionalProperties": False}
