"""The documents: what they name is there, what is there they name, and every number is the code's."""

import ast
import configparser
import importlib
import inspect
import json
import pkgutil
import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from graphql import GraphQLError, parse, validate

import app as package
from app import errors, lifecycle, metrics
from app.addresses import DestinationType, InvalidAddress, canonical
from app.cli import app as command_line
from app.database_url import DatabaseUrl, parameters
from app.files import columns
from app.graphql.schema import schema
from app.graphql.transport import masking
from app.graphql.transport.closing import CloseCode
from app.records import ImportStopReason
from app.rest import importing
from app.rest.problems import Reason
from app.settings import PREFIX, Settings
from tests.support import documents
from tests.support.documents import Block
from tests.support.server import REPOSITORY

README_BYTES_MAX = 9_000
README = documents.page("README.md")
CLIENTS = documents.page("docs/clients.md")
IMPORTS = documents.page("docs/imports.md")
LIMITS = documents.page("docs/limits.md")
OPERATIONS = documents.page("docs/operations.md")
ARCHITECTURE = documents.page("docs/architecture.md")
GLOSSARY = documents.page("docs/glossary.md")
GLOSSARY_WORDS = 15
DECISIONS = tuple(sorted((REPOSITORY / "docs" / "decisions").glob("[0-9]*.md")))
DECISION_PARTS = ["Context", "Decision", "Consequences", "Figures"]
COMMANDS = click.Group(commands=typer.main.get_command(command_line).commands)  # type: ignore[attr-defined]
# Words that a reader with little English stumbles over, and a mark of what is not done: the test below forbids them.
ODD_PHRASES = ("whoever", "is told", "are told", "the first so many", "at first", "lets you in by", "TODO")


def _by_place(blocks: list[Block]) -> Any:
    return pytest.mark.parametrize("block", blocks, ids=str)


def _table(page: Path, first_head: str) -> list[list[str]]:
    """The rows below the head of every table whose first column is called so."""
    found, inside = [], False
    for line in documents.prose(page).splitlines():
        if not line.startswith("|"):
            inside = False
        elif inside:
            found.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        else:
            inside = line.split("|")[1].strip() == first_head
    return [row for row in found if not set("".join(row)) <= set("-: ")]


def test_there_are_documents() -> None:
    assert len(documents.pages()) > 15
    assert len(documents.blocks("graphql")) > 20
    assert len(documents.blocks("sh")) > 15
    assert len(URLS) > 5


# ---------------------------------------------------------------- examples


@_by_place(documents.blocks("graphql"))
def test_every_graphql_document_is_valid(block: Block) -> None:
    found: list[GraphQLError] = validate(schema._schema, parse(block.text))
    assert found == []


@_by_place(documents.blocks("json"))
def test_every_answer_is_json(block: Block) -> None:
    assert json.loads(block.text)


@_by_place(documents.blocks("sh"))
def test_every_command_can_be_read_by_a_shell(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.text, text=True, capture_output=True, check=False, timeout=10)
    assert (done.returncode, done.stderr) == (0, "")


def _uses(block: Block) -> Iterator[list[str]]:
    """What comes after `outdial` in each command, and after the image's name for a container."""
    for words in documents.commands(block):
        if Path(words[0]).name == "outdial":
            yield words[1:]
        elif words[0] == "docker" and "outdial" in words and words[1] == "run":
            yield words[words.index("outdial", len(words) - 2) + 1 :]


USES = [(block, words) for block in documents.blocks("sh") for words in _uses(block) if words]


@pytest.mark.parametrize(("block", "words"), USES, ids=lambda value: str(value) if isinstance(value, Block) else "")
def test_every_use_of_the_command_line_takes_options_that_there_are(block: Block, words: list[str]) -> None:
    command = COMMANDS.commands[words[0]]
    if hasattr(command, "commands"):  # a group: its command is the next word
        command, words = command.commands[words[1]], words[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    given = {word.partition("=")[0] for word in words if word.startswith("-")}
    assert given <= known | {"--help"}, block
    required = {
        parameter.opts[0] for parameter in command.params if parameter.required and parameter.opts[0][:1] == "-"
    }
    assert required - {"--token"} <= given, block


def test_every_command_is_shown() -> None:
    shown = {words[0] for _, words in USES}
    assert {name for name, command in COMMANDS.commands.items() if not command.hidden} <= shown


@_by_place(documents.blocks("ini"))
def test_every_unit_starts_what_there_is(block: Block) -> None:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(block.text)
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert Path(program).name == "outdial"
    assert words[0] in COMMANDS.commands
    assert Settings.load(database_url=unit["Service"]["Environment"].partition("=")[2])


@_by_place(documents.blocks("nginx", "caddy"))
def test_every_proxys_configuration_is_balanced(block: Block) -> None:
    depth = 0
    for line in block.text.splitlines():
        depth += line.count("{") - line.count("}")
        assert depth >= 0
        ended = line.rstrip()
        if block.language == "nginx" and ended and not ended.endswith(("{", "}")):
            assert ended.endswith(";"), line
    assert depth == 0


def test_the_examples_stand_in_the_documents_word_for_word() -> None:
    shown = {block.text.rstrip() for block in documents.blocks("python", "js", of=CLIENTS)}
    examples = [path for path in (REPOSITORY / "docs" / "examples").iterdir() if path.is_file()]
    assert {path.read_text().rstrip() for path in examples} == shown
    for path in examples:
        assert f"](examples/{path.name})" in CLIENTS.read_text()


# ---------------------------------------------------------------- links, paths and words


@pytest.mark.parametrize("page", documents.pages(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in documents.links(page):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in documents.anchors(target), link


@pytest.mark.parametrize("page", ["clients.md", "limits.md", "operations.md"])
def test_a_long_page_begins_with_links_to_all_its_sections(page: str) -> None:
    head, *sections = re.split(r"^## (.+)$", (REPOSITORY / "docs" / page).read_text(), flags=re.MULTILINE)
    assert [name for name in re.findall(r"\[([^\]]+)\]\(#", head) if name in sections[::2]] == sections[::2]


@pytest.mark.parametrize("page", documents.pages(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_path_that_is_named_is_there(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return  # it tells of what was
    for code in re.findall(r"`([^`\s]+)`", documents.prose(page)):
        if re.match(r"(?:app|tests|docs|migrations|benchmarks|\.ci)/", code) and "…" not in code and "*" not in code:
            assert (REPOSITORY / code).exists(), code


def test_every_document_can_be_reached_from_the_readme() -> None:
    reached, new = set(), {README}
    while new:
        page = new.pop()
        reached.add(page)
        found = {(page.parent / link.partition("#")[0]).resolve() for link in documents.links(page)}
        new |= {path for path in found if path.suffix == ".md"} - reached
    assert reached == set(documents.pages())


@pytest.mark.parametrize("page", documents.pages(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_document_speaks_in_riddles(page: Path) -> None:
    if page.name == "CHANGELOG.md":
        return
    text = " ".join(documents.prose(page).split()).lower()
    assert [phrase for phrase in ODD_PHRASES if phrase.lower() in text] == []


# ---------------------------------------------------------------- the README


def test_the_readme_is_one_short_page() -> None:
    assert len(README.read_bytes()) <= README_BYTES_MAX


def test_its_two_commands_install_what_there_is() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert "dev" in project["project"]["optional-dependencies"]
    assert set(project["project"]["scripts"]) == {"outdial"}
    assert (REPOSITORY / "constraints.txt").exists()
    lines = README.read_text().splitlines()
    assert "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/outdial demo" in lines
    assert "python3 -m venv .venv && .venv/bin/pip install -qc constraints.txt -e '.[dev]' && .venv/bin/pytest" in lines


def test_the_source_distribution_has_every_document() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    included = project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    assert {path.relative_to(REPOSITORY).parts[0] for path in documents.pages()} <= set(included)


# ---------------------------------------------------------------- what there is, and what the documents name


def test_every_setting_is_named_with_its_default() -> None:
    shown = {row[0].strip("`"): row[1].strip("`") for row in _table(OPERATIONS, "variable")}
    fields = {f"{PREFIX}{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    assert shown == {name: "" if value in (None, ()) else str(value) for name, value in fields.items()}


URLS = re.findall(r"(?:postgresql|sqlite)://[^\s`\"\)]+", OPERATIONS.read_text())


@pytest.mark.parametrize("url", URLS)
def test_every_databases_url_is_one(url: str) -> None:
    DatabaseUrl.parse(url)


def test_every_parameter_of_a_postgres_url_is_named_as_what_it_is() -> None:
    honoured, refused = (
        set(re.findall(r"`([a-z_]+)`", row))
        for row in re.findall(r"^\| (?:honoured|refused).*", OPERATIONS.read_text(), re.MULTILINE)
    )
    never = {name for name, check in parameters.NAMES.items() if (check("") or "").startswith("is not supported")}
    assert (honoured, refused) == (set(parameters.NAMES) - never, never)


def test_every_metric_is_named() -> None:
    shown = {row[0].strip("`") for row in _table(OPERATIONS, "metric")}
    counted = {family.name + ("_total" if family.type == "counter" else "") for family in metrics._registry.collect()}
    assert shown == counted


def test_the_dashboard_for_grafana_shows_every_metric() -> None:
    text = (REPOSITORY / "docs" / "monitoring" / "dashboard.json").read_text()
    shown = {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in re.findall(r"\boutdial_\w+", text)}
    assert {
        family.name + ("_total" if family.type == "counter" else "") for family in metrics._registry.collect()
    } == shown


def _words_in(page: Path) -> set[str]:
    return set(re.findall(r"`([^`]+)`", documents.prose(page)))


def test_every_error_and_code_is_named() -> None:
    top_level = {error.code for error in errors.Expected.__subclasses__()} | {
        masking.INTERNAL,
        masking.GRAPHQL_PARSE_FAILED,
        masking.GRAPHQL_VALIDATION_FAILED,
    }
    assert top_level | set(errors.UserErrorCode) <= _words_in(CLIENTS)
    assert set(Reason) <= _words_in(documents.page("docs/rest.md"))
    assert {row[0] for row in _table(CLIENTS, "close code")} == {str(int(code)) for code in CloseCode}


@pytest.mark.parametrize(
    ("page", "kinds"),
    [
        (CLIENTS, (lifecycle.Disposition, lifecycle.AttemptState)),
        (GLOSSARY, (lifecycle.TargetStatus, lifecycle.DoneReason)),
        (IMPORTS, (ImportStopReason,)),
    ],
)
def test_every_state_and_reason_is_named(page: Path, kinds: tuple[type[Enum], ...]) -> None:
    named = documents.prose(page)
    for member in (member for kind in kinds for member in kind):
        assert re.search(rf"\b{member.value}\b", named), member


def test_every_parameter_and_column_of_an_import_is_named() -> None:
    assert {row[0].strip("`") for row in _table(IMPORTS, "parameter")} == {
        parameter.name for parameter in importing.PARAMETERS
    }
    named = {word for row in _table(IMPORTS, "column") for word in re.findall(r"`([^`]+)`", row[0])}
    others = re.compile(r"phone_[2-4]|destination_[1-4]_.*")
    assert {name for name in columns.NAMES if not others.fullmatch(name)} <= named


@pytest.mark.parametrize("row", _table(IMPORTS, "written"), ids=lambda row: " ".join(row[:2]))
def test_every_number_is_read_as_the_page_says(row: list[str]) -> None:
    written, region, read = (cell.split("`")[1] if "`" in cell else None for cell in row[:3])
    kind = DestinationType.WHATSAPP if "WHATSAPP" in row[0] else DestinationType.TEL
    assert written is not None
    if read is None:
        assert row[2] == "refused"
        with pytest.raises(InvalidAddress):
            canonical(kind, written, default_region=region)
    else:
        assert canonical(kind, written, default_region=region) == read


def test_every_room_of_the_house_is_on_the_map() -> None:
    rooms = {module.name for module in pkgutil.iter_modules(package.__path__)} | {"web"}
    shown = set(re.findall(r"`app/([a-z_]+)(?:\.py|/)`", documents.prose(ARCHITECTURE)))
    assert shown == rooms


def test_the_map_shows_the_floors_from_the_top_down() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    floors = {room.strip(): floor for floor, layer in enumerate(layers) for room in layer.split("|")}
    shown = [
        floors[room]
        for row in _table(ARCHITECTURE, "where")
        for room in re.findall(r"`app/([a-z_]+)(?:\.py|/)`", row[0])
        if room != "web"
    ]
    assert shown == sorted(shown)


def test_the_glossary_has_fifteen_words() -> None:
    assert len({row[0] for row in _table(GLOSSARY, "word")}) == len(_table(GLOSSARY, "word")) == GLOSSARY_WORDS


def test_the_glossary_has_the_words_that_the_page_shows() -> None:
    said = (REPOSITORY / "app" / "web" / "src" / "lib" / "words.ts").read_text()
    shown = {name: word for name, word, _ in ((row[0].strip("`"), *row[1:]) for row in _table(GLOSSARY, "API"))}
    for kind in ("STATUS", "REASON"):
        (members,) = re.findall(rf"const {kind}\b[^{{]*\{{([^}}]*)\}}", said)
        words = dict(re.findall(r'(\w+): "([^"]*)"', members))
        assert words
        assert words.items() <= shown.items()


@pytest.mark.parametrize("path", DECISIONS, ids=lambda path: path.name)
def test_a_decision_says_why_and_what_follows(path: Path) -> None:
    assert re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE) == DECISION_PARTS
    assert f"]({path.name})" in (path.parent / "README.md").read_text()


# ---------------------------------------------------------------- limits


def _constants() -> dict[str, int | float]:
    """Every public number that a module of the app defines, by module and name."""
    found: dict[str, int | float] = {}
    for module in pkgutil.walk_packages(package.__path__, "app."):
        if module.name.startswith("app.demo"):
            continue  # a client, and no limit of the server
        loaded = importlib.import_module(module.name)
        for statement in ast.parse(inspect.getsource(loaded)).body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            for name in (target.id for target in targets if isinstance(target, ast.Name)):
                value = getattr(loaded, name)
                if re.fullmatch(r"[A-Z][A-Z0-9_]*", name) and type(value) in {int, float}:
                    found[f"{module.name.removeprefix('app.')}.{name}"] = value
    return found


CONSTANTS = _constants()
LIMIT_ROWS = _table(LIMITS, "limit")
_PREFIXES = {"": 1, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}


def _named(shown: str) -> list[str]:
    """The constants that a name of the page stands for; it need give no more of the module than tells it apart."""
    return [name for name in CONSTANTS if f".{name}".endswith(f".{shown}")]


@pytest.mark.parametrize("row", LIMIT_ROWS, ids=lambda row: row[2])
def test_every_limit_is_the_codes(row: list[str]) -> None:
    (name,) = _named(row[2].strip("`"))
    match = re.match(r"([\d,.]+)(?: (Ki|Mi|Gi))?", row[1])
    assert match is not None
    assert float(match[1].replace(",", "")) * _PREFIXES[match[2] or ""] == CONSTANTS[name]


def test_every_bound_is_a_limit_that_the_page_has() -> None:
    bounds = {name for name in CONSTANTS if re.search(r"_(?:MAX|MIN)$", name)}
    shown = [name for row in LIMIT_ROWS for name in _named(row[2].strip("`"))]
    assert len(shown) == len(set(shown))
    assert sorted(bounds - set(shown)) == []
