"""Payments, adjustments and zeroing in MySQL and SQLite."""

from sqlalchemy import insert, select, update

from vosd.cdr.kinds import ACCOUNT_LENGTH, NAME_LENGTH
from vosd.storage import schema
from vosd.storage.books import lock_accounts
from vosd.storage.currencies import settle_one
from vosd.storage.database import Database
from vosd.storage.ports import EntryKind, NoSuchAccount, Payment, Receipt, check_currency, receipt_of_earlier
from vosd.storage.types import descriptive, identifying
from vosd.storage.writers import writer_for


class SqlPayments:
    """Implements ``vosd.storage.ports.Payments``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._writer = writer_for(database)

    async def add(self, payment: Payment) -> Receipt:
        """Book a payment, once; an account without a row gets one, so the caller checks the name.

        Raises:
            ReferenceTaken: the reference was used for another amount.
            NoSuchAccount: it must exist and does not.
            OtherCurrency: the account has entries in another currency.
            ContentRefused: the amount has too many digits, or account or reference is too long.
            StoreUnavailable: as far as is known nothing was booked; try again with the same reference.
        """
        account, entry = schema.account, schema.ledger_entry
        async with self._database.writing() as connection:
            name = identifying(payment.account, ACCOUNT_LENGTH)
            reference = identifying(payment.reference, schema.REFERENCE_LENGTH)
            mark = await self._writer.take_numbers(connection, 1)
            if payment.must_exist and await connection.scalar(select(account.c.id).where(account.c.id == name)) is None:
                message = f"account {payment.account} is in no ledger"
                raise NoSuchAccount(message)
            standing = (await lock_accounts(connection, [name], mark))[name].standing
            currency = await settle_one(connection, name, payment.currency)
            check_currency(payment, currency)
            same = select(entry.c.amount, entry.c.balance_after).where(
                entry.c.account == name, entry.c.kind == payment.kind.value, entry.c.reference == reference
            )
            earlier = (await connection.execute(same)).one_or_none()
            if earlier is not None:
                return receipt_of_earlier(payment, earlier.amount, earlier.balance_after)
            amount = -standing.balance if payment.kind is EntryKind.ZERO else payment.amount
            after = standing.balance + amount
            await connection.execute(
                insert(entry).values(
                    account=name,
                    seq=standing.seq + 1,
                    amount=amount,
                    balance_after=after,
                    kind=payment.kind.value,
                    reference=reference,
                    operator=_cut(payment.operator, NAME_LENGTH),
                    memo=_cut(payment.memo, schema.MEMO_LENGTH),
                    created_at=payment.made_at,
                    currency=currency,
                )
            )
            await connection.execute(
                update(account).where(account.c.id == name).values(balance=after, seq=standing.seq + 1, changed=mark)
            )
        return Receipt(standing.balance, after, repeated=False)


def _cut(text: str | None, length: int) -> str | None:
    return None if text is None else descriptive(text, length)
