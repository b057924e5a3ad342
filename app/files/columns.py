"""Which field of a target each column of a file is. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from app.addresses import DestinationType, characters
from app.lifecycle import DESTINATIONS
from app.sheets import LEDGER_COLUMNS, OWNER_COLUMNS, restored

COLUMNS_MAX = 1_000
NAMES_SHOWN_MAX = 20
"""In a warning: a file with a hundred columns of its own is not to be read out."""
FIELDS = frozenset({*OWNER_COLUMNS, "not_before"})
_FRIENDLY_PHONES = {"phone": 0, **{f"phone_{number}": number - 1 for number in range(1, DESTINATIONS + 1)}}
_FRIENDLY_TYPES = {"email": DestinationType.EMAIL, "sip": DestinationType.SIP}
_NESTED = {f"destination_{index}": index for index in range(DESTINATIONS)}
"""Objects, in NDJSON alone."""
NAMES = FIELDS | _FRIENDLY_PHONES.keys() | _FRIENDLY_TYPES.keys()
"""What a column may be called, or be mapped to."""
LINE, REASON = "import_line", "import_reason"
"""What a file of rejected rows has besides the file's own columns; an import ignores them."""
_LEFT_OUT = frozenset({"id", "outdial_id", "last_attempt", *LEDGER_COLUMNS})


class ColumnProblem(ValueError):  # noqa: N818 - said of a file
    """These columns do not make targets; the message says why, in words for whoever made the file."""


@dataclass(frozen=True, slots=True)
class Columns:
    """A file's columns, understood."""

    fields: Sequence[str | None]
    """For each column the field that it fills, None where it fills none."""
    names: Sequence[str]
    """As the file has them."""
    extra: Sequence[int]
    """Which of them are nobody's."""
    types: Mapping[int, DestinationType] = field(default_factory=dict)
    """Of destinations whose column says by its name what they are."""
    left_out: Sequence[str] = ()
    """Those that tell what became of a target once."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """The file's name of each field."""
    destinations: frozenset[int] = frozenset()
    """Those that some column is a part of."""
    added: tuple[int, int] | None = None
    """Where line and reason are, if it is a file of rejected rows."""

    @property
    def kept_names(self) -> list[str | None]:
        """The names; None in place of line and reason."""
        return [None if self.added and place in self.added else name for place, name in enumerate(self.names)]


def plain(name: str) -> str:
    """A column's name as it is looked up: "Phone 1" and "phone-1" are phone_1, with or without marks nobody sees."""
    return re.sub(r"[\s\-]+", "_", characters.trimmed(name).casefold())


def added(names: Sequence[str], mapping: Mapping[str, str]) -> tuple[int, int] | None:
    """Where line and reason are, if the columns are those of a file of rejected rows: it has both.

    A file may have had such a column of its own; then the last one is the one that was added.

    Args:
        names: as the file has them.
        mapping: from `parse_mapping`. A column that it names is the file's own, unless there is one more.
    """
    places = []
    for name in (LINE, REASON):
        found = [place for place, given in enumerate(names) if given == name]
        if len(found) <= (name in mapping):
            return None
        places.append(found[-1])
    return places[0], places[1]


def parse_mapping(pairs: Sequence[str]) -> Mapping[str, str]:
    """What `Header:field` pairs say, by the header's plain name.

    Raises:
        ColumnProblem: a pair is none, or names no field.
    """
    mapping: dict[str, str] = {}
    for pair in pairs:
        name, colon, target = pair.rpartition(":")
        if not colon or not name.strip():
            raise ColumnProblem("A mapping is Header:field, such as Telefon:phone.")
        if plain(target) not in NAMES | {""}:
            raise ColumnProblem(f"There is no field {target.strip()[:50]!r}; fields are {', '.join(sorted(NAMES))}.")
        mapping[plain(restored(name))] = plain(target)
    return MappingProxyType(mapping)


def resolve(names: Sequence[str], mapping: Mapping[str, str], *, nested: bool = False) -> Columns:
    """What each column is.

    E-mail and SIP take the lowest destinations that no other column takes, the same in every row, so that a policy's
    limits by destination mean one thing for the whole list.

    Args:
        names: as the file has them.
        mapping: from `parse_mapping`; beats what a name says by itself.
        nested: whether `destination_0` may be a whole object.

    Raises:
        ColumnProblem: two columns fill one field, or there are too many.
    """
    if len(names) > COLUMNS_MAX:
        raise ColumnProblem(f"A file has at most {COLUMNS_MAX:,} columns.")
    ours = added(names, mapping)
    meant = [
        "" if ours and place in ours else mapping.get(plain(name), plain(name)) for place, name in enumerate(names)
    ]
    taken = {index for name in meant if (index := _index(name)) is not None}
    filled: dict[str, str] = {}
    fields: list[str | None] = []
    types: dict[int, DestinationType] = {}
    for name, wanted in zip(names, meant, strict=True):
        found = _field(wanted, taken, types, nested=nested)
        if found is not None and (found in filled or _overlaps(found, filled)):
            raise ColumnProblem(f"The columns {filled.get(found, 'before')!r} and {name!r} fill the same field.")
        if found is not None:
            filled[found] = name
        fields.append(found)
    return Columns(
        fields=fields,
        names=names,
        extra=[
            position
            for position, wanted in enumerate(meant)
            if fields[position] is None and wanted and wanted not in _LEFT_OUT and names[position].strip()
        ],
        types=types,
        left_out=[name for name, wanted in zip(names, meant, strict=True) if wanted in _LEFT_OUT],
        shown=filled,
        destinations=frozenset(int(name[len("destination_")]) for name in filled if name.startswith("destination_")),
        added=ours,
    )


def _index(name: str) -> int | None:
    """The destination that a column of that name belongs to by its name alone."""
    if name in _FRIENDLY_PHONES:
        return _FRIENDLY_PHONES[name]
    if name in FIELDS | _NESTED.keys() and name.startswith("destination_"):
        return int(name[len("destination_")])
    return None


def _field(name: str, taken: set[int], types: dict[int, DestinationType], *, nested: bool) -> str | None:
    if name in FIELDS or (nested and name in _NESTED):
        return name
    if name in _FRIENDLY_PHONES:
        index = _FRIENDLY_PHONES[name]
        types.setdefault(index, DestinationType.TEL)
        return f"destination_{index}_target"
    if name in _FRIENDLY_TYPES:
        free = [index for index in range(DESTINATIONS) if index not in taken]
        if not free:
            raise ColumnProblem(f"The column {name!r} finds no destination that is free: a target has {DESTINATIONS}.")
        taken.add(free[0])
        types[free[0]] = _FRIENDLY_TYPES[name]
        return f"destination_{free[0]}_target"
    return None


def _overlaps(found: str, filled: Mapping[str, str]) -> bool:
    """Whether a whole destination and a part of it are both given."""
    if found in _NESTED:
        return any(name.startswith(f"{found}_") for name in filled)
    return found.startswith("destination_") and found[: len("destination_0")] in filled


def warnings(unknown: Sequence[str], left_out: Sequence[str], *, extra_kept: bool) -> list[str]:
    """What a file's owner should know of the columns that fill nothing."""
    found = []
    if unknown and not extra_kept:
        found.append(f"Columns that are not known and were left out: {listed(unknown)}.")
    if left_out:
        found.append(f"Columns that tell of earlier calls and were left out: {listed(left_out)}.")
    return found


def distinct(names: Sequence[str]) -> list[str]:
    """The names, those that were there before with a number: Note, Note (2). Nothing is written over another."""
    found: dict[str, None] = {}
    for name in names:
        shown, number = name, 1
        while shown in found:
            number += 1
            shown = f"{name} ({number})"
        found[shown] = None
    return list(found)


def listed(names: Sequence[str]) -> str:
    shown = [name.strip()[:50] for name in names[:NAMES_SHOWN_MAX]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
