"""Until when accounts are valid, where the ledger says so: payments extend it until they are undone, operators set it.

Kept in the account's row, which the switch polls for balances; each change is in the record of changes of overrides.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import select, update

from vosd.billing.accounts import NEVER, extended
from vosd.catalogue.overrides import Override, Setting, Target
from vosd.catalogue.ports import OverrideAction, OverrideRecord
from vosd.cdr.columns import iso_utc
from vosd.cdr.kinds import ACCOUNT_LENGTH
from vosd.invoicing.settlement import undone_entry
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note as note_audit
from vosd.storage.audit_line import AuditLine
from vosd.storage.books import lock_accounts
from vosd.storage.database import Database, repeated
from vosd.storage.overrides import note
from vosd.storage.ports import EntryKind, Payment, UndoneEntry
from vosd.storage.types import identifying
from vosd.storage.writers import writer_for

_account = schema.account
_change = schema.override_change.c
_entry = schema.ledger_entry.c
_NEVER: Final = "never"


class SqlValidity:
    """Reads and sets the validity of accounts in MySQL and SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = writer_for(database)

    async def expiry(self, account: str) -> int | None:
        """Return when an account expires by the ledger, UTC milliseconds; None = as configured."""
        async with self._database.reading() as connection:
            return await _expiry(connection, account)

    @repeated
    async def set(
        self,
        account: str,
        expires_at: int | None,
        configured: int | None,
        operator: str,
        memo: str | None,
        now: int,
        audit: AuditLine | None = None,
    ) -> None:
        """Set when an account expires; ``NEVER`` for never, None for what the configuration says.

        ``configured`` is that: the record of changes has it as the value before. Times are UTC milliseconds.

        Raises:
            ContentRefused: the name is too long.
        """
        name = identifying(account, ACCOUNT_LENGTH)
        async with self._database.writing() as connection:
            mark = await self._writer.take_numbers(connection, 1)
            await lock_accounts(connection, [name], mark)
            before = await _expiry(connection, name)
            await _set(connection, name, before if before is not None else configured, expires_at, operator, memo, now)
            await connection.execute(update(_account).where(_account.c.id == name).values(changed=mark))
            await note_audit(connection, audit)


async def extend(connection: AsyncConnection, name: str, payment: Payment) -> int | None:
    """Extend the validity of a locked account by a payment; return the new expiry, None = it stays as it is."""
    if payment.extends_days <= 0 or payment.amount <= 0:
        return None
    known = await _expiry(connection, name)
    before = payment.configured_expiry if known is None else known
    after = extended(before, payment.made_at, payment.extends_days)
    if after == before:
        return None
    await _set(connection, name, before, after, payment.operator or "", memo_of(payment.reference), payment.made_at)
    return after


async def take_back(connection: AsyncConnection, name: str, payment: Payment, undone: UndoneEntry) -> int | None:
    """Take back the extension of a locked account's validity by an entry that is undone; return the new expiry.

    None = the account does not expire, or its validity stays as it is: the entry has not extended it, or it was changed
    since.
    """
    own = (_change.target == Target.ACCOUNT.value, _change.name == name, _change.setting == Setting.EXPIRES_AT.value)
    columns = (_change.changed_at, _change.memo, _change.action, _change.value)
    rows = (await connection.execute(select(*columns).where(*own).order_by(_change.id.desc()))).all()
    if not rows:
        return None  # the account's payments, maybe hundreds of thousands, are not read while it is locked
    changes = [ValidityChange(row.changed_at, row.memo, _expiry_of(row.action, row.value)) for row in rows]
    paid = select(_entry.id, _entry.reference, _entry.created_at).where(
        _entry.account == name, _entry.kind.in_((EntryKind.PAYMENT.value, EntryKind.TRANSFER.value))
    )
    payments = [PaymentEntry(*row) for row in await connection.execute(paid)]
    is_newest, after = without_undone(changes, payments, undone)
    if not is_newest:
        return None
    known = await _expiry(connection, name)
    await _set(connection, name, known, after, payment.operator or "", memo_of(payment.reference), payment.made_at)
    return payment.configured_expiry if after is None else after


class ValidityChange(NamedTuple):
    """Change of what the ledger has of a validity; ``after`` of None: as configured. Times are UTC milliseconds."""

    at: int
    memo: str | None
    after: int | None


class PaymentEntry(NamedTuple):
    """Payment or transfer in the ledger, or the undo of one; ``made_at`` is UTC milliseconds."""

    number: int
    reference: str
    made_at: int


def without_undone(
    changes: Iterable[ValidityChange], payments: Sequence[PaymentEntry], undone: UndoneEntry
) -> tuple[bool, int | None]:
    """Return whether an entry has made the newest change of a validity, and what the validity is without it.

    ``changes`` are those of an account, the newest first, ``payments`` its payments with their undos. Payments that
    were undone make no difference, nor do their undos.
    """
    made_by = {(each.made_at, memo_of(each.reference)): each for each in payments}
    taken_back = {undone_entry(each.reference) for each in payments}
    is_newest, undos = False, 0
    for change in changes:
        paid = None if change.memo is None else made_by.get((change.at, change.memo))
        if paid is not None and undone_entry(paid.reference) is not None:
            undos += 1
        elif paid is not None and (paid.reference, paid.made_at) == (undone.reference, undone.made_at):
            is_newest = True
        elif undos:  # the payment that this undo took back, whose entry may be in an archive
            undos -= 1
        elif paid is None or paid.number not in taken_back:
            return is_newest, change.after
    return is_newest, None


def memo_of(reference: str) -> str:
    """Return the memo of the changes that a payment makes, or its undo."""
    return f"payment {reference}"


def _expiry_of(action: str, value: str) -> int | None:
    if action == OverrideAction.CLEARED.value:
        return None
    return NEVER if value == _NEVER else round(datetime.fromisoformat(value).timestamp() * 1_000)


async def _expiry(connection: AsyncConnection, name: str) -> int | None:
    expires_at = await connection.scalar(select(_account.c.expires_at).where(_account.c.id == name))
    return None if expires_at is None else int(expires_at)


async def _set(
    connection: AsyncConnection,
    name: str,
    before: int | None,
    after: int | None,
    operator: str,
    memo: str | None,
    at: int,
) -> None:
    await connection.execute(update(_account).where(_account.c.id == name).values(expires_at=after))
    action, value = (OverrideAction.CLEARED, before) if after is None else (OverrideAction.SET, after)
    override = Override(Target.ACCOUNT, name, Setting.EXPIRES_AT, written(value), operator, at, memo=memo)
    await note(connection, OverrideRecord(at, action, override, operator, None if after is None else written(before)))


def written(expires_at: int | None) -> str:
    """Write an expiry as the record of changes has it."""
    return _NEVER if expires_at is None or expires_at >= NEVER else iso_utc(expires_at)
