"""Use of a class of destinations by an account in an hour, and its limits (ADR 75).

A call counts in the hour in which it ends, with its talk and its charge; while it runs it counts in the present hour,
with its talk so far and the money that it holds. Hours are those of UTC. It does not know where the past is read.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple, TypeVar

import msgspec

from vosd.base.money import ZERO, format_amount
from vosd.base.prefixes import PrefixIndex
from vosd.billing.spending import SpendAction

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
_MINUTE_MS: Final = 60_000

Amount = TypeVar("Amount", int, Decimal)


class DestinationClass(msgspec.Struct, frozen=True):
    """A named set of prefixes, such as premium numbers."""

    name: str
    prefixes: tuple[str, ...]
    """``*`` fits every number."""


class DestinationLimit(msgspec.Struct, frozen=True):
    """Limits of an account's use of a class of destinations in an hour."""

    destination: str
    """Name of the class."""
    factor: int = 5
    """As many times as much as in the highest of the same hours of the past days."""
    minutes: int | None = 30
    """Less is always allowed; None = minutes are compared with ``max_minutes`` only."""
    spend: Decimal | None = None
    """Limit of the cost, tax included, in the currency of the account."""
    max_minutes: int | None = None
    """More is never allowed, whatever the past was."""
    max_spend: Decimal | None = None
    action: SpendAction = SpendAction.EVENT
    block_for_s: int = 0
    """Duration of a block; 0 = until it is cleared."""


class Usage(NamedTuple):
    """Answered calls, their talk in milliseconds, and what they cost with tax."""

    calls: int = 0
    talk_ms: int = 0
    spend: Decimal = ZERO

    def plus(self, other: "Usage") -> "Usage":
        """Return the sum of two."""
        return Usage(self.calls + other.calls, self.talk_ms + other.talk_ms, self.spend + other.spend)

    def highest(self, other: "Usage") -> "Usage":
        """Return the higher of each figure."""
        return Usage(max(self.calls, other.calls), max(self.talk_ms, other.talk_ms), max(self.spend, other.spend))

    def minus(self, other: "Usage") -> "Usage":
        """Return what is left of it; nothing is below zero."""
        left = self.calls - other.calls, self.talk_ms - other.talk_ms, self.spend - other.spend
        return Usage(max(left[0], 0), max(left[1], 0), max(left[2], ZERO))


NOTHING: Final = Usage()


class Past(NamedTuple):
    """Past use of a class by an account, as far as it is known."""

    is_new: bool
    """The account has had its first call less than a day ago."""
    highest: Usage
    """The highest of each in the same hours of the past days."""


class Excess(NamedTuple):
    """Use above the limit."""

    used: str
    """Such as ``42 minutes``."""
    allowed: str
    usual: str
    """The highest of the past, empty where that says nothing."""

    def __str__(self) -> str:
        usual = f", at most {self.usual} in this hour of the past days" if self.usual else ""
        return f"{self.used} in an hour, {self.allowed} allowed{usual}"


class Destinations:
    """Finds the class of a called number: the longest prefix decides."""

    def __init__(self, classes: Iterable[DestinationClass] = ()) -> None:
        entries = [(prefix, each.name) for each in classes for prefix in each.prefixes]
        self._index = PrefixIndex(entries)
        self.names: Final = tuple(dict.fromkeys(name for _, name in entries))
        self.digits: Final = max((len(prefix) for prefix, _ in entries), default=0)
        """So many first digits of a number decide."""

    def of(self, number: str) -> str | None:
        """Return the name of a number's class; None = it has none."""
        return self._index.longest(number)


class DestinationUse:
    """The use of one class by one account in the present hour; reset by ``roll``."""

    __slots__ = (
        "_answered_ms", "_before", "_ended", "account", "before", "destination", "first_number", "forgiven", "held",
        "hour", "is_learned", "past", "running", "since",
    )  # fmt: skip

    def __init__(self, account: str, destination: str, wall_ms: int) -> None:
        """``wall_ms`` is the present, UTC; what ended before in this hour is added as ``before``."""
        self.account: Final = account
        self.destination: Final = destination
        self.since: Final = wall_ms
        """Ended calls are counted from then on."""
        self.hour = wall_ms - wall_ms % HOUR_MS
        """When the present hour began, UTC milliseconds."""
        self._ended = NOTHING
        self.before = NOTHING
        """Use of calls that ended in the present hour and before ``since``, as the database has it."""
        self.forgiven = NOTHING
        """Use of the present hour that is not counted, because a block was lifted."""
        self._before: tuple[int, Usage, Usage, Usage] = (0, NOTHING, NOTHING, NOTHING)
        """The hour before, and ``_ended``, ``before`` and ``forgiven`` at its end."""
        self.running = 0
        """Answered calls that run."""
        self._answered_ms = 0
        """Sum of the monotonic milliseconds at which they were answered."""
        self.held = ZERO
        """Money that they hold; changed by ``AccountCredit``."""
        self.past: Past | None = None
        """None = it has not been read yet; in the first second of an hour it is that of the hour before."""
        self.is_learned = False
        """``past`` is that of the present hour."""
        self.first_number = ""
        """The first called number that was answered."""

    def answered(self, mono_ms: int) -> None:
        """Count a call that is answered at ``mono_ms``, monotonic milliseconds, until ``released``."""
        self.running += 1
        self._answered_ms += mono_ms

    def released(self, answered_mono_ms: int) -> None:
        """Count a call no longer that was answered then."""
        self.running -= 1
        self._answered_ms -= answered_mono_ms

    def ended(self, talk_ms: int, spend: Decimal, wall_ms: int) -> None:
        """Add an answered call that has ended at ``wall_ms``, UTC; with the first one of an hour that begins.

        A call may end before the watch has looked at its use, and then counts in no other hour.
        """
        if wall_ms >= self.hour + HOUR_MS:
            self.roll(wall_ms)
        self._ended = self._ended.plus(Usage(1, talk_ms, spend))

    def roll(self, wall_ms: int) -> bool:
        """Begin the hour of ``wall_ms`` (UTC) if it is another one; return whether it is.

        After a clock was set back, what was used since stays used. Once it is put right, the hour that it left begins
        at zero.
        """
        hour = wall_ms - wall_ms % HOUR_MS
        if hour == self.hour:
            return False
        if hour > self.hour:
            self._before = self.hour, self._ended, self.before, self.forgiven
            self._ended = self.before = self.forgiven = NOTHING
        elif hour == self._before[0]:  # the clock was ahead: the hour before goes on
            _, ended, self.before, self.forgiven = self._before
            self._ended = self._ended.plus(ended)
        self.hour, self.is_learned = hour, False
        return True

    def used(self, mono_ms: int) -> Usage:
        """Return what is used in the present hour by ``mono_ms``, monotonic milliseconds."""
        return self._counted(mono_ms).minus(self.forgiven)

    def forgive(self, mono_ms: int) -> None:
        """Count from zero for the rest of the hour."""
        self.forgiven = self._counted(mono_ms)

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs, and nothing has ended in the present hour."""
        return not self.running and not self._ended.calls

    def _counted(self, mono_ms: int) -> Usage:
        talk_ms = self.running * mono_ms - self._answered_ms
        return self._ended.plus(self.before).plus(Usage(self.running, talk_ms, self.held))


class DestinationUses:
    """The uses of all accounts and classes that have had a call."""

    def __init__(self) -> None:
        self.all: dict[tuple[str, str], DestinationUse] = {}
        """By account and class; there are never more than the configuration has of both."""
        self.active: dict[tuple[str, str], DestinationUse] = {}
        """Uses with an answered call that runs, or has ended in the present hour."""

    def of(self, account: str, destination: str, wall_ms: int) -> DestinationUse:
        """Return the use of a class by an account, which may be new; ``wall_ms`` is the present, UTC."""
        key = account, destination
        found = self.all.get(key)
        if found is None:
            found = self.all[key] = DestinationUse(account, destination, wall_ms)
        return found

    def answered(self, use: DestinationUse, mono_ms: int, number: str) -> None:
        """Count a call to ``number`` that is answered now."""
        use.answered(mono_ms)
        key = use.account, use.destination
        self.all[key] = self.active[key] = use
        use.first_number = use.first_number or number


def excess(limit: DestinationLimit, past: Past | None, used: Usage) -> Excess | None:
    """Return what is used above what is allowed; None = all is allowed.

    ``past``: None = it is not known yet, so that only the highest that is ever allowed counts.
    """
    highest = NOTHING if past is None else past.highest
    floor_ms = None if limit.minutes is None else limit.minutes * _MINUTE_MS
    cap_ms = None if limit.max_minutes is None else limit.max_minutes * _MINUTE_MS
    allowed_ms = _allowed(floor_ms, cap_ms, limit.factor * highest.talk_ms, past)
    knows_usual = past is not None and not past.is_new
    if allowed_ms is not None and used.talk_ms >= allowed_ms:
        usual = f"{highest.talk_ms / _MINUTE_MS:.1f} minutes" if knows_usual else ""
        return Excess(f"{used.talk_ms / _MINUTE_MS:.1f} minutes", f"{allowed_ms / _MINUTE_MS:.1f}", usual)
    allowed = _allowed(limit.spend, limit.max_spend, limit.factor * highest.spend, past)
    if allowed is not None and used.spend and used.spend >= allowed:  # 0 may be the limit: then all money is above
        usual = format_amount(highest.spend) if knows_usual else ""
        return Excess(format_amount(used.spend), format_amount(allowed), usual)
    return None


def _allowed(floor: Amount | None, cap: Amount | None, usual: Amount, past: Past | None) -> Amount | None:
    """Return how much is allowed; None = any amount."""
    if past is None or floor is None:
        return cap
    if past.is_new:
        return floor if cap is None else cap
    least = max(floor, usual)
    return least if cap is None else min(least, cap)
