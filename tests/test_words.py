"""Words: what people read is plain international English. A few phrases that readers stumble over never come back."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from graphql import get_introspection_query, graphql_sync

from app.cli import app as command_line
from app.graphql.schema import schema
from app.rest import openapi
from tests.support import documents
from tests.support.server import REPOSITORY

BANNED = {
    r"\bwhoever\b": "Name the person: the caller, the dialer, anyone who has the link.",
    r"\b(?:is|are|be) told\b": "Say what is sent or shown: the client gets the reason.",
    r"\btold of\b": "Say what is reported.",
    r"\b(?:the first )?so many of\b|\bthe first so many\b": "Give the number: the first n items (1 to 100).",
    r"\bat first\b(?! (?:use|start|sight|contact))": "Say what happens, then what follows.",
    r"\blets? (?:you|us|them) in\b": "Say what is accepted: the server accepts this token.",
    r"\bwhere (?:none|nothing|there is none|there are none)\b": "Use if for a condition: if there is none.",
}
"""Each phrase with what to write instead."""

CODE = re.compile(r"`[^`]*`")
SOURCES = sorted(
    path
    for folder in ("app", "migrations", "benchmarks", "tests/support")
    for path in (REPOSITORY / folder).rglob("*.py")
    if "node_modules" not in path.parts
)


def found(text: str) -> list[str]:
    """Each banned phrase of a text, with its surroundings and what to write instead. Code is not read."""
    plain = " ".join(CODE.sub(" ", text).split())
    return [
        f"…{plain[max(match.start() - 30, 0) : match.end() + 30]}…: {instead}"
        for phrase, instead in BANNED.items()
        for match in re.finditer(phrase, plain, re.IGNORECASE)
    ]


def texts_of(value: Any, *keys: str) -> Iterator[str]:
    """The texts under these keys, at any depth."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in keys and isinstance(inner, str):
                yield inner
            else:
                yield from texts_of(inner, *keys)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_of(inner, *keys)


def helps(command: click.Command, context: click.Context | None = None) -> Iterator[str]:
    """What --help prints, of a command and of all below it."""
    own = click.Context(command, info_name=command.name, parent=context)
    yield command.get_help(own)
    for inner in getattr(command, "commands", {}).values():
        yield from helps(inner, own)


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """The comments of a module, and its string constants: docstrings, messages, and the parts of f-strings."""
    source = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


@pytest.mark.parametrize(
    "text",
    [
        "Whoever knows the link may read.",
        "The client is told why.",
        "The last event that a subscriber was told of.",
        "Returns the first so many items.",
        "Not so many of them.",
        "The line is busy at first.",
        "What the server lets you in by.",
        "All scopes where none\nis given.",
    ],
)
def test_each_phrase_is_found_wherever_a_line_breaks(text: str) -> None:
    assert len(found(text)) == 1, text


@pytest.mark.parametrize(
    "text",
    [
        "The secret is made at first use.",
        "The field `whoever` and the command `outdial is told of` are code.",
        "In this case nothing is left, where it belongs.",
        "Nobody told the server.",
    ],
)
def test_other_texts_are_left_alone(text: str) -> None:
    assert found(text) == []


def test_the_schema_is_described_in_plain_words() -> None:
    described = graphql_sync(schema._schema, get_introspection_query(schema_description=True)).data
    texts = list(texts_of(described, "description", "deprecationReason"))
    assert len(texts) > 200
    assert [line for text in texts for line in found(text)] == []


def test_the_rest_calls_are_described_in_plain_words() -> None:
    texts = list(texts_of(openapi.document(), "description", "summary", "title"))
    assert len(texts) > 50
    assert [line for text in texts for line in found(text)] == []


def test_every_help_is_in_plain_words() -> None:
    texts = list(helps(typer.main.get_command(command_line)))
    assert len(texts) > 5
    assert [line for text in texts for line in found(text)] == []


@pytest.mark.parametrize("page", documents.pages(), ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_page_of_the_documents_is_in_plain_words(page: Path) -> None:
    assert found(documents.prose(page)) == []


def test_messages_docstrings_and_comments_are_in_plain_words() -> None:
    """A message is a string of a module, so that one that no test causes is read here too."""
    assert len(SOURCES) > 100
    assert [
        f"{path.relative_to(REPOSITORY)}:{line}: {problem}"
        for path in SOURCES
        for line, text in strings(path)
        for problem in found(text)
    ] == []


def events() -> Iterator[tuple[str, str, str]]:
    """Place, level and name of each event that the server logs. The reference dialer is a program of its own."""
    for path in (REPOSITORY / "app").rglob("*.py"):
        if "web" in path.relative_to(REPOSITORY).parts or path.name == "dialer.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log" | "_log" | "logger" | "_logger"), attr=level),
                    args=[ast.Constant(value=str(name)), *_],
                ):
                    yield f"{path.relative_to(REPOSITORY)}:{node.lineno}", level, name


def test_events_of_the_log_are_named_alike() -> None:
    """A short name in snake_case. What varies is in the keys."""
    named = list(events())
    assert len(named) > 8
    assert [event for event in named if not re.fullmatch(r"[a-z]+(?:_[a-z]+)*", event[2])] == []


def test_the_operations_page_has_each_event_that_warns() -> None:
    warns = {name for _, level, name in events() if level in {"warning", "error", "exception", "critical"}}
    rows = documents.table_rows(documents.page("docs/operations.md"))
    begin = next(number for number, row in enumerate(rows) if row[0] == "event")
    assert {row[0].strip("`") for row in rows[begin + 1 : begin + 1 + len(warns)]} == warns
