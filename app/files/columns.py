"""Maps the columns of a file to the fields of a target. Pure."""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from types import MappingProxyType

from app.addresses import DestinationType, characters
from app.lifecycle import DESTINATIONS
from app.sheets import CALLBACK_COLUMNS, LEDGER_COLUMNS, OWNER_COLUMNS, restored

COLUMNS_MAX = 1_000
NAMES_SHOWN_MAX = 20
"""The most names in a warning: a file may have hundreds of other columns."""
FIELDS = frozenset({*OWNER_COLUMNS, "not_before", *CALLBACK_COLUMNS.values()})
_FRIENDLY_PHONES = {"phone": 0, **{f"phone_{number}": number - 1 for number in range(1, DESTINATIONS + 1)}}
_FRIENDLY_TYPES = {"email": DestinationType.EMAIL, "sip": DestinationType.SIP}
_NESTED = {f"destination_{index}": index for index in range(DESTINATIONS)}
_OBJECTS = _NESTED.keys() | {"callback"}
"""Only in NDJSON."""
NAMES = FIELDS | _FRIENDLY_PHONES.keys() | _FRIENDLY_TYPES.keys()
"""The names that a column may have, or be mapped to."""
LINE, REASON = "import_line", "import_reason"
"""The columns that a file of rejected rows adds to the file's own. An import ignores them."""
_LEFT_OUT = frozenset({"id", "outdial_id", "last_attempt", *LEDGER_COLUMNS})


class ColumnProblem(ValueError):  # noqa: N818 - the name describes a file
    """These columns cannot be imported. The message is for the person who made the file."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The meaning of a file's columns."""

    fields: Sequence[str | None]
    """For each column the field that it fills, or None."""
    names: Sequence[str]
    """Their names in the file."""
    extra: Sequence[int]
    """The unknown ones."""
    types: Mapping[int, DestinationType] = field(default_factory=dict)
    """The types of destinations, for columns whose name has the type."""
    left_out: Sequence[str] = ()
    """Columns of an export with results of earlier calls."""
    shown: Mapping[str, str] = field(default_factory=dict)
    """The file's name of each field."""
    destinations: frozenset[int] = frozenset()
    """The destinations that have a column."""
    added: tuple[int, int] | None = None
    """The places of line and reason, if it is a file of rejected rows."""

    @property
    def kept_names(self) -> list[str | None]:
        """The names; None instead of line and reason."""
        return [None if self.added and place in self.added else name for place, name in enumerate(self.names)]


def plain(name: str) -> str:
    """A column's name for the search: "Phone 1" and "phone-1" are phone_1, also with invisible marks around it."""
    return re.sub(r"[\s\-]+", "_", characters.trimmed(name).casefold())


def added(names: Sequence[str], mapping: Mapping[str, str]) -> tuple[int, int] | None:
    """The places of line and reason, if it is a file of rejected rows, which has both.

    If the imported file itself had such a column, the last one is the added one.

    Args:
        names: as the file has them.
        mapping: from `parse_mapping`. A column that it names is the file's own, if there is not another one.
    """
    places = []
    for name in (LINE, REASON):
        found = [place for place, given in enumerate(names) if given == name]
        if len(found) <= (name in mapping):
            return None
        places.append(found[-1])
    return places[0], places[1]


def parse_mapping(pairs: Sequence[str], names: AbstractSet[str] = NAMES) -> Mapping[str, str]:
    """The fields of `Header:field` pairs, by the header's plain name.

    Args:
        pairs: as the caller gives them. `Header:` ignores the column.
        names: the fields that there are.

    Raises:
        ColumnProblem: a pair is malformed, or its field is unknown.
    """
    mapping: dict[str, str] = {}
    for pair in pairs:
        name, colon, target = pair.rpartition(":")
        if not colon or not name.strip():
            raise ColumnProblem("Invalid mapping. Write Header:field, for example Telefon:phone.")
        if plain(target) not in names | {""}:
            raise ColumnProblem(f"Unknown field {target.strip()[:50]!r}. The fields are {', '.join(sorted(names))}.")
        mapping[plain(restored(name))] = plain(target)
    return MappingProxyType(mapping)


def resolve(names: Sequence[str], mapping: Mapping[str, str], *, nested: bool = False) -> Columns:
    """The meaning of each column.

    E-mail and SIP columns get the lowest destinations without a column, the same in every row, so that the policy's
    limits by destination mean the same for the whole list.

    Args:
        names: as the file has them.
        mapping: from `parse_mapping`; has precedence over a column's name.
        nested: whether `destination_0` and `callback` may be whole objects.

    Raises:
        ColumnProblem: two columns fill one field, or there are too many.
    """
    if len(names) > COLUMNS_MAX:
        raise ColumnProblem(f"Too many columns: a file has at most {COLUMNS_MAX:,}.")
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
            raise ColumnProblem(
                f"The columns {filled.get(found, 'before')!r} and {name!r} fill the same field. Map one to another."
            )
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
    """The destination that a column belongs to by its name."""
    if name in _FRIENDLY_PHONES:
        return _FRIENDLY_PHONES[name]
    if name in FIELDS | _NESTED.keys() and name.startswith("destination_"):
        return int(name[len("destination_")])
    return None


def _field(name: str, taken: set[int], types: dict[int, DestinationType], *, nested: bool) -> str | None:
    if name in FIELDS or (nested and name in _OBJECTS):
        return name
    if name in _FRIENDLY_PHONES:
        index = _FRIENDLY_PHONES[name]
        types.setdefault(index, DestinationType.TEL)
        return f"destination_{index}_target"
    if name in _FRIENDLY_TYPES:
        free = [index for index in range(DESTINATIONS) if index not in taken]
        if not free:
            raise ColumnProblem(f"The column {name!r} has no free destination: a target has at most {DESTINATIONS}.")
        taken.add(free[0])
        types[free[0]] = _FRIENDLY_TYPES[name]
        return f"destination_{free[0]}_target"
    return None


def _overlaps(found: str, filled: Mapping[str, str]) -> bool:
    """Whether columns have both a whole object and a part of it."""
    if found in _OBJECTS:
        return any(name.startswith(f"{found}_") for name in filled)
    if found.startswith("callback_"):
        return "callback" in filled
    return found.startswith("destination_") and found[: len("destination_0")] in filled


def warnings(unknown: Sequence[str], left_out: Sequence[str], *, extra_kept: bool) -> list[str]:
    """Warnings about columns that fill no field."""
    found = []
    if unknown and not extra_kept:
        found.append(f"Unknown columns were ignored: {listed(unknown)}.")
    if left_out:
        found.append(f"Columns with results of earlier calls were ignored: {listed(left_out)}.")
    return found


def distinct(names: Sequence[str]) -> list[str]:
    """The names, repeated ones with a number: Note, Note (2). So no value replaces another."""
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
