"""Claims: due targets are leased to one dialer."""

from app import idempotency, metrics, store, validation
from app.auth import Viewer
from app.errors import Rejected, UserError, UserErrorCode, rejected
from app.lifecycle import OutdialState
from app.records import Claimed
from app.store import Wish

CLAIM_TARGETS_MAX = 500


async def claim(
    viewer: Viewer,
    outdial_id: str,
    *,
    limit: int = 1,
    dialer: str | None = None,
    lease_seconds: int | None = None,
    idempotency_key: str | None = None,
    reads: frozenset[str] | None = None,
) -> Claimed:
    """Lease up to `limit` due targets to one dialer.

    Args:
        viewer: the caller.
        outdial_id: the outdial.
        limit: 1 to CLAIM_TARGETS_MAX targets.
        dialer: the dialer's name for itself.
        lease_seconds: how long the dialer holds each target. Default: the policy's.
        idempotency_key: the same key gives the same attempts, as they are now.
        reads: what is read of the attempts' targets: names of columns and values. Then new attempts are
            `ClaimedAttempt`. By default they are without.

    Returns:
        0 to `limit` attempts, of higher priority first, then the longest due; empty if nothing is due,
        or the outdial has not started or has ended. Fewer if its pace allows no more: then with `throttled_until`.

    Raises:
        Rejected: INVALID, NOT_FOUND, PAUSED, or CONFLICT of the idempotency key.
    """
    errors: list[UserError] = []
    outdial_id = validation.object_id(outdial_id, errors, "outdial_id")
    limit = validation.number(limit, 1, CLAIM_TARGETS_MAX, errors, "limit")
    dialer = validation.optional_text(dialer, validation.DIALER_CHARACTERS_MAX, errors, "dialer")
    if lease_seconds is not None:
        validation.lease_seconds(lease_seconds, errors, "lease_seconds")
    key = idempotency.checked(idempotency_key, errors)
    if errors:
        raise Rejected(errors)
    wish = Wish(
        customer_id=viewer.customer_id,
        outdial_id=outdial_id,
        limit=limit,
        dialer=dialer,
        lease_seconds=lease_seconds,
        key=idempotency.key_of(viewer, "claimTargets", key, (outdial_id, limit, dialer, lease_seconds)),
        reads=reads,
    )
    taken = await store.take_due(wish)
    if wish.key is not None and taken.known is not None:
        idempotency.answer_of(wish.key, taken.known)
        return Claimed(taken.attempts)
    if taken.state is None:
        raise rejected(UserErrorCode.NOT_FOUND, "Outdial not found.", "outdial_id")
    if taken.state is OutdialState.PAUSED:
        raise rejected(UserErrorCode.PAUSED, "The outdial is paused. Resume it to claim targets.", "outdial_id")
    metrics.claimed_targets.inc(len(taken.attempts))
    claimed = Claimed(taken.attempts)
    claimed.throttled_until = taken.throttled_until
    return claimed
