"""Payments, refunds, adjustments, zeroing and transfers in MySQL and SQLite."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import and_, insert, or_, select, update

from vosd.base.errors import VosError
from vosd.cdr.kinds import ACCOUNT_LENGTH, NAME_LENGTH
from vosd.cdr.ports import Standing
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note
from vosd.storage.books import check_size, lock_accounts
from vosd.storage.currencies import settle_one
from vosd.storage.database import Database, repeated
from vosd.storage.disputes import reopen
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.lease import is_held
from vosd.storage.old_payments import dropped_payment, dropped_payments
from vosd.storage.ports import (
    SETTLED_AS,
    EntryKind,
    MoneyTransfer,
    NoSuchAccount,
    Payment,
    Receipt,
    ReferenceTaken,
    UndoneEntry,
    both_or_none,
    check_at_most,
    check_currency,
    check_rest,
    check_same_currency,
    receipt_of_earlier,
)
from vosd.storage.types import Unstorable, descriptive, identifying
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

    async def earlier(self, payment: Payment) -> Receipt | None:
        """Return the receipt of the booking that has the payment's reference; None = it was not booked.

        Raises:
            ReferenceTaken: the reference was used for another amount.
        """
        async with self._database.reading() as connection:
            return await _earlier(connection, payment)

    async def earlier_of(self, payments: Sequence[Payment]) -> list[Receipt | VosError | None]:
        """Return the same for many payments by few statements, or why one cannot be booked under its reference."""
        found: list[Receipt | VosError | None] = []
        async with self._database.reading() as connection:
            for start in range(0, len(payments), _ASKED_AT_ONCE):
                found += await _earlier_of(connection, payments[start : start + _ASKED_AT_ONCE])
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

    Raises:
        NotWaiting: one of them was refused before.
        ReferenceTaken, OtherCurrency, ContentRefused: as ``SqlPayments.add``.
    """
    for asked in waiting:
        noted, _ = await ask(connection, asked)
        if noted.state == REFUSED:
            raise NotWaiting(f"{asked.reference} of account {asked.account} was refused: give another reference")
    if payments:
        mark = await writer_for(database).take_numbers(connection, 1)
        for payment in sorted(payments, key=lambda each: each.account):
            await book(connection, payment, mark)


async def book(connection: AsyncConnection, payment: Payment, mark: int) -> Receipt:
    """Book a payment once in the open transaction, the commit numbered ``mark``; raises as ``SqlPayments.add``."""
    await _check_exists(connection, payment)
    standing = (await lock_accounts(connection, [_name(payment)], mark))[_name(payment)].standing
    currency = await _settled(connection, payment, standing)
    earlier = await _earlier(connection, payment)
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
    return receipt._replace(expires_at=await extend(connection, _name(payment), payment))


async def _move(connection: AsyncConnection, transfer: MoneyTransfer, mark: int) -> tuple[Receipt, Receipt]:
    """Move money once in the open transaction, the commit numbered ``mark``; raises as ``SqlPayments.transfer``."""
    source, target = transfer.payments
    for each in (source, target):
        await _check_exists(connection, each)
    locked = await lock_accounts(connection, sorted([_name(source), _name(target)]), mark)
    currencies = [await _settled(connection, each, locked[_name(each)].standing) for each in (source, target)]
    check_same_currency(transfer, *currencies)
    earlier = both_or_none(transfer, [await _earlier(connection, each) for each in (source, target)])
    if transfer.settles is not None:
        await settle(connection, transfer.settles, is_booked=earlier is not None)
    if earlier is not None:
        first, second = earlier
        return first._replace(currency=currencies[0]), second._replace(currency=currencies[1])
    await note(connection, transfer.audit)
    taken = await _append(connection, source, locked[_name(source)].standing, currencies[0], mark)
    if source.undoes is not None:
        taken = await _taken_back(connection, source, source.undoes, taken)
    given = await _append(connection, target, locked[_name(target)].standing, currencies[1], mark)
    return taken, given._replace(expires_at=await extend(connection, _name(target), target))


async def _settled(connection: AsyncConnection, payment: Payment, standing: Standing) -> str | None:
    """Return the currency of a locked account, which is that of a payment, or raise OtherCurrency."""
    held = await settle_one(connection, _name(payment), payment.currency)
    is_other = payment.currency is not None and held not in {None, payment.currency}
    # Without a switch, entries or money that waits for a second person keep it.
    has_money = bool(standing.seq) or (is_other and not await is_held(connection))
    check_currency(payment, held, has_entries=has_money)
    return held


async def _taken_back(connection: AsyncConnection, payment: Payment, undone: UndoneEntry, receipt: Receipt) -> Receipt:
    """Take back what an entry has done beside its money: the validity, and a dispute that it has settled."""
    if undone.kind is EntryKind.ADJUSTMENT and undone.reference.startswith(SETTLED_AS):
        await reopen(connection, payment, undone.reference)
    return receipt._replace(expires_at=await take_back(connection, _name(payment), payment, undone))


def _name(payment: Payment) -> str:
    return identifying(payment.account, ACCOUNT_LENGTH)


def _reference(payment: Payment) -> str:
    return identifying(payment.reference, schema.REFERENCE_LENGTH)


async def _check_exists(connection: AsyncConnection, payment: Payment) -> None:
    known = select(_account.c.id).where(_account.c.id == _name(payment))
    if payment.must_exist and await connection.scalar(known) is None:
        raise NoSuchAccount(f"account {payment.account} is in no ledger")


async def _earlier(connection: AsyncConnection, payment: Payment) -> Receipt | None:
    """Return the receipt of the entry that has the payment's reference; None = there is none.

    Raises:
        ReferenceTaken: that entry was for another amount, or of a transfer with another account.
    """
    found = (await connection.execute(_EARLIER.where(_is_of(payment)))).one_or_none()
    if found is not None:
        return _receipt_of(payment, found)
    dropped = await dropped_payment(connection, _name(payment), payment.kind, _reference(payment))
    return None if dropped is None else receipt_of_earlier(payment, dropped.amount, dropped.balance_after, None)


async def _earlier_of(connection: AsyncConnection, payments: Sequence[Payment]) -> list[Receipt | VosError | None]:
    keys = [_key_or_fault(each) for each in payments]
    asked = [each for each, key in zip(payments, keys, strict=True) if not isinstance(key, VosError)]
    if not asked:
        return [key if isinstance(key, VosError) else None for key in keys]
    rows = await connection.execute(_EARLIER.where(or_(*map(_is_of, asked))))
    entries = {(row.account, row.kind, row.reference): row for row in rows}
    dropped = await dropped_payments(connection, [key for key in keys if not isinstance(key, VosError)])
    found: list[Receipt | VosError | None] = []
    for payment, key in zip(payments, keys, strict=True):
        if isinstance(key, VosError):
            found.append(key)
            continue
        try:
            if key in entries:
                found.append(_receipt_of(payment, entries[key]))
            elif key in dropped:
                found.append(receipt_of_earlier(payment, dropped[key].amount, dropped[key].balance_after, None))
            else:
                found.append(None)
        except ReferenceTaken as error:
            found.append(error)
    return found


_EARLIER: Final = select(
    _entry.c.account,
    _entry.c.kind,
    _entry.c.reference,
    _entry.c.id,
    _entry.c.amount,
    _entry.c.balance_after,
    _entry.c.memo,
)


def _is_of(payment: Payment) -> Any:
    """Return the condition of an entry that has the payment's reference."""
    account, kind, reference = _key(payment)
    return and_(_entry.c.account == account, _entry.c.kind == kind, _entry.c.reference == reference)


def _key(payment: Payment) -> tuple[str, str, str]:
    return _name(payment), payment.kind.value, _reference(payment)


def _key_or_fault(payment: Payment) -> tuple[str, str, str] | VosError:
    try:
        return _key(payment)
    except Unstorable as error:
        return ContentRefused(str(error))


def _receipt_of(payment: Payment, entry: Any) -> Receipt:
    return receipt_of_earlier(payment, entry.amount, entry.balance_after, entry.memo, entry.id)


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
    added = await connection.execute(
        insert(_entry).values(
            account=_name(payment),
            seq=standing.seq + 1,
            amount=amount,
            balance_after=after,
            kind=payment.kind.value,
            reference=_reference(payment),
            operator=_cut(payment.operator, NAME_LENGTH),
            memo=_cut(payment.memo, schema.MEMO_LENGTH),
            created_at=payment.made_at,
            currency=currency,
        )
    )
    await connection.execute(
        update(_account)
        .where(_account.c.id == _name(payment))
        .values(balance=after, seq=standing.seq + 1, changed=mark)
    )
    (number,) = added.inserted_primary_key or (None,)
    return Receipt(standing.balance, after, repeated=False, entry=number, currency=currency)


def _cut(text: str | None, length: int) -> str | None:
    return None if text is None else descriptive(text, length)
