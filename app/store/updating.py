"""One statement that gives rows of a table new values."""

from collections.abc import Mapping, Sequence
from typing import Any

from app import db, tables
from app.listing import Parameters


def updating(update: str, values: Mapping[str, Sequence[Any]], columns: tables.Columns, parameter: Parameters) -> str:
    """For `Transaction.send`. The first parameter is the customer; `values` has the ids and the columns."""
    kinds = {"id": "uuid", **columns.kinds}
    # whatever has changed, caps may leave a try now
    awake = ", wakes_at = NULL" if "next_try_at" in columns.kinds else ""
    if not db.is_postgres():  # no FROM, which SQLite would store in a table of its own
        given = {name: parameter(db.Each(values[name])) for name in kinds}
        assigned = ", ".join(f"{name} = {given[name]}" for name in columns.kinds)
        return f"{update} SET {assigned}{awake} WHERE customer_id = $1 AND id = {given['id']}"
    assigned = ", ".join(f"{name} = new.{name}" for name in columns.kinds)
    listed = db.array(f"${len(parameter.values) + 1}", kinds["id"])  # the first column of the table
    table, source = update.removeprefix("UPDATE "), db.table_of(values, kinds, "new", parameter)
    # Said twice: a join alone may be planned as a look at all rows of the customer, who may have millions.
    return (
        f"{update} SET {assigned}{awake} FROM {source} WHERE {table}.customer_id = $1 AND {table}.id = new.id"
        f" AND {table}.id = ANY({listed})"
    )
