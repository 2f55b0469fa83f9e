"""Process that compares our calls with those of partners' switches, once: started for every five minutes.

``vosd.processes.entry vosd.daemon.bilateral_process CHANNEL``. A partner that does not answer concerns no other one.
"""

import asyncio
from decimal import Decimal
from typing import Final
from urllib.parse import quote

import msgspec

from vosd.admin.office.bilateral import BilateralTotals, book_of
from vosd.base.errors import VosError
from vosd.base.secret import Secret
from vosd.cdr.columns import iso_utc
from vosd.clearing.bilateral import Deviation, Threshold, add_up, compare
from vosd.daemon.daily import carry_out
from vosd.engine.daemon_threads import DaemonThreads
from vosd.engine.http_client import NO_ANSWER, HttpServer
from vosd.storage.bilateral import SqlEndedCalls
from vosd.storage.database import Database

ANSWER_S: Final = 30.0
"""Time that a partner's switch has to answer."""
BODY_BYTES_MAX: Final = 4 << 20
THREADS: Final = 4
_OK: Final = 200


class Partner(msgspec.Struct, frozen=True):
    """A partner and its switch."""

    account: str
    currency: str | None
    url: str
    their_account: str
    token: str
    percent: Decimal
    amount: Decimal


class BilateralOrder(msgspec.Struct, frozen=True):
    """Order to compare a span with each partner; UTC milliseconds."""

    database: str
    since: int
    until: int
    partners: tuple[Partner, ...]


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


class BilateralOutcome(msgspec.Struct, frozen=True):
    """Result of all partners."""

    partners: tuple[PartnerOutcome, ...]


class NoTotalsError(VosError):
    """The partner's switch has not answered with its totals."""


def main() -> None:
    """Do what the switch orders."""
    carry_out(BilateralOrder, compare_all)


async def compare_all(order: BilateralOrder) -> BilateralOutcome:
    """Compare a span with every partner, all at the same time."""
    database, threads = Database(order.database), DaemonThreads(THREADS, "partners")
    try:
        compared = (_compared(database, threads, order, each) for each in order.partners)
        return BilateralOutcome(tuple(await asyncio.gather(*compared)))
    finally:
        await database.close()


async def _compared(
    database: Database, threads: DaemonThreads, order: BilateralOrder, partner: Partner
) -> PartnerOutcome:
    try:
        theirs = await totals_of(partner, threads, order.since, order.until)
        ours = add_up(await SqlEndedCalls(database).of(partner.account, order.since, order.until))
        book = book_of(theirs, order.since)
    except (VosError, ValueError, ArithmeticError) as error:
        return PartnerOutcome(partner.account, failed=str(error))
    threshold = Threshold(partner.percent, partner.amount)
    has_money = theirs.currency == partner.currency
    found = compare(ours, book, threshold, order.since, order.until, has_money=has_money)
    return PartnerOutcome(partner.account, tuple(map(_in_words, found)))


async def totals_of(partner: Partner, threads: DaemonThreads, since: int, until: int) -> BilateralTotals:
    """Return the totals that the switch of a partner has.

    Raises:
        NoTotalsError: it does not answer in time, or not with totals.
    """
    server = HttpServer(partner.url, threads)
    path = f"{server.target.rstrip('/')}/bilateral/{quote(partner.their_account, safe='')}"
    target = f"{path}?since={iso_utc(since)}&until={iso_utc(until)}"
    headers = [("Authorization", f"Bearer {Secret(partner.token).reveal()}"), ("Accept", "application/json")]
    try:
        async with asyncio.timeout(ANSWER_S):
            connection = await server.connect()
            try:
                request = server.request("GET", target, headers)
                answer = await connection.ask(request, b"", status_only=False, body_max=BODY_BYTES_MAX)
            finally:
                connection.close()
    except TimeoutError:
        raise NoTotalsError(f"no answer within {ANSWER_S:.0f} s") from None
    except NO_ANSWER as error:
        raise NoTotalsError(str(error) or type(error).__name__) from error
    if answer.status != _OK:
        raise NoTotalsError(f"it answers with {answer.status}: {answer.body[:300].decode(errors='replace')}")
    try:
        return msgspec.json.decode(answer.body, type=BilateralTotals)
    except msgspec.DecodeError as error:
        raise NoTotalsError(f"it answers with something else: {error}") from error


def _in_words(found: Deviation) -> FoundDeviation:
    times = iso_utc(found.since), iso_utc(found.until)
    return FoundDeviation(found.text, *times, found.gateways, found.their_gateways, found.prefixes)
