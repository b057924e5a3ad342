"""The documents' tours, done for real: every query, mutation and command in order, each answer compared."""

import asyncio
from pathlib import Path

import pytest

from tests.support import documents, playing
from tests.support.server import ServerProcess

COMPARED_MIN = {"README.md": 2, "docs/tour.md": 15, "docs/rest.md": 4, "docs/imports.md": 3}


@pytest.mark.parametrize("name", playing.PLAYED)
async def test_what_a_page_shows_is_what_happens(name: str, service: ServerProcess, tmp_path: Path) -> None:
    played, compared = await asyncio.to_thread(playing.play, documents.page(name), service, tmp_path)
    assert played >= compared >= COMPARED_MIN[name]


@pytest.mark.parametrize(
    ("answer", "good"),
    [('{"data": {"viewer": {"scopes": ["READ", "WRITE", "DIAL"]}}}', True), ('{"data": {"viewer": {}}}', False)],
)
def test_another_answer_than_the_shown_one_is_found(
    service: ServerProcess, tmp_path: Path, answer: str, *, good: bool
) -> None:
    page, folder = tmp_path / "page.md", tmp_path / "shell"
    page.write_text(f"```graphql\n{{ viewer {{ scopes }} }}\n```\n\n```json\n{answer}\n```\n")
    folder.mkdir()
    if good:
        assert playing.play(page, service, folder) == (1, 1)
    else:
        with pytest.raises(playing.Mismatch):
            playing.play(page, service, folder)
