"""The code that an operation is compiled to: Python functions in one set of names."""

import keyword
from dataclasses import dataclass
from typing import Any

import orjson
from graphql import GraphQLObjectType, GraphQLOutputType
from strawberry.types.field import StrawberryField

from app.graphql.compiled.leaves import Surprise, Vetted
from app.graphql.compiled.plans import Complete, NotCompiled


@dataclass(frozen=True, slots=True)
class Part:
    """A field of an object, in code."""

    answer: str
    """Its name in the response and the expression for it."""
    value: str = ""
    """The variable in the expression."""
    definition: StrawberryField | None = None
    """Whose value the variable has."""
    of: GraphQLOutputType | None = None
    """The field's type, if it is not a call."""
    call: str = ""
    """A statement that calls its resolver."""


def answer_of(parts: list[Part]) -> str:
    return "{" + ", ".join(part.answer for part in parts) + "}"


def source(name: str, lines: list[str], parts: list[Part]) -> str:
    answer = answer_of(parts)
    called = [part.call for part in parts if part.call]
    body = [*lines, f"d = {answer}", *called, "return d"] if called else [*lines, f"return {answer}"]
    return f"def {name}(o, run):\n " + "\n ".join(body) + "\n"


def attribute(definition: StrawberryField) -> str:
    return f"o.{definition.python_name}"


class Code:
    """Functions that are written one after the other, with the values that they use."""

    def __init__(self) -> None:
        self.vetted = Vetted()
        self.names: dict[str, Any] = {
            "Surprise": Surprise,
            "loads": orjson.loads,
            "vet": self.vetted.vet,
            "vetted": self.vetted,
        }
        self.objects: dict[str, list[Part]] = {}
        """The fields of each object's function, by its name."""
        self._count = 0

    def name(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def constant(self, value: object) -> str:
        name = self.name("c")
        self.names[name] = value
        return name

    def write(self, name: str, source: str) -> Complete:
        # The source holds only names that are made here, Python names of the schema's fields, and the repr of response
        # names, which are GraphQL names.
        exec(compile(source, "<compiled operation>", "exec"), self.names)  # noqa: S102
        function: Complete = self.names[name]
        return function

    def read(self, definition: StrawberryField) -> str:
        """An expression for the value of a field without a resolver, of the record `o`."""
        name = definition.python_name
        if type(definition).get_result is StrawberryField.get_result:
            if definition.default_resolver is getattr and name.isidentifier() and not keyword.iskeyword(name):
                return attribute(definition)
            raise NotCompiled
        read = getattr(definition, "read", None)
        if callable(read):
            return f"{self.constant(read)}(o)"
        return f"{self.constant(definition.get_result)}(o, None, [], {{}})"

    def check(self, of: GraphQLObjectType) -> list[str]:
        """Lines that look whether the record `o` is of the type."""
        if of.is_type_of is None:
            return []
        return [f"if {self.constant(of.is_type_of)}(o, None) is not True: raise Surprise"]
