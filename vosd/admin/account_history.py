"""Every change of an account's money and limits that a person made, or that followed from a payment: who, when, what.

Read from the ledger and from the record of changes of overrides; the charges of calls are not in it.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from vosd.base.money import format_amount
from vosd.catalogue.overrides import Setting, Target
from vosd.catalogue.ports import Action, Change
from vosd.cdr.columns import iso_utc
from vosd.storage.ledger_values import LedgerEntry

YES: Final = "yes"
"""What a setting without value has as its value."""
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


def account_history(entries: Iterable[LedgerEntry], changes: Iterable[Change], limit: int) -> list[AccountChange]:
    """Return entries and changes of one account together, the newest first, at most ``limit``."""
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


def _changed(change: Change) -> AccountChange:
    override = change.override
    value = override.value or (YES if override.setting in _FLAGS else None)
    is_set = change.action is Action.SET
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
