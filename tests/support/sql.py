"""Reads a statement as far as rules about tables and customers need it: its queries, their tables and conditions.

It knows the SQL that this service sends, not all SQL. What it cannot read is an error, so no rule passes by chance.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Union

Token = Union[str, "Group"]

_TOKENS = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|\"(?P<quoted>[^\"]+)\"|(?P<word>[A-Za-z_][A-Za-z0-9_]*|\$\d+|\d+(?:\.\d+)?)"
    r"|(?P<sign>::|<>|!=|<=|>=|->>|->|@>|\|\||[-+*/%=<>.,;()\[\]&|~#?!]))"
)
_STARTS = {"select", "with", "insert", "update", "delete", "values"}
_CLAUSES = {
    "select", "from", "where", "group", "having", "order", "limit", "offset", "for", "set", "using", "returning",
    "values", "window", "on_conflict",
}  # fmt: skip
_BETWEEN_QUERIES = {"union", "except", "intersect"}
_JOINS = {"join", "left", "right", "full", "inner", "cross", "outer", "natural", "lateral", "only"}


@dataclass(frozen=True, slots=True)
class Group:
    """What is between two brackets."""

    tokens: tuple[Token, ...]


@dataclass(slots=True)
class Source:
    """One item of FROM: a table, a function, or a query of its own."""

    alias: str
    table: str | None = None
    function: str | None = None


@dataclass(slots=True)
class Query:
    """One SELECT, INSERT, UPDATE or DELETE, at any depth."""

    kind: str
    target: str | None
    """The table that it writes."""
    sources: list[Source]
    """What it reads from, and for UPDATE and DELETE the table itself."""
    conditions: list[tuple[Token, ...]]
    """What WHERE and the joins ask for, all at once."""
    clauses: dict[str, tuple[Token, ...]]
    names: frozenset[str] = frozenset()
    """The queries of WITH that it can see."""
    inside: "Query | None" = None
    """The query around it."""
    words: set[str] = field(default_factory=set)
    """Every name in it, without those in queries inside it."""

    @property
    def locks_rows(self) -> bool:
        return "for" in self.clauses


def tokens_of(sql: str) -> tuple[Token, ...]:
    """The words and signs of a statement, in lower case, with groups for brackets."""
    stack: list[list[Token]] = [[]]
    at = 0
    sql = sql.strip()
    while at < len(sql):
        match = _TOKENS.match(sql, at)
        if match is None:
            raise ValueError(f"cannot read: {sql[at : at + 40]!r}")
        at = match.end()
        sign = match["sign"]
        if sign == "(":
            stack.append([])
        elif sign == ")":
            group = Group(tuple(stack.pop()))
            stack[-1].append(group)
        else:
            stack[-1].append(match["text"] or match["quoted"] or (match["word"] or sign).lower())
    if len(stack) != 1:
        raise ValueError("brackets do not match")
    return tuple(stack[0])


def queries_of(sql: str) -> list[Query]:
    """Every query of a statement, the outer ones first."""
    found: list[Query] = []
    _read(tokens_of(sql.removeprefix("BEGIN; ")), frozenset(), None, found)
    if not found:
        raise ValueError(f"no query: {sql}")
    return found


def split(tokens: Sequence[Token], separators: set[str]) -> list[tuple[Token, ...]]:
    parts: list[list[Token]] = [[]]
    for token in tokens:
        if isinstance(token, str) and token in separators:
            parts.append([])
        else:
            parts[-1].append(token)
    return [tuple(part) for part in parts]


def conjuncts(tokens: Sequence[Token]) -> list[tuple[Token, ...]]:
    """The parts of a condition that all have to hold."""
    parts: list[list[Token]] = [[]]
    between = False
    for token in tokens:
        if token == "between":
            between = True
        if token == "and" and not between:
            parts.append([])
            continue
        if token == "and":
            between = False
        parts[-1].append(token)
    if len(parts) == 1 and len(parts[0]) == 1 and isinstance(parts[0][0], Group) and not _is_query(parts[0][0]):
        return conjuncts(parts[0][0].tokens)
    return [tuple(part) for part in parts if part]


def _is_query(token: Token) -> bool:
    if not isinstance(token, Group) or not token.tokens:
        return False
    first, *rest = token.tokens
    if isinstance(first, str):
        return first in _STARTS
    return _is_query(first) and (not rest or rest[0] in _BETWEEN_QUERIES)


def _read(tokens: Sequence[Token], names: frozenset[str], inside: Query | None, found: list[Query]) -> None:
    tokens = list(tokens)
    if tokens and tokens[0] == "with":
        tokens, names = _read_with(tokens[1:], names, inside, found)
    for part in split(tokens, _BETWEEN_QUERIES):
        rest = part[1:] if part and part[0] == "all" else part
        if len(rest) == 1 and isinstance(rest[0], Group):
            _read(rest[0].tokens, names, inside, found)
        else:
            _read_one(rest, names, inside, found)


def _read_with(
    tokens: list[Token], names: frozenset[str], inside: Query | None, found: list[Query]
) -> tuple[list[Token], frozenset[str]]:
    if tokens[0] == "recursive":
        tokens = tokens[1:]
        names |= {str(tokens[0])}
    while True:
        name = str(tokens[0])
        at = tokens.index("as")
        while not isinstance(tokens[at], Group):
            at += 1
        body = tokens[at]
        assert isinstance(body, Group)
        _read(body.tokens, names, inside, found)
        names |= {name}
        tokens = tokens[at + 1 :]
        if not tokens or tokens[0] != ",":
            return tokens, names
        tokens = tokens[1:]


def _read_one(tokens: Sequence[Token], names: frozenset[str], inside: Query | None, found: list[Query]) -> None:
    first = tokens[0] if tokens else None
    if first not in _STARTS:
        raise ValueError(f"cannot read a statement that begins with {first!r}")
    clauses = _clauses(tokens)
    query = Query(str(first), None, [], [], clauses, names, inside)
    found.append(query)
    if first == "insert":
        query.target = str(tokens[2])
    elif first in {"update", "delete"}:
        own = _sources(clauses["update"] if first == "update" else clauses.pop("from"))
        query.target = own[0][0].table
        query.sources += [source for source, _ in own]
    for clause in ("from", "using"):
        for source, condition in _sources(clauses.get(clause, ())):
            query.sources.append(source)
            query.conditions += conjuncts(condition)
    query.conditions += conjuncts(clauses.get("where", ()))
    for part in (*clauses.values(),):
        _look_inside(part, query, found)


def _clauses(tokens: Sequence[Token]) -> dict[str, tuple[Token, ...]]:
    clauses: dict[str, list[Token]] = {}
    current = str(tokens[0])
    clauses[current] = []
    for before, token in pairwise(tokens):
        is_conflict = current == "on_conflict" and token != "returning"
        if token == "conflict" and before == "on":
            clauses[current].pop()
            current = "on_conflict"
            clauses[current] = []
        elif (
            isinstance(token, str)
            and token in _CLAUSES
            and not is_conflict
            and (token, before) != ("from", "distinct")
            and before not in {".", "as"}
        ):
            current = token
            clauses.setdefault(current, [])
        else:
            clauses[current].append(token)
    return {name: tuple(part) for name, part in clauses.items()}


def _sources(tokens: Sequence[Token]) -> list[tuple[Source, tuple[Token, ...]]]:
    """The items of FROM, each with the condition that joins it."""
    found: list[tuple[Source, tuple[Token, ...]]] = []
    item: list[Token] = []
    condition: list[Token] = []
    now = item
    for token in [*tokens, ","]:
        if token in {",", "join"}:
            if item:
                found.append((_source(item), tuple(condition)))
            item, condition = [], []
            now = item
        elif token == "on":
            now = condition
        elif now is condition or token not in _JOINS:
            now.append(token)
        elif token != "lateral" and item:
            now = condition  # LEFT, CROSS and the like: the item has ended
    return found


def _source(item: list[Token]) -> Source:
    first, rest = item[0], item[1:]
    if rest and rest[0] == ".":
        first, rest = rest[1], rest[2:]
    function = str(first) if rest and isinstance(rest[0], Group) and isinstance(first, str) else None
    rest = [token for token in rest[1 if function else 0 :] if token not in {"as", "with", "ordinality"}]
    alias = str(rest[0]) if rest else ("" if isinstance(first, Group) else str(first))
    return Source(alias, None if function or isinstance(first, Group) else str(first), function)


def _look_inside(tokens: Sequence[Token], query: Query, found: list[Query]) -> None:
    for token in tokens:
        if isinstance(token, str):
            query.words.add(token)
        elif _is_query(token):
            _read(token.tokens, query.names, query, found)
        else:
            _look_inside(token.tokens, query, found)


def holds_query(tokens: Sequence[Token]) -> bool:
    return any(isinstance(token, Group) and (_is_query(token) or holds_query(token.tokens)) for token in tokens)


# ---------------------------------------------------------------- which customer


def is_customer(tokens: Sequence[Token]) -> bool:
    """Whether a value is one constant, the customer: a parameter, or a part of the text."""
    match tuple(tokens):
        case (str(value),) | (str(value), "::", "uuid") | ("cast", Group((str(value), "as", "uuid"))):
            return value.startswith(("$", "'"))
    return False


def bound(query: Query) -> set[str]:
    """The aliases of the sources whose customer is one parameter, here or in the query around."""
    outer = bound(query.inside) if query.inside else set()
    found: set[str] = set()
    pairs: list[tuple[str, str]] = []
    for condition in query.conditions:
        match condition:
            case (str(alias), ".", "customer_id", "=", str(other), ".", "customer_id"):
                pairs.append((alias, other))
            case (str(alias), ".", "customer_id", "=", *value) if is_customer(value):
                found.add(alias)
            # with a sign SQLite does not look for an index by it
            case ("customer_id", "=", *value) | ("+", "customer_id", "=", *value) if is_customer(value):
                found |= {source.alias for source in query.sources if source.table}
    for _ in pairs:
        for one, other in pairs:
            if {one, other} & (found | outer):
                found |= {one, other}
    return found & {source.alias for source in query.sources}
