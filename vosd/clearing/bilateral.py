"""Totals of the calls between two switches by five minutes, and where those of both differ.

A call counts where it ended, and may be in the next period of the other switch, whose clock is another: calls that end
within a second of the border of a period may be in either.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from enum import Enum
from typing import Final, NamedTuple

from vosd.base.money import EXACT, ZERO, format_amount

PERIOD_MS: Final = 300_000
SPAN_MS: Final = 12 * PERIOD_MS
"""Time that is compared at once."""
DELAY_MS: Final = 60_000
"""Time after the end of a period in which both switches book its last calls."""
EDGE_MS: Final = 1_000
PREFIX_DIGITS: Final = 4
NAMED_MAX: Final = 5
"""Gateways and prefixes that a difference names."""
_HUNDRED: Final = Decimal(100)
_LEAST_SECONDS: Final = Decimal(60)


class PartnerDirection(Enum):
    """Side of a call that an account is on."""

    SENT = "sent"
    """The switch has sent the call to the account, which is paid for it."""
    RECEIVED = "received"
    """The switch has received the call from the account, which pays for it."""

    @property
    def other(self) -> "PartnerDirection":
        """Side of the call on the switch of the account."""
        return PartnerDirection.RECEIVED if self is PartnerDirection.SENT else PartnerDirection.SENT


class PartnerCall(NamedTuple):
    """A call of an account that was answered."""

    direction: PartnerDirection
    ended_at: int
    """UTC milliseconds."""
    gateway: str
    prefix: str
    seconds: int
    amount: Decimal


class TotalsKey(NamedTuple):
    """The calls that are added up together."""

    period: int
    """UTC milliseconds of its beginning."""
    direction: PartnerDirection
    gateway: str
    prefix: str


class PartnerTotals(NamedTuple):
    """Sums of calls."""

    calls: int = 0
    seconds: int = 0
    amount: Decimal = ZERO
    edge_seconds: int = 0
    """Seconds of the calls that may be in another period of the other switch."""
    edge_amount: Decimal = ZERO

    def plus(self, other: "PartnerTotals") -> "PartnerTotals":
        """Return the sums of both."""
        return PartnerTotals(
            self.calls + other.calls,
            self.seconds + other.seconds,
            EXACT.add(self.amount, other.amount),
            self.edge_seconds + other.edge_seconds,
            EXACT.add(self.edge_amount, other.edge_amount),
        )


Book = dict[TotalsKey, PartnerTotals]


def add_up(calls: Iterable[PartnerCall]) -> Book:
    """Add calls up by period, direction, gateway and prefix."""
    book: Book = {}
    for call in calls:
        into = call.ended_at % PERIOD_MS
        is_edge = into < EDGE_MS or into >= PERIOD_MS - EDGE_MS
        key = TotalsKey(call.ended_at - into, call.direction, call.gateway, call.prefix)
        own = PartnerTotals(
            1, call.seconds, call.amount, call.seconds if is_edge else 0, call.amount if is_edge else ZERO
        )  # fmt: skip
        book[key] = book.get(key, PartnerTotals()).plus(own)
    return book


class DeviationLimit(NamedTuple):
    """A difference that counts: more than both."""

    percent: Decimal
    """Percentage of the greater sum."""
    amount: Decimal
    """In units of money."""


class Deviation(NamedTuple):
    """Sums that differ more than they may."""

    direction: PartnerDirection
    since: int
    until: int
    ours: PartnerTotals
    theirs: PartnerTotals
    gateways: tuple[str, ...]
    """Ours with calls of these prefixes, those that differ most first."""
    their_gateways: tuple[str, ...]
    prefixes: tuple[str, ...]
    """Prefixes that differ most."""

    @property
    def text(self) -> str:
        """Both sums as a sentence."""
        done, other = ("sent", "received") if self.direction is PartnerDirection.SENT else ("received", "sent")
        return f"we have {done} {_shown(self.ours)}; they have {other} {_shown(self.theirs)}"


def _shown(totals: PartnerTotals) -> str:
    return f"{totals.calls} calls, {totals.seconds} s, {format_amount(totals.amount)}"


def compare(
    ours: Book, theirs: Book, threshold: DeviationLimit, since: int, until: int, *, has_money: bool
) -> Iterator[Deviation]:
    """Yield where both books differ: the newest period for itself, then the whole span, for each direction.

    A small share of a period may be more than its threshold in the sum of the span. Without ``has_money`` the amounts
    are of two currencies, and seconds are compared, by the same percentage and more than a minute.
    """
    turned = {key._replace(direction=key.direction.other): totals for key, totals in theirs.items()}
    for direction in PartnerDirection:
        for begin in dict.fromkeys((until - PERIOD_MS, since)):
            mine = _of(ours, direction, begin, until)
            other = _of(turned, direction, begin, until)
            own_sum, other_sum = _sum(mine.values()), _sum(other.values())
            allowed = _edges(ours, turned, direction, begin, until, has_money=has_money)
            if _exceeds(own_sum, other_sum, allowed, threshold, has_money=has_money):
                yield _deviation(direction, begin, until, mine, other, has_money=has_money)
                break


def _of(book: Book, direction: PartnerDirection, since: int, until: int) -> Book:
    return {key: totals for key, totals in book.items() if key.direction is direction and since <= key.period < until}


def _sum(totals: Iterable[PartnerTotals]) -> PartnerTotals:
    found = PartnerTotals()
    for each in totals:
        found = found.plus(each)
    return found


def _value(totals: PartnerTotals, *, has_money: bool) -> Decimal:
    return totals.amount if has_money else Decimal(totals.seconds)


def _edges(
    ours: Book, theirs: Book, direction: PartnerDirection, since: int, until: int, *, has_money: bool
) -> Decimal:
    """Return what may be beyond the first or the last border of a span in one of the books."""
    outer = {since, until - PERIOD_MS}
    found = _sum(
        totals
        for book in (ours, theirs)
        for key, totals in book.items()
        if key.direction is direction and key.period in outer
    )
    return found.edge_amount if has_money else Decimal(found.edge_seconds)


def _exceeds(
    ours: PartnerTotals, theirs: PartnerTotals, allowed: Decimal, threshold: DeviationLimit, *, has_money: bool
) -> bool:
    mine, other = _value(ours, has_money=has_money), _value(theirs, has_money=has_money)
    difference = EXACT.subtract(abs(EXACT.subtract(mine, other)), allowed)
    least = threshold.amount if has_money else _LEAST_SECONDS
    share = EXACT.divide(EXACT.multiply(max(mine, other), threshold.percent), _HUNDRED)
    return difference > least and difference > share


def _deviation(
    direction: PartnerDirection, since: int, until: int, mine: Book, other: Book, *, has_money: bool
) -> Deviation:
    by_prefix: dict[str, Decimal] = {}
    for book, sign in ((mine, 1), (other, -1)):
        for key, totals in book.items():
            value = sign * _value(totals, has_money=has_money)
            by_prefix[key.prefix] = EXACT.add(by_prefix.get(key.prefix, ZERO), value)
    prefixes = _greatest({prefix: value for prefix, value in by_prefix.items() if value})
    return Deviation(
        direction,
        since,
        until,
        _sum(mine.values()),
        _sum(other.values()),
        _gateways(mine, prefixes, has_money=has_money),
        _gateways(other, prefixes, has_money=has_money),
        prefixes,
    )


def _gateways(book: Book, prefixes: Sequence[str], *, has_money: bool) -> tuple[str, ...]:
    found: dict[str, Decimal] = {}
    for key, totals in book.items():
        if key.prefix in prefixes:
            found[key.gateway] = EXACT.add(found.get(key.gateway, ZERO), _value(totals, has_money=has_money))
    return _greatest(found)


def _greatest(values: dict[str, Decimal]) -> tuple[str, ...]:
    return tuple(sorted(values, key=lambda name: (-abs(values[name]), name))[:NAMED_MAX])
