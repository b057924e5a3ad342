"""Nothing that a request has sent or read is held in a cycle of references.

The garbage collector counts objects, not bytes: of requests with 8 MiB in a few values it would let hundreds wait.
"""

import asyncio
import gc
from typing import Any
from uuid import uuid4

import pytest

from app.auth import Viewer
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.graphql.transport.execution import Execution, Operation
from app.graphql.transport.masking import NotExecuted
from tests.support import factories

FILL = "mutation($input: CreateTargetsInput!) { createTargets(input: $input) { createdCount targets { id } } }"
UPDATE = "mutation($input: UpdateTargetInput!) { updateTarget(input: $input) { target { id data } } }"
PAGE = """query($id: ID!, $after: String) { outdial(id: $id) { id eventCursor progress { total }
    targets(first: 5, after: $after) { totalCount nodes { id data attempts(first: 1) { nodes { id } } } } } }"""


def long(text: str = "x") -> str:
    return text * 20_000


def requests(outdial_id: str, target_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Of each way to be answered one, with long texts."""
    new = {"data": long(), "destination0": {"target": factories.phone_number()}}
    return [
        (FILL, {"input": {"outdialId": outdial_id, "targets": [new]}}),
        (FILL, {"input": {"outdialId": outdial_id, "targets": [{"data": long()}]}}),
        (FILL, {"input": {"outdialId": str(uuid4()), "targets": [new]}}),
        (FILL, {"input": {"outdialId": outdial_id, "targets": [{"data": 5, "detail": long()}]}}),
        (UPDATE, {"input": {"id": target_id, "data": long("y")}}),
        (UPDATE, {"input": {"id": str(uuid4()), "data": long()}}),
        (PAGE, {"id": outdial_id}),
        (PAGE, {"id": str(uuid4()), "unknown": long()}),
        (PAGE, {"id": long()}),
        ("query($after: String) { outdials(after: $after) { nodes { id } } }", {"after": long()}),
        ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": [outdial_id, target_id, str(uuid4())]}),
        ("query($text: String) { outdials(where: {nameContains: $text}) { nodes { id } } }", {"text": long()}),
        ("{ __schema { queryType { name } } outdials { nodes { id } } }", {"unknown": long()}),
    ]


async def ask(execution: Execution, viewer: Viewer, query: str, variables: dict[str, Any]) -> None:
    try:
        async for _ in execution.run(execution.prepare(Operation(query, variables), viewer)):
            pass
    except NotExecuted:
        pass


@pytest.mark.parametrize("is_compiled", [True, False])
async def test_no_request_is_held_in_a_cycle(database: str, viewer: Viewer, is_compiled: bool) -> None:
    execution = Execution(schema, Context, is_compiled=is_compiled)
    outdial = await factories.make_outdial(viewer)
    target = await factories.make_target(viewer, outdial.id, data=long())
    for _ in range(3):  # executed by graphql-core, compiled, and compiled again
        for query, variables in requests(outdial.id, target.id):
            gc.collect(1)
            gc.freeze()  # what is there already need not be looked at
            gc.disable()
            gc.set_debug(gc.DEBUG_SAVEALL)
            try:
                await ask(execution, viewer, query, variables)
                await asyncio.sleep(0.01)
                gc.collect()
                held = {text for one in gc.garbage for text in gc.get_referents(one) if isinstance(text, str)}
                kinds = {type(one).__name__ for one in gc.garbage}
            finally:
                gc.set_debug(0)
                gc.garbage.clear()
                gc.enable()
                gc.unfreeze()
            assert not [text for text in held if len(text) > 10_000], (query, kinds)
