"""Makes frozen records, and changed copies of them, faster than their own constructors do.

A frozen dataclass sets each field through `object.__setattr__`, which looks for the slot by its name, and
`dataclasses.replace` looks at each field before that. Batches make hundreds of records.
"""

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def maker(record: type[T]) -> Callable[..., T]:
    """A function that makes records of a frozen dataclass with slots, in half the time. All fields are given."""
    names = _names(record)
    lines = [f" set_{name}(record, {name})" for name in names]
    return _compiled(record, f"def made({', '.join(names)}):\n record = new(kind)\n", lines)


def replace(record: T, **changes: Any) -> T:
    """As `dataclasses.replace`, in a quarter of the time. `record` is of a frozen dataclass with slots.

    Raises:
        KeyError: it has no such field.
    """
    kind: Any = type(record)
    copied: T = _copier(kind, tuple(changes))(record, *changes.values())
    return copied


@cache
def _copier(record: Any, changed: tuple[str, ...]) -> Callable[..., Any]:
    names = _names(record)
    if unknown := set(changed).difference(names):
        raise KeyError(*unknown)
    lines = [f" set_{name}(record, {name if name in changed else f'old.{name}'})" for name in names]
    return _compiled(record, f"def made(old, {', '.join(changed)}):\n record = new(kind)\n", lines)


def _names(record: type[Any]) -> list[str]:
    assert "__slots__" in vars(record), record
    assert not hasattr(record, "__post_init__"), record
    return [field.name for field in dataclasses.fields(record)]


def _compiled(record: type[T], head: str, lines: list[str]) -> Callable[..., T]:
    known: dict[str, Any] = {f"set_{name}": getattr(record, name).__set__ for name in _names(record)}
    known |= {"new": object.__new__, "kind": record}
    exec(head + "\n".join(lines) + "\n return record\n", known)  # noqa: S102 - it holds the names of our own fields alone
    made: Callable[..., T] = known["made"]
    return made
