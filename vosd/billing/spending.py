"""Spend limits: what the calls of an account may cost in an hour or a day, and what happens when they have.

What ended calls have cost counts in the period in which they end; what running calls hold counts in the present one.
A call that is there when a period begins counts without what it had cost by then.
"""

from collections.abc import Collection, Sequence
from copy import copy
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from itertools import islice
from typing import Final, Protocol
from zoneinfo import ZoneInfo

import msgspec

from vosd.base.money import ZERO

LOOKED_AT_ONCE: Final = 250
"""Calls that are looked at before other work gets its turn, which takes two milliseconds."""
_HOUR_MS: Final = 3_600_000
_Bounds = tuple[int, int]


class SpendPeriod(Enum):
    """Periods over which amounts are added up."""

    HOUR = "hour"
    DAY = "day"


class SpendAction(Enum):
    """Actions at a limit; each includes those before it."""

    EVENT = "event"
    """It is logged, once in the period."""
    BLOCK = "block"
    """A new call that would pass it is refused until the period ends."""
    HANG_UP = "hang up"
    """Running calls are granted no more either, so they end where the limit is reached."""


class SpendLimit(msgspec.Struct, frozen=True):
    """One limit of an account."""

    per: SpendPeriod
    amount: Decimal
    action: SpendAction


class SpendingCall(Protocol):
    """A call that holds money of the account."""

    left_out: dict[SpendPeriod, tuple[int, Decimal]] | None
    """Cost when a period began, which its limits leave out, and when that was (UTC milliseconds)."""

    @property
    def is_further(self) -> bool:
        """Return whether the call before, of which ``closing`` was called, is another hold of the same call."""

    @property
    def over(self) -> Decimal:
        """Price of the seconds that were over when it was granted more last, or less where more is held ahead."""

    def cost_before(self, ago_ms: int) -> Decimal:
        """Return at most what it had cost so many milliseconds ago."""


class SpendingCalls(Protocol):
    """The calls that hold money of the account."""

    @property
    def holds(self) -> Collection[SpendingCall]:
        """Return all of them."""

    @property
    def over(self) -> Decimal:
        """Return the sum of ``over`` of all."""


class _NoCalls:
    holds: Collection[SpendingCall] = ()
    over = ZERO


class Spending:
    """Cost of one account's calls in the present hour and day, against its limits."""

    __slots__ = (
        "_before", "_bounds", "_calls", "_closing", "_earlier", "_granted", "_limits", "_looked_at", "_of_ended",
        "_refusing", "_reported", "_spent", "_unseen", "_zone",
    )  # fmt: skip

    def __init__(
        self, limits: Sequence[SpendLimit], zone: str, wall_ms: int, calls: SpendingCalls | None = None
    ) -> None:
        """``zone`` is the time zone in which days begin; ``calls`` are those of the account, None = none."""
        self._limits = tuple(limits)
        self._zone = ZoneInfo(zone)
        self._calls = calls or _NoCalls()
        self._spent = dict.fromkeys(SpendPeriod, ZERO)
        self._bounds = {per: self._bounds_at(per, wall_ms) for per in SpendPeriod}
        """Begin and end of the present hour and day."""
        self._before: dict[SpendPeriod, tuple[_Bounds, Decimal, Decimal, Decimal]] = {}
        """The hour and day before, and their ``_spent``, ``_earlier`` and ``_of_ended``."""
        self._looked_at = wall_ms
        """Time at which ended periods were looked for last, UTC milliseconds."""
        self._granted: set[SpendingCall] = set()
        """Calls that were granted more since then."""
        self._of_ended = dict.fromkeys(SpendPeriod, ZERO)
        """Part of ``_spent`` that is the cost of calls before the present hour and day began."""
        self._earlier = dict.fromkeys(SpendPeriod, ZERO)
        """Cost of ended and running calls before the present hour and day began."""
        self._unseen: dict[SpendPeriod, dict[SpendingCall, int]] = {}
        """Calls that are not looked at yet, and how long ago the period began when they were added, milliseconds.

        What was over when they were granted more last is left out for them, as if that had been before the present
        period: somewhat too much. They are looked at before they are granted more or end."""
        for per in SpendPeriod:
            self._leave_out_anew(per, wall_ms)
        self.look_on()
        self._closing = (0, dict.fromkeys(SpendPeriod, ZERO))
        """The number of holds of the call that has just ended, and what was left out for them: its costs follow."""
        self._reported: set[SpendLimit] = set()
        """Limits that were reached in their present period."""
        self._refusing: set[SpendLimit] = set()
        """Limits that have refused a call since they were last looked at."""

    def set_limits(self, limits: Sequence[SpendLimit], zone: str, wall_ms: int) -> None:
        """Set what a reload changed; what was spent counts on until hour and day end.

        In another time zone, what running calls had cost before the day begins is known when ``look_on`` is done.
        """
        self.roll(wall_ms)
        self._limits = tuple(limits)
        self._reported.intersection_update(limits)
        if self._zone.key != zone:
            self._zone = ZoneInfo(zone)
            for per in SpendPeriod:
                present, self._bounds[per] = self._bounds[per], self._bounds_at(per, wall_ms)
                if self._bounds[per] != present:
                    self._leave_out_anew(per, wall_ms)
            self.look_on()

    def look_on(self) -> bool:
        """Look at some calls that were there when limits or time zone were set; return whether others are left."""
        most = LOOKED_AT_ONCE
        for per, calls in self._unseen.items():
            some = [*islice(calls, most)]
            most -= len(some)
            for call in some:
                self._look_at(call, per)
        return any(self._unseen.values())

    def began(self, per: SpendPeriod) -> int:
        """Return when the present period began (UTC milliseconds)."""
        return self._bounds[per][0]

    def roll(self, wall_ms: int) -> None:
        """Begin the periods anew that have ended.

        After a clock was set back, what was spent since stays spent. Once it is put right, the hour or day that it left
        begins at zero: to keep it would refuse calls for a day where a machine begins with a clock that is ahead.
        """
        for per in SpendPeriod:
            begin_ms, end_ms = present = self._bounds[per]
            if begin_ms <= wall_ms < end_ms:
                continue
            self._bounds[per] = self._bounds_at(per, wall_ms)
            self._unseen[per] = {}
            if wall_ms >= end_ms:
                self._before[per] = present, self._spent[per], self._earlier[per], self._of_ended[per]
                self._spent[per] = self._of_ended[per] = ZERO
                # A period may begin before the end of the one before, where the clock goes back by half an hour.
                self._earlier[per] = self._left_out_at(per, wall_ms - max(end_ms, self.began(per)))
                self._reported = {limit for limit in self._reported if limit.per is not per}
            elif per in self._before and self._before[per][0] == self._bounds[per]:
                _, spent, self._earlier[per], self._of_ended[per] = self._before.pop(per)
                self._spent[per] += spent  # the clock was ahead: the period before goes on
        self._looked_at = wall_ms
        self._granted.clear()

    def granting(self, call: SpendingCall) -> None:
        """Keep what is left out for a call, which is about to be granted more; call it before ``over`` changes."""
        for per in SpendPeriod:
            self._look_at(call, per)
        kept = call.left_out or {}
        if any(per not in kept or kept[per][0] != self.began(per) for per in SpendPeriod):
            call.left_out = {per: (self.began(per), self._left_out_of(call, per)) for per in SpendPeriod}
        self._granted.add(call)

    def resumed(self, call: SpendingCall) -> None:
        """Leave out what a call of before a restart had cost before the present periods began."""
        for per in SpendPeriod:
            self._earlier[per] += self._leave_out(call, per, self._looked_at - self.began(per))
        self._granted.add(call)

    def closing(self, call: SpendingCall) -> None:
        """Leave out nothing of a hold any more, whose call has ended; ``ended`` follows if it has cost anything."""
        holds, closing = self._closing if call.is_further else (0, dict.fromkeys(SpendPeriod, ZERO))
        for per in SpendPeriod:
            self._look_at(call, per)
            left_out = self._left_out_of(call, per)
            self._earlier[per] -= left_out
            closing[per] += left_out
        self._closing = holds + 1, closing
        self._granted.discard(call)

    def ended(self, amount: Decimal, at_ms: int | None = None) -> None:
        """Count what a call has cost that ended at a moment, in the present periods that had begun; None = now.

        What was left out while it ran stays so, but no more than it has cost: the dearest that it could be was held.
        """
        holds, closing = self._closing
        self._closing = max(holds - 1, 0), closing
        for per in SpendPeriod:
            if at_ms is None or at_ms >= self._bounds[per][0]:
                self._spent[per] += amount
                if holds:
                    left_out = min(closing[per], amount)
                    closing[per] -= left_out
                    self._earlier[per] += left_out
                    self._of_ended[per] += left_out

    def add(self, amount: Decimal, per: SpendPeriod) -> None:
        """Count what calls have cost that ended in the present hour or day."""
        self._spent[per] += amount

    def objection(self, amount: Decimal, reserved: Decimal) -> SpendLimit | None:
        """Return the limit that a new call would pass which holds ``amount``, None = none does."""
        for limit in self._limits:
            if limit.action is not SpendAction.EVENT and self._cost(limit.per, reserved) + amount > limit.amount:
                return limit
        return None

    def refused(self, limit: SpendLimit) -> None:
        """Note that a call was refused because of a limit: it counts as reached."""
        self._refusing.add(limit)

    def within(self, available: Decimal | None, reserved: Decimal) -> Decimal | None:
        """Return what running calls may be granted of what is available; None = whatever they want."""
        for limit in self._limits:
            if limit.action is SpendAction.HANG_UP:
                left = limit.amount - self._cost(limit.per, reserved)
                available = left if available is None else min(available, left)
        return available

    def ending(self, more: Decimal, reserved: Decimal) -> SpendLimit | None:
        """Return the limit by which running calls are not granted ``more``; None = none is."""
        for limit in self._limits:
            if limit.action is SpendAction.HANG_UP and self._cost(limit.per, reserved) + more > limit.amount:
                return limit
        return None

    def reached(self, reserved: Decimal) -> list[SpendLimit]:
        """Return the limits that are reached now and were not before in their period."""
        found = [
            limit
            for limit in self._limits
            if limit not in self._reported
            and (limit in self._refusing or self._cost(limit.per, reserved) >= limit.amount)
        ]
        self._refusing.clear()
        self._reported.update(found)
        return found

    def copied(self) -> "Spending":
        """Return a copy on which a call can be tried."""
        twin = copy(self)
        twin._earlier, twin._granted, twin._refusing = self._earlier.copy(), set(), set()
        return twin

    def spent(self, per: SpendPeriod) -> Decimal:
        """Return what calls that ended in the present period have cost, also before it began."""
        return self._spent[per]

    def parts(self, per: SpendPeriod, reserved: Decimal) -> tuple[Decimal, Decimal]:
        """Return what counts in the present period of ended calls, and of the ``reserved`` amount of running ones."""
        spent = max(self._spent[per] - self._earlier[per], ZERO)
        return spent, self._cost(per, reserved) - spent

    def _cost(self, per: SpendPeriod, reserved: Decimal) -> Decimal:
        """Return what calls have cost in the present period, with what running ones may."""
        return self._spent[per] + reserved - self._earlier[per]

    def _left_out_of(self, call: SpendingCall, per: SpendPeriod) -> Decimal:
        """Return what is left out for a call: what was over when the period began, as it was granted nothing since."""
        began_ms, amount = (call.left_out or {}).get(per, (None, ZERO))
        return amount if began_ms == self.began(per) else call.over

    def _left_out_at(self, per: SpendPeriod, ago_ms: int) -> Decimal:
        """Return what all calls had cost when the present period began, so many milliseconds ago.

        Only those are looked at that may have been granted more since: thousands would hold up the signalling.
        """
        return self._calls.over + sum((self._leave_out(call, per, ago_ms) - call.over for call in self._granted), ZERO)

    def _leave_out_anew(self, per: SpendPeriod, wall_ms: int) -> None:
        self._earlier[per] = self._of_ended[per] + self._calls.over
        self._unseen[per] = dict.fromkeys(self._calls.holds, wall_ms - self.began(per))
        for call in self._unseen[per]:
            if call.left_out is not None:  # it may be of this moment in another time zone
                call.left_out = {each: kept for each, kept in call.left_out.items() if each is not per}

    def _look_at(self, call: SpendingCall, per: SpendPeriod) -> None:
        ago_ms = self._unseen[per].pop(call, None)
        if ago_ms is not None:
            self._earlier[per] -= self._left_out_of(call, per)
            self._earlier[per] += self._leave_out(call, per, ago_ms)

    def _leave_out(self, call: SpendingCall, per: SpendPeriod, ago_ms: int) -> Decimal:
        amount = call.cost_before(ago_ms)
        call.left_out = {**(call.left_out or {}), per: (self.began(per), amount)}
        return amount

    def _bounds_at(self, per: SpendPeriod, wall_ms: int) -> _Bounds:
        """Return when the period begins in which ``wall_ms`` lies, and when it ends."""
        at = datetime.fromtimestamp(wall_ms // 1_000, self._zone)
        if per is SpendPeriod.HOUR:
            begin_ms = wall_ms - (at.minute * 60 + at.second) * 1_000 - wall_ms % 1_000
            return begin_ms, begin_ms + _HOUR_MS
        midnight = at.replace(hour=0, minute=0, second=0)
        following = (midnight + timedelta(days=1)).replace(fold=0)
        return _ms_of(midnight.replace(fold=0)), _ms_of(following)


def _ms_of(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000)
