"""The database: one connection or pool for the process, statements, and units of work.

Tortoise owns the connections, the tables (`app.models`) and the migrations. One row of a table that is not hot is read
and written by its model. Everything else is SQL on the drivers: a model costs seven times what a row costs, and a
guarded claim is one statement in any case. Both go the same way, so that what holds for statements holds for all.

A process serves one database at a time: `connect` at start, `close` at the end. The rooms behind this door:

- `opening`, `connections`, `postgres`: the database that this process serves, and a connection of it.
- `serving`: one server for each SQLite file.
- `failures`: what the drivers' errors mean.
- `statements`: one statement that reads; how many were sent.
- `units`: statements that take effect together.
- `orm`: models on those statements.
- `spelling`, `dialects`: what differs between SQLite and PostgreSQL.
- `listening`, `waiting`: who is woken by a commit.
- `migration`, `configuration`: the schema, and what Tortoise needs to know.
"""

from app.db.connections import dialect, is_postgres
from app.db.listening import listen
from app.db.migration import migrate, schema_is_current
from app.db.opening import close, connect
from app.db.orm import reader
from app.db.serving import claim, give_back
from app.db.spelling import any_of, for_update, rows_value, rowset, typed
from app.db.statements import Row, fetch, fetch_within, now, ping
from app.db.units import Transaction, transaction

__all__ = [
    "Row",
    "Transaction",
    "any_of",
    "claim",
    "close",
    "connect",
    "dialect",
    "fetch",
    "fetch_within",
    "for_update",
    "give_back",
    "is_postgres",
    "listen",
    "migrate",
    "now",
    "ping",
    "reader",
    "rows_value",
    "rowset",
    "schema_is_current",
    "transaction",
    "typed",
]
