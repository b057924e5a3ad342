"""Units of work in one trip to PostgreSQL, if all their statements are known before the first is sent.

A trip costs both sides more than a small statement does. A script is a function of the session that runs its statements
one after the other. Each sees what was committed before it began, as in any transaction at READ COMMITTED: so the first
takes the locks, and the others are about what it has locked. The call of the function is a statement outside of a
transaction: when it is answered, it is committed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg

BRIEF_MILLISECONDS = 50
"""So long a brief script waits for a lock."""
REFUSED = "OD001"
"""The code of the error that ends a script which did not find what it should. No code of PostgreSQL's own begins so."""


class Refused(Exception):  # noqa: N818 - not an error: the caller has another way
    """A script did not find what it should. Nothing is written."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A query that runs before the others. If it does not return this number of rows, nothing is written."""

    sql: str
    rows: str
    """A number, or a parameter with one."""


@dataclass(frozen=True, slots=True)
class Sequel:
    """A writing statement that runs after all others of a script, if there is something to do for it."""

    condition: str
    """In SQL: whether there is. The last statement may have noted it: see `noting`."""
    sql: str
    """It sees what the last statement has written."""


@dataclass(frozen=True, slots=True)
class Script:
    """Its placeholders are numbered through all its statements."""

    guards: tuple[Guard, ...]
    sql: str
    """The last statement, whose rows are the answer."""
    kinds: tuple[str, ...] = ()
    """The types of the parameters after those of `sql`, which guards alone have."""
    must_answer: bool = False
    """If the last statement returns no row, nothing is written."""
    is_brief: bool = False
    """It is refused rather than wait for locks of others for long: the caller has another way."""
    sequel: Sequel | None = None

    @property
    def statements(self) -> tuple[str, ...]:
        return (*(guard.sql for guard in self.guards), self.sql)


def noting(name: str, value: str) -> str:
    """Notes a text for the statements after this one, until the end of the transaction. In SQL; its value is the text.

    Args:
        name: of the note.
        value: in SQL.
    """
    return f"set_config('outdial.{name}', {value}, TRUE)"


def noted(name: str) -> str:
    """What was noted last, in SQL; empty or null if there is nothing."""
    return f"current_setting('outdial.{name}', TRUE)"


_calls: WeakKeyDictionary[Any, dict[Script, str]] = WeakKeyDictionary()
"""The call of each script that a session has: a few, because their texts are those of claims and reports."""


async def call(connection: Any, script: Script, args: Sequence[Any]) -> list[Any]:
    """Run a script in the session of a connection without a transaction. Returns the rows of its last statement.

    Raises:
        Refused: see `Guard`.
    """
    made = await prepare(connection, script)
    try:
        rows: list[Any] = await connection.fetch(made, *args)
    except asyncpg.LockNotAvailableError:
        if script.is_brief:
            raise Refused from None
        raise
    except asyncpg.PostgresError as error:
        if error.sqlstate == REFUSED:
            raise Refused from None
        raise
    return rows


async def prepare(connection: Any, script: Script) -> str:
    """Make the function, if the session does not have it, and return its call."""
    made = _calls.setdefault(connection._con, {})  # noqa: SLF001 - the pool gives another proxy each time
    known = made.get(script)
    if known is None:
        statement = await connection.prepare(script.sql)
        columns = statement.get_attributes()
        given = [kind.oid for kind in statement.get_parameters()]
        names = await _type_names(connection, [*given, *(column.type.oid for column in columns)])
        kinds = [*names[: len(given)], *script.kinds]
        name = _name(script)
        await connection.execute(_definition(name, script, kinds))
        listed = ", ".join(f'"{column.name}" {kind}' for column, kind in zip(columns, names[len(given) :], strict=True))
        placeholders = ", ".join(f"${number}" for number in range(1, len(kinds) + 1))
        known = made[script] = f"SELECT * FROM pg_temp.{name}({placeholders}) AS answer({listed})"
    return known


async def _type_names(connection: Any, oids: Sequence[int]) -> list[str]:
    rows = await connection.fetch(
        """
        SELECT format_type(given.oid, NULL) AS name
        FROM unnest(CAST($1 AS oid[])) WITH ORDINALITY AS given(oid, place) ORDER BY place
        """,
        oids,
    )
    return [row["name"] for row in rows]


def _definition(name: str, script: Script, kinds: Sequence[str]) -> str:
    refusal = f"RAISE 'refused' USING ERRCODE = '{REFUSED}';"
    guards = "\n".join(
        f"""
        PERFORM * FROM ({guard.sql}) AS guarded;
        GET DIAGNOSTICS counted = ROW_COUNT;
        IF counted IS DISTINCT FROM {guard.rows} THEN {refusal} END IF;
        """
        for guard in script.guards
    )
    brief = f"PERFORM set_config('lock_timeout', '{BRIEF_MILLISECONDS}ms', TRUE);" if script.is_brief else ""
    in_the_end = f"IF NOT FOUND THEN {refusal} END IF;" if script.must_answer else ""
    if script.sequel is not None:
        in_the_end += f" IF {script.sequel.condition} THEN {script.sequel.sql}; END IF;"
    return f"""
        CREATE OR REPLACE FUNCTION pg_temp.{name}({", ".join(kinds)}) RETURNS SETOF record LANGUAGE plpgsql AS $script$
        DECLARE counted bigint;
        BEGIN {brief} {guards} RETURN QUERY {script.sql}; {in_the_end} END
        $script$
    """


@lru_cache(maxsize=512)
def _name(script: Script) -> str:
    """The name of the function, made of its text."""
    return f"outdial_{hashlib.blake2s(repr(script).encode(), digest_size=12).hexdigest()}"
