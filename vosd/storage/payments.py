"""Payments, refunds, adjustments, zeroing and transfers in MySQL and SQLite."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import insert, update

from vosd.base.errors import VosError
from vosd.base.parts import in_parts
from vosd.cdr.ports import Standing
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note
from vosd.storage.books import check_size, lock_accounts
from vosd.storage.database import Database, repeated
from vosd.storage.disputes import reopen
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.payment_entries import check_exists, earlier_entry, earlier_of, entry_row, name_of, settled_currency
from vosd.storage.payments_together import FAULTS, book_all
from vosd.storage.ports import (
    SETTLED_AS,
    EntryKind,
    MoneyTransfer,
    Payment,
    Receipt,
    UndoneEntry,
    both_or_none,
    check_at_most,
    check_rest,
    check_same_currency,
)
from vosd.storage.validity import extend, take_back
from vosd.storage.waiting_payments import ask, settle
from vosd.storage.waiting_values import REFUSED, NotWaiting, WaitingPayment
from vosd.storage.writers import writer_for

_account = schema.account
_entry = schema.ledger_entry
_ASKED_AT_ONCE: Final = 200


class SqlPayments:
    """Booking of money that does not come from calls."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = writer_for(database)

    @repeated
    async def add(self, payment: Payment, *, is_trial: bool = False) -> Receipt:
        """Book a payment, once, and extend the validity of the account in the same transaction.

        An account without a row gets one, so the caller checks the name. ``is_trial``: all of it is rolled back.

        Raises:
            ReferenceTaken: the reference was used for another amount.
            NoSuchAccount: it must exist and does not.
            OtherCurrency: the account has entries in another currency.
            TooLittleLeft: less than ``least_left`` would be left.
            BalanceMoved: ``ZERO`` needs more than ``at_most``.
            ContentRefused: the amount has too many digits, or account or reference is too long.
            StoreUnavailable: as far as is known nothing was booked; try again with the same reference.
        """
        async with self._database.writing() as connection:
            mark = await self._writer.take_numbers(connection, 1)
            receipt = await book(connection, payment, mark)
            if is_trial:
                await connection.rollback()
        return receipt

    async def add_all(self, payments: Sequence[Payment], *, is_trial: bool = False) -> list[Receipt | VosError]:
        """Book payments as ``add``, by few statements in one transaction; return for each why it is not booked.

        They are some hundreds at most, for no call is booked beside them, and bring money: none settles or undoes
        anything, or says what must be left. Receipts lack the number of a new entry.

        Raises:
            StoreUnavailable: as far as is known none of them was booked.
        """
        try:
            return await self._add_all(payments, is_trial=is_trial)
        except ContentRefused:  # by a statement for all of them
            return [await self._receipt_or_fault(each, is_trial=is_trial) for each in payments]

    @repeated
    async def _add_all(self, payments: Sequence[Payment], *, is_trial: bool) -> list[Receipt | VosError]:
        async with self._database.writing() as connection:
            mark = await self._writer.take_numbers(connection, 1)
            receipts = await book_all(connection, self._writer, payments, mark)
            if is_trial:
                await connection.rollback()
        return receipts

    async def _receipt_or_fault(self, payment: Payment, *, is_trial: bool) -> Receipt | VosError:
        try:
            return await self.add(payment, is_trial=is_trial)
        except (*FAULTS, ContentRefused) as error:
            return error

    async def earlier(self, payment: Payment) -> Receipt | None:
        """Return the receipt of the booking that has the payment's reference; None = it was not booked.

        Raises:
            ReferenceTaken: the reference was used for another amount.
        """
        async with self._database.reading() as connection:
            return await earlier_entry(connection, payment)

    async def earlier_of(self, payments: Sequence[Payment]) -> list[Receipt | VosError | None]:
        """Return the same for many payments by few statements, or why one cannot be booked under its reference."""
        found: list[Receipt | VosError | None] = []
        async with self._database.reading() as connection:
            for start in range(0, len(payments), _ASKED_AT_ONCE):
                found += await earlier_of(connection, payments[start : start + _ASKED_AT_ONCE])
        return found

    @repeated
    async def transfer(self, transfer: MoneyTransfer, *, is_trial: bool = False) -> tuple[Receipt, Receipt]:
        """Move money once, in one transaction; return the receipts of source and target.

        ``is_trial``: all of it is rolled back.

        Raises:
            ReferenceTaken: the reference was used for another transfer.
            NoSuchAccount: an account that is not configured has never been opened.
            OtherCurrency: the accounts have different currencies.
            TooLittleLeft: less than ``least_left`` would be left on the source.
            ContentRefused: the amount has too many digits, or an account or the reference is too long.
            StoreUnavailable: as far as is known nothing was booked; try again with the same reference.
        """
        async with self._database.writing() as connection:
            mark = await self._writer.take_numbers(connection, 1)
            receipts = await _move(connection, transfer, mark)
            if is_trial:
                await connection.rollback()
        return receipts


async def book_openings(
    database: Database, connection: AsyncConnection, payments: Sequence[Payment], waiting: Sequence[WaitingPayment]
) -> None:
    """Book payments in the open transaction, and write down those that wait for a second person.

    No call is booked from the first payment to the end of the transaction: thousands are a matter of seconds.

    Raises:
        NotWaiting: one of them was refused before.
        ReferenceTaken, OtherCurrency, ContentRefused: as ``SqlPayments.add``.
    """
    for asked in waiting:
        noted, _ = await ask(connection, asked)
        if noted.state == REFUSED:
            raise NotWaiting(f"{asked.reference} of account {asked.account} was refused: give another reference")
    if payments:
        writer = writer_for(database)
        mark = await writer.take_numbers(connection, 1)
        for part in in_parts(sorted(payments, key=lambda each: each.account), _ASKED_AT_ONCE):
            for outcome in await book_all(connection, writer, part, mark):
                if isinstance(outcome, VosError):
                    raise outcome


async def book(connection: AsyncConnection, payment: Payment, mark: int) -> Receipt:
    """Book a payment once in the open transaction, the commit numbered ``mark``; raises as ``SqlPayments.add``."""
    await check_exists(connection, payment)
    standing = (await lock_accounts(connection, [name_of(payment)], mark))[name_of(payment)].standing
    currency = await settled_currency(connection, payment, standing)
    earlier = await earlier_entry(connection, payment)
    if payment.settles is not None:
        await settle(connection, payment.settles, is_booked=earlier is not None)
    if earlier is not None:
        return earlier._replace(currency=currency)
    receipt = await _append(connection, payment, standing, currency, mark)
    await note(connection, payment.audit)
    if payment.undoes is not None:
        return await _taken_back(connection, payment, payment.undoes, receipt)
    if payment.kind is not EntryKind.PAYMENT:
        return receipt
    return receipt._replace(expires_at=await extend(connection, name_of(payment), payment))


async def _move(connection: AsyncConnection, transfer: MoneyTransfer, mark: int) -> tuple[Receipt, Receipt]:
    """Move money once in the open transaction, the commit numbered ``mark``; raises as ``SqlPayments.transfer``."""
    source, target = transfer.payments
    for each in (source, target):
        await check_exists(connection, each)
    locked = await lock_accounts(connection, sorted([name_of(source), name_of(target)]), mark)
    currencies = [await settled_currency(connection, each, locked[name_of(each)].standing) for each in (source, target)]
    check_same_currency(transfer, *currencies)
    earlier = both_or_none(transfer, [await earlier_entry(connection, each) for each in (source, target)])
    if transfer.settles is not None:
        await settle(connection, transfer.settles, is_booked=earlier is not None)
    if earlier is not None:
        first, second = earlier
        return first._replace(currency=currencies[0]), second._replace(currency=currencies[1])
    await note(connection, transfer.audit)
    taken = await _append(connection, source, locked[name_of(source)].standing, currencies[0], mark)
    if source.undoes is not None:
        taken = await _taken_back(connection, source, source.undoes, taken)
    given = await _append(connection, target, locked[name_of(target)].standing, currencies[1], mark)
    return taken, given._replace(expires_at=await extend(connection, name_of(target), target))


async def _taken_back(connection: AsyncConnection, payment: Payment, undone: UndoneEntry, receipt: Receipt) -> Receipt:
    """Take back what an entry has done beside its money: the validity, and a dispute that it has settled."""
    if undone.kind is EntryKind.ADJUSTMENT and undone.reference.startswith(SETTLED_AS):
        await reopen(connection, payment, undone.reference)
    return receipt._replace(expires_at=await take_back(connection, name_of(payment), payment, undone))


async def _append(
    connection: AsyncConnection, payment: Payment, standing: Standing, currency: str | None, mark: int
) -> Receipt:
    """Append an entry to the ledger of a locked account, and set its balance.

    Raises:
        TooLittleLeft: less than ``least_left`` would be left.
        BalanceMoved: ``ZERO`` needs more than ``at_most``.
        BalanceTooLarge: the amount, or the balance with it, fits in no column.
    """
    check_rest(payment, standing.balance)
    amount = payment.amount
    if payment.kind is EntryKind.ZERO:
        amount = -standing.balance
        check_at_most(payment, amount)
    after = standing.balance + amount
    check_size(payment.account, amount, after, connection.dialect.name)
    entry = entry_row(payment, amount, Standing(after, standing.seq + 1), currency)
    added = await connection.execute(insert(_entry).values(entry))
    await connection.execute(
        update(_account)
        .where(_account.c.id == name_of(payment))
        .values(balance=after, seq=standing.seq + 1, changed=mark)
    )
    (number,) = added.inserted_primary_key or (None,)
    return Receipt(standing.balance, after, repeated=False, entry=number, currency=currency)
