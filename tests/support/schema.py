"""The schema, run in this process on records that no database has."""

from datetime import UTC, datetime

from app import ids
from app.auth import Scope, Viewer
from app.graphql.schema import schema
from app.graphql.schema.context import Context
from app.lifecycle import AttemptState, OutdialState, TargetStatus, UnconfirmedAction
from app.records import Attempt, Destination, DialPolicy, Outdial, Target

BORN = datetime(2022, 4, 28, 1, 41, 40, 503790, tzinfo=UTC)
CUSTOMER = "5e4a0680-804e-11ec-8477-2fea5968d85b"


def viewer_with(*scopes: Scope) -> Viewer:
    return Viewer(CUSTOMER, "alice", frozenset(scopes), None)


def an_outdial(**values) -> Outdial:
    policy = DialPolicy((3, 3, 3, 3, 3), 300, 120, UnconfirmedAction.FINISH)
    defaults = {
        "id": ids.new(), "customer_id": CUSTOMER, "campaign_id": None, "name": "spring", "detail": "", "data": "",
        "state": OutdialState.ACTIVE, "dial_policy": policy, "tm_create": BORN, "tm_update": None, "tm_delete": None,
        "time_zone": None,
    }  # fmt: skip
    return Outdial(**(defaults | values))


def a_destination(number: str = "+14155550100") -> Destination:
    return Destination(type="TEL", target=number, target_name="", name="", detail="")


def a_target(outdial: Outdial, **values) -> Target:
    defaults = {
        "id": ids.new(), "customer_id": CUSTOMER, "outdial_id": outdial.id, "key": None, "name": "Ann", "detail": "",
        "data": "", "status": TargetStatus.IDLE, "done_reason": None, "priority": 0, "max_try_counts": None,
        "time_zone": None,
        "destinations": (None, a_destination(), None, None, a_destination("+14155550104")),
        "try_counts": (0, 3, 0, 0, 1), "invalid_destinations": frozenset(), "first_index": 0, "next_try_at": BORN,
        "last_attempt_id": None, "callback": None,
        "version": 1, "tm_create": BORN, "tm_update": BORN, "tm_delete": None,
    }  # fmt: skip
    return Target(**(defaults | values))


def an_attempt(target: Target, **values) -> Attempt:
    defaults = {
        "id": ids.new(), "customer_id": CUSTOMER, "outdial_id": target.outdial_id, "target_id": target.id,
        "destination_index": 1, "destination": a_destination(), "try_number": 1, "state": AttemptState.CLAIMED,
        "disposition": None, "code": None, "is_right_party": None, "is_conversion": None, "detail": "",
        "dialer": None, "call_id": None, "lease_seconds": 120, "expires_at": BORN,
        "claimed_at": BORN, "dialed_at": None, "ended_at": None, "ring_seconds": None, "talk_seconds": None,
    }  # fmt: skip
    return Attempt(**(defaults | values))


async def run(query: str, *scopes: Scope, variables: dict | None = None):
    context = Context(viewer_with(*(scopes or Scope)))
    await context.prepare(query)
    return await schema.execute(query, context_value=context, variable_values=variables)
