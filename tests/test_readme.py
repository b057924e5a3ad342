"""The README: what it shows is what there is."""

import json
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from graphql import GraphQLError, parse, validate

from app.graphql.schema import schema
from app.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
DOCUMENTS = [text for language, text in BLOCKS if language == "graphql"]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_document_of_the_tour_is_valid(document: str) -> None:
    found: list[GraphQLError] = validate(schema._schema, parse(document))
    assert found == []


def test_each_answer_of_the_tour_answers_the_document_before_it() -> None:
    answered = [
        (document, json.loads(answer))
        for (language, document), (next_language, answer) in pairwise(BLOCKS)
        if language == "graphql" and next_language == "json"
    ]
    assert len(answered) >= 6
    for document, answer in answered:
        assert set(answer) <= {"data", "errors"}
        for field in answer["data"]:
            assert field in document


@pytest.mark.parametrize("name", ["dialer.py", "live.mjs", "apollo-cache.mjs"])
def test_the_examples_stand_in_it_word_for_word(name: str) -> None:
    assert (ROOT / "docs" / "examples" / name).read_text().rstrip() in README


def test_every_setting_is_named() -> None:
    for name in Settings.model_fields:
        assert f"`OUTDIAL_{name.upper()}`" in README


def test_its_commands_install_what_there_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert "dev" in project["optional-dependencies"]
    assert set(project["scripts"]) == {"outdial"}
    assert (ROOT / "constraints.txt").exists()
    assert "pip install -q . && .venv/bin/outdial demo" in README
