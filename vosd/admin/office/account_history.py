"""Use case of the history of an account: changes of its money and limits that a person made, or a payment caused.

It is read from the ledger and from the record of changes of overrides; the charges of calls are not in it.
"""

from typing import Annotated, Final, NamedTuple

import msgspec

from vosd.admin.ledger import known_standing
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import Permission, Principal
from vosd.base.money import format_amount
from vosd.catalogue.overrides import Setting, Target
from vosd.catalogue.ports import OverrideAction, OverrideRecord
from vosd.cdr.columns import iso_utc
from vosd.storage.ledger_values import LedgerEntry

YES: Final = "yes"
"""Value of a setting without one."""
_FLAGS: Final = frozenset({Setting.BLOCKED, Setting.CLOSED})


class AccountChange(msgspec.Struct, frozen=True):
    """One change; money and times as text.

    ``before`` and ``after`` are balances for what was booked, else values of the setting; null = as configured.
    The first change of an overdraft limit has the one of the configuration as ``before``.
    """

    at: str
    action: str
    """``booked``, or ``set``, ``cleared``, ``expired`` of a setting."""
    what: str
    """Kind of the entry, or name of the setting."""
    before: str | None
    after: str | None
    amount: str | None
    by: str | None
    """None = a setting expired."""
    reference: str | None
    memo: str | None
    until: str | None
    """When a setting expires by itself."""


class _Dated(NamedTuple):
    at: int
    order: int
    shown: AccountChange


class ShowAccountHistory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The latest changes of an account."""

    account: str
    limit: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 100


@needs(Permission.ACCOUNTS_SEE)
async def show_account_history(office: Office, who: Principal, order: ShowAccountHistory) -> list[AccountChange]:
    """Return entries and changes of settings together, the newest first."""
    stores, account, limit = office.stores, order.account, order.limit
    await known_standing(office.definitions.accounts, stores.queries, account)
    entries = await stores.ledger.by_hand(account, limit)
    changes = await stores.overrides.changes(limit, account, Target.ACCOUNT)
    dated = [_Dated(each.created_at, each.seq, _booked(each)) for each in entries]
    of_account = [each for each in changes if each.override.target is Target.ACCOUNT]
    dated += [_Dated(each.at, -place, _changed(each)) for place, each in enumerate(of_account)]
    dated.sort(key=lambda each: (each.at, each.order), reverse=True)
    return [each.shown for each in dated[:limit]]


def _booked(entry: LedgerEntry) -> AccountChange:
    return AccountChange(
        at=iso_utc(entry.created_at),
        action="booked",
        what=entry.kind,
        before=format_amount(entry.balance_after - entry.amount),
        after=format_amount(entry.balance_after),
        amount=format_amount(entry.amount),
        by=entry.operator,
        reference=entry.reference,
        memo=entry.memo,
        until=None,
    )


def _changed(change: OverrideRecord) -> AccountChange:
    override = change.override
    value = override.value or (YES if override.setting in _FLAGS else None)
    is_set = change.action is OverrideAction.SET
    was = YES if change.before == "" else change.before
    return AccountChange(
        at=iso_utc(change.at),
        action=change.action.value,
        what=override.setting.value,
        before=was if is_set else value,
        after=value if is_set else None,
        amount=None,
        by=change.operator,
        reference=None,
        memo=override.memo,
        until=None if override.until is None else iso_utc(override.until),
    )
