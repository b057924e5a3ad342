"""The functions of records that hold their row, written when such a record is first met.

Their class has `LAYOUT`, the row's columns in order, and `COLUMNS`, the kinds of those whose values are the same as the
fields' (see `leaves.of_column`). A list that keeps the rows of such records has `kind`, their class, and `rows`.
"""

import re
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLNamedType, GraphQLNonNull, GraphQLObjectType

from app.graphql.compiled import leaves
from app.graphql.compiled.code import Code, Part, answer_of, attribute, source
from app.graphql.compiled.leaves import Surprise
from app.graphql.compiled.plans import Complete

STORED_CLASSES_MAX = 8
"""Classes of records with their row for which an object's function is kept: mostly there is one."""
_OBJECT = re.compile(r"\b(f\d+)\(")
"""A call of an object's function."""


@dataclass(frozen=True, slots=True)
class _Row:
    """How an object is made of a record's row."""

    taken: str
    """The variables that the row's values are unpacked into; empty if none is needed."""
    lines: list[str]
    parts: list[Part]
    needs_record: bool
    """Whether the row is not enough."""


def _is_of(record: Any, of: GraphQLObjectType) -> bool:
    """Whether records of the same class are of the type."""
    return of.is_type_of is None or of.is_type_of(record, None) is True  # type: ignore[arg-type]


def _make_room(known: dict[type, Complete]) -> None:
    if len(known) >= STORED_CLASSES_MAX:
        known.clear()


class StoredRecords:
    def __init__(self, code: Code) -> None:
        self._code = code

    def meeting(self, function: str, of: GraphQLObjectType) -> Complete:
        """What is called for a record of a class that the function does not know yet."""
        known: dict[type, Complete] = {}

        def meet(record: Any, run: Any) -> Any:
            kind = type(record)
            if not hasattr(kind, "LAYOUT"):
                self._code.vetted.vet(record)
                return self._code.names[function](record, run)
            if kind not in known:
                _make_room(known)
                known[kind] = self._of_stored(function, of, kind)
            return known[kind](record, run)

        return meet

    def of_list(self, each: str, item: str, of: GraphQLNamedType) -> Complete:
        """What is called for a list that keeps the rows of its records, and knows their class.

        Args:
            each: the expression for a record's answer.
            item: the record's variable in it.
            of: the type of what is in the list.
        """
        function = _OBJECT.match(each)
        known: dict[type, Complete] = {}

        def complete(records: Any, run: Any) -> Any:
            kind = getattr(records, "kind", None)
            if kind is None:
                raise Surprise
            if not records:
                return []
            if kind not in known:
                _make_room(known)
                of_rows = None
                if function and isinstance(of, GraphQLObjectType) and _is_of(records[0], of):
                    of_rows = self._of_rows(function[1], kind)
                known[kind] = of_rows or self._of_each(each, item)
            return known[kind](records, run)

        return complete

    def _of_each(self, each: str, item: str) -> Complete:
        name = self._code.name("l")
        return self._code.write(name, f"def {name}(o, run):\n return [{each} for {item} in o]\n")

    def _of_rows(self, function: str, kind: Any) -> Complete | None:
        """A function of a list of rows, as `function` is of one record; None if it needs more than their columns."""
        row = self._row(function, kind)
        if row.needs_record or not row.taken:
            return None
        name = self._code.name("r")
        body = [*row.lines, f"made.append({answer_of(row.parts)})"]
        return self._code.write(
            name,
            f"def {name}(o, run):\n made = []\n for {row.taken} in o.rows:\n  "
            + "\n  ".join(body)
            + "\n return made\n",
        )

    def _of_stored(self, function: str, of: GraphQLObjectType, kind: Any) -> Complete:
        """The same function as `function` for records that hold their row: it reads the row's columns."""
        row = self._row(function, kind)
        lines = [*self._code.check(of), *([f"{row.taken} = o.row"] if row.taken else []), *row.lines]
        name = self._code.name("s")
        return self._code.write(name, source(name, lines, row.parts))

    def _row(self, function: str, kind: Any) -> _Row:
        lines, parts = [], []
        variables: dict[str, str] = {}
        needs_record = False
        for part in self._code.objects[function]:
            answer = part.answer
            name = part.definition.python_name if part.definition is not None else ""
            column = kind.COLUMNS.get(name) if name in kind.LAYOUT else None
            inner = self._of_mapping(answer) if column == "json" else None
            if inner is not None:
                variable = variables.setdefault(name, self._code.name("t"))
                lines.append(f"{part.value} = None if {variable} is None else loads({variable})")
                answer = inner
            elif column is not None and column != "json":
                variable = variables.setdefault(name, part.value)
                answer = f"{answer.partition(': ')[0]}: {self._of_column(part, column, variable)}"
            elif part.definition is not None:
                lines.append(f"{part.value} = {self._code.read(part.definition)}")
                needs_record = True
            needs_record = needs_record or bool(part.call)
            parts.append(Part(answer, call=part.call))
        taken = [variables.get(name, "_") for name in kind.LAYOUT]
        while taken and taken[-1] == "_":
            taken.pop()
        return _Row(", ".join([*taken, "*_"]) if taken else "", lines, parts, needs_record=needs_record)

    def _of_column(self, part: Part, column: str, variable: str) -> str:
        """An expression for the answer of a field that is a leaf and has a column."""
        of: Any = part.of
        if isinstance(of, GraphQLNonNull):  # so the column is never null
            return leaves.of_column(
                of.of_type, column, variable, constant=self._code.constant, vetted=self._code.vetted
            )
        made = leaves.of_column(of, column, variable, constant=self._code.constant, vetted=self._code.vetted)
        return variable if made == variable else f"(None if {variable} is None else {made})"

    def _of_mapping(self, answer: str) -> str | None:
        """An answer whose value is decoded JSON; None if JSON has not all of what it needs."""
        found = _OBJECT.search(answer)
        if found is None:
            return answer
        function, lines, parts = found[1], [], []
        if function not in self._code.objects:
            return None
        for part in self._code.objects[function]:
            definition, inner = part.definition, self._of_mapping(part.answer)
            if (
                part.call
                or inner is None
                or (definition is not None and self._code.read(definition) != attribute(definition))
            ):
                return None
            if definition is not None:
                lines.append(f"{part.value} = o[{definition.python_name!r}]")
            parts.append(Part(inner))
        name = self._code.name("m")
        self._code.write(name, source(name, lines, parts))
        return answer.replace(f"{function}(", f"{name}(")
