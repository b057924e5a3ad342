"""The description as a web page: plain HTML from the OpenAPI document, without scripts."""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from app.rest.openapi import Document

_STYLE = """\
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 0 auto; padding: 1rem; }
section { border-top: 1px solid #8888; margin-top: 2rem; }
code { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1rem; }
caption { text-align: left; font-weight: 600; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_CODE = re.compile(r"`([^`]+)`")

CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def render(document: Document, document_path: str) -> str:
    """The page.

    Args:
        document: in OpenAPI.
        document_path: the path of the document, for a link.
    """
    info = document["info"]
    base_path = document["servers"][0]["url"].rstrip("/")
    below = f"<p>All paths are below <code>{escape(base_path)}</code>.</p>\n" if base_path else ""
    paragraphs = "".join(f"<p>{_prose(text)}</p>\n" for text in info["description"].split("\n\n"))
    calls = [
        (method, path, operation) for path, item in document["paths"].items() for method, operation in item.items()
    ]
    contents = "".join(
        f'<li><a href="#{operation["operationId"]}"><code>{method.upper()} {escape(path)}</code></a></li>\n'
        for method, path, operation in calls
    )
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(info["title"])}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(info["title"])} {escape(info["version"])}</h1>
{paragraphs}{below}<p>For machines: <a href="{escape(document_path)}">the same in OpenAPI {document["openapi"]}</a>.</p>
<ul>
{contents}</ul>
{"".join(_call(method, path, operation) for method, path, operation in calls)}\
{"".join(_object(name, schema) for name, schema in document["components"]["schemas"].items())}\
</body>
</html>
"""


def _call(method: str, path: str, operation: Document) -> str:
    parts = [f"<p>{_prose(operation['summary'])}</p>\n"]
    parameters = {f"{parameter['name']} ({parameter['in']})": parameter for parameter in operation["parameters"]}
    if parameters:
        rows = {name: {**given["schema"], "description": given["description"]} for name, given in parameters.items()}
        parts.append(_table("Parameters", rows))
    if "requestBody" in operation:
        parts.append(_body(operation["requestBody"]["content"]))
    answers = "".join(
        f"<tr><td><code>{status}</code></td><td>{_content(answer['content'])}</td>"
        f"<td>{_prose(answer['description'])}</td></tr>\n"
        for status, answer in operation["responses"].items()
    )
    parts.append(f"<table>\n<caption>Answers</caption>\n{answers}</table>\n")
    title = f"<code>{method.upper()} {escape(path)}</code>"
    return f'<section id="{operation["operationId"]}">\n<h2>{title}</h2>\n{"".join(parts)}</section>\n'


def _body(content: Mapping[str, Document]) -> str:
    schema = next(iter(content.values()))["schema"]
    if "properties" in schema:
        return _table("Body", schema["properties"], schema.get("required", ()))
    return f"<p>Body: {_content(content)}</p>\n"


def _content(content: Mapping[str, Document]) -> str:
    if "application/json" in content:
        return _type(content["application/json"]["schema"])
    return ", ".join(f"<code>{escape(media_type)}</code>" for media_type in content)


def _object(name: str, schema: Document) -> str:
    return f'<section id="{name}">\n<h2>{name}</h2>\n{_table("Members", schema["properties"])}</section>\n'


def _table(caption: str, properties: Mapping[str, Document], required: Any = ()) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{_type(schema)}{' required' if name in required else ''}</td>"
        f"<td>{_prose(schema.get('description', ''))}</td></tr>\n"
        for name, schema in _flat(properties)
    )
    return f"<table>\n<caption>{caption}</caption>\n{rows}</table>\n"


def _flat(properties: Mapping[str, Document], prefix: str = "") -> Iterator[tuple[str, Document]]:
    """The members and those of objects in them."""
    for name, schema in properties.items():
        yield f"{prefix}{name}", schema
        yield from _flat(schema.get("properties", {}), f"{prefix}{name}.")
        yield from _flat(schema.get("items", {}).get("properties", {}), f"{prefix}{name}[].")


def _type(schema: Document) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    words = [" or ".join(names)]
    if "items" in schema:
        words.append(f"of {_type(schema['items'])}")
    if "enum" in schema:
        words.append(": " + ", ".join(f"<code>{_shown(value)}</code>" for value in schema["enum"]))
    if "format" in schema:
        words.append(f"({schema['format']})")
    if "maxLength" in schema:
        words.append(f"up to {schema['maxLength']:,} characters")
    if "default" in schema:
        words.append(f"default <code>{escape(str(schema['default']))}</code>")
    return " ".join(words)


def _prose(text: str) -> str:
    """A description, whose backticks set code apart."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def _shown(value: str | None) -> str:
    return "null" if value is None else escape(value)
