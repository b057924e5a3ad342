"""What `benchmarks.reading` asks: a document and variables for GraphQL servers, and the same variables by hand."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import library
from benchmarks.library import Library, Owner

_DESTINATION = "{ type target targetName name detail }"
_DESTINATIONS = " ".join(f"destination{index} {_DESTINATION}" for index in range(5))
_TRY_COUNTS = " ".join(f"tryCount{index}" for index in range(5))
TARGET = f"""
    id outdialId key name detail data status doneReason priority maxTryCounts {_DESTINATIONS} {_TRY_COUNTS}
    nextTryAt version tmCreate tmUpdate tmDelete
"""
"""Every plain field."""
_PAGE_INFO = "pageInfo { hasNextPage endCursor }"
Q1 = """query Q1($id: ID!) { outdial(id: $id) {
    id campaignId name detail data state
    dialPolicy { maxTryCounts retryIntervalSeconds leaseSeconds onUnconfirmed } tmCreate tmUpdate tmDelete } }"""
Q2 = f"""query Q2($id: ID!) {{ outdial(id: $id) {{
    id name targets(first: 100) {{ nodes {{ {TARGET} }} {_PAGE_INFO} }} }} }}"""
Q3 = f"""query Q3 {{ outdials(first: 20) {{ nodes {{
    id name campaignId targets(first: 20) {{
        nodes {{ id name detail status destination0 {_DESTINATION} tryCount0 tryCount1 tmCreate }} {_PAGE_INFO} }}
    }} {_PAGE_INFO} }} }}"""
KEY = f"""query Key($id: ID!, $key: String!) {{ outdial(id: $id) {{
    targets(first: 1, where: {{key: $key}}) {{ nodes {{ {TARGET} }} }} }} }}"""
ADDRESS = f"""query Address($id: ID!, $address: String!) {{ outdial(id: $id) {{
    targets(first: 10, where: {{destination: $address}}) {{ nodes {{ {TARGET} }} }} }} }}"""
PAGE = f"""query Page($id: ID!, $after: String) {{ outdial(id: $id) {{
    id targets(first: {library.PAGE_TARGETS}, after: $after) {{
        nodes {{ id name status tmCreate }} {_PAGE_INFO} }} }} }}"""

Variables = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    name: str
    route: str
    """Of the hand-written endpoint."""
    document: str
    draw: Callable[[Owner, random.Random], Variables]
    """Variables with other ids for each call."""
    is_of_long: bool = False
    """Only the one customer has the outdials for it."""

    def owners(self, found: Library, audience: str) -> Sequence[Owner]:
        return (found.one,) if audience == "one" else found.others


def _short(owner: Owner, chance: random.Random) -> Variables:
    return {"id": chance.choice(owner.short).id}


def _nothing(_owner: Owner, _chance: random.Random) -> Variables:
    return {}


def _keyed(owner: Owner, chance: random.Random) -> Variables:
    shelf = chance.choice(owner.long or owner.short)
    return {"id": shelf.id, "key": library.key(chance.randrange(shelf.targets))}


def _addressed(owner: Owner, chance: random.Random) -> Variables:
    shelf = chance.choice(owner.long or owner.short)
    return {"id": shelf.id, "address": library.address(shelf.number, chance.randrange(shelf.targets))}


def _first_page(owner: Owner, chance: random.Random) -> Variables:
    return {"id": chance.choice(owner.long).id, "after": None}


def _deep_page(owner: Owner, chance: random.Random) -> Variables:
    shelf = chance.choice(owner.long)
    return {"id": shelf.id, "after": chance.choice(shelf.deep_cursors)}


QUESTIONS = {
    question.name: question
    for question in (
        Question("Q1", "/outdial", Q1, _short),
        Question("Q2", "/outdial-with-targets", Q2, _short),
        Question("Q3", "/outdials-with-targets", Q3, _nothing),
        Question("by key", "/by-key", KEY, _keyed),
        Question("by address", "/by-address", ADDRESS, _addressed),
        Question("page 1", "/page", PAGE, _first_page, is_of_long=True),
        Question("page 10,000", "/page", PAGE, _deep_page, is_of_long=True),
    )
}
