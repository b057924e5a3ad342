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
- `file`: whether SQLite's file is still there.
- `sharing`: PostgreSQL's connections, shared among customers.
- `keeping`: the same, kept at hand from one statement to the next.
- `reading`: SQLite's reads, in a thread of their own.
- `statements`: single reading statements, and the count of all statements.
- `joining`: reads by id that are in flight together, as one statement.
- `scripts`: units of work in one trip to PostgreSQL.
- `units`: statements that take effect together; on SQLite in one hop to its thread, see `hops`.
- `orm`: Tortoise's models on these statements.
- `spelling`, `dialects`: the differences between SQLite and PostgreSQL.
- `nodes`: whose transaction ids a customer's log is numbered with.
- `partitions`: of a table by time.
- `counting`: what the planner knows of young tables.
- `telling`, `listening`, `elsewhere`, `waiting`: wake-ups after a commit.
- `migration`, `configuration`: the schema, and Tortoise's configuration.
- `distributing`: the tables of a database of several machines.
"""

from app.db.connections import dialect, has_nodes, has_scripts, is_postgres
from app.db.counting import count_grown
from app.db.dialects import Each, array, array_value, together
from app.db.distributing import distribute
from app.db.joining import fetch_by_ids
from app.db.listening import listen
from app.db.locks import (
    WRITERS_CLASS,
    WRITERS_NUMBER,
    customers_lock,
    lock_name,
    locking,
    named_lock,
    writers_lock,
)
from app.db.migration import migrate, schema_is_current
from app.db.nodes import DATABASE_OID, NODE, begin_epoch, enter, last_stored, node
from app.db.opening import close, connect
from app.db.orm import reader
from app.db.partitions import Partition, partitions, rest
from app.db.partitions import drop as drop_partition
from app.db.partitions import make as make_partition
from app.db.scripts import Guard, Refused, Script, Sequel, noted, noting
from app.db.serving import claim, give_back
from app.db.spelling import (
    ago_value,
    any_found,
    any_of,
    columnset,
    columnset_values,
    differs,
    for_update,
    instant_ago,
    instant_now,
    json_list,
    json_lists,
    later,
    now_value,
    rows_value,
    rowset,
    table_of,
    typed,
)
from app.db.statements import Row, fetch, fetch_within, now
from app.db.transactions import Transaction
from app.db.units import Changed, at_once, ping, transaction
from app.db.waiting import EVERY_TOPIC, on_wake

__all__ = [
    "DATABASE_OID",
    "EVERY_TOPIC",
    "NODE",
    "WRITERS_CLASS",
    "WRITERS_NUMBER",
    "Changed",
    "Each",
    "Guard",
    "Partition",
    "Refused",
    "Row",
    "Script",
    "Sequel",
    "Transaction",
    "ago_value",
    "any_found",
    "any_of",
    "array",
    "array_value",
    "at_once",
    "begin_epoch",
    "claim",
    "close",
    "columnset",
    "columnset_values",
    "connect",
    "count_grown",
    "customers_lock",
    "dialect",
    "differs",
    "distribute",
    "drop_partition",
    "enter",
    "fetch",
    "fetch_by_ids",
    "fetch_within",
    "for_update",
    "give_back",
    "has_nodes",
    "has_scripts",
    "instant_ago",
    "instant_now",
    "is_postgres",
    "json_list",
    "json_lists",
    "last_stored",
    "later",
    "listen",
    "lock_name",
    "locking",
    "make_partition",
    "migrate",
    "named_lock",
    "node",
    "noted",
    "noting",
    "now",
    "now_value",
    "on_wake",
    "partitions",
    "ping",
    "reader",
    "rest",
    "rows_value",
    "rowset",
    "schema_is_current",
    "table_of",
    "together",
    "transaction",
    "typed",
    "writers_lock",
]
