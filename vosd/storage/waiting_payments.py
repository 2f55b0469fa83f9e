"""Payments that wait for a second person: asked for, confirmed or refused, each once (ADR 95).

``vosd.admin.office.payments`` knows which ones have to wait, and who may decide. A confirmation is written in the
transaction that books the payment.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, insert, or_, select, update

from vosd.base.money import format_amount
from vosd.cdr.kinds import ACCOUNT_LENGTH, NAME_LENGTH
from vosd.storage import schema
from vosd.storage.asynchronous import AsyncConnection
from vosd.storage.audit import note
from vosd.storage.audit_line import AuditLine
from vosd.storage.database import SqlStore, repeated
from vosd.storage.driver_errors import AlreadyThere
from vosd.storage.ports import EntryKind, ReferenceTaken, Settlement
from vosd.storage.types import descriptive, identifying
from vosd.storage.waiting_values import BOOKED, REFUSED, WAITING, NotWaiting, WaitingPayment

_table: Final = schema.waiting_payment
_row: Final = _table.c


class SqlWaitingPayments(SqlStore):
    """Reads and writes them in MySQL and SQLite."""

    @repeated
    async def ask(
        self, wanted: WaitingPayment, audit: AuditLine | None = None, *, is_trial: bool = False
    ) -> tuple[WaitingPayment, bool]:
        """Write a payment down, or return the one that has its account, kind and reference; ``id`` is not used.

        The second value is whether it was there before. ``is_trial``: nothing is kept, and a new one has ``id`` 0.

        Raises:
            ReferenceTaken: that one is another payment.
        """
        try:
            asked, is_repeated = await self._asked(wanted, audit, is_trial=is_trial)
        except AlreadyThere:  # the same order has written it since
            asked, is_repeated = await self._asked(wanted, audit, is_trial=is_trial)
        return (asked._replace(id=0) if is_trial and not is_repeated else asked), is_repeated

    async def _asked(
        self, wanted: WaitingPayment, audit: AuditLine | None, *, is_trial: bool
    ) -> tuple[WaitingPayment, bool]:
        async with self._database.writing() as connection:
            asked = await ask(connection, wanted, audit)
            if is_trial:
                await connection.rollback()
        return asked

    async def was_asked(self, account: str, kind: EntryKind, reference: str) -> bool:
        """Return whether a payment was ever written down, whatever became of it."""
        return await self._database.row(_same(account, kind, reference)) is not None

    async def waiting(self) -> Sequence[WaitingPayment]:
        """Return those that wait, the oldest first."""
        rows = await self._database.rows(_all().where(_row.state == WAITING).order_by(_row.id))
        return [_payment(row) for row in rows]

    async def of_account(self, account: str) -> WaitingPayment | None:
        """Return the oldest one that waits from or to an account, None = none does."""
        query = _all().where(_row.state == WAITING, or_(_row.account == account, _row.target == account))
        found = await self._database.row(query.order_by(_row.id).limit(1))
        return None if found is None else _payment(found)

    async def find(self, number: int) -> WaitingPayment:
        """Return one of them, whatever became of it; raises NotWaiting where there is none."""
        found = await self._database.row(_all().where(_row.id == number))
        if found is None:
            raise NotWaiting(f"payment {number} was never asked for: vosd payment waiting lists those that wait")
        return _payment(found)

    @repeated
    async def refuse(self, number: int, by: str, at: int, reason: str | None, audit: AuditLine | None = None) -> None:
        """Refuse a payment; raises NotWaiting where it was booked or refused before."""
        async with self._database.writing() as connection:
            why = None if reason is None else descriptive(reason, schema.MEMO_LENGTH)
            if not await _decide(connection, Settlement(number, by, at), REFUSED, why):
                raise NotWaiting(f"payment {number} waits no more: it was booked or refused before")
            await note(connection, audit)


async def ask(
    connection: AsyncConnection, wanted: WaitingPayment, audit: AuditLine | None = None
) -> tuple[WaitingPayment, bool]:
    """Write a payment down in the open transaction; returns and raises as ``SqlWaitingPayments.ask``."""
    values = wanted._asdict() | {
        "account": identifying(wanted.account, ACCOUNT_LENGTH),
        "target": identifying(wanted.target, ACCOUNT_LENGTH),
        "kind": wanted.kind.value,
        "reference": identifying(wanted.reference, schema.REFERENCE_LENGTH),
        "forced": int(wanted.forced),
        "memo": None if wanted.memo is None else descriptive(wanted.memo, schema.MEMO_LENGTH),
        "operator": descriptive(wanted.operator, NAME_LENGTH),
        "login": descriptive(wanted.login, NAME_LENGTH),
    }
    del values["id"]
    same = _same(wanted.account, wanted.kind, wanted.reference)
    found = (await connection.execute(same)).one_or_none()
    is_repeated = found is not None
    if found is None:
        await note(connection, audit)
        await connection.execute(insert(_table).values(**values))
        found = (await connection.execute(same)).one()
    earlier = _payment(found)
    is_other = (earlier.target, earlier.amount) != (wanted.target, wanted.amount) or (
        None not in {earlier.currency, wanted.currency} and earlier.currency != wanted.currency
    )
    if is_other and wanted.kind is not EntryKind.ZERO:
        shown = " ".join(filter(None, (format_amount(earlier.amount), earlier.currency)))
        raise ReferenceTaken(
            f"reference {wanted.reference} of account {wanted.account} was asked for with {shown}: "
            "give another reference"
        )
    return earlier, is_repeated


async def settle(connection: AsyncConnection, settlement: Settlement, *, is_booked: bool) -> None:
    """Note that a payment is booked now, or that it was booked before.

    Raises:
        NotWaiting: it was refused, or another person has confirmed it, and it is not booked yet.
    """
    if not await _decide(connection, settlement, BOOKED, None) and not is_booked:
        raise NotWaiting(f"payment {settlement.number} waits no more: it was booked or refused before")


async def _decide(connection: AsyncConnection, settlement: Settlement, state: str, reason: str | None) -> bool:
    by = descriptive(settlement.confirmed_by, NAME_LENGTH)
    own = update(_table).where(_row.id == settlement.number, _row.state == WAITING)
    done = await connection.execute(
        own.values(state=state, decided_by=by, decided_at=settlement.confirmed_at, reason=reason)
    )
    return done.rowcount == 1


def _same(account: str, kind: EntryKind, reference: str) -> Select[Any]:
    return _all().where(
        _row.account == identifying(account, ACCOUNT_LENGTH),
        _row.kind == kind.value,
        _row.reference == identifying(reference, schema.REFERENCE_LENGTH),
    )


def _all() -> Select[Any]:
    return select(*(_row[name] for name in WaitingPayment._fields))


def _payment(row: Any) -> WaitingPayment:
    return WaitingPayment._make(row)._replace(kind=EntryKind(row.kind), forced=bool(row.forced))
