"""A request goes on with its caller's trace, if the caller names one that is well formed."""

import pytest

from tests.support.spans import Traced, chain

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


async def test_a_request_goes_on_with_its_callers_trace(traced: Traced) -> None:
    await traced.ask(headers={"traceparent": f"00-{TRACE}-{CALLER}-01"})
    spans = traced.spans()
    assert {f"{span.context.trace_id:032x}" for span in spans} == {TRACE}
    [[request], *_] = chain(spans)
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == CALLER
    assert request.parent.is_remote


async def test_a_caller_that_does_not_sample_is_believed(traced: Traced) -> None:
    await traced.ask(headers={"traceparent": f"00-{TRACE}-{CALLER}-00"})
    assert traced.spans() == []


@pytest.mark.parametrize(
    "value",
    [
        "", "x", f"00-{TRACE}-{CALLER}", f"ff-{TRACE}-{CALLER}-01", f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE.upper()}-{CALLER}-01", f"00-{TRACE}-{CALLER}-01-more",
        f"01-{TRACE}-{CALLER}-01-" + "x" * 100, "0" * 8_000, f"00-{TRACE}-{CALLER}-01,00-{TRACE}-{CALLER}-01",
    ],
    ids=lambda value: repr(value[:60]),
)  # fmt: skip
@pytest.mark.alternate
async def test_any_other_traceparent_counts_as_none(traced: Traced, value: str) -> None:
    assert (await traced.ask(headers={"traceparent": value})).status_code == 200
    [[request], *_] = chain(traced.spans())
    assert request.parent is None
    assert f"{request.context.trace_id:032x}" != TRACE


@pytest.mark.alternate
async def test_two_of_them_count_as_none_and_baggage_and_state_are_not_taken(traced: Traced) -> None:
    twice = [("traceparent", f"00-{TRACE}-{CALLER}-01")] * 2
    await traced.http.post("/graphql", json={"query": "{ viewer { subject } }"}, headers=twice)
    [[request], *_] = chain(traced.spans())
    assert request.parent is None
    more = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "a=planted", "baggage": "b=planted"}
    await traced.ask(headers=more)
    spans = traced.spans()
    assert {f"{span.context.trace_id:032x}" for span in spans} == {TRACE}
    assert "planted" not in "".join(span.to_json() for span in spans)
