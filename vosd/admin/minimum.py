"""Book what a month lacks of the minimum consumption of accounts: once for each account and month."""

from collections.abc import Callable, Mapping
from enum import Enum
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.consumption import roles_of
from vosd.admin.ledger import Month
from vosd.admin.office.ports import Consumption
from vosd.admin.payments import refresh_balances
from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account, shortfall
from vosd.control.client import RunningSwitch
from vosd.control.money import ListUnbooked
from vosd.storage.audit_line import AuditLine
from vosd.storage.ports import EntryKind, Payment, Payments


class MonthNotOverError(VosError):
    """The month has not ended, so its consumption is not known."""


class Outcome(Enum):
    """What was done for an account."""

    BOOKED = "booked"
    BOOKED_BEFORE = "booked before"
    REACHED = "reached"
    """Its calls cost enough."""
    NOT_BEGUN = "not begun"
    """It has no entry from before the end of the month: it is taken as opened later."""
    CLOSED = "closed"
    WAITING = "waiting"
    """Calls of the month are not booked yet, so what it lacks is not known: try again."""


class MinimumSheet(msgspec.Struct, frozen=True):
    """An account with a minimum consumption, in one month; money as text."""

    account: str
    month: str
    minimum: str
    consumed: str | None
    """None = it was not looked up."""
    charged: str
    outcome: str
    unbooked: str | msgspec.UnsetType = msgspec.UNSET
    """What its calls of the month cost, with tax, that are not booked yet; only if it waits."""


async def book_minimum(
    accounts: Mapping[str, Account],
    consumption: Consumption,
    payments: Payments,
    switch: RunningSwitch,
    month: Month,
    zone: ZoneInfo,
    *,
    now: int,
    operator: str,
    is_closed: Callable[[str], bool] = lambda _: False,
    audit_of: Callable[[str], AuditLine | None] = lambda _: None,
) -> list[MinimumSheet]:
    """Book the shortfall of a month on each of the accounts that has a minimum; a repeat books nothing more.

    The balance may fall below the overdraft limit by it. Accounts of which ``is_closed`` is true are left out, and
    those that lack something while the running switch has not booked all their calls of the month. ``audit_of`` returns
    the line of the audit for an account.

    Raises:
        MonthNotOverError: the month has not ended at ``now`` (UTC milliseconds).
        DaemonUnreachableError: a switch runs and does not say which calls are not booked.
        DaemonRefusedError: so does one of an earlier version.
        StoreUnavailable: some accounts may be booked; try again.
    """
    since, until = month.bounds(zone)
    if until > now:
        message = f"{month} is not over in {zone.key}: its minimum is booked afterwards"
        raise MonthNotOverError(message)
    sheets = []
    having_one = [account for account in accounts.values() if account.minimum_consumption]
    # Asked before the calls are read: what is booked in between is found there.
    unbooked = (await switch.ask_if_running(ListUnbooked(since, until)) or {}) if having_one else {}
    for account in having_one:
        minimum = account.minimum_consumption or ZERO
        if is_closed(account.id):
            sheets.append(_sheet(account, month, None, "0.00", Outcome.CLOSED))
            continue
        waiting = unbooked.get(account.id)
        if waiting is None and not await consumption.has_begun(account.id, until):
            sheets.append(_sheet(account, month, None, "0.00", Outcome.NOT_BEGUN))
            continue
        consumed = await consumption.consumed(account.id, roles_of(account), since, until)
        missing = shortfall(minimum, consumed)
        shown = format_amount(consumed)
        if not missing:
            sheets.append(_sheet(account, month, shown, "0.00", Outcome.REACHED))
            continue
        if waiting is not None:
            sheet = _sheet(account, month, shown, "0.00", Outcome.WAITING)
            sheets.append(msgspec.structs.replace(sheet, unbooked=waiting))
            continue
        payment = Payment(
            account=account.id,
            kind=EntryKind.MINIMUM,
            reference=f"minimum/{month}",
            made_at=until - 1,  # the last moment of the month: its statement has the minimum
            amount=-missing,
            operator=operator,
            memo=f"minimum {format_amount(minimum)}, consumed {shown}",
            currency=account.currency,
            audit=audit_of(account.id),
        )
        receipt = await payments.add(payment)
        outcome = Outcome.BOOKED_BEFORE if receipt.repeated else Outcome.BOOKED
        sheets.append(_sheet(account, month, shown, format_amount(receipt.before - receipt.after), outcome))
    if any(sheet.outcome == Outcome.BOOKED.value for sheet in sheets):
        await refresh_balances(switch)
    return sheets


def _sheet(account: Account, month: Month, consumed: str | None, charged: str, outcome: Outcome) -> MinimumSheet:
    return MinimumSheet(
        account=account.id,
        month=str(month),
        minimum=format_amount(account.minimum_consumption or ZERO),
        consumed=consumed,
        charged=charged,
        outcome=outcome.value,
    )
