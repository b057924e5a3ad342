"""What a process knows of the buckets of its customers, and whom it refuses."""

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from app import bounds, clock, metrics
from app.costs import POINTS_MAX
from app.errors import RateLimited, Unavailable
from app.rates import stored
from app.rates.bucket import Bucket, Kind, Rule
from app.settings import Settings

CUSTOMERS_MAX = 10_000
"""That a process knows something of. It forgets the one that has asked for nothing for the longest time."""
CHARGES_MAX = 2
"""At a time. They take connections that no customer may have, also while a row or the table is locked for long."""
CHARGE_SECONDS_MAX = 1.0
"""If charging a row takes longer, the database counts as away for those who wait for it."""
WAIT_SECONDS_MAX = 5.0
"""So long work waits until its customer's row is charged, behind others of the same customer. Then it begins."""
PACE_SECONDS_MAX = 20.0
"""So long a subscription of a customer who owes points waits before each message. It must say something in 30."""
AWAY_SECONDS = 1.0
"""So long nobody is limited after the row could not be charged."""
CLOSE_SECONDS_MAX = 2.0
LAST_CHARGES_MAX = 1_000
"""When the server stops."""
NO_LIMIT = 2_147_483_647
"""What a client reads if there is no limit: the largest Int."""
POLICY = "points"
"""The name of the limit in headers."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class State:
    """Of a customer's bucket."""

    limit: int
    remaining: int
    reset_at: datetime
    """When it is full again, if nothing is spent meanwhile."""


@dataclass(slots=True)
class _Account:
    """What this process knows of a customer's bucket."""

    bucket: Bucket
    """As it was when the row was last charged, and what this process has spent since."""
    unsettled: int = 0
    """Points that were spent here and not yet charged to the row."""
    settling: asyncio.Task[None] | None = None
    settling_since: float = 0.0
    away_until: float | None = None
    """Set while the row cannot be charged: when to try again."""


@dataclass(slots=True)
class _Current:
    """The rule that the settings give."""

    of: Settings | None = None
    rule: Rule | None = None
    headers: dict[str, str] = field(default_factory=dict)


class Limiter:
    """The rate limits of all customers, in one process.

    A request waits only if its customer spends more than a share while its row is being charged.
    """

    def __init__(self) -> None:
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._current = _Current()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._charging: asyncio.Semaphore
        for kind in (Kind.OPERATION, Kind.CLAIM):  # from 0 on, so that the first is seen as an increase
            metrics.rate_limited.labels(kind.value)
        self._ahead = timedelta(0)
        """The database's clock, as far as it is ahead of this process's."""

    async def admit(self, customer_id: str, cost: int, kind: Kind = Kind.OPERATION) -> None:
        """Take points for work that is about to begin.

        Raises:
            RateLimited: the customer has not enough. Never for reports, nor while the database is away.
        """
        if not self._take(customer_id, cost, kind):
            await self._wait(customer_id, cost, kind)

    def refusal(self, customer_id: str, cost: Callable[[], int], kind: Kind) -> RateLimited | None:
        """Why work will not be admitted, before anything is prepared for it. None if it may be.

        Args:
            customer_id: whose work it is.
            cost: gives its cost, about. It is called only if the customer is close to the limit.
            kind: of the work.
        """
        rule, account = self._now().rule, self._accounts.get(customer_id)
        if rule is None or account is None or account.away_until is not None or kind is Kind.REPORT:
            return None
        if account.bucket.points >= POINTS_MAX:  # since it was last looked at, it has only got more
            return None
        points = self._points(customer_id, rule)
        if points >= POINTS_MAX:
            return None
        wanted = cost()
        missing = wanted + rule.floor(kind) - points
        return _refusal(wanted, account.bucket, missing / rule.per_second, kind) if missing > 0 else None

    def charge(self, customer_id: str, cost: int) -> None:
        """Take points for what is done anyway."""
        self._take(customer_id, cost, Kind.REPORT)

    async def pace(self, customer_id: str) -> None:
        """Wait while the customer owes points, but not for long: for what goes on by itself and must not end."""
        rule, account = self._now().rule, self._accounts.get(customer_id)
        if rule is None or account is None or account.away_until is not None:
            return
        owed = -self._points(customer_id, rule)
        if owed > 0:
            await asyncio.sleep(min(owed / rule.per_second, PACE_SECONDS_MAX))

    def state(self, customer_id: str) -> State:
        """As this process knows it. Other processes may have spent more."""
        rule, now = self._now().rule, clock.now() + self._ahead
        if rule is None:
            return State(NO_LIMIT, NO_LIMIT, now)
        points = self._points(customer_id, rule)
        return State(rule.burst, max(0, int(points)), now + timedelta(seconds=(rule.burst - points) / rule.per_second))

    def headers(self, customer_id: str) -> dict[str, str]:
        """What an answer says of the limit; empty if there is none.

        https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/10/: `q` points in `w` seconds, `r` points
        remain, and more come within `t` seconds.
        """
        current = self._now()
        if current.rule is None:
            return {}
        points = self._points(customer_id, current.rule)
        more_seconds = int(points < current.rule.burst)
        return current.headers | {"RateLimit": f'"{POLICY}";r={max(0, int(points))};t={more_seconds}'}

    async def close(self) -> None:
        """Charge what was spent and not charged, as far as it matters: the next process begins with it."""
        rule = self._now().rule
        if rule is None:
            return
        owing = [entry for entry in self._accounts.items() if entry[1].unsettled * 10 >= rule.share]
        owing.sort(key=lambda entry: entry[1].unsettled, reverse=True)
        for customer_id, account in owing[:LAST_CHARGES_MAX]:
            self._begin(customer_id, account, rule)
        if tasks := [account.settling for account in self._accounts.values() if account.settling is not None]:
            await asyncio.wait(tasks, timeout=CLOSE_SECONDS_MAX)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # ------------------------------------------------------------ what is known

    def _now(self) -> _Current:
        settings = bounds.now()
        if settings is not self._current.of:
            rule = stored.rule_now()
            policy = {} if rule is None else {"RateLimit-Policy": f'"{POLICY}";q={rule.burst};w={rule.fill_seconds}'}
            self._current = _Current(settings, rule, policy)
        return self._current

    def _account(self, customer_id: str, rule: Rule) -> _Account:
        account = self._accounts.get(customer_id)
        if account is None:
            # As if it were full: the row is first looked at when half a share is spent.
            account = self._accounts[customer_id] = _Account(Bucket(rule.burst, time.monotonic()))
            if len(self._accounts) > CUSTOMERS_MAX:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(customer_id)
        return account

    def _points(self, customer_id: str, rule: Rule) -> float:
        account = self._accounts.get(customer_id)
        if account is None:
            return rule.burst
        account.bucket.fill(rule, time.monotonic())
        return account.bucket.points

    # ------------------------------------------------------------ taking

    def _take(self, customer_id: str, cost: int, kind: Kind) -> bool:
        """Take points now. Returns False if the row must be charged first."""
        rule = self._now().rule
        if rule is None:
            return True
        account, now = self._account(customer_id, rule), time.monotonic()
        if account.away_until is not None:
            if now >= account.away_until:
                self._begin(customer_id, account, rule)
            return True
        if kind is Kind.REPORT:
            account.unsettled += account.bucket.charge(rule, now, cost)
        elif account.unsettled and account.unsettled + cost > rule.share:
            self._begin(customer_id, account, rule)
            return False
        elif seconds := account.bucket.take(rule, now, cost, kind):
            raise _refusal(cost, account.bucket, seconds, kind)
        else:
            account.unsettled += cost
        if account.unsettled * 2 >= rule.share:
            self._begin(customer_id, account, rule)
        return True

    async def _wait(self, customer_id: str, cost: int, kind: Kind) -> None:
        """Take points as soon as the row is charged."""
        end = time.monotonic() + WAIT_SECONDS_MAX
        while time.monotonic() < end:
            account = self._accounts.get(customer_id)
            if account is not None and account.settling is not None:
                seconds = account.settling_since + CHARGE_SECONDS_MAX - time.monotonic()
                done, _ = await asyncio.wait({account.settling}, timeout=max(0, seconds))
                if not done:
                    account.away_until = time.monotonic() + AWAY_SECONDS
                    return
            if self._take(customer_id, cost, kind):
                return

    # ------------------------------------------------------------ the row

    def _begin(self, customer_id: str, account: _Account, rule: Rule) -> None:
        """Charge the row in the background, if that is not under way."""
        if account.settling is None:
            loop = asyncio.get_running_loop()
            if loop is not self._loop:
                self._loop, self._charging = loop, asyncio.Semaphore(CHARGES_MAX)
            # Nobody's work: it neither waits in the customer's own line nor has its request's id in the log.
            work = self._settle(customer_id, account, rule)
            account.settling = asyncio.create_task(work, name="rate limit", context=Context())
            account.settling_since = time.monotonic()

    async def _settle(self, customer_id: str, account: _Account, rule: Rule) -> None:
        spent = 0
        try:
            async with self._charging:
                spent = account.unsettled
                left, now = await stored.charge(customer_id, spent, rule)
        except Unavailable:
            account.away_until = time.monotonic() + AWAY_SECONDS
        except Exception:  # noqa: BLE001 - a fault of the limiter refuses nobody
            account.away_until = time.monotonic() + AWAY_SECONDS
            _log.exception("rate_limit_not_charged")
        else:
            account.away_until = None
            account.unsettled -= spent
            account.bucket = Bucket(left - account.unsettled, time.monotonic())
            self._ahead = now - clock.now()
        finally:
            account.settling = None


def _refusal(cost: int, bucket: Bucket, seconds: float, kind: Kind) -> RateLimited:
    metrics.rate_limited.labels(kind.value).inc()
    whole = math.ceil(seconds)
    left = max(0, int(bucket.points))
    return RateLimited(
        f"Too much in a short time: this costs {cost:,} points, and your customer has {left:,} left. "
        f"Try again in {whole:,} {'second' if whole == 1 else 'seconds'}.",
        retry_after_seconds=whole,
    )
