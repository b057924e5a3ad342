"""The reference's pages: page_size and page_token, newest first."""

import re
from datetime import UTC, datetime

from starlette.datastructures import QueryParams

from app import ids, pagination
from app.errors import BadUserInput, UserError, invalid
from app.pagination import Page, PageRequest, Place
from app.records import Outdial, Target
from app.rest import parameters
from app.rest.members import Field, Rendered, Shape

SIZE_MAX = pagination.PAGE_SIZE_MAX
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?", re.ASCII)


def _read_size(text: str, errors: list[UserError], *path: str) -> int:
    size = parameters.whole_number(text, most=SIZE_MAX)
    if size == 0:
        errors.append(invalid("Must be a whole number, 1 or more.", *path))
    return size


def _read_token(text: str, errors: list[UserError], *path: str) -> Place | None:
    try:
        if not text:
            return None
        if _TIMESTAMP.fullmatch(text):
            # The reference's token: created before. The zero id is the lowest, so no row of exactly that instant
            # follows.
            return Place(datetime.fromisoformat(text).replace(tzinfo=UTC), ids.ZERO)
        return pagination.place_of(text)
    except (BadUserInput, ValueError):  # ValueError: no such day
        errors.append(
            invalid("Invalid page token. Pass back next_page_token exactly as the server returned it.", *path)
        )
        return None


PAGE_SIZE = Field(
    "page_size",
    {"type": "integer", "minimum": 1, "default": SIZE_MAX},
    f"The most items to return. Values above {SIZE_MAX} mean {SIZE_MAX}.",
    _read_size,
)
PAGE_TOKEN = Field(
    "page_token",
    {"type": "string"},
    "The next_page_token of the previous page. A timestamp (YYYY-MM-DD HH:MM:SS.ffffff) returns what was "
    "created before it.",
    _read_token,
)
PARAMETERS = (PAGE_SIZE, PAGE_TOKEN)


def request(query: QueryParams) -> PageRequest:
    """The page that a query string asks for.

    Raises:
        Rejected: INVALID.
    """
    given = parameters.read(query, PARAMETERS, ignores_others=True)
    return PageRequest(size=given.get(PAGE_SIZE.name, SIZE_MAX), after=given.get(PAGE_TOKEN.name))


def render(page: Page[Outdial] | Page[Target], shape: Shape) -> Rendered:
    last = page.items[-1] if page.has_next else None
    return {
        "result": [shape.render(item) for item in page.items],
        "next_page_token": pagination.cursor_of(last.tm_create, last.id) if last else "",
    }
