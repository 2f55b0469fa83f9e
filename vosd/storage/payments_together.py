"""Payments of a file, booked by few statements: what each of them would be answered alone, it is answered here."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import insert, select

from vosd.base.errors import VosError
from vosd.cdr.ports import Standing
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note_all
from vosd.storage.audit_line import AuditLine
from vosd.storage.books import LockedAccount, account_rows, check_size, lock_accounts
from vosd.storage.driver_errors import BalanceTooLarge
from vosd.storage.payment_entries import earlier_of, entry_row, key_of, key_or_fault, name_of, settled_currency
from vosd.storage.ports import (
    EntryKind,
    NoSuchAccount,
    OtherCurrency,
    Payment,
    Receipt,
    ReferenceTaken,
    check_currency,
    receipt_of_earlier,
)
from vosd.storage.validity import extend
from vosd.storage.writers import MySqlWriter, SqliteWriter

FAULTS: Final = (NoSuchAccount, OtherCurrency, ReferenceTaken, BalanceTooLarge)
"""Reasons for which one payment is not booked, and those beside it are."""


async def book_all(
    connection: AsyncConnection, writer: SqliteWriter | MySqlWriter, payments: Sequence[Payment], mark: int
) -> list[Receipt | VosError]:
    """Book payments in the open transaction, the commit numbered ``mark``, as ``SqlPayments.add_all``."""
    faults = await _unbookable(connection, payments)
    sound = [each for each, fault in zip(payments, faults, strict=True) if fault is None]
    locked = await lock_accounts(connection, sorted({*map(name_of, sound)}), mark)
    part, earlier = _Part(connection, locked), iter(await earlier_of(connection, sound))
    receipts: list[Receipt | VosError] = []
    for payment, fault in zip(payments, faults, strict=True):
        try:
            receipts.append(await part.receipt(payment, next(earlier)) if fault is None else fault)
        except FAULTS as error:
            receipts.append(error)
    if part.entries:
        await connection.execute(insert(schema.ledger_entry), part.entries)
        await writer.save_accounts(connection, account_rows(writer.encode, part.moved, mark))
        await note_all(connection, part.lines)
    return receipts


class _Part:
    """Payments that are booked together: what of their accounts is not written yet."""

    def __init__(self, connection: AsyncConnection, locked: Mapping[str, LockedAccount]) -> None:
        self._connection = connection
        self._standings = {name: each.standing for name, each in locked.items()}
        self._currencies = {name: each.currency for name, each in locked.items()}
        self._booked: dict[tuple[str, str, str], tuple[Decimal, Decimal]] = {}
        self.entries: list[dict[str, Any]] = []
        self.moved: dict[str, Standing] = {}
        self.lines: list[AuditLine] = []

    async def receipt(self, payment: Payment, earlier: Receipt | VosError | None) -> Receipt:
        """Return the receipt of a payment, whose entry is written with those of the others.

        ``earlier`` is what was booked under its reference, or why that is not this payment; None = nothing was.

        Raises:
            OtherCurrency, ReferenceTaken, BalanceTooLarge: it cannot be booked.
        """
        key = name, *_ = key_of(payment)
        currency = self._currencies[name]
        if payment.currency not in {None, currency}:
            if name in self.moved and currency is not None:  # the row does not say yet that it has money
                check_currency(payment, currency, has_entries=True)
            currency = await settled_currency(self._connection, payment, self._standings[name])
            self._currencies[name] = currency
        if isinstance(earlier, VosError):
            raise earlier
        if key in self._booked:
            earlier = receipt_of_earlier(payment, *self._booked[key], None)
        if earlier is not None:
            return earlier._replace(currency=currency)
        before = self._standings[name]
        after = Standing(before.balance + payment.amount, before.seq + 1)
        check_size(payment.account, payment.amount, after.balance, self._connection.dialect.name)
        expires_at = await extend(self._connection, name, payment) if payment.kind is EntryKind.PAYMENT else None
        self.entries.append(entry_row(payment, payment.amount, after, currency))
        self._standings[name] = self.moved[name] = after
        self._booked[key] = payment.amount, after.balance
        self.lines += [] if payment.audit is None else [payment.audit]
        return Receipt(before.balance, after.balance, repeated=False, expires_at=expires_at, currency=currency)


async def _unbookable(connection: AsyncConnection, payments: Sequence[Payment]) -> list[VosError | None]:
    """Return for each payment why its account is none; None = it may be booked."""
    keys = [key_or_fault(each) for each in payments]
    faults = [key if isinstance(key, VosError) else None for key in keys]
    asked = {name_of(each) for each, fault in zip(payments, faults, strict=True) if each.must_exist and fault is None}
    known = (
        set(await connection.scalars(select(schema.account.c.id).where(schema.account.c.id.in_(asked))))
        if asked
        else set()
    )
    return [
        NoSuchAccount(f"account {each.account} is in no ledger")
        if fault is None and each.must_exist and each.account not in known
        else fault
        for each, fault in zip(payments, faults, strict=True)
    ]
