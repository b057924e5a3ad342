"""Statements that fail or last."""

from app import db

SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000000) SELECT count(*) FROM n"
"""Minutes of work."""


def raising(state: str) -> str:
    return f"DO $do$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $do$"


async def own_pid(tx: db.Transaction) -> int:
    rows = await tx.fetch("SELECT pg_backend_pid() AS pid")
    pid: int = rows[0]["pid"]
    return pid
