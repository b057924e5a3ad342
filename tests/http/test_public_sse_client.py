"""The public client of GraphQL over server-sent events, npm's graphql-sse, at the real server."""

import shutil
from pathlib import Path
from uuid import uuid4

from tests.support import node
from tests.support.server import ServerProcess, token

PACKAGES = ("graphql@16.11.0", "graphql-sse@2.5.4")
_SCRIPT = """
import { createClient } from "graphql-sse";

const [url, token] = process.argv.slice(2);
const client = createClient({ url, headers: { authorization: `Bearer ${token}` }, retryAttempts: 0 });
const all = async (request) => {
  const found = [];
  for await (const answer of client.iterate(request)) found.push(answer);
  return found;
};
const found = { events: [] };
const following = client.iterate({ query: "subscription { outdialEvents { type outdial { name } } }" });
const first = following.next();
await new Promise((resolve) => setTimeout(resolve, 500));
const create = "mutation($name: String!) { createOutdial(input: { name: $name }) { outdial { name } } }";
found.mutation = await all({ query: create, variables: { name: "one" } });
found.events.push((await first).value);
await all({ query: create, variables: { name: "two" } });
found.events.push((await following.next()).value);
await following.return();
found.query = await all({ query: "{ outdials { totalCount } }" });
found.invalid = await all({ query: "{ nothing }" });
client.dispose();
const stranger = createClient({ url, headers: { authorization: "Bearer wrong" }, retryAttempts: 0 });
found.stranger = await new Promise((resolve) =>
  stranger.subscribe(
    { query: "{ outdials { totalCount } }" },
    { next: resolve, error: (error) => resolve(error.response?.status ?? String(error)), complete: resolve },
  ),
);
console.log(JSON.stringify(found));
"""


async def test_the_public_client_of_event_streams_is_served(sqlite_template: Path, tmp_path: Path) -> None:
    database = shutil.copyfile(sqlite_template, tmp_path / "outdial.db")
    with ServerProcess(f"sqlite:///{database}", tmp_path) as server:
        found = await node.printed(tmp_path, PACKAGES, _SCRIPT, f"{server.url}/graphql", token(str(uuid4())))
    assert found["mutation"] == [{"data": {"createOutdial": {"outdial": {"name": "one"}}}}]
    assert found["events"] == [
        {"data": {"outdialEvents": {"type": "CREATED", "outdial": {"name": name}}}} for name in ("one", "two")
    ]
    assert found["query"] == [{"data": {"outdials": {"totalCount": 2}}}]
    assert [error["extensions"]["code"] for error in found["invalid"][0]["errors"]] == ["GRAPHQL_VALIDATION_FAILED"]
    assert found["stranger"] == 401
