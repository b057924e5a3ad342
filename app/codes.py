"""Result codes: the owner's own words for how calls ended, each of one disposition.

A customer sets the whole list. What a list leaves out is retired, never deleted: attempts have its code, and people
still want to read its label. An attempt keeps what its code said when it was reported, so no figure changes afterwards.
"""

from collections.abc import Mapping, Sequence

from app import customers, db, idempotency, rows, tables, validation
from app.auth import Viewer
from app.db import Transaction
from app.errors import Rejected, UserError, invalid
from app.frozen import replace
from app.records import ResultCode, ResultCodeDraft

CODES_MAX = 200
"""In a list that is set: more than a person chooses from after a call."""
KEPT_CODES_MAX = 1_000
"""Of a customer, with all that were ever retired."""

_READ = f"SELECT {tables.RESULT_CODE} FROM result_code WHERE customer_id = $1 ORDER BY is_retired, place, code"


async def get_all(viewer: Viewer) -> list[ResultCode]:
    """The viewer's codes in their owner's order, then the retired ones."""
    return [rows.result_code(row) for row in await db.fetch(_READ, viewer.customer_id)]


async def set_all(
    viewer: Viewer, *, drafts: Sequence[ResultCodeDraft], idempotency_key: str | None = None
) -> list[ResultCode]:
    """Make these the viewer's codes, in this order. Those that are left out are retired.

    Returns:
        These codes as they are now; of a call that is sent again with its key, too.

    Raises:
        Rejected: INVALID, if anything in the list is; or CONFLICT. Then nothing is changed.
    """
    errors: list[UserError] = []
    if len(drafts) > CODES_MAX:
        raise Rejected([invalid(f"Give at most {CODES_MAX} in a call.", "codes")])
    wanted = _checked(drafts, errors)
    text = idempotency.checked(idempotency_key, errors)
    if errors:
        raise Rejected(errors)
    key = idempotency.key_of(viewer, "setResultCodes", text, list(drafts))
    found = await db.transaction(_set, viewer, wanted, key)
    if found is None:
        await customers.add(viewer.customer_id)
        found = await db.transaction(_set, viewer, wanted, key)
        assert found is not None
    return found


def _checked(drafts: Sequence[ResultCodeDraft], errors: list[UserError]) -> list[ResultCode]:
    wanted: dict[str, ResultCode] = {}
    for index, draft in enumerate(drafts):
        path = ("codes", str(index))
        code = draft.code
        if not validation.is_code(code):
            errors.append(invalid(validation.NO_CODE, *path, "code"))
        label = validation.text(draft.label, validation.LABEL_CHARACTERS_MAX, errors, *path, "label")
        if not validation.is_visible(label):
            errors.append(invalid("Give a label, for people.", *path, "label"))
        if code in wanted:
            errors.append(invalid("This code is in the list already.", *path, "code"))
        wanted[code] = ResultCode(
            code, label, draft.disposition, draft.is_right_party, draft.is_conversion, draft.is_retired
        )
    return list(wanted.values())


async def _set(
    tx: Transaction, viewer: Viewer, wanted: Sequence[ResultCode], key: idempotency.Key | None
) -> list[ResultCode] | None:
    """The codes after the change; None if the customer is not known yet."""
    # Alone: a report that is under way has decided by the codes as they were, or decides again.
    if not await tx.lock(viewer.customer_id, alone=True):
        return None
    if await idempotency.begin(tx, key) is None:
        before = {row["code"]: row for row in await tx.fetch(_READ, viewer.customer_id)}
        changed = _changed(before, wanted)
        if len(before.keys() | changed.keys()) > KEPT_CODES_MAX:
            message = f"Too many codes: at most {KEPT_CODES_MAX:,} with retired ones. Use retired ones again."
            raise Rejected([invalid(message, "codes")])
        if changed:
            await _store(tx, viewer.customer_id, changed)
            await idempotency.keep(tx, key, {}, await tx.now())
    now = {row["code"]: row for row in await tx.fetch(_READ, viewer.customer_id)}
    return [rows.result_code(now[one.code]) for one in wanted]


def _changed(before: Mapping[str, db.Row], wanted: Sequence[ResultCode]) -> dict[str, tuple[ResultCode, int]]:
    """The codes that are not as they should be, each with its place."""
    was = {code: (rows.result_code(row), row["place"]) for code, row in before.items()}
    now = {code: (replace(one, is_retired=True), place) for code, (one, place) in was.items()}
    now |= {one.code: (one, place) for place, one in enumerate(wanted)}
    return {code: one for code, one in now.items() if was.get(code) != one}


async def _store(tx: Transaction, customer_id: str, changed: Mapping[str, tuple[ResultCode, int]]) -> None:
    values = [
        {
            "code": one.code,
            "label": one.label,
            "disposition": one.disposition.value,
            "is_right_party": int(one.is_right_party),
            "is_conversion": int(one.is_conversion),
            "is_retired": int(one.is_retired),
            "place": place,
        }
        for one, place in changed.values()
    ]
    kinds = {name: tables.RESULT_CODE.kinds[name] for name in values[0]}
    replaced = ", ".join(f"{name} = excluded.{name}" for name in kinds if name != "code")
    await tx.fetch(
        f"""
        INSERT INTO result_code (customer_id, {", ".join(kinds)})
        SELECT {db.typed("$1", "uuid")}, {", ".join(kinds)} FROM {db.rowset("$2", kinds, "new")} WHERE 1 = 1
        ON CONFLICT (customer_id, code) DO UPDATE SET {replaced}
        """,
        customer_id,
        db.rows_value(values),
    )
    await tx.fetch(
        "UPDATE customer SET result_codes_version = result_codes_version + 1 WHERE customer_id = $1", customer_id
    )
