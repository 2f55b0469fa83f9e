"""Totals of the calls of an account, as one switch sends them to another."""

from typing import Final

import msgspec

from vosd.base.money import parse_amount
from vosd.cdr.columns import iso_utc
from vosd.cdr.kinds import NAME_LENGTH
from vosd.clearing.bilateral import PERIOD_MS, PREFIX_DIGITS, Book, PartnerDirection, PartnerTotals, TotalsKey

SPAN_MAX_MS: Final = 7_200_000
"""Longest span of totals."""
_COUNT_MAX: Final = 10**12
"""Most calls or seconds of a row of another switch."""


class TotalsRow(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of the answered calls of a period that ended in it; money as text, with tax."""

    since: str
    """Beginning of the period, RFC 3339."""
    direction: PartnerDirection
    """``sent``: by this switch to the account; ``received``: by this switch from the account."""
    gateway: str
    """Gateway of this switch."""
    prefix: str
    """First four digits of the called number."""
    calls: int
    """Number of calls."""
    seconds: int
    """Seconds from answer to end."""
    amount: str
    """Cost of calls that were sent, fee of calls that were received, as text."""
    edge_seconds: int
    """Seconds of the calls that ended within a second of a border of the period."""
    edge_amount: str
    """Amount of these calls, as text."""


class BilateralTotals(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of the calls of an account."""

    account: str
    """Account that the totals are of."""
    currency: str | None
    """Currency of the amounts."""
    rows: tuple[TotalsRow, ...]
    """Totals by period, direction, gateway and prefix."""


def book_of(found: BilateralTotals, since: int) -> Book:
    """Return the totals that another switch has sent, of a span that begins at ``since``.

    Raises:
        ValueError: a time, a count or an amount is none, or more of it is at the borders than there is.
    """
    periods = {iso_utc(since + each * PERIOD_MS): since + each * PERIOD_MS for each in range(SPAN_MAX_MS // PERIOD_MS)}
    book: Book = {}
    for row in found.rows:
        if row.since not in periods:
            raise ValueError(f"{row.since} is no period of the span")
        key = TotalsKey(periods[row.since], row.direction, row.gateway[:NAME_LENGTH], row.prefix[:PREFIX_DIGITS])
        amount, edge_amount = parse_amount(row.amount), parse_amount(row.edge_amount)
        if not 0 <= row.calls <= _COUNT_MAX or not 0 <= row.edge_seconds <= row.seconds <= _COUNT_MAX:
            raise ValueError("calls, seconds or edge_seconds of a row is out of its range")
        if not 0 <= edge_amount <= amount:  # an edge is what may differ: a greater one would hide every difference
            raise ValueError("amount or edge_amount of a row is out of its range")
        own = PartnerTotals(row.calls, row.seconds, amount, row.edge_seconds, edge_amount)
        book[key] = book.get(key, PartnerTotals()).plus(own)
    return book
