"""Nothing of a customer is in a span."""

import json

from app import tracing
from tests.support.server import token
from tests.support.spans import CUSTOMER, Traced


async def test_nothing_of_a_customer_is_in_a_span(traced: Traced) -> None:
    """What is planted in every place of a request is in none of its spans."""
    number, mark = "+15550100777", "plantedmark"
    headers = {"X-Request-Id": f"{mark}-1", "User-Agent": mark, "Cookie": f"other={mark}", "X-Other": mark}
    made = await traced.ask(
        "mutation($input: CreateOutdialInput!) { createOutdial(input: $input) { outdial { id } } }",
        headers=headers,
        input={"name": f"{mark} {number}", "detail": mark, "data": json.dumps({"a": mark})},
    )
    outdial = made.json()["data"]["createOutdial"]["outdial"]["id"]
    target = {"destination0": {"target": number}, "name": mark, "key": mark, "data": json.dumps({"a": mark})}
    for document, variables in (
        ("mutation($i: CreateTargetInput!) { createTarget(input: $i) { target { id } } }",
         {"i": {"outdialId": outdial, "target": target}}),
        ((f'mutation {{ createTarget(input: {{outdialId: "{outdial}", target: {{name: "{mark}", key: "{mark}", '
         f'destination0: {{target: "{number}"}}}}}}) {{ userErrors {{ message }} }} }}'), {}),
        ((f'mutation {{ claimTargets(input: {{outdialId: "{outdial}", dialer: "{mark}", idempotencyKey: "{mark}"}}) '
         "{ attempts { id } } }"), {}),
        ("query($id: ID!, $w: TargetFilter!) { outdial(id: $id) { targets(first: 5, where: $w) { nodes { name } } } }",
         {"id": outdial, "w": {"search": mark}}),
        (f'{{ outdial(id: "{mark}") {{ id }} }}', {}),
        (f"{{ {mark}: viewer {{ subject }} }}", {}),
        (f"{{ {mark} }}", {}),
    ):  # fmt: skip
        await traced.ask(document, headers=headers, **variables)
    body = f"key,name,phone\n{mark},{mark},{number}\n{mark}2,{mark},{number[:-1]}8\n{mark}3,x,{mark}\n"
    sent = {**headers, "Content-Type": "text/csv", "Idempotency-Key": mark}
    await traced.http.post(f"/v1.0/outdials/{outdial}/targets/import?file_name={mark}.csv", content=body, headers=sent)
    for path in (f"/{mark}", f"/v1.0/outdials/{mark}", f"/v1.0/outdials?x={mark}", f"/v1.0/outdials/{outdial}/targets"):
        await traced.http.get(path, headers=headers, params={"token": f"{mark}.{mark}.{mark}"})
    await traced.http.request(mark.upper(), "/graphql", headers=headers)
    await traced.http.get("/v1.0/outdials", headers={**headers, "Authorization": f"Bearer {mark}"})
    spans = traced.spans()
    assert len(spans) > 40
    text = "".join(span.to_json() for span in spans)
    for planted in (mark, mark.upper(), number, number[1:], token(CUSTOMER)[:30], CUSTOMER, outdial):
        assert planted not in text, planted
    assert "INSERT" in text
    assert "UPDATE" in text


def test_texts_of_statements_are_short_and_named_after_what_they_do() -> None:
    described = tracing._described
    assert described("SELECT 1 AS one") == (
        "SELECT",
        {"db.operation.name": "SELECT", "db.query.text": "SELECT 1 AS one"},
    )
    assert described("WITH x AS (SELECT 1 FROM y) UPDATE target SET a = $1")[0] == "UPDATE y"
    assert described("BEGIN; SELECT a FROM customer")[0] == "SELECT customer"
    assert len(described("SELECT " + "a, " * 9_000 + "b FROM target")[1]["db.query.text"]) == 4_000
