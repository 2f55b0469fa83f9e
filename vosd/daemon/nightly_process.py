"""Process that verifies the books, books minimums and looks for overdue invoices.

``vosd.processes.entry vosd.daemon.nightly_process CHANNEL``.
Its answer is what was found and booked.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.ledger import Month
from vosd.admin.office.minimum import BookMinimums, MinimumSheet, book_for
from vosd.admin.office.overdue import OverdueAccount, lock_overdue, overdue_accounts
from vosd.admin.office.principal import ALL, Means, Principal, Role
from vosd.admin.reconcile import reconcile
from vosd.base.errors import VosError
from vosd.billing.accounts import Account, AccountType
from vosd.control.client import RunningSwitch
from vosd.daemon.daily import carry_out
from vosd.storage.database import Database
from vosd.storage.database_clock import check_has_come
from vosd.storage.faults import BookDifference
from vosd.storage.reconcile import SqlBookedCalls
from vosd.storage.stores import SqlStores
from vosd.storage.verify import verify_ledger

OPERATOR: Final = "the switch"
"""Stands with the entries that it books."""
THE_SWITCH: Final = Principal(role=Role.PROGRAM, name=OPERATOR, login=OPERATOR, means=Means.SWITCH, permissions=ALL)
DIFFERENCES_SHOWN: Final = 5


class Minimum(msgspec.Struct, frozen=True):
    """Minimum consumption of accounts of a type and currency; None = those that have none now."""

    type: AccountType
    currency: str
    amount: Decimal | None
    accounts: tuple[str, ...]


class NightlyOrder(msgspec.Struct, frozen=True):
    """Order of one night: the work, and the database."""

    url: str
    state_dir: str
    control_socket: str
    now: int
    """UTC milliseconds: the clock may be set while the process starts."""
    verify: bool
    minimums: tuple[Minimum, ...]
    """Minimums of now of all accounts: one without may have had one at the end of the month."""
    month: str = ""
    """As ``YYYY-MM``; empty = no minimum is booked."""
    zone: str = "UTC"
    invoices: bool = False
    lock_after_days: int | None = None
    """After how many days an account with an overdue invoice is blocked; None = never."""

    @property
    def works(self) -> list[str]:
        """Names of the works that are to be done."""
        wanted = {"verify": self.verify, "minimum": bool(self.month), "invoices": self.invoices}
        return [name for name, is_wanted in wanted.items() if is_wanted]


class NightlyOutcome(msgspec.Struct, frozen=True):
    """Result of one night: differences found and minimums booked."""

    differences: int = 0
    shown: tuple[str, ...] = ()
    """The first of them."""
    sheets: tuple[MinimumSheet, ...] = ()
    overdue: tuple[OverdueAccount, ...] = ()
    locked: tuple[str, ...] = ()
    """Accounts that were blocked because of an overdue invoice."""
    opened: tuple[str, ...] = ()
    """Accounts whose block was ended because they have paid."""
    failed: Mapping[str, str] = {}
    """Why a work was not done, by its name."""


def main() -> None:
    """Do what the switch orders."""
    carry_out(NightlyOrder, work_of_the_night)


async def work_of_the_night(order: NightlyOrder) -> NightlyOutcome:
    """Do the work of an order. A work is done although another one has failed."""
    try:
        async with Database(order.url, was_used=lambda: True) as database:
            await database.check_schema()
            with database.waiting_for_rows():
                return await _work_on(database, order)
    except (VosError, OSError) as error:
        return NightlyOutcome(failed=dict.fromkeys(order.works, str(error)))


async def _work_on(database: Database, order: NightlyOrder) -> NightlyOutcome:
    now = order.now
    found: list[str] = []
    sheets: list[MinimumSheet] = []
    failed: dict[str, str] = {}
    overdue: list[OverdueAccount] = []
    locked: Sequence[str] = ()
    opened: Sequence[str] = ()
    if order.month:
        try:
            await check_has_come(database, now)
            sheets = await _minimums(database, order, now)
        except (VosError, OSError) as error:
            failed["minimum"] = str(error)
    try:
        await check_has_come(database, now)
        stores, switch = SqlStores(database), RunningSwitch(Path(order.control_socket))
        if order.invoices:
            overdue = await overdue_accounts(stores, now)
        days, zone = order.lock_after_days, ZoneInfo(order.zone)
        locked, opened = await lock_overdue(stores, switch, THE_SWITCH, overdue, days, now, zone)
    except (VosError, OSError) as error:
        failed["invoices"] = str(error)
    if order.verify:
        try:
            found = await _differences(database, Path(order.state_dir))
        except (VosError, OSError) as error:
            failed["verify"] = str(error)
    shown = tuple(found[:DIFFERENCES_SHOWN])
    return NightlyOutcome(len(found), shown, tuple(sheets), tuple(overdue), tuple(locked), tuple(opened), failed)


async def _differences(database: Database, state_dir: Path) -> list[str]:
    found: list[str] = []

    def note(difference: BookDifference) -> None:
        found.append(str(difference))

    await verify_ledger(database, note)
    journal = await reconcile(SqlBookedCalls(database), state_dir)
    return [*found, *map(str, journal.differences if journal is not None else ())]


async def _minimums(database: Database, order: NightlyOrder, now: int) -> list[MinimumSheet]:
    year, _, month = order.month.partition("-")
    accounts = {
        name: Account(name, each.type, None, None, each.currency, minimum_consumption=each.amount)
        for each in order.minimums
        for name in each.accounts
    }
    wanted = BookMinimums(Month(int(year), int(month)), order.zone)
    switch = RunningSwitch(Path(order.control_socket))
    return await book_for(accounts, SqlStores(database), switch, THE_SWITCH, wanted, now)
