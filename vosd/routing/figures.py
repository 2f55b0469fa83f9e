"""Statistics of each gateway: answers, length of calls, post-dial delay, cost, over an hour and since the start.

Each configured gateway has a window of sums by minute, so a call costs one addition. The figures begin empty with the
process and outlive a reload.
"""

from collections import deque
from collections.abc import Container, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Final, NamedTuple

from vosd.base.money import EXACT, ZERO
from vosd.trunks.scope import LimitScope

MINUTES: Final = 60
LATEST_MINUTES: Final = 15
_MINUTE_MS: Final = 60_000


class Hour(NamedTuple):
    """The sums of one gateway over the last hour; a call counts when it has ended."""

    attempts: int = 0
    answered: int = 0
    talk_ms: int = 0
    """Sum over all answered calls."""
    rang: int = 0
    """Attempts whose post-dial delay is known."""
    pdd_ms: int = 0
    """Sum over all of them."""
    cost: Decimal = ZERO
    """The charge of the gateway for all calls together, without tax."""
    billed_s: int = 0
    """The seconds that it charges for."""

    @property
    def asr(self) -> float | None:
        """Answered calls per hundred attempts (ITU-T E.411); None without attempts."""
        return round(100 * self.answered / self.attempts, 1) if self.attempts else None

    @property
    def acd_s(self) -> float | None:
        """Average length of the answered calls in seconds; None without any."""
        return round(self.talk_ms / self.answered / 1_000, 1) if self.answered else None

    @property
    def mean_pdd_ms(self) -> int | None:
        """Average time from the INVITE to ringing or answer; None where none rang."""
        return round(self.pdd_ms / self.rang) if self.rang else None

    @property
    def cost_per_minute(self) -> Decimal | None:
        """Average cost of a minute that the gateway charges for, without tax; None where it charged for none."""
        return EXACT.divide(60 * self.cost, Decimal(self.billed_s)) if self.billed_s else None


class LatestCalls(NamedTuple):
    """The latest calls of one gateway, without those that were barred."""

    calls: int = 0
    answered: int = 0

    @property
    def asr(self) -> float | None:
        """Answered calls per hundred; None without calls."""
        return 100 * self.answered / self.calls if self.calls else None


class AttemptClass(StrEnum):
    """The result of an attempt, as the ratios of RFC 6076 count it."""

    ANSWERED = "answered"
    USER = "user"
    """Refused by the called user or for him (480, 486, 600, 603), or it rang in vain; SEER counts it (section 4.7)."""
    REDIRECTED = "redirected"
    """3xx, which SER and SEER leave out (sections 4.6 and 4.7)."""
    INEFFECTIVE = "ineffective"
    """No response, 408, 500, 503, 504 (section 4.8, ISA)."""
    CANCELLED = "cancelled"
    """487: the caller hung up before, or another telephone has decided the call."""
    BARRED = "barred"
    """Refused because an operator has blocked or disabled something."""
    OTHER = "other"


CLASSES: Final = tuple(AttemptClass)
_ANSWERED: Final = CLASSES.index(AttemptClass.ANSWERED)
_BARRED: Final = CLASSES.index(AttemptClass.BARRED)
_OTHER: Final = CLASSES.index(AttemptClass.OTHER)
_CLASS_OF: Final = {
    **dict.fromkeys((480, 486, 600, 603), CLASSES.index(AttemptClass.USER)),
    **dict.fromkeys(range(300, 400), CLASSES.index(AttemptClass.REDIRECTED)),
    **dict.fromkeys((0, 408, 500, 503, 504), CLASSES.index(AttemptClass.INEFFECTIVE)),
    487: CLASSES.index(AttemptClass.CANCELLED),
}


class Totals:
    """The counts of one gateway since the start."""

    __slots__ = ("attempts", "pdd_ms", "rang", "talk_ms")

    def __init__(self) -> None:
        self.attempts = [0] * len(CLASSES)
        """By class, in the order of ``CLASSES``."""
        self.rang = 0
        """Attempts whose post-dial delay is known."""
        self.pdd_ms = 0
        self.talk_ms = 0


NO_TOTALS: Final = Totals()


class _Minute:
    """The sums of one minute of the monotonic clock."""

    __slots__ = ("answered", "attempts", "barred", "billed_s", "cost", "number", "pdd_ms", "rang", "talk_ms")

    def __init__(self, number: int) -> None:
        self.number = number
        self.attempts = 0
        self.answered = 0
        self.barred = 0
        """Attempts that were refused because an operator has blocked or disabled something."""
        self.talk_ms = 0
        self.rang = 0
        self.pdd_ms = 0
        self.cost = ZERO
        self.billed_s = 0


class Figures:
    """The windows of all gateways that are configured; others are not counted."""

    def __init__(self) -> None:
        self._names: dict[LimitScope, Container[str]] = {}
        self._totals: dict[LimitScope, dict[str, Totals]] = {}
        self._windows: dict[LimitScope, dict[str, deque[_Minute]]] = {}
        """The gateways that had calls: a reload need not look at the others, which may be very many."""

    def adopt(self, scope: LimitScope, names: Container[str]) -> None:
        """Count these gateways and no others; those that stay keep their figures."""
        known = self._windows.get(scope, {})
        self._names[scope] = names
        self._windows[scope] = {name: window for name, window in known.items() if name in names}
        counted = self._totals.get(scope, {})
        self._totals[scope] = {name: totals for name, totals in counted.items() if name in names}

    def note(
        self,
        scope: LimitScope,
        name: str,
        mono_ms: int,
        *,
        talk_ms: int | None,
        pdd_ms: int | None,
        cost: Decimal = ZERO,
        billed_s: int = 0,
        code: int = 0,
        is_barred: bool = False,
    ) -> None:
        """Count an attempt that ended at ``mono_ms``; ``talk_ms`` is None where the call was not answered.

        ``code`` is the final status of one that was not answered, 0 = there was no response; ``is_barred``: it was
        refused because an operator has blocked or disabled something.
        """
        window = self._windows[scope].get(name)
        if window is None:
            if name not in self._names[scope]:
                return
            window = self._windows[scope][name] = deque(maxlen=MINUTES + 1)
            self._totals[scope][name] = Totals()
        number = mono_ms // _MINUTE_MS
        if not window or window[-1].number != number:
            window.append(_Minute(number))
        minute = window[-1]
        totals = self._totals[scope][name]
        minute.attempts += 1
        if talk_ms is not None:
            minute.answered += 1
            minute.talk_ms += talk_ms
            totals.attempts[_ANSWERED] += 1
            totals.talk_ms += talk_ms
        else:
            totals.attempts[_BARRED if is_barred else _CLASS_OF.get(code, _OTHER)] += 1
            minute.barred += is_barred
        if billed_s:
            minute.cost += cost
            minute.billed_s += billed_s
        if pdd_ms is not None:
            minute.rang += 1
            minute.pdd_ms += pdd_ms
            totals.rang += 1
            totals.pdd_ms += pdd_ms

    def note_cost(self, name: str, mono_ms: int, cost: Decimal, billed_s: int) -> None:
        """Add what a routing gateway charges for an attempt that is counted already."""
        if not billed_s or name not in self._names[LimitScope.ROUTING]:
            return
        windows, number = self._windows[LimitScope.ROUTING], mono_ms // _MINUTE_MS
        if name not in windows:
            windows[name] = deque(maxlen=MINUTES + 1)
            self._totals[LimitScope.ROUTING][name] = Totals()
        window = windows[name]
        if not window or window[-1].number != number:
            window.append(_Minute(number))
        window[-1].cost += cost
        window[-1].billed_s += billed_s

    def names(self, scope: LimitScope) -> Iterator[str]:
        """Yield the gateways that have had calls, as they are now."""
        return iter(tuple(self._windows[scope]))

    def counts(self, scope: LimitScope, name: str) -> bool:
        """Return whether a gateway is counted."""
        return name in self._names[scope]

    def totals(self, scope: LimitScope, name: str) -> Totals:
        """Return the counts of a gateway since the start; not to be changed."""
        return self._totals[scope].get(name, NO_TOTALS)

    def latest(self, scope: LimitScope, name: str, mono_ms: int, at_least: int) -> LatestCalls:
        """Return the calls of the last quarter of an hour; where these are too few, of as much of the hour as it takes.

        Calls that were barred are left out.
        """
        now, calls, answered = mono_ms // _MINUTE_MS, 0, 0
        for minute in reversed(self._windows[scope].get(name, ())):
            age = now - minute.number
            if age > MINUTES or (age > LATEST_MINUTES and calls >= at_least):
                break
            calls += minute.attempts - minute.barred
            answered += minute.answered
        return LatestCalls(calls, answered)

    def last_hour(self, scope: LimitScope, name: str, mono_ms: int) -> Hour:
        """Return the sums of the minute that runs and of the sixty before it."""
        since = mono_ms // _MINUTE_MS - MINUTES
        minutes = [each for each in self._windows[scope].get(name, ()) if each.number >= since]
        return Hour(
            sum(each.attempts for each in minutes),
            sum(each.answered for each in minutes),
            sum(each.talk_ms for each in minutes),
            sum(each.rang for each in minutes),
            sum(each.pdd_ms for each in minutes),
            sum((each.cost for each in minutes), ZERO),
            sum(each.billed_s for each in minutes),
        )
