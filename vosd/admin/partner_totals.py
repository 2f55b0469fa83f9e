"""Compare our calls with those of a partner, by the totals that its switch shows."""

import asyncio
from typing import Final
from urllib.parse import quote

import msgspec

from vosd.admin.bilateral_totals import BilateralTotals, book_of
from vosd.base.errors import VosError
from vosd.base.undecodable import UNDECODABLE
from vosd.cdr.columns import iso_utc
from vosd.clearing.bilateral import PERIOD_MS, Deviation, DeviationLimit, add_up, compare
from vosd.engine.host_names import HostNames
from vosd.engine.http_client import NO_ANSWER, HttpServer, LongBodyError
from vosd.engine.settings import BilateralSettings
from vosd.storage.bilateral import SqlEndedCalls

ANSWER_S: Final = 30.0
"""Time that a partner's switch has to answer all questions of a comparison."""
BODY_BYTES_MAX: Final = 8 << 20
"""Longest answer: some 45,000 rows."""
WHY_CHARACTERS_MAX: Final = 400
"""A reason has words of the partner's answer."""
_OK: Final = 200


class Partner(msgspec.Struct, frozen=True):
    """A partner, and the currency of its account here."""

    settings: BilateralSettings
    currency: str | None


class FoundDeviation(msgspec.Struct, frozen=True):
    """A difference with a partner, in words."""

    what: str
    since: str
    until: str
    gateways: tuple[str, ...]
    their_gateways: tuple[str, ...]
    prefixes: tuple[str, ...]


class PartnerOutcome(msgspec.Struct, frozen=True):
    """Result of one partner."""

    account: str
    deviations: tuple[FoundDeviation, ...] = ()
    failed: str = ""
    """Why nothing was compared; empty = it was."""


class NoTotalsError(VosError):
    """The partner's switch has not answered with its totals."""


async def compared_with(
    partner: Partner, calls: SqlEndedCalls, names: HostNames, since: int, until: int
) -> PartnerOutcome:
    """Compare a span of whole periods with a partner; UTC milliseconds. What fails is in the outcome."""
    terms = partner.settings
    try:
        theirs = await totals_of(terms, names, since, until)
        ours = add_up(await calls.of(terms.account, since, until))
        book = book_of(theirs, since)
    except (VosError, ValueError) as error:
        return PartnerOutcome(terms.account, failed=str(error)[:WHY_CHARACTERS_MAX])
    threshold = DeviationLimit(terms.percent, terms.amount)
    has_money = theirs.currency == partner.currency
    found = compare(ours, book, threshold, since, until, has_money=has_money)
    return PartnerOutcome(terms.account, tuple(map(_in_words, found)))


async def totals_of(partner: BilateralSettings, names: HostNames, since: int, until: int) -> BilateralTotals:
    """Return the totals that the switch of a partner has, of whole periods.

    Raises:
        NoTotalsError: it does not answer in time, or not with totals.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            return await _totals(partner, HttpServer(partner.url, names, receive_bytes=None), since, until)
    except TimeoutError:
        raise NoTotalsError(f"no answer within {ANSWER_S:.0f} s") from None
    except NO_ANSWER as error:
        raise NoTotalsError(str(error) or type(error).__name__) from error


async def _totals(partner: BilateralSettings, server: HttpServer, since: int, until: int) -> BilateralTotals:
    """Ask for the totals of a span; where they are too long for one answer, for those of both halves."""
    try:
        return await _asked(partner, server, since, until)
    except LongBodyError:
        middle = since + (until - since) // PERIOD_MS // 2 * PERIOD_MS
        if middle == since:
            raise
    first = await _totals(partner, server, since, middle)
    second = await _totals(partner, server, middle, until)
    return msgspec.structs.replace(second, rows=(*first.rows, *second.rows))


async def _asked(partner: BilateralSettings, server: HttpServer, since: int, until: int) -> BilateralTotals:
    path = f"{server.target.rstrip('/')}/bilateral/{quote(partner.their_account, safe='')}"
    target = f"{path}?since={iso_utc(since)}&until={iso_utc(until)}"
    headers = [("Authorization", f"Bearer {partner.token.reveal()}"), ("Accept", "application/json")]
    answer = await server.ask_once("GET", target, headers, body_max=BODY_BYTES_MAX)
    if answer.status != _OK:
        raise NoTotalsError(f"it answers with {answer.status}: {answer.body[:300].decode(errors='replace')}")
    try:
        return msgspec.json.decode(answer.body, type=BilateralTotals)
    except UNDECODABLE as error:
        raise NoTotalsError(f"it answers with something else: {error}") from error


def _in_words(found: Deviation) -> FoundDeviation:
    times = iso_utc(found.since), iso_utc(found.until)
    return FoundDeviation(found.text, *times, found.gateways, found.their_gateways, found.prefixes)
