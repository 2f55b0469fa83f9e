"""Use case of a new rating: what the calls of a span would cost by the rates of now, or by others, and its booking.

Corrections are booked some calls in one transaction. Each entry is named by the run and the call, so a run that was
interrupted may be repeated.
"""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from sys import maxsize
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import msgspec

from vosd.admin.difference_sheets import AccountDifference, CallDifference, PrefixDifference
from vosd.admin.names import check_names, unknown
from vosd.admin.office.bookings import refresh_balances
from vosd.admin.office.office import Office, needs, waits_for_rows
from vosd.admin.office.payments import AboveLimitError, alone_at_most, needs_second
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.rerate import Rerating, digest_of, reference_of_run
from vosd.base.money import EXACT, ZERO, format_amount
from vosd.cdr.corrections import ChargeChange, Correction
from vosd.storage.audit_line import AuditLine
from vosd.storage.ports import REFERENCE_MAX, CallFilter

if TYPE_CHECKING:
    from vosd.billing.rate_group import RateGroup
    from vosd.catalogue.catalogue import Catalogue
    from vosd.storage.corrections import SqlCorrections

Report = Callable[[int, int], None]
CALLS_AT_ONCE: Final = 100
"""Calls of one transaction: their accounts are locked for some milliseconds, while calls are booked as well."""


class RerateCalls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The calls of a span, rated again; times are those of the INVITE."""

    since: int
    until: int
    account: str | None = None
    """Only what this customer, agent or vendor pays or is paid."""
    prefix: str = ""
    """Only calls whose number, as it was rated, begins with these digits."""
    deck: str | None = None
    """Rate the calls of the account by this rate group instead."""
    compares_steps: bool = False
    """Compare the stored steps of each fee, too."""
    limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """At most so many calls, the newest."""
    top: Annotated[int, msgspec.Meta(ge=1)] = 20
    """Calls and prefixes that are listed."""
    corrected_too: bool = False
    """Also charges that were corrected by hand."""
    book: bool = False
    """Book the differences as corrections."""
    memo: str | None = None
    """Why; it stands in the ledger, and goes together with ``book``."""
    reference: str | None = None
    """Name of the run: it corrects a call once. Without it: by span and rates."""

    def __post_init__(self) -> None:
        if self.book is not bool(self.memo and self.memo.strip()):
            raise OrderError("book", "and `memo` go together", "say why")
        if self.prefix and not (self.prefix.isascii() and self.prefix.isdigit()):
            raise OrderError("prefix", "is digits without + and *")
        if self.reference is not None and not (self.book and self.reference.strip()):
            raise OrderError("reference", "names a run with `book`, and is not empty")
        if self.reference is not None:
            whole = reference_of_run(self.reference, has_deck=self.deck is not None)
            if len(whole) > REFERENCE_MAX:
                most = REFERENCE_MAX - (len(whole) - len(self.reference))
                raise OrderError("reference", f"has at most {most} characters here", f"the ledger has it as {whole}")
        if self.deck is not None and self.account is None:
            raise OrderError("with", "says by which rates the calls of one account are rated", "add `account`")


class BookedAmount(msgspec.Struct, frozen=True):
    """Amount that the entries of a run add to an account."""

    account: str
    currency: str | None
    amount: str


class BookedRun(msgspec.Struct, frozen=True):
    """Corrections of a run."""

    reference: str
    charges: int
    repeated: int
    """Charges that were corrected under the reference before, and differ."""
    overtaken: int
    """Calls that were corrected while the run went on, by a person or another run, and stay so."""
    accounts: list[BookedAmount]


class RerateReport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Differences between the books and the new rating; the sums are those of ``PriceDifferences``."""

    calls: int
    steps_differ: int | msgspec.UnsetType = msgspec.UNSET
    corrected_by_hand: int
    uncorrected: int | msgspec.UnsetType = msgspec.UNSET
    charges: int
    differ: int
    accounts: list[AccountDifference]
    prefixes: list[PrefixDifference]
    prefixes_differ: int
    greatest: list[CallDifference]
    booked: BookedRun | msgspec.UnsetType = msgspec.UNSET
    untold: str | msgspec.UnsetType = msgspec.UNSET
    """Why a running switch does not know the balances yet; absent if it does, or if nothing was booked."""


@needs(Permission.BOOKS_CHANGE)
@waits_for_rows
async def rerate_calls(office: Office, who: Principal, order: RerateCalls, report: Report) -> RerateReport:
    """Rate the calls again, and book the differences if that is ordered; the running switch knows the balances then.

    By another group, a person books no more than alone: who says the group says the prices.

    ``report`` gets the number of further calls and when the last of them began, UTC milliseconds; newest first.

    Raises:
        UnknownNameError: the rate group is unknown; or no call fits, and the account is.
        AboveLimitError: what would be booked by the other group is above the limit of the person; nothing was booked.
        ConfigError: the configuration is invalid.
        DroppedPeriod: calls of the span were dropped or masked.
        NoSuchCall: a call was dropped meanwhile; some calls may be corrected.
        ReferenceTaken, OtherCurrency, ContentRefused, StoreUnavailable: some calls may be corrected; a repeat goes on.
    """
    catalogue = office.definitions.catalogue(written_rates_win=True)  # those of a deck before, in a copy
    bookings: RunBookings | None = None
    if order.book:
        run = _run_of(office, who, order, catalogue.version)
        if order.deck is not None and alone_at_most(office, who) is not None:
            would_be = RunBookings(office.stores.corrections, run, is_trial=True)
            tried, report = _in_two_runs(order, report)
            await _rate(office, order, catalogue, would_be, tried)
            _check_limit(office, who, order, would_be)
        bookings = RunBookings(office.stores.corrections, run)
    rerating = await _rate(office, order, catalogue, bookings, report)
    found = msgspec.convert(rerating.to_json(order.top), RerateReport)
    if bookings is None:
        return found
    untold = await refresh_balances(office.switch) if bookings.charges else ""
    return msgspec.structs.replace(found, booked=bookings.sheet(), untold=untold or msgspec.UNSET)


async def _rate(
    office: Office, order: RerateCalls, catalogue: "Catalogue", bookings: "RunBookings | None", report: Report
) -> Rerating:
    """Rate the calls of an order again, and hand their changes to ``bookings``."""
    stores = office.stores
    left = order.limit or maxsize
    read_at_most = maxsize if order.prefix else left  # the listing knows no beginnings of rated numbers
    wanted = CallFilter(limit=read_at_most, since=order.since, until=order.until, account=order.account)
    rerating = Rerating(
        catalogue,
        account=order.account,
        instead=None if order.deck is None else _rates_of(catalogue, order.deck),
        compares_steps=order.compares_steps,
        corrects=order.book,
        corrected_too=order.corrected_too,
        most=order.top,
    )
    # The listing knows the calls of customers and vendors alone.
    all_calls = replace(wanted, account=None, limit=maxsize)
    read = all_calls if await _is_or_was_agent(office, order.account) else wanted
    pages = stores.spans.pages(read, with_breakdown=order.compares_steps)
    async with aclosing(pages):
        async for calls in pages:
            charged = [call for call in calls if order.account is None or order.account in call.accounts]
            fitting = [call for call in charged if (call.callee_billing or "").startswith(order.prefix)][:left]
            left -= len(fitting)
            for call in fitting:
                changes = rerating.add(call)
                if bookings is not None:
                    await bookings.add(call.call_id, changes)
            report(len(calls), calls[-1].started_at)
            if not left:
                break
    if not rerating.calls:
        await check_names(wanted, office.definitions, stores, office.now())
    if bookings is not None:
        await bookings.finish()
    return rerating


def _in_two_runs(order: RerateCalls, report: Report) -> tuple[Report, Report]:
    """Return what a trial and the run behind it report to: one way through the span, in which the run counts calls."""
    half = (order.until - order.since) // 2

    def tried(_calls: int, last_began: int) -> None:
        report(0, last_began + (order.until - last_began) // 2)

    def passed(calls: int, last_began: int) -> None:
        report(calls, last_began + (order.until - last_began) // 2 - half)

    return tried, passed


def _check_limit(office: Office, who: Principal, order: RerateCalls, would_be: "RunBookings") -> None:
    """Raise AboveLimitError where the account would be corrected by more than the person books alone."""
    amount = sum((abs(each) for each in would_be.amounts.values()), ZERO)
    if needs_second(office, who, amount):
        limit = alone_at_most(office, who) or ZERO
        raise AboveLimitError(
            f"account {order.account} would be corrected by {format_amount(amount)}, more than billing.confirm_above "
            f"of {format_amount(limit)}: a person with a higher limit books it"
        )


async def _is_or_was_agent(office: Office, account: str | None) -> bool:
    if account is None:
        return False
    return office.definitions.hierarchy().is_agent(account) or await office.stores.spans.has_agents_entries(account)


def _run_of(office: Office, who: Principal, order: RerateCalls, version: str) -> "Run":
    same = digest_of(
        order.since, order.until, order.account, order.deck, version, order.corrected_too, *filter(None, [order.prefix])
    )
    reference = reference_of_run(order.reference or same, has_deck=order.deck is not None)
    line = office.audit_line(who, msgspec.structs.replace(order, reference=reference), reference)
    return Run(reference, who.recorded, order.memo or "", office.now(), line)


def _rates_of(catalogue: "Catalogue", deck: str) -> "RateGroup":
    rates = catalogue.rate_groups.get(deck)
    if rates is None:
        raise unknown("rate group", deck, catalogue.rate_groups, f"there are {', '.join(catalogue.rate_groups)}")
    return rates


class Run(NamedTuple):
    """Operator and reason of a booking; the same ``reference`` (``admin.rerate``) corrects a call once."""

    reference: str
    operator: str
    memo: str
    made_at: int
    """UTC milliseconds."""
    audit: AuditLine | None = None
    """Written with the first calls that are corrected."""


class RunBookings:
    """The corrections of one run."""

    def __init__(self, store: "SqlCorrections", run: Run, *, is_trial: bool = False) -> None:
        """``is_trial``: find what would be booked, and book nothing."""
        self._store, self._run, self._is_trial = store, run, is_trial
        self._waiting: list[Correction] = []
        self.amounts: dict[tuple[str, str | None], Decimal] = {}
        """Sums of the ledger entries, by account and currency."""
        self.charges = self.repeated = 0
        self._overtaken: set[str] = set()

    async def add(self, call_id: str, changes: tuple[ChargeChange, ...]) -> None:
        """Correct a call, at the latest with ``finish``; raises what ``SqlCorrections.book`` does."""
        if changes:
            run = self._run
            self._waiting.append(Correction(call_id, changes, run.reference, run.operator, run.memo, run.made_at))
            if len(self._waiting) >= CALLS_AT_ONCE:
                await self.finish()

    async def finish(self) -> None:
        """Book what waits; raises what ``SqlCorrections.book`` does."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        if self._is_trial:
            booked = await self._store.preview(waiting)
        else:
            booked = await self._store.book(waiting, self._run.audit)
        if any(each.is_new for each in booked):
            self._run = self._run._replace(audit=None)
        for charge in booked:
            if charge.is_repeated:
                self.repeated += charge.is_outdated  # another run may have booked the same meanwhile
                continue
            if charge.is_overtaken:
                self._overtaken.add(charge.call_id)
                continue
            self.charges += 1
            key = charge.account, charge.currency
            self.amounts[key] = EXACT.add(self.amounts.get(key, ZERO), charge.amount)

    def sheet(self) -> BookedRun:
        """Return what was booked."""
        return BookedRun(
            self._run.reference,
            self.charges,
            self.repeated,
            len(self._overtaken),
            [
                BookedAmount(account, currency, format_amount(amount))
                for (account, currency), amount in sorted(self.amounts.items(), key=lambda item: item[0][0])
            ],
        )
