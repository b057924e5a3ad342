"""What is kept of a breaker, from its row and back. Pure."""

from collections.abc import Mapping
from typing import Any

import orjson

from app.breakers import Bucket, Judgement
from app.pacing import BreakerState


def judgement(row: Mapping[str, Any]) -> Judgement:
    return Judgement(
        counts_from=row["counts_from_at"],
        state=BreakerState(row["state"]),
        opened_at=row["opened_at"],
        paused_until=row["paused_until_at"],
        probe_id=row["probe_attempt_id"],
        buckets=[Bucket(*each) for each in orjson.loads(row["buckets"])],
    )


def judgement_values(kept: Judgement) -> dict[str, Any]:
    """Its columns."""
    return {
        "state": kept.state.value,
        "opened_at": kept.opened_at,
        "paused_until_at": kept.paused_until,
        "probe_attempt_id": kept.probe_id,
        "counts_from_at": kept.counts_from,
        "buckets": [list(bucket) for bucket in kept.buckets],
    }
