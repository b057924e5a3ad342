"""Which destination of a target may be tried, in SQL: the same rule as `lifecycle.Tries`. Pure.

Every statement that needs the rule takes it from here. A property test compares both on both databases. The text only
uses columns of `target`, and looks addresses up among the customer's suppressions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.lifecycle import DESTINATIONS


@dataclass(frozen=True, slots=True)
class Suppressed:
    """What a statement says of suppressed addresses."""

    customer: str
    """The parameter with the customer."""
    now: str | None
    """The instant, in SQL: those that have expired then do not count. None: only those that never expire count."""
    has_any: str | None = None
    """A condition: if it is false, nothing is looked up. It is evaluated once for the statement, not for each row."""

    def of(self, destination: str) -> str:
        """A condition: the address of a destination, which is given as it is stored, is suppressed."""
        is_found = f"{self.found('1', destination)} IS NOT NULL"
        return f"({is_found})" if self.has_any is None else f"({self.has_any} AND {is_found})"

    def found(self, column: str, destination: str) -> str:
        """A value of the suppression of an address that counts; null if there is none.

        Args:
            column: of `suppression`.
            destination: a destination as it is stored.
        """
        # A value instead of EXISTS, for which PostgreSQL may read all of a customer's suppressions into memory first.
        lasting = "" if self.now is None else f" OR suppression.expires_at > {self.now}"
        return f"""(
            SELECT {column} FROM suppression WHERE suppression.customer_id = {self.customer}
            AND suppression.space = {space(f"({destination} ->> 'type')")}
            AND suppression.address = ({destination} ->> 'target')
            AND (suppression.expires_at IS NULL{lasting})
        )"""


@dataclass(frozen=True, slots=True)
class Cap:
    """A cap of the policy, each value in SQL."""

    per: str
    over: str
    tries: str
    seconds: str
    since: str
    """Tries count that were claimed later than this."""


@dataclass(frozen=True, slots=True)
class Capped:
    """What a statement says of caps. It is about rows of `target`."""

    customer: str
    """The parameter with the customer."""
    outdial: str
    """That with the outdial."""
    caps: Sequence[Cap]
    """At least one."""
    source: str | None
    """The table whose rows are all caps, for FROM, if `caps` is made of its columns. None: `caps` are all."""
    later: Callable[[str, str], str]
    """`db.later`."""
    has_any: str | None = None
    """A condition: if it is false, nothing is looked up."""
    is_numbered: bool = False
    """Attempts are numbered to find the one that counts: SQLite takes no column of another table as OFFSET."""

    def of(self, destination: str) -> str:
        """A condition: no cap leaves a try at a destination, which is given as it is stored."""
        # not by `until`: on SQLite, what works out an instant has each of its parts twice
        each = [f"{self._since(cap, destination)} IS NOT NULL" for cap in self.caps]
        if self.source is None:
            is_held = f"({' OR '.join(each)})"
        else:
            is_held = f"(SELECT 1 FROM {self.source} WHERE {' OR '.join(each)} LIMIT 1) IS NOT NULL"
        return f"({is_held})" if self.has_any is None else f"({self.has_any} AND {is_held})"

    def until(self, destination: str) -> str:
        """A value: the first instant at which the caps leave a try at a destination; null if they do now."""
        end = "" if self.source is None else f" FROM {self.source}"
        each = " UNION ALL ".join(f"SELECT {self._until(cap, destination)} AS free_at{end}" for cap in self.caps)
        return f"(SELECT max(each_cap.free_at) FROM ({each}) AS each_cap)"

    def _until(self, cap: Cap, destination: str) -> str:
        return self.later(self._since(cap, destination), cap.seconds)

    def _since(self, cap: Cap, destination: str) -> str:
        """A value: of the tries that the cap counts there the one whose end leaves one. Null: one is left."""
        of_target = self._last(cap, "attempt.target_id = target.id")
        of_address = self._last(cap, _is_at(destination))
        return f"(CASE {cap.per} WHEN 'TARGET' THEN {of_target} ELSE {of_address} END)"

    def used(self, cap: Cap, destination: str, target_id: str) -> str:
        """A value: how many tries of a target at a destination a cap counts.

        Args:
            cap: the cap.
            destination: as it is stored, in SQL.
            target_id: in SQL.
        """
        of_target = f"(SELECT count(*) {self._counted(cap, f'attempt.target_id = {target_id}')})"
        of_address = f"(SELECT count(*) {self._counted(cap, _is_at(destination))})"
        return f"(CASE {cap.per} WHEN 'TARGET' THEN {of_target} ELSE {of_address} END)"

    def _counted(self, cap: Cap, condition: str) -> str:
        return f"""
            FROM attempt WHERE attempt.customer_id = {self.customer} AND {condition}
              AND attempt.claimed_at > {cap.since} AND attempt.state <> 'RELEASED'
              AND ({cap.over} = 'CUSTOMER' OR attempt.outdial_id = {self.outdial})
        """

    def _last(self, cap: Cap, condition: str) -> str:
        """When the try was claimed whose end leaves one: of the last `tries` that count, the first. Null: one is left.

        It reads no more than these from an index, but for released attempts and, over an outdial, those of others.
        """
        counted = self._counted(cap, condition)
        if not self.is_numbered:
            return f"""(
                SELECT attempt.claimed_at {counted} ORDER BY attempt.claimed_at DESC LIMIT 1 OFFSET {cap.tries} - 1
            )"""
        number = "row_number() OVER (ORDER BY attempt.claimed_at DESC)"
        return f"""(
            SELECT numbered.claimed_at FROM (SELECT attempt.claimed_at, {number} AS number {counted}) AS numbered
            WHERE numbered.number = {cap.tries}
        )"""

    def may_be_released(self, destination: str) -> str:
        """A condition: an attempt at the address of a destination may still give its try back."""
        return f"""((
            SELECT 1 FROM attempt WHERE attempt.customer_id = {self.customer} AND {_is_at(destination)}
            AND attempt.state = 'CLAIMED' LIMIT 1
        ) IS NOT NULL)"""


def _is_at(destination: str) -> str:
    """A condition on an attempt: it was claimed at the address of a destination, which is given as it is stored."""
    return f"""(attempt.destination ->> 'target') = ({destination} ->> 'target')
        AND {space("(attempt.destination ->> 'type')")} = {space(f"({destination} ->> 'type')")}"""


def column(index: int) -> str:
    """The column of a destination."""
    return f"destination_{index}"


def space(type_name: str) -> str:
    """The types that share a space of numbers are the same in it: `records.space_of`, in SQL."""
    return f"CASE {type_name} WHEN 'WHATSAPP' THEN 'TEL' ELSE {type_name} END"


def usable(index: int, limit: object, *, from_zero: bool = False) -> str:
    """A condition: `Tries.usable(index)`.

    Args:
        index: of the destination.
        limit: the policy's limit, as a number or a placeholder; a target's own limit has precedence.
        from_zero: as if it had never been tried, as after a reset.
    """
    is_left = within_limit(index, limit, from_zero=from_zero)
    if not from_zero:  # what is reset is done, and has no callback
        is_left = f"CASE WHEN callback_mask IS NULL THEN {is_left} ELSE callback_mask & {1 << index} <> 0 END"
    return f"destination_{index} IS NOT NULL AND invalid_mask & {1 << index} = 0 AND {is_left}"


def within_limit(index: int, limit: object, *, from_zero: bool = False) -> str:
    """A condition: the limit leaves a try at the destination.

    Args:
        index: as of `usable`.
        limit: likewise.
        from_zero: likewise.
    """
    count = "0" if from_zero else f"try_count_{index}"
    return f"{count} < COALESCE(CAST(max_try_counts ->> {index} AS INTEGER), {limit})"


def open_to_call(
    index: int, limit: object, suppressed: Suppressed | None, capped: Capped | None = None, *, from_zero: bool = False
) -> str:
    """A condition: the destination is usable and neither suppressed nor capped."""
    held = [] if suppressed is None else [f"NOT {suppressed.of(column(index))}"]
    if capped is not None:
        held.append(_no_cap_holds(column(index), capped))
    return " AND ".join([usable(index, limit, from_zero=from_zero), *held])


def _no_cap_holds(destination: str, capped: Capped) -> str:
    """A condition: the caps leave a try there, or it is a callback's, which they count and never hold.

    Args:
        destination: as it is stored, in SQL.
        capped: the caps.
    """
    return f"(callback_mask IS NOT NULL OR NOT {capped.of(destination)})"


@dataclass(frozen=True, slots=True)
class Awake:
    """What a statement says of calling hours that go by the time zones of destinations."""

    zones: str
    """A condition on a number, in SQL: `= ANY(…)`. It is of an open zone."""
    keeps_order: bool
    """Whether a closed destination holds up the next ones."""

    def of(self, index: object) -> str:
        """A condition: the zone of a destination, which is given by its index, in SQL, is open."""
        return f"((zones >> ({ZONE_BITS} * {index})) & {(1 << ZONE_BITS) - 1}) {self.zones}"


ZONE_BITS = 12
"""Of the number of a zone in `target.zones`, destination by destination from the lowest bits on."""


def zone_number(zones: str, index: str) -> str:
    """A value: the number of a destination's zone.

    Args:
        zones: the column, in SQL.
        index: of the destination, in SQL.
    """
    return f"CAST(({zones} >> ({ZONE_BITS} * {index})) & {(1 << ZONE_BITS) - 1} AS INTEGER)"


def next_index(
    limits: Sequence[object],
    suppressed: Suppressed | None = None,
    capped: Capped | None = None,
    awake: Awake | None = None,
) -> str:
    """A value: `Tries.next_index()`; null if it is None.

    Args:
        limits: the policy's, by index.
        suppressed: passed over. None if nothing is.
        capped: likewise.
        awake: closed ones are passed over, or hold up the others. None if all are open.
    """
    # Where no retry rule says otherwise, the order is written down. Only this is evaluated then.
    from_zero = _from_zero(limits, suppressed, capped, awake)
    return f"CASE WHEN first_index = 0 THEN {from_zero} ELSE {_from_first(limits, suppressed, capped, awake)} END"


def has_next(limits: Sequence[object], suppressed: Suppressed | None = None, awake: Awake | None = None) -> str:
    """A condition: there is a next index.

    Args:
        limits: as of `next_index`.
        suppressed: likewise.
        awake: likewise.
    """
    if awake is not None and awake.keeps_order:
        return f"{next_index(limits, suppressed, awake=awake)} IS NOT NULL"
    return f"{_from_zero(limits, suppressed, None, awake)} IS NOT NULL"  # wherever they begin, all are looked at


def _from_zero(
    limits: Sequence[object], suppressed: Suppressed | None, capped: Capped | None, awake: Awake | None
) -> str:
    """A value: the next index if the order begins at 0."""
    cases = " ".join(_case(index, limits[index], suppressed, capped, awake) for index in range(DESTINATIONS))
    return f"CASE {cases} END"


def _from_first(
    limits: Sequence[object], suppressed: Suppressed | None, capped: Capped | None, awake: Awake | None
) -> str:
    """A value: the next index if the order begins at `first_index`.

    The destinations are rows here. To write down each order costs more at each start of a statement than all else.
    """
    index, destination, chosen, met = "place.number", "place.destination", "place.number", []
    if awake is not None and awake.keeps_order:
        chosen = f"CASE WHEN {awake.of(index)} THEN {index} END"
    elif awake is not None:
        met.append(awake.of(index))
    met += [] if suppressed is None else [f"NOT {suppressed.of(destination)}"]
    met += [] if capped is None else [_no_cap_holds(destination, capped)]
    # SQLite takes no column of another table in ORDER BY, and none in VALUES
    places = " UNION ALL ".join(
        f"SELECT {index} AS number, {column(index)} AS destination, {_turn(index)} AS turn"
        f" WHERE {usable(index, limits[index])}"
        for index in range(DESTINATIONS)
    )
    among = f"WHERE {' AND '.join(met)}" if met else ""
    return f"(SELECT {chosen} FROM ({places}) AS place {among} ORDER BY place.turn LIMIT 1)"


def _turn(index: int) -> str:
    """A value: when the turn of a destination comes, in the order of `lifecycle.in_order`."""
    return f"({index + DESTINATIONS} - first_index) % {DESTINATIONS}"


def _case(index: int, limit: object, suppressed: Suppressed | None, capped: Capped | None, awake: Awake | None) -> str:
    if awake is None:
        return f"WHEN {open_to_call(index, limit, suppressed, capped)} THEN {index}"
    may_be_called = open_to_call(index, limit, suppressed)
    chosen = f"CASE WHEN {awake.of(index)} THEN {index} END" if awake.keeps_order else str(index)
    # caps are looked up for those alone that may be called otherwise
    may_be_called += "" if awake.keeps_order else f" AND {awake.of(index)}"
    may_be_called += "" if capped is None else f" AND {_no_cap_holds(column(index), capped)}"
    return f"WHEN {may_be_called} THEN {chosen}"


def wakes_at(limits: Sequence[object], capped: Capped, *, soon: str) -> str:
    """A value: until when a target need not be looked at again, at none of whose destinations the caps leave a try.

    Args:
        limits: the policy's, by index.
        capped: what holds it.
        soon: an instant, in SQL: at the latest then, if it may be free before the caps say so. An attempt there may be
            released, or something else holds up a destination at which the caps leave a try.
    """
    each = [
        f"SELECT CASE WHEN {usable(index, limits[index])}"
        f" THEN COALESCE(CASE WHEN callback_mask IS NULL THEN {capped.until(column(index))} END, {soon}) END AS free_at"
        for index in range(DESTINATIONS)
    ]
    releases = " OR ".join(
        f"(destination_{index} IS NOT NULL AND {capped.may_be_released(column(index))})"
        for index in range(DESTINATIONS)
    )
    each.append(f"SELECT CASE WHEN {releases} THEN {soon} END")
    return f"(SELECT min(one.free_at) FROM ({' UNION ALL '.join(each)}) AS one)"


def ends_at(limits: Sequence[object], suppressed: Suppressed) -> str:
    """A value: when the first suppression of a usable destination ends; null if all of them last for ever.

    Args:
        limits: the policy's, by index.
        suppressed: with an instant.
    """
    each = (
        f"SELECT CASE WHEN {usable(index, limits[index])}"
        f" THEN {suppressed.found('suppression.expires_at', column(index))} END AS ends_at"
        for index in range(DESTINATIONS)
    )
    return f"(SELECT min(one.ends_at) FROM ({' UNION ALL '.join(each)}) AS one)"


def any_usable(
    limits: Sequence[object],
    suppressed: Suppressed | None = None,
    capped: Capped | None = None,
    *,
    from_zero: bool = False,
) -> str:
    """A condition: there is a next index. In brackets, so that it can stand beside others."""
    each = (
        f"({open_to_call(index, limits[index], suppressed, capped, from_zero=from_zero)})"
        for index in range(DESTINATIONS)
    )
    return f"({' OR '.join(each)})"


def any_suppressed(limits: Sequence[object], suppressed: Suppressed) -> str:
    """A condition: a usable destination is suppressed. In brackets."""
    each = (f"({usable(index, limits[index])} AND {suppressed.of(column(index))})" for index in range(DESTINATIONS))
    return f"({' OR '.join(each)})"


def suppressed_mask(suppressed: Suppressed) -> str:
    """A value: bit n is set if destination n is suppressed."""
    bits = (
        f"CASE WHEN destination_{index} IS NOT NULL AND {suppressed.of(column(index))} THEN {1 << index} ELSE 0 END"
        for index in range(DESTINATIONS)
    )
    return f"({' + '.join(bits)})"
