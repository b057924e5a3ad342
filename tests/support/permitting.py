"""Who may be called now, as the contract says it: slowly, one destination after the other, from all that has happened.

It stands beside `tests.support.model`, and takes nothing from the code but its values.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.hours import CallingHours, CallingWindow, Weekday
from app.pacing import Pacing
from app.records import CallCap, CapScope, CapSubject
from tests.support import pacing
from tests.support.model import ModelTarget, Policy, is_listed

ZONES = {"+49301234": "Europe/Berlin", "+81312345": "Asia/Tokyo", "+1212555": "America/New_York"}
"""By how a number begins. Others do not tell where they are."""
DEFAULT_ZONE = "Asia/Kolkata"
"""Of the outdial."""
LATE = timedelta(seconds=60)
"""So much later than possible a target may be claimed."""
AHEAD = timedelta(days=2)


@dataclass(frozen=True)
class Try:
    """A call that counts for caps."""

    target_id: str
    address: str
    at: datetime
    is_elsewhere: bool = False
    """On another outdial."""


def daily(zone: str | None, opens: int, closes: int) -> CallingHours:
    """The same hours on each day; until the next day if they end earlier than they begin."""
    return CallingHours(zone, tuple(CallingWindow(day, time(opens), time(closes)) for day in Weekday), ())


def is_open(hours: CallingHours, zone: str, at: datetime) -> bool:
    """For hours that are the same on each day."""
    clock, window = at.astimezone(ZoneInfo(zone)).time(), hours.windows[0]
    if window.start < window.end:
        return window.start <= clock < window.end
    return clock >= window.start or clock < window.end


@dataclass
class Permits:
    """Who may be called under a policy, with these suppressions and calls."""

    policy: Policy
    listed: dict[str, datetime | None]
    tries: Sequence[Try]
    claims: Sequence[pacing.Try] = ()
    """All of the outdial, also those that do not count for caps."""

    # ------------------------------------------------------------ the parts

    def may_be_used(self, target: ModelTarget, index: int) -> bool:
        limits = target.limits or self.policy.limits
        return (
            target.addresses[index] is not None and index not in target.invalid and target.counts[index] < limits[index]
        )

    def is_capped(self, target: ModelTarget, address: str, at: datetime) -> bool:
        return any(self._counted(cap, target, address, at) >= cap.tries for cap in self.policy.caps)

    def _counted(self, cap: CallCap, target: ModelTarget, address: str, at: datetime) -> int:
        return sum(
            each.at > at - timedelta(seconds=cap.window_seconds)
            and (cap.over is CapScope.CUSTOMER or not each.is_elsewhere)
            and (each.target_id == target.id if cap.per is CapSubject.TARGET else each.address == address)
            for each in self.tries
        )

    def is_closed(self, target: ModelTarget, address: str, at: datetime) -> bool:
        """By the clocks of the destination."""
        hours = self.policy.hours
        if hours is None or hours.time_zone is not None:
            return False
        default = DEFAULT_ZONE if self.policy.uses_outdial else None
        zone = target.zone or next((ZONES[head] for head in ZONES if address.startswith(head)), default)
        return zone is None or not is_open(hours, zone, at)

    def is_list_closed(self, at: datetime) -> bool:
        hours = self.policy.hours
        return hours is not None and hours.time_zone is not None and not is_open(hours, hours.time_zone, at)

    def is_running(self, at: datetime) -> bool:
        starts, ends = self.policy.starts, self.policy.ends
        return (starts is None or at >= starts) and (ends is None or at < ends)

    def is_list_held(self, at: datetime) -> bool:
        """By its schedule, its hours or its pace."""
        return not self.is_running(at) or self.is_list_closed(at) or self.allowed(at, 1) == 0

    def allowed(self, at: datetime, wanted: int) -> int:
        """How many the pace allows."""
        return pacing.allowed(self.policy.pace, self.claims, at, wanted)

    # ------------------------------------------------------------ together

    def next_index(self, target: ModelTarget, at: datetime, *, with_caps: bool = True) -> int | None:
        """The destination that is called."""
        for index in target.order():
            address = target.addresses[index]
            if address is None or not self.may_be_used(target, index) or is_listed(self.listed, address, at):
                continue
            if with_caps and self.is_capped(target, address, at):
                continue
            if self.is_closed(target, address, at):
                if self.policy.keeps_order:
                    return None
                continue
            return index
        return None

    def may_be_claimed(self, target: ModelTarget, at: datetime) -> bool:
        """If its outdial may."""
        return target.due is not None and target.due <= at and self.next_index(target, at) is not None

    def is_held(self, target: ModelTarget, at: datetime) -> bool:
        """Nobody of it may be called, even if it is due."""
        return self.next_index(target, at) is None

    def first_claim(
        self, targets: Iterable[ModelTarget], now: datetime, not_before: datetime | None = None
    ) -> datetime | None:
        """The first moment at which one can be claimed if nothing happens until then: each that may be one is tried.

        Nobody knows when a call ends, so open attempts do not count.
        """
        waiting, rate = list(targets), Pacing(None, self.policy.pace.claims_per_second)
        instants = {now, *(target.due for target in waiting if target.due is not None)}
        instants |= {until for until in self.listed.values() if until is not None}
        instants |= {each.at + timedelta(seconds=cap.window_seconds) for each in self.tries for cap in self.policy.caps}
        if self.policy.starts is not None:
            instants.add(self.policy.starts)
        if not_before is not None:
            instants.add(not_before)
        if rate.claims_per_second is not None:
            _, window = pacing.window_of(rate.claims_per_second)
            instants |= {claimed + window for claimed, _ in self.claims}
        if self.policy.hours is not None:
            half = timedelta(minutes=30)
            begin = datetime.min.replace(tzinfo=UTC) + (now - datetime.min.replace(tzinfo=UTC)) // half * half
            last = max(instants) + AHEAD
            while begin < last:
                begin += half
                instants.add(begin)
        for at in sorted(instant for instant in instants if instant >= max(now, not_before or now)):
            is_open = self.is_running(at) and not self.is_list_closed(at) and pacing.may_claim(rate, self.claims, at, 1)
            if is_open and any(self.may_be_claimed(target, at) for target in waiting):
                return at
        return None
