"""JSON is judged before it is decoded."""

import json

import httpx
import orjson
import pytest

from app.errors import BadUserInput, LimitExceeded
from app.requests import decoding
from tests.bounds import DEPTH, HEADER_BYTES, VALUES
from tests.support.raw import Raw, frame
from tests.support.server import ServerProcess


@pytest.mark.parametrize("text", [b"[" * DEPTH + b"]" * DEPTH, b'{"a":' * DEPTH + b"1" + b"}" * DEPTH])
def test_json_has_a_depth(text: bytes) -> None:
    deeper = b"[" + text + b"]"
    for given in (text, text.decode()):
        assert decoding.decode(given, depth_max=DEPTH) is not None
    for given in (deeper, deeper.decode()):
        with pytest.raises(BadUserInput, match="nested too deep: at most 10 levels"):
            decoding.decode(given, depth_max=DEPTH)


@pytest.mark.parametrize("value", [b"{}", b"[]", b'""', b'"a,b"', b'"[[["', b'"\\""', b'"\\\\"', b'"\\\\\\",["', b"1"])
def test_json_has_a_number_of_values(value: bytes) -> None:
    # One comma or bracket for each: the outer one, those between, and those of each value.
    each = 1 + (value in {b"{}", b"[]"})
    fits = b"[" + b",".join([value] * (VALUES // each)) + b"]"
    assert len(decoding.decode(fits, values_max=VALUES)) == VALUES // each
    with pytest.raises(LimitExceeded, match="at most 1,000"):
        decoding.decode(b"[" + b",".join([value] * (VALUES // each + 1)) + b"]", values_max=VALUES)


def test_text_in_json_is_no_structure() -> None:
    for text in ("[" * 5_000, ",{" * 5_000, '\\"[' * 5_000, "\\" * 5_001, "é[" * 5_000, '"' * 5_001):
        value = {"a": text, text: "b"}
        for encoded in (orjson.dumps(value), orjson.dumps(value).decode(), json.dumps(value)):
            assert decoding.decode(encoded, depth_max=1, values_max=10) == value


@pytest.mark.parametrize(
    ("variables", "status"),
    [
        ("[" * (DEPTH - 2) + "]" * (DEPTH - 2), 200),
        ("[" * (DEPTH - 1) + "]" * (DEPTH - 1), 400),
        (f"[{','.join(['1'] * (VALUES - 10))}]", 200),
        (f"[{','.join(['1'] * (VALUES + 10))}]", 400),
    ],
)
def test_bodies_and_messages_are_judged_before_they_are_decoded(
    small: ServerProcess, mine: str, variables: str, status: int
) -> None:
    body = '{"query": "{ viewer { subject } }", "variables": {"a": %s}}' % variables  # noqa: UP031
    headers = {"Authorization": f"Bearer {mine}", "Content-Type": "application/json"}
    with httpx.Client(base_url=small.url, headers=headers, trust_env=False) as client:
        assert client.post("/graphql", content=body).status_code == status
        parameters = {"query": "{ viewer { subject } }", "variables": f'{{"a": {variables}}}'}
        if status == 200 and len(variables) < HEADER_BYTES / 3:
            assert client.get("/graphql", params=parameters).status_code == status
        created = client.post("/v1.0/outdials", content=f'{{"name": "x", "data": "", "unknown": [{variables}]}}')
        assert created.status_code == (200 if status == 200 else 400), created.text
    with Raw(small.port) as connection:
        connection.upgrade().initialise(mine)
        # A message has one level more than a body.
        inner = variables[1:-1] if variables.startswith("[[") else variables
        inner = inner or "[]"
        connection.send(
            frame(f'{{"type": "subscribe", "id": "1", "payload": {body.replace(variables, inner)}}}'.encode())
        )
        if status == 200:
            assert connection.hear()["type"] == "next"
        else:
            assert connection.close_code() == 4400
