"""The database: one connection or pool for the process, statements, and units of work.

Tortoise owns the connections, the tables (`app.models`) and the migrations. One row of a table that is not hot is read
and written by its model. Everything else is SQL on the drivers: a model costs seven times as much as a row, and a
guarded claim is one statement anyway. Both use the same connections and units, so the same bounds, counts and tests
apply to both.

A process serves one database at a time: `connect` at start, `close` at the end. Its modules:

- `opening`, `connections`, `postgres`: the database that this process serves, and connections to it.
- `serving`: at most one server for each SQLite file.
- `failures`: the meaning of the drivers' errors.
- `bulk`: many new rows at once.
- `statements`: single reading statements, and the count of all statements.
- `units`: statements that take effect together; on SQLite in one hop to its thread, see `hops`.
- `orm`: Tortoise's models on these statements.
- `spelling`, `dialects`: the differences between SQLite and PostgreSQL.
- `nodes`: whose transaction ids a customer's log is numbered with.
- `partitions`: of a table by time.
- `telling`, `listening`, `elsewhere`, `waiting`: wake-ups after a commit.
- `migration`, `configuration`: the schema, and Tortoise's configuration.
- `distributing`: the tables of a database of several machines.
"""

from app.db.connections import dialect, is_postgres
from app.db.distributing import distribute
from app.db.listening import listen
from app.db.migration import migrate, schema_is_current
from app.db.nodes import DATABASE_OID, NODE, begin_epoch, enter, last_stored, node
from app.db.opening import close, connect
from app.db.orm import reader
from app.db.partitions import Partition, partitions, rest
from app.db.partitions import drop as drop_partition
from app.db.partitions import make as make_partition
from app.db.serving import claim, give_back
from app.db.spelling import (
    any_of,
    columnset,
    columnset_values,
    for_update,
    instant_now,
    json_list,
    now_value,
    rows_value,
    rowset,
    table_of,
    typed,
)
from app.db.statements import Row, fetch, fetch_within, now, ping
from app.db.units import WRITERS_CLASS, WRITERS_NUMBER, Changed, Transaction, named_lock, transaction, writers_lock

__all__ = [
    "DATABASE_OID",
    "NODE",
    "WRITERS_CLASS",
    "WRITERS_NUMBER",
    "Changed",
    "Partition",
    "Row",
    "Transaction",
    "any_of",
    "begin_epoch",
    "claim",
    "close",
    "columnset",
    "columnset_values",
    "connect",
    "dialect",
    "distribute",
    "drop_partition",
    "enter",
    "fetch",
    "fetch_within",
    "for_update",
    "give_back",
    "instant_now",
    "is_postgres",
    "json_list",
    "last_stored",
    "listen",
    "make_partition",
    "migrate",
    "named_lock",
    "node",
    "now",
    "now_value",
    "partitions",
    "ping",
    "reader",
    "rest",
    "rows_value",
    "rowset",
    "schema_is_current",
    "table_of",
    "transaction",
    "typed",
    "writers_lock",
]
