"""The currency of each account: settled once, when the account is first used with one.

An account that has ledger entries keeps its currency: its balance is their sum. So does one from or to which money
waits for a second person: it was asked for in that currency. Any other account keeps it while a switch runs, until a
reload: the switch counts each booking in the currency that it has the account in. An account from before there were
currencies takes the configured one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, or_, select, update

from vosd.cdr.kinds import ACCOUNT_LENGTH
from vosd.cdr.record import CallRecord
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.database import Database
from vosd.storage.lease import is_held
from vosd.storage.types import identifying
from vosd.storage.waiting_values import WAITING

_AT_ONCE: Final = 500


async def settle_all(database: Database, wanted: Mapping[str, str]) -> Mapping[str, str]:
    """Set the currency of accounts; if any has money in another one, set none and return those with theirs.

    One that gets its first money meanwhile is returned, too, and then others may be set.

    Raises:
        StoreUnavailable: some may be set; try again.
    """
    others, open_ones = await _apart(database, wanted)
    if others:
        return others
    are_set = True
    for currency, names in open_ones.items():
        for chunk in _chunks(names):
            async with database.writing() as connection:
                are_set &= await _settle(connection, chunk, currency) == len(chunk)
    return {} if are_set else await others_than(database, wanted)


async def others_than(database: Database, wanted: Mapping[str, str]) -> Mapping[str, str]:
    """Return the accounts that ``settle_all`` would refuse, each with the currency of its money."""
    return (await _apart(database, wanted))[0]


async def _apart(database: Database, wanted: Mapping[str, str]) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Return the accounts with money in another currency than is wanted, and by currency those that may take it."""
    others: dict[str, str] = {}
    open_ones: dict[str, list[str]] = {}
    async with database.reading() as connection:
        waiting = await _of_waiting(connection)
        for chunk in _chunks(wanted):
            rows = {row.id: row for row in await _rows(connection, chunk)}
            for name in rows.keys() | (waiting.keys() & set(chunk)):
                row = rows.get(name)
                kept = _kept(name, row, waiting)
                if kept is not None and kept != wanted[name]:
                    others[name] = kept
                elif row is not None and row.currency != wanted[name]:
                    open_ones.setdefault(wanted[name], []).append(name)
    return others, open_ones


async def settle_one(connection: AsyncConnection, name: str, wanted: str | None) -> str | None:
    """Set the currency of a locked account, if one is wanted that it may take; return its currency."""
    (row,) = await _rows(connection, [name])
    held: str | None = row.currency
    if wanted is None or held == wanted:
        return held
    if held is not None and (row.seq or await is_held(connection)):
        return held
    kept = _kept(name, row, {} if row.seq else await _of_waiting(connection))
    if kept is not None and kept != wanted:
        return kept
    await _settle(connection, [name], wanted)
    return wanted


async def currencies_of(database: Database, accounts: Collection[str]) -> Mapping[str, str | None]:
    """Return the currency of each account that has a row."""
    async with database.reading() as connection:
        return {row.id: row.currency for chunk in _chunks(accounts) for row in await _rows(connection, chunk)}


def other_currency(record: CallRecord, held: Mapping[str, str | None]) -> str | None:
    """Return the reason for refusing a record with a posting in another currency than its account; None = all fit.

    Amounts of two currencies cannot be added to one balance. A retry cannot succeed while the account has entries,
    because it keeps its currency.
    """
    for posting in record.postings:
        currency = held.get(posting.account)
        if posting.amount and None not in {posting.currency, currency} and posting.currency != currency:
            return (
                f"account {posting.account} has its money in {currency}, this call's posting is in {posting.currency}"
            )
    return None


async def _settle(connection: AsyncConnection, names: Collection[str], wanted: str) -> int:
    """Set the currency of those of the accounts that may take it; return how many they are."""
    account = schema.account.c
    is_open = or_(account.currency.is_(None), account.seq == 0)
    settled = update(schema.account).where(account.id.in_(names), is_open)
    return (await connection.execute(settled.values(currency=wanted))).rowcount


async def _rows(connection: AsyncConnection, accounts: Sequence[str]) -> Sequence[Row[Any, Any, Any]]:
    account = schema.account.c
    query = select(account.id, account.seq, account.currency).where(account.id.in_(accounts))
    return (await connection.execute(query)).all()


def _kept(name: str, row: Row[Any, Any, Any] | None, waiting: Mapping[str, str | None]) -> str | None:
    """Return the currency that an account keeps for its money; None = it may take any, or has none yet."""
    held = None if row is None else row.currency
    if row is not None and row.seq:
        return held
    return waiting[name] or held if name in waiting else None


async def _of_waiting(connection: AsyncConnection) -> dict[str, str | None]:
    """Return the accounts from or to which money waits for a second person, with the currency it was asked for in.

    None = an earlier version wrote none down: that of the account.
    """
    payment = schema.waiting_payment.c
    query = select(payment.account, payment.target, payment.currency).where(payment.state == WAITING)
    rows = (await connection.execute(query.order_by(payment.currency))).all()  # null first: what is known holds
    return {name: row.currency for row in rows for name in (row.account, row.target) if name}


def _chunks(accounts: Collection[str]) -> Iterator[list[str]]:
    names = sorted(identifying(name, ACCOUNT_LENGTH) for name in accounts)
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]
