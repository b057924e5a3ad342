"""Tells PostgreSQL's planner how large young tables are.

A session plans each statement once, for all values, by the numbers of rows that the planner knows. Autovacuum counts a
table when it comes to it, which may be minutes after the first rows. Until then plans are made for an empty table, and
such a plan reads all of a customer's rows to find one. A new plan is made as soon as a table is counted.
"""

from app.db import statements

GROWN_TIMES = 4
"""A table is counted again when it has grown as much."""
SMALLEST = 200
LARGEST = 200_000
"""Rows. Larger tables are left to autovacuum: their plans are those of large tables already."""


async def count_grown() -> list[str]:
    """Count the rows of our tables that are much larger than the planner knows. Returns their names.

    Numbers of rows are the statistics' own, which are a second late. Tables of another owner are left out: PostgreSQL
    would refuse. For PostgreSQL alone; SQLite looks rows up by key whatever it knows.
    """
    found = await statements.fetch(
        """
        SELECT quote_ident(pg_class.relname) AS name FROM pg_stat_user_tables AS grown
        JOIN pg_class ON pg_class.oid = grown.relid
        WHERE grown.schemaname = current_schema() AND pg_has_role(pg_class.relowner, 'USAGE')
            AND n_live_tup BETWEEN $1 AND $2 AND n_live_tup > $3 * reltuples
        """,
        SMALLEST,
        LARGEST,
        GROWN_TIMES,
    )
    names = [str(row["name"]) for row in found]
    for name in names:
        await statements.fetch(f"ANALYZE {name}")
    return names
