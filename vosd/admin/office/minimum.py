"""Use case of minimum consumption: book the shortfall of a month, once for each account and month."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.consumption import roles_of
from vosd.admin.ledger import Month
from vosd.admin.office.bookings import refresh_balances
from vosd.admin.office.minimum_then import MinimumsThen
from vosd.admin.office.office import Office, needs, waits_for_rows
from vosd.admin.office.principal import Permission, Principal
from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account, AccountType, shortfall
from vosd.catalogue.overrides import Setting, Target
from vosd.catalogue.stored_objects import in_force_at
from vosd.cdr.record import VENDOR
from vosd.cdr.retention import DroppedPeriod
from vosd.control.client import RunningSwitch
from vosd.control.money import ListUnbooked
from vosd.storage.database_clock import check_has_come
from vosd.storage.ports import EntryKind, Payment

if TYPE_CHECKING:
    from vosd.storage.payments import SqlPayments
    from vosd.storage.stores import SqlStores


class MonthNotOverError(VosError):
    """The month has not ended, so its consumption is not known."""


class MinimumOutcome(Enum):
    """Results for an account."""

    BOOKED = "booked"
    BOOKED_BEFORE = "booked before"
    REACHED = "reached"
    """The calls cost enough."""
    NOT_BEGUN = "not begun"
    """It was opened after the month, or had ended then, as far as is known: it owes nothing for it."""
    UNKNOWN = "not known"
    """A variable or a file had it at the end of the month; the account has another or, after a variable, none now."""
    CLOSED = "closed"
    """It was closed before the end of the month."""
    WAITING = "waiting"
    """Calls of the month are not booked yet, so what it lacks is not known: try again."""


class MinimumSheet(msgspec.Struct, frozen=True):
    """An account with a minimum consumption, in one month; money as text."""

    account: str
    month: str
    minimum: str
    """That of the end of the month where the database has it, else that of now."""
    consumed: str | None
    """None = it was not looked up."""
    charged: str
    outcome: str
    unbooked: str | msgspec.UnsetType = msgspec.UNSET
    """Cost with tax of the calls of the month that are not booked yet; only if it waits."""


class BookMinimums(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Order for the amount that each account lacks of its minimum consumption of a month."""

    month: Month
    zone: str = ""
    """The zone in which the month begins and ends; empty = that of invoices, so that the month's invoice has it."""


@needs(Permission.BOOKS_CHANGE)
@waits_for_rows
async def book_minimums(
    office: Office, who: Principal, order: BookMinimums, passed: Callable[[float, int], None] | None = None
) -> list[MinimumSheet]:
    """Book the shortfall of a month on each account that has or had a minimum; a repeat books nothing more.

    ``passed`` receives a part of 1 and a count of accounts.

    Raises:
        MonthNotOverError: the month has not ended.
        ClockAhead: it has ended by the clock of this machine, and not by the database's.
        DroppedPeriod: calls of the month were dropped, and one of the accounts has no entry of it.
        DaemonUnreachableError, DaemonRefusedError: a switch runs and does not say which calls are not booked.
        StoreUnavailable: some accounts may be booked; try again.
    """
    definitions = office.definitions
    in_zone = order if order.zone else msgspec.structs.replace(order, zone=definitions.settings.invoices.zone)
    accounts = definitions.accounts()
    return await book_for(accounts, office.stores, office.switch, who, in_zone, office.now(), passed)


async def book_for(
    accounts: Mapping[str, Account],
    stores: "SqlStores",
    switch: RunningSwitch,
    who: Principal,
    order: BookMinimums,
    now: int,
    passed: Callable[[float, int], None] | None = None,
) -> list[MinimumSheet]:
    """Book for these accounts, as ``book_minimums`` does; ``now`` is UTC milliseconds.

    The balance may fall below the overdraft limit by it. Left out are accounts that were closed before the end of the
    month, and those that lack something while the running switch has not booked all their calls of the month. Each
    entry has its line in the audit.
    """
    month, zone = order.month, ZoneInfo(order.zone)
    since, until = month.bounds(zone)
    if until > now:
        raise MonthNotOverError(f"{month} is not over in {zone.key}: its minimum is booked afterwards")
    sheets = []
    closed = (await stores.overrides.load()).at(now).named(Target.ACCOUNT, Setting.CLOSED)
    closed_until = await stores.checkpoints.closed_until() or 0
    then = await MinimumsThen.read(stores.objects, until - 1, now)
    having_had_one = await then.names()
    owing = [each for each in accounts.values() if each.minimum_consumption or each.id in having_had_one]
    if owing:
        await check_has_come(stores.database, until)
    # Asked before the calls are read: what is booked in between is found there.
    unbooked = (await switch.ask_if_running(ListUnbooked(since, until)) or {}) if owing else {}
    for defined in _in_turn(owing, passed):
        if defined.id in closed and closed[defined.id].since < until:
            sheets.append(_sheet(defined, month, None, "0.00", MinimumOutcome.CLOSED))
            continue
        waiting = unbooked.get(defined.id)
        minimum = await _minimum_then(defined, stores, then, since, until, now, has_unbooked=waiting is not None)
        reference, other = _references(defined, month)
        payment = Payment(
            account=defined.id,
            kind=EntryKind.MINIMUM,
            reference=reference,
            # The last moment of the month: its statement has the minimum, unless that is closed and does not change.
            made_at=now if closed_until >= until else until - 1,
            operator=who.recorded,
            currency=defined.currency,
            audit=who.audit_line(order, defined.id, now),
        )
        if isinstance(minimum, MinimumOutcome):
            before = await _booked_before(defined, month, stores.payments, payment, other)
            sheets.append(before or _sheet(defined, month, None, "0.00", minimum))
            continue
        account = msgspec.structs.replace(defined, minimum_consumption=minimum)
        before = await _booked_before(account, month, stores.payments, payment, other)
        try:
            consumed = await stores.consumption.consumed(account.id, roles_of(account), since, until)
        except DroppedPeriod:
            if before is None:
                raise
            sheets.append(before)
            continue
        shown = format_amount(consumed)
        if before is not None:  # whatever calls were booked or corrected since: the entry stays
            sheets.append(msgspec.structs.replace(before, consumed=shown))
            continue
        if not (missing := shortfall(minimum, consumed)):
            sheets.append(_sheet(account, month, shown, "0.00", MinimumOutcome.REACHED))
            continue
        if waiting is not None:
            sheets.append(_sheet(account, month, shown, "0.00", MinimumOutcome.WAITING, unbooked=waiting))
            continue
        memo = f"minimum {format_amount(minimum)}, consumed {shown}"
        receipt = await stores.payments.add(replace(payment, amount=-missing, memo=memo))
        outcome = MinimumOutcome.BOOKED_BEFORE if receipt.repeated else MinimumOutcome.BOOKED
        sheets.append(_sheet(account, month, shown, format_amount(receipt.before - receipt.after), outcome))
    if any(sheet.outcome == MinimumOutcome.BOOKED.value for sheet in sheets):
        await refresh_balances(switch)
    return sheets


def _in_turn(accounts: Sequence[Account], passed: Callable[[float, int], None] | None) -> Iterator[Account]:
    """Yield accounts, and report before each how far they are."""
    for number, account in enumerate(accounts):
        if passed is not None:
            passed(number / len(accounts), number)
        yield account


def _references(account: Account, month: Month) -> tuple[str, str]:
    """Return the reference of the minimum of a month, and the other one, which it has where the type was another."""
    # The end says for ever what it is, whatever becomes of the account. A month has either one.
    customers, vendors = f"minimum/{month}", f"minimum/{month}/{VENDOR}"
    return (vendors, customers) if account.type is AccountType.CLEARING else (customers, vendors)


async def _booked_before(
    account: Account, month: Month, payments: "SqlPayments", payment: Payment, other: str
) -> MinimumSheet | None:
    """Return what was booked for a month by the reference of a payment or the other one; None = nothing."""
    receipt = await payments.earlier(payment) or await payments.earlier(replace(payment, reference=other))
    if receipt is None:
        return None
    return _sheet(account, month, None, format_amount(receipt.before - receipt.after), MinimumOutcome.BOOKED_BEFORE)


async def _minimum_then(
    account: Account,
    stores: "SqlStores",
    minimums: MinimumsThen,
    since: int,
    until: int,
    now: int,
    *,
    has_unbooked: bool,
) -> Decimal | MinimumOutcome:
    """Return the minimum of an account at the end of a month, or the outcome where it has none that can be booked.

    ``has_unbooked``: it has calls of the month that are not booked yet. What a file said then is not known: an account
    of a file has the minimum of now.
    """
    versions = await stores.objects.history("accounts", account.id)
    then, today = in_force_at(versions, until - 1), in_force_at(versions, now)
    if then is not None and then.body is not None:
        known = minimums.of(then.body)
        if known is not None:
            return known
        is_as_then = minimums.is_same(then.body, None if today is None else today.body)
        return (account.minimum_consumption or ZERO) if is_as_then else MinimumOutcome.UNKNOWN
    if today is None or today.body is None:
        is_there = has_unbooked or await stores.consumption.has_begun(account.id, until)
    else:  # before its first version, and since it had ended, it may have been in a file
        ended = 0 if then is None else then.begins_at
        is_there = has_unbooked or await stores.consumption.has_called(account.id, since, until, begun=ended)
    return (account.minimum_consumption or ZERO) if is_there else MinimumOutcome.NOT_BEGUN


def _sheet(
    account: Account,
    month: Month,
    consumed: str | None,
    charged: str,
    outcome: MinimumOutcome,
    unbooked: str | msgspec.UnsetType = msgspec.UNSET,
) -> MinimumSheet:
    return MinimumSheet(
        account=account.id,
        month=str(month),
        minimum=format_amount(account.minimum_consumption or ZERO),
        consumed=consumed,
        charged=charged,
        outcome=outcome.value,
        unbooked=unbooked,
    )
