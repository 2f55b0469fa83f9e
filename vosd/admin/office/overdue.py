"""Accounts with overdue invoices: who they are, and their block until they have paid."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import msgspec

from vosd.admin.office.invoices import paid_by_invoice
from vosd.admin.office.overrides import BlockAccount, UnblockAccount, tell_overrides
from vosd.admin.office.principal import Principal
from vosd.base.money import ZERO
from vosd.catalogue.overrides import Key, Override, Setting, Target
from vosd.catalogue.ports import LaterOverride, SetByOthersError
from vosd.control.client import RunningSwitch
from vosd.invoicing.settlement import is_paid

if TYPE_CHECKING:
    from vosd.storage.stores import SqlStores

_AT_ONCE: Final = 500
_MEMO: Final = "overdue invoice "
"""Beginning of the memo of such a block; one with another beginning, or by another operator, is left alone."""


class OverdueAccount(msgspec.Struct, frozen=True):
    """An account with overdue invoices."""

    account: str
    number: str
    """Number of the one that was due first."""
    due_at: int
    """First moment at which that was overdue, UTC milliseconds."""
    invoices: int
    amount: Decimal
    """Amount of them that is not paid."""
    currency: str


async def overdue_accounts(stores: "SqlStores", now: int) -> list[OverdueAccount]:
    """Return the accounts with overdue invoices, in their order; ``now`` is UTC milliseconds."""
    names = await stores.invoices.accounts_with_overdue(now)
    found = []
    for place in range(0, len(names), _AT_ONCE):
        some = names[place : place + _AT_ONCE]
        paid = await paid_by_invoice(stores, some)
        for name, invoices in (await stores.invoices.owed(some)).items():
            late = [
                each
                for each in invoices
                if (each.due_at or 0) <= now and not is_paid(each.gross, paid.get(each.id, ZERO), each.currency)
            ]
            if late:
                amount = sum((each.gross - paid.get(each.id, ZERO) for each in late), ZERO)
                # terms change: an invoice that was made later may be due sooner
                first = min(late, key=lambda each: each.due_at or 0)
                found.append(
                    OverdueAccount(name, first.number or "", first.due_at or 0, len(late), amount, first.currency)
                )
    return found


async def lock_overdue(
    stores: "SqlStores",
    switch: RunningSwitch,
    who: Principal,
    found: Sequence[OverdueAccount],
    after_days: int | None,
    now: int,
    zone: ZoneInfo,
) -> tuple[Sequence[str], Sequence[str]]:
    """Block accounts that are overdue for so many days, and unblock those that have paid; return both.

    An account that a person has blocked is left alone, and one that a person has unblocked is blocked again the next
    night. ``after_days`` of None blocks none, and unblocks all that were; they are days of ``zone``.

    Raises:
        StoreUnavailable: some may be done; try again.
    """
    late = {}
    if after_days is not None:
        latest = datetime.fromtimestamp(now / 1_000, zone) - timedelta(days=after_days)  # by the clock of the zone
        until = round(latest.timestamp() * 1_000)
        late = {each.account: each for each in found if each.due_at <= until}
    blocked = (await stores.overrides.load()).at(now).named(Target.ACCOUNT, Setting.BLOCKED)
    locked, opened = [], []
    for name, each in late.items():
        if name not in blocked:
            memo = f"{_MEMO}{each.number}"
            wanted = Override(Target.ACCOUNT, name, Setting.BLOCKED, "", who.recorded, now, memo=memo)
            line = who.audit_line(BlockAccount(account=name, memo=memo), name, now)
            with suppress(SetByOthersError):  # a person has blocked it meanwhile
                await stores.overrides.put([wanted], now, audit=line, set_by=())
                locked.append(name)
    for name, block in blocked.items():
        is_own = block.operator == who.recorded and (block.memo or "").startswith(_MEMO)
        if is_own and name not in late:
            line = who.audit_line(UnblockAccount(name), name, now)
            key, own = Key(Target.ACCOUNT, name, Setting.BLOCKED), {who.recorded}
            with suppress(SetByOthersError, LaterOverride):  # a person has blocked it meanwhile
                if await stores.overrides.clear([key], who.recorded, now, line, block.since, own):
                    opened.append(name)
    if locked or opened:
        await tell_overrides(switch)
    return locked, opened
