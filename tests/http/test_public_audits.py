"""The audits of GraphQL over HTTP that the package graphql-http publishes, at the real server."""

import shutil
from pathlib import Path
from uuid import uuid4

from tests.support import node
from tests.support.server import ServerProcess, token

PACKAGES = ("graphql@16.11.0", "graphql-http@1.23.1")
AUDITS = 61
_SCRIPT = """
import { serverAudits } from "graphql-http";

const [url, token] = process.argv.slice(2);
const fetchFn = (address, given = {}) =>
  fetch(address, { ...given, headers: { ...given.headers, authorization: `Bearer ${token}` } });
const found = [];
for (const audit of serverAudits({ url, fetchFn })) {
  const { status, name, reason } = await audit.fn();
  found.push({ status, name, reason: reason && String(reason) });
}
console.log(JSON.stringify(found));
"""


async def test_every_public_audit_passes(sqlite_template: Path, tmp_path: Path) -> None:
    database = shutil.copyfile(sqlite_template, tmp_path / "outdial.db")
    with ServerProcess(f"sqlite:///{database}", tmp_path) as server:
        found = await node.printed(tmp_path, PACKAGES, _SCRIPT, f"{server.url}/graphql", token(str(uuid4())))
    assert [audit for audit in found if audit["status"] != "ok"] == []
    assert len(found) == AUDITS
