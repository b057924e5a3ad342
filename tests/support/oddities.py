"""A schema whose fields do everything that resolvers and records can do, and must not do."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Generator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField

from app.auth import Viewer
from app.errors import NotFound
from app.graphql.schema.fields import Later, derived, resolved


@dataclass
class Context:
    """Counts the calls of resolvers that must be called once."""

    viewer: Viewer
    calls: list[str] = field(default_factory=list)

    async def prepare(self, query_text: str) -> None: ...
    async def refresh(self) -> None: ...
    async def outlast(self) -> bool:
        return False

    def renew(self) -> None: ...


Info = strawberry.Info[Context, None]
contexts: list[Context] = []


def make_context(viewer: Viewer) -> Context:
    contexts.append(Context(viewer))
    return contexts[-1]


@strawberry.enum
class Colour(StrEnum):
    RED = "RED"
    BLUE = "BLUE"


@strawberry.enum
class Size(Enum):
    SMALL = 1
    LARGE = "big"


class Text(str):
    """A text of a class of its own."""

    __slots__ = ()


class Soon:
    """An awaitable that is no coroutine: nobody must await it."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, object]:
        yield
        return self._value


@dataclass
class Thing:
    """A record: sound, or with a fault in each of its fields."""

    number: int
    is_faulty: bool = False
    is_cat: bool = False

    @property
    def name(self) -> Any:
        return None if self.is_faulty else f"thing {self.number}"

    @property
    def maybe(self) -> Any:
        return NotFound("a value that is an error") if self.is_faulty else None

    @property
    def odd_text(self) -> Any:
        return [12, Text("own"), True, 1.5, ("a",), datetime(2026, 1, 1, tzinfo=UTC)][self.number % 6]

    @property
    def odd_number(self) -> Any:
        return [2**31, "12", "x", True, 3.0, 3.5, None][self.number % 7]

    @property
    def odd_flag(self) -> Any:
        return [1, 0.0, "yes", True][self.number % 4]

    @property
    def colour(self) -> Any:
        return "GREEN" if self.is_faulty else [Colour.RED, Colour.BLUE, "RED"][self.number % 3]

    @property
    def size(self) -> Any:
        return [Size.SMALL, Size.LARGE, "big", "bigger", 1][self.number % 5]

    @property
    def when(self) -> Any:
        return "yesterday" if self.is_faulty else datetime(2026, 1, 1 + self.number % 20, tzinfo=UTC)

    @property
    def numbers(self) -> Any:
        return [1, None, 3] if self.is_faulty else (1, 2, self.number)

    @property
    def odd_list(self) -> Any:
        return [(n for n in (1, 2)), {1}, "text", 5, [Soon(1), 2], None][self.number % 6]

    @property
    def matrix(self) -> Any:
        return [[self.number, 2], [], None if self.is_faulty else [3]]

    @property
    def broken(self) -> Any:
        if self.is_faulty:
            raise ValueError("a record that cannot be read")
        return "whole"

    @property
    def self_later(self) -> Any:
        return Soon(self) if self.number % 2 else self


async def later(value: Any, error: Exception | None = None) -> Any:
    await asyncio.sleep(0)
    if error is not None:
        raise error
    return value


def things(numbers: list[int]) -> list[Any]:
    """Things: null for 0, a faulty one for each multiple of 3, an exception for each multiple of 7."""
    made: list[Any] = []
    for number in numbers:
        if number == 0:
            made.append(None)
        elif number % 7 == 0:
            made.append(NotFound(f"no thing {number}"))
        else:
            made.append(Thing(number, is_faulty=number % 3 == 0, is_cat=number % 2 == 0))
    return made


Parent = strawberry.Parent[Thing]


def _next(thing: Parent) -> Any:
    return things([thing.number + 1])[0]


def _next_later(thing: Parent) -> Awaitable[Any]:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    future.set_result(thing.number)

    def make(number: int) -> Any:
        if thing.is_faulty:
            raise NotFound("made of nothing")
        return Thing(number + 1, is_cat=True)

    return Later(future, make)


async def _next_slowly(thing: Parent, error: bool = False) -> Any:
    return await later(Thing(thing.number + 2, is_faulty=True), NotFound("slow and not found") if error else None)


def _raises(thing: Parent) -> str:
    raise NotFound(f"refused for {thing.number}") if thing.is_faulty else ValueError("a secret")


def _echo(thing: Parent, info: Info, text: str = "default", numbers: list[int] | None = None) -> str:
    assert info.context.viewer is not None
    return f"{thing.number} {text} {numbers}"


def _others(thing: Parent, count: int = 2) -> Any:
    return things(list(range(thing.number, thing.number + min(count, 5))))


@strawberry.interface
class Animal:
    name: str
    colour: Colour

    @strawberry.field
    def sound(self) -> str:
        return "never called: the values are records"


class Asking(StrawberryField):
    """A field without a resolver, which strawberry asks for its result."""

    def get_result(self, source: Any, info: object, args: list[Any], kwargs: Any) -> Any:
        return f"asked {source.number}"


def _fields(name: str) -> type:
    class Fields:
        name: str
        maybe: str | None
        odd_text: str | None
        sure_text: str = strawberry.field(name="sureText", default="")
        odd_number: int | None
        odd_flag: bool | None
        colour: Colour
        size: Size | None
        when: datetime | None
        numbers: list[int] | None
        odd_list: list[int | None] | None
        matrix: list[list[int] | None]
        broken: str | None
        self_later: "Thing_ | None"
        doubled: int = derived(lambda thing: thing.number * 2, "Derived.")
        fails: int | None = derived(lambda thing: 1 // (thing.number % 2), "Derived, and it may raise.")
        asked: str = Asking()
        next: "Thing_ | None" = resolved(_next, "One more.")
        sure_next: "Thing_" = resolved(_next, "One more, or an error.")
        next_later: "Thing_ | None" = resolved(_next_later, "Made of what is loaded.")
        next_slowly: "Thing_" = resolved(_next_slowly, "By a coroutine.")
        raises: str | None = resolved(_raises, "Raises.")
        sure_raises: str = resolved(_raises, "Raises, where null is not allowed.")
        echo: str = resolved(_echo, "Its arguments.")
        others: "list[Thing_ | None]" = resolved(_others, "A list with nulls.")
        sure_others: "list[Thing_]" = resolved(_others, "A list where null is not allowed.")
        animals: list[Animal | None] = resolved(_others, "Cats and dogs.")

    Fields.__name__ = name
    return Fields


Thing_: Any = strawberry.type(_fields("Thing"), name="Thing")


@strawberry.type
class Cat(Animal):
    lives: int = derived(lambda thing: 9 - thing.number % 3, "Lives.")
    sound: str = derived(lambda _thing: "meow", "What it says.")
    enemy: "Animal | None" = resolved(_next, "Somebody else.")

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return isinstance(value, Thing) and value.is_cat


@strawberry.type
class Dog(Animal):
    tricks: list[str] = derived(lambda thing: ["sit"] * (thing.number % 4), "Tricks.")
    sound: str = derived(lambda _thing: "woof", "What it says.")
    friend: "Dog | None" = resolved(_next, "May be a cat, which is an error.")

    @classmethod
    def is_type_of(cls, value: Any, _info: object) -> bool:
        return isinstance(value, Thing) and not value.is_cat


@strawberry.input
class Wish:
    numbers: list[int] = strawberry.field(default_factory=lambda: [1, 2, 4])
    slowly: bool = False


@strawberry.type
class Query:
    @strawberry.field
    def things(self, info: Info, wish: Wish | None = None) -> list[Thing_ | None]:
        info.context.calls.append("things")
        return things(wish.numbers if wish else [1, 2, 4, 5])

    @strawberry.field
    async def sure_things(self, info: Info, wish: Wish | None = None) -> list[Thing_]:
        info.context.calls.append("sureThings")
        return await later(things(wish.numbers if wish else [1, 2, 4, 5]))

    @strawberry.field
    async def thing(self, info: Info, number: int = 1) -> Thing_ | None:
        info.context.calls.append(f"thing {number}")
        return await later(things([number])[0])

    @strawberry.field
    async def animals(self, numbers: list[int] | None = None) -> list[Animal | None]:
        return await later(things(numbers or [1, 2, 4]))

    @strawberry.field
    async def animal(self, number: int = 2) -> Animal | None:
        return await later(things([number])[0])

    @strawberry.field
    async def refused(self) -> str | None:
        await asyncio.sleep(0)
        raise NotFound("Nothing here.")

    @strawberry.field
    def refused_at_once(self) -> str | None:
        raise NotFound("Nothing here, at once.")


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def write(self, info: Info, number: int = 1) -> Thing_ | None:
        await asyncio.sleep(0)
        info.context.calls.append(f"write {number}")
        return things([number])[0]

    @strawberry.mutation
    def write_at_once(self, info: Info, number: int = 1) -> Thing_ | None:
        info.context.calls.append(f"write at once {number}")
        if number == 5:
            raise NotFound("not written")
        return things([number])[0]


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def watch(self, numbers: list[int]) -> AsyncGenerator[Thing_, None]:
        for thing in things(numbers):
            yield thing


schema = strawberry.Schema(Query, Mutation, Subscription, types=[Cat, Dog])
