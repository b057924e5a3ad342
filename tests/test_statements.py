"""Each statement that is sent, held to what a database can run whose tables are distributed by customer.

There, a statement that names one customer runs as it is at the node with that customer's rows. Others are refused, or
run at another node, where locks and transaction ids are not those of the rows.
"""

import re
from collections.abc import Iterator

import pytest

from app import db, events, housekeeping, models
from app.auth import Viewer
from tests.support import factories, postgres, sql
from tests.support.sql import Group, Query
from tests.test_tenancy import live_through_everything

TENANTS = {
    model.describe()["table"]
    for model in vars(models).values()
    if isinstance(model, type) and issubclass(model, models.Model) and "customer_id" in model._meta.fields_map
}
TEMPORARY = re.compile(r"staged_\w+")
"""Tables of one connection, which COPY fills with the parameters of the next statement."""

ACROSS_CUSTOMERS = (
    "SELECT customer_id FROM customer WHERE customer_id >",
    "SELECT id, customer_id, outdial_id FROM attempt WHERE state IN ('CLAIMED', 'DIALING') AND expires_at <=",
    "SELECT id, customer_id, outdial_id FROM target WHERE rank = -1 AND status = 'IDLE'",
    "SELECT id, customer_id FROM outdial WHERE exhausted_to IS NOT NULL",
    "SELECT id, customer_id FROM outdial WHERE sorted_to IS NOT NULL",
    "SELECT customer_id, outdial_id FROM outdial_breaker AS breaker WHERE is_watched = 1",
    "SELECT customer_id FROM suppression WHERE is_pending = 1",
    "SELECT customer_id, id FROM import_job WHERE finished_at < statement_timestamp()",
    "SELECT customer_id, id FROM import_job WHERE state IN ('QUEUED', 'RUNNING') AND heard_at <= statement_timestamp()",
    "SELECT customer_id, key FROM idempotency_key WHERE tm_create < statement_timestamp()",
    "SELECT customer_id FROM rate_limit WHERE filled_at < statement_timestamp()",
)
"""Looks without a lock over all customers, of housekeeping alone. What they find is changed customer by customer."""

OF_TABLES = (
    "CREATE TEMPORARY TABLE",
    "CREATE TABLE target_event_",
    "ALTER TABLE target_event ATTACH PARTITION",
    "DROP TABLE target_event_",
)
"""They make and drop tables. Those of partitions may be refused at a node: then the rest takes the rows."""

OF_ONE_NODE = re.compile(
    r"pg_current_xact_id\w*|pg_current_snapshot|pg_snapshot_\w+|pg_visible_in_snapshot|pg_xact_\w+|txid_\w+"
    r"|pg_(?:try_)?advisory_\w+|pg_locks|pg_lock_status|pg_prepared_xacts?|pg_control_\w+"
)
"""What has another value, or another effect, at each node."""

OF_THE_OWN_NODE = (
    "WITH held AS MATERIALIZED ( SELECT pid, virtualtransaction AS holder, transactionid AS id FROM pg_locks",
)
"""Measures what a server's metrics say of the node that it is connected to. Nothing is decided by it."""

OF_TABLES = (
    "CREATE TEMPORARY TABLE",
    "CREATE TABLE target_event_",
    "ALTER TABLE target_event",
    "DROP TABLE target_event_",
)
"""Changes of tables, not of rows. At most nodes those of partitions are refused, and the log does not need them."""


def faults(statement: str) -> list[str]:
    """What a distributed database would refuse, or do somewhere else than at the customer's rows."""
    return [fault for query in sql.queries_of(statement) for fault in _faults(query, statement)]


def _faults(query: Query, statement: str) -> Iterator[str]:
    free = _tenants(query) - sql.bound(query)
    if query.kind == "insert":
        yield from _of_insert(query)
    elif free and (query.kind != "select" or query.locks_rows):
        yield f"{query.kind} without one customer: {sorted(free)}"
    if free and query.kind in {"select", "insert"} and not statement.startswith(ACROSS_CUSTOMERS):
        yield f"reads without one customer: {sorted(free)}"
    local = {word for word in query.words if OF_ONE_NODE.fullmatch(word)}
    if local and not _is_at_a_customer(query) and not statement.startswith(OF_THE_OWN_NODE):
        yield f"not where the customer's rows are: {sorted(local)}"


def _tenants(query: Query) -> set[str]:
    """The aliases of the customers' tables that it reads or changes."""
    return {source.alias for source in query.sources if source.table in TENANTS and source.table not in query.names}


def _of_insert(query: Query) -> Iterator[str]:
    assert query.target is not None
    into = query.clauses["insert"]
    columns = next((part.tokens for part in into if isinstance(part, Group)), ())
    if query.target not in TENANTS:
        return
    if "customer_id" not in columns:
        yield f"a row of {query.target} without a customer"
        return
    place = [token for token in columns if token != ","].index("customer_id")
    for row in query.clauses.get("values", ()):
        if isinstance(row, Group):
            if sql.holds_query((row,)):
                yield "a query in VALUES"
            if not sql.is_customer(sql.split(row.tokens, {","})[place]):
                yield f"a row of {query.target} whose customer is no parameter"
    known = TENANTS | set(query.names)
    for source in query.sources:
        if source.table and source.table not in known and not TEMPORARY.fullmatch(source.table):
            yield f"INSERT … SELECT from {source.table}"
    conflict = query.clauses.get("on_conflict", ())
    if conflict and not (isinstance(conflict[0], Group) and conflict[0].tokens[0] == "customer_id"):
        yield "ON CONFLICT that does not begin with the customer"


def _is_at_a_customer(query: Query | None) -> bool:
    """Whether it, or a query around it, reads one row of one customer, and asks for nothing else.

    Nothing else, because of a condition that cannot hold, the planner would leave out the row and with it the node.
    """
    if query is None:
        return False
    tenants = _tenants(query)
    others = [condition for condition in query.conditions if "customer_id" not in condition]
    is_there = len(tenants) == 1 and tenants == sql.bound(query) and not others
    return is_there or _is_at_a_customer(query.inside)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE target SET name = $2 WHERE customer_id = $1 AND id = $3",
        (
            "UPDATE target SET name = new.name FROM jsonb_to_recordset($2) AS new(id uuid) "
            "WHERE target.customer_id = CAST($1 AS uuid) AND target.id = new.id"
        ),
        'DELETE FROM "import_job" WHERE "customer_id"=$1 AND "id"=$2 RETURNING 1 AS one',
        (
            "SELECT a.id FROM attempt AS a JOIN target AS t ON t.customer_id = a.customer_id AND t.id = a.target_id "
            "WHERE a.customer_id = $1 FOR UPDATE OF a"
        ),
        (
            "INSERT INTO outdial_counter (customer_id, outdial_id, slot) VALUES ($1, $2, $3) "
            "ON CONFLICT (customer_id, outdial_id, slot) DO UPDATE SET slot = excluded.slot"
        ),
        "SELECT pg_advisory_xact_lock(1, 2) FROM customer WHERE customer_id = $1",
        (
            "SELECT pg_current_snapshot() AS s, ARRAY(SELECT 1 FROM pg_locks WHERE locktype = 'x') FROM customer "
            "WHERE customer_id = $1"
        ),
        (
            "WITH owner AS (SELECT epoch, pg_current_xact_id() AS tx FROM customer WHERE customer_id = $1) "
            "INSERT INTO target_event (epoch, tx, customer_id) SELECT owner.epoch, owner.tx, e.customer_id "
            "FROM owner, jsonb_to_recordset($2) AS e(customer_id uuid)"
        ),
        "SELECT clock_timestamp() AS now_at",
        ACROSS_CUSTOMERS[1] + " ORDER BY expires_at LIMIT 500",
    ],
)
def test_a_statement_that_runs_anywhere_has_no_fault(statement: str) -> None:
    assert faults(statement) == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE target SET name = $1 WHERE id = $2", "update without one customer: ['target']"),
        ("UPDATE target SET customer_id = $1 WHERE id = $2", "update without one customer: ['target']"),
        (
            (
                "UPDATE target SET name = new.name FROM jsonb_to_recordset($1) AS new(id uuid, customer_id uuid) "
                "WHERE target.customer_id = new.customer_id AND target.id = new.id"
            ),
            "update without one customer: ['target']",
        ),
        ("DELETE FROM target WHERE customer_id = $1 OR id = $2", "delete without one customer: ['target']"),
        ("DELETE FROM target WHERE customer_id = ANY($1)", "delete without one customer: ['target']"),
        ("DELETE FROM target WHERE customer_id IN ($1, $2)", "delete without one customer: ['target']"),
        (
            (
                "WITH old AS (SELECT id FROM attempt WHERE expires_at < $1 FOR UPDATE SKIP LOCKED) "
                "DELETE FROM attempt WHERE customer_id = $2 AND id IN (SELECT id FROM old)"
            ),
            "select without one customer: ['attempt']",
        ),
        ("SELECT id FROM target WHERE key = $1", "reads without one customer: ['target']"),
        (ACROSS_CUSTOMERS[1] + " FOR UPDATE SKIP LOCKED", "select without one customer: ['attempt']"),
        (
            "SELECT t.id FROM target AS t JOIN attempt AS a ON a.target_id = t.id WHERE t.customer_id = $1",
            "reads without one customer: ['a']",
        ),
        (
            "INSERT INTO outdial_event (customer_id, epoch) VALUES ($1, (SELECT max(epoch) FROM event_epoch))",
            "a query in VALUES",
        ),
        ("INSERT INTO target (id) VALUES ($1)", "a row of target without a customer"),
        (
            "INSERT INTO target (id, customer_id) VALUES ($1, gen_random_uuid())",
            "a row of target whose customer is no parameter",
        ),
        ("INSERT INTO target (customer_id, id) SELECT $1, id FROM target", "reads without one customer: ['target']"),
        ("INSERT INTO target (customer_id, id) SELECT $1, id FROM elsewhere", "INSERT … SELECT from elsewhere"),
        (
            "INSERT INTO target (customer_id, id) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
            "ON CONFLICT that does not begin with the customer",
        ),
        ("SELECT pg_advisory_xact_lock(1)", "not where the customer's rows are: ['pg_advisory_xact_lock']"),
        ("SELECT pg_current_xact_id() FROM event_epoch", "not where the customer's rows are: ['pg_current_xact_id']"),
        (
            "SELECT pg_current_xact_id() FROM customer WHERE customer_id = $1 AND epoch IS NULL",
            "not where the customer's rows are: ['pg_current_xact_id']",
        ),
        (
            "WITH held AS (SELECT pid FROM pg_locks) SELECT pid FROM customer, held WHERE customer_id = $1",
            "not where the customer's rows are: ['pg_locks']",
        ),
        (
            (
                "INSERT INTO target_event (customer_id, tx) SELECT e.customer_id, pg_current_xact_id() "
                "FROM jsonb_to_recordset($1) AS e(customer_id uuid)"
            ),
            "not where the customer's rows are: ['pg_current_xact_id']",
        ),
    ],
)
def test_a_statement_that_does_not_run_at_its_customers_node_is_found(statement: str, fault: str) -> None:
    assert fault in faults(statement)


async def keep_house(viewer: Viewer, url: str) -> None:
    """Every repeated task once, and a customer whose rows have come from another node."""
    outdial = await factories.make_outdial(viewer)
    for chore in housekeeping.chores(event_retention_hours=1, import_retention_days=1):
        if chore.name != "listen to other servers":  # it ends only with its connection
            await chore.work()
    await events.must_open(viewer.customer_id)
    await events.open_epoch(viewer.customer_id)
    await postgres.execute(url, "UPDATE customer SET node = 'another node'")
    await factories.create_many(viewer, outdial.id, [factories.target_draft()])


@pytest.mark.parametrize("has_nodes", [False, True])
async def test_every_statement_runs_where_its_customers_rows_are(
    postgres_url: str, viewer: Viewer, said: list[str], has_nodes: bool
) -> None:
    """With several nodes, units of work are no scripts."""
    if has_nodes:
        await postgres.execute(postgres_url, "CREATE TABLE pg_dist_node (groupid integer)")
    await db.connect(postgres_url)
    try:
        await live_through_everything(viewer)
        await keep_house(viewer, postgres_url)
    finally:
        await db.close()
    statements = sorted({statement for statement in said if not statement.startswith(OF_TABLES)})
    assert len(statements) > 50
    assert {statement: fault for statement in statements if (fault := faults(statement))} == {}
    for beginning in (*ACROSS_CUSTOMERS, *OF_THE_OWN_NODE):
        assert any(statement.startswith(beginning) for statement in statements), beginning
