"""Entries of payments: which columns they have, and whether a payment was booked before under its reference."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import and_, or_, select

from vosd.base.errors import VosError
from vosd.cdr.kinds import ACCOUNT_LENGTH, NAME_LENGTH
from vosd.cdr.ports import Standing
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.currencies import settle_one
from vosd.storage.driver_errors import ContentRefused
from vosd.storage.lease import is_held
from vosd.storage.old_payments import dropped_payment, dropped_payments
from vosd.storage.ports import NoSuchAccount, Payment, Receipt, ReferenceTaken, check_currency, receipt_of_earlier
from vosd.storage.types import Unstorable, descriptive, identifying

_account = schema.account
_entry = schema.ledger_entry


async def settled_currency(connection: AsyncConnection, payment: Payment, standing: Standing) -> str | None:
    """Return the currency of a locked account, which is that of a payment, or raise OtherCurrency."""
    held = await settle_one(connection, name_of(payment), payment.currency)
    is_other = payment.currency is not None and held not in {None, payment.currency}
    # Without a switch, entries or money that waits for a second person keep it.
    has_money = bool(standing.seq) or (is_other and not await is_held(connection))
    check_currency(payment, held, has_entries=has_money)
    return held


def name_of(payment: Payment) -> str:
    """Return the name of the account as its row has it; raises Unstorable."""
    return identifying(payment.account, ACCOUNT_LENGTH)


def _reference(payment: Payment) -> str:
    return identifying(payment.reference, schema.REFERENCE_LENGTH)


async def check_exists(connection: AsyncConnection, payment: Payment) -> None:
    """Raise NoSuchAccount where the account of a payment must have a row and has none."""
    known = select(_account.c.id).where(_account.c.id == name_of(payment))
    if payment.must_exist and await connection.scalar(known) is None:
        raise NoSuchAccount(f"account {payment.account} is in no ledger")


async def earlier_entry(connection: AsyncConnection, payment: Payment) -> Receipt | None:
    """Return the receipt of the entry that has the payment's reference; None = there is none.

    Raises:
        ReferenceTaken: that entry was for another amount, or of a transfer with another account.
    """
    found = (await connection.execute(_EARLIER.where(_is_of(payment)))).one_or_none()
    if found is not None:
        return _receipt_of(payment, found)
    dropped = await dropped_payment(connection, name_of(payment), payment.kind, _reference(payment))
    return None if dropped is None else receipt_of_earlier(payment, dropped.amount, dropped.balance_after, None)


async def earlier_of(connection: AsyncConnection, payments: Sequence[Payment]) -> list[Receipt | VosError | None]:
    """Return for each payment the receipt of the entry that has its reference, or why it is not this payment.

    None = there is no such entry. Some hundreds at most: SQLite refuses a condition of a thousand parts.
    """
    keys = [key_or_fault(each) for each in payments]
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
    account, kind, reference = key_of(payment)
    return and_(_entry.c.account == account, _entry.c.kind == kind, _entry.c.reference == reference)


def key_of(payment: Payment) -> tuple[str, str, str]:
    """Return account, kind and reference, by which a payment is booked once; raises Unstorable."""
    return name_of(payment), payment.kind.value, _reference(payment)


def key_or_fault(payment: Payment) -> tuple[str, str, str] | VosError:
    """Return the same, or why no column holds it."""
    try:
        return key_of(payment)
    except Unstorable as error:
        return ContentRefused(str(error))


def _receipt_of(payment: Payment, entry: Any) -> Receipt:
    return receipt_of_earlier(payment, entry.amount, entry.balance_after, entry.memo, entry.id)


def entry_row(payment: Payment, amount: Decimal, after: Standing, currency: str | None) -> dict[str, Any]:
    """Return the columns of the entry of a payment that brings its account to ``after``."""
    return {
        "account": name_of(payment),
        "seq": after.seq,
        "amount": amount,
        "balance_after": after.balance,
        "kind": payment.kind.value,
        "reference": _reference(payment),
        "operator": _cut(payment.operator, NAME_LENGTH),
        "memo": _cut(payment.memo, schema.MEMO_LENGTH),
        "created_at": payment.made_at,
        "currency": currency,
    }


def _cut(text: str | None, length: int) -> str | None:
    return None if text is None else descriptive(text, length)
