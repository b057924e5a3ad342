"""Frozen records that are made fast are those that their constructors make."""

import dataclasses
from typing import Any

import pytest

from app import frozen
from app.records import Attempt, Destination, Target

RECORDS = [Target, Attempt, Destination]


def values(kind: type[Any]) -> dict[str, object]:
    return {field.name: f"value of {field.name}" for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record_is_made_as_its_constructor_makes_it(kind: type[Any]) -> None:
    made = frozen.maker(kind)(**values(kind))
    assert made == kind(**values(kind))
    assert hash(made) == hash(kind(**values(kind)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, dataclasses.fields(kind)[0].name, 1)
    with pytest.raises(TypeError):
        frozen.maker(kind)()


@pytest.mark.parametrize("kind", RECORDS)
def test_a_changed_copy_is_that_of_dataclasses(kind: type[Any]) -> None:
    record = kind(**values(kind))
    for name in values(kind):
        copied = frozen.replace(record, **{name: 7})
        assert copied == dataclasses.replace(record, **{name: 7})
        assert type(copied) is kind
    assert record == kind(**values(kind))
    with pytest.raises(KeyError):
        frozen.replace(record, unknown=1)


def test_a_class_that_does_more_when_it_is_made_is_refused() -> None:
    @dataclasses.dataclass(frozen=True, slots=True)
    class Checked:
        number: int

        def __post_init__(self) -> None:
            raise ValueError(self.number)

    with pytest.raises(AssertionError):
        frozen.maker(Checked)
