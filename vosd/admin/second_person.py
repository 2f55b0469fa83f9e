"""Money that people book by hand: at once up to a limit, above it when a second person has confirmed it (ADR 95).

``PaymentOrder`` is what someone wants, ``Person`` who it is. Refuses to know how people prove who they are.
"""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

import msgspec

from vosd.admin.ledger import known_standing
from vosd.admin.office.ports import Stores
from vosd.admin.payments import PaymentReceipt, add_payment, least_left, make_transfer
from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account
from vosd.cdr.columns import iso_utc
from vosd.control.client import RunningSwitch
from vosd.storage.audit_line import AuditLine
from vosd.storage.ports import EntryKind, Payment, Settlement, Transfer
from vosd.storage.waiting_values import WAITING, WaitingPayment


class OwnPaymentError(VosError):
    """The person who has asked for a payment cannot confirm it."""


class WasRefusedError(VosError):
    """A second person has refused the payment."""


class AboveLimitError(VosError):
    """The amount needs a second person, and this kind of booking does not wait for one."""


class Person(NamedTuple):
    """A person who asks or confirms."""

    name: str
    """As the ledger names it."""
    login: str
    """By the machine, whatever name was given."""


class PaymentOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Money to be booked by hand."""

    account: str
    """Account of the payment; of a transfer the one that pays."""
    kind: EntryKind
    amount: Decimal = ZERO
    """As the ledger gets it: a refund is below zero. Of a transfer what is moved; ``ZERO`` has none."""
    reference: str
    memo: str | None = None
    target: str = ""
    """The account that gets a transfer."""
    forced: bool = False
    """Take what running calls hold, too."""


class WaitingSheet(msgspec.Struct, frozen=True):
    """A payment that waits for a second person; money and times as text."""

    id: int
    account: str
    target: str | None
    type: str
    amount: str
    reference: str
    memo: str | None
    asked_by: str
    asked_at: str


Receipts = tuple[PaymentReceipt, ...]
"""Entries that were booked; a transfer has two: source and target."""


class ByHand:
    """Bookings by hand on one database."""

    def __init__(
        self, accounts: Mapping[str, Account], stores: Stores, switch: RunningSwitch, limit: Decimal | None
    ) -> None:
        """``limit`` is the highest amount that one person books, in whatever currency; None = any."""
        self._accounts = accounts
        self._stores = stores
        self._switch = switch
        self._limit = limit
        self._waiting = stores.waiting_payments
        self._payments = stores.payments

    async def book(
        self, order: PaymentOrder, person: Person, now: int, audit: AuditLine | None = None
    ) -> Receipts | WaitingSheet:
        """Book an order, or have it wait where it is above the limit; ``now`` is UTC milliseconds.

        A repeat of what was booked books nothing, and one of what waits returns it again.

        Raises:
            WasRefusedError: it was refused before.
            UnknownAccountError, ReferenceTaken, OtherCurrency, TooLittleLeft, StoreUnavailable: as ``add_payment``.
        """
        amount = order.amount
        if order.kind is EntryKind.ZERO:
            standing = await known_standing(self._accounts, self._stores.queries, order.account)
            amount = ZERO if standing is None else -standing.balance
        if not self.needs_second(amount) or await self._is_booked(order, person, now):
            return await self._book(order, person.name, now, None, audit)
        for account in filter(None, (order.account, order.target)):
            await known_standing(self._accounts, self._stores.queries, account)
        wanted = WaitingPayment(
            0, order.account, order.target, order.kind, order.reference, amount, order.forced, order.memo,
            person.name, person.login, now,
        )  # fmt: skip
        asked = await self._waiting.ask(wanted, audit)
        if asked.state != WAITING:
            raise WasRefusedError(
                f"reference {asked.reference} of account {asked.account} was refused by {asked.decided_by}"
                f"{f': {asked.reason}' if asked.reason else ''}; give another reference"
            )
        return _sheet(asked)

    def needs_second(self, amount: Decimal) -> bool:
        """Return whether an amount is more than one person books."""
        return self._limit is not None and abs(amount) > self._limit

    async def confirm(self, number: int, person: Person, now: int, audit: AuditLine | None = None) -> Receipts:
        """Book a payment that waits, as it was asked for; the entry names both persons.

        Raises:
            OwnPaymentError: the person has asked for it.
            NotWaiting: it does not wait.
            UnknownAccountError, OtherCurrency, TooLittleLeft, StoreUnavailable: as ``add_payment``; it waits on.
        """
        asked = await self._waiting.find(number)
        if person.login == asked.login or person.name == asked.operator:
            message = f"payment {number} was asked for by {asked.operator} ({asked.login}): another person confirms it"
            raise OwnPaymentError(message)
        confirmed = f"confirmed by {person.name}"
        order = PaymentOrder(
            account=asked.account, kind=asked.kind, reference=asked.reference, target=asked.target, forced=asked.forced,
            amount=ZERO if asked.kind is EntryKind.ZERO else asked.amount,
            memo=f"{confirmed}: {asked.memo}" if asked.memo else confirmed,
        )  # fmt: skip
        return await self._book(order, asked.operator, now, Settlement(number, person.name, now), audit)

    async def refuse(
        self, number: int, person: Person, now: int, reason: str | None, audit: AuditLine | None = None
    ) -> WaitingSheet:
        """Refuse a payment that waits; who has asked for it may take it back so.

        Raises:
            NotWaiting: it does not wait.
            StoreUnavailable: try again.
        """
        asked = await self._waiting.find(number)
        await self._waiting.refuse(number, person.name, now, reason, audit)
        return _sheet(asked)

    async def waiting(self) -> list[WaitingSheet]:
        """Return what waits, the oldest first.

        Raises:
            StoreUnavailable: try again.
        """
        return [_sheet(each) for each in await self._waiting.waiting()]

    # -- inside -------------------------------------------------------------------------------------------------

    async def _is_booked(self, order: PaymentOrder, person: Person, now: int) -> bool:
        if order.target:
            payment = _transfer(order, person.name, now, None, None).payments[0]
        else:
            payment = _payment(order, person.name, now, None, None)
        return await self._payments.earlier(payment) is not None

    async def _book(
        self, order: PaymentOrder, operator: str, now: int, settles: Settlement | None, audit: AuditLine | None
    ) -> Receipts:
        least = None
        if not order.forced and order.kind in {EntryKind.REFUND, EntryKind.TRANSFER}:
            overrides = (await self._stores.overrides.load()).at(now)
            least = least_left(self._accounts, overrides, order.account)
        if order.target:
            transfer = replace(_transfer(order, operator, now, least, settles), audit=audit)
            return await make_transfer(self._accounts, self._payments, self._switch, transfer)
        payment = replace(_payment(order, operator, now, least, settles), audit=audit)
        return (await add_payment(self._accounts, self._payments, self._switch, payment),)


def _payment(
    order: PaymentOrder, operator: str, now: int, least: Decimal | None, settles: Settlement | None
) -> Payment:
    return Payment(
        account=order.account, kind=order.kind, reference=order.reference, made_at=now, amount=order.amount,
        operator=operator, memo=order.memo, least_left=least, settles=settles,
    )  # fmt: skip


def _transfer(
    order: PaymentOrder, operator: str, now: int, least: Decimal | None, settles: Settlement | None
) -> Transfer:
    return Transfer(
        source=order.account, target=order.target, amount=order.amount, reference=order.reference, made_at=now,
        operator=operator, memo=order.memo, least_left=least, settles=settles,
    )  # fmt: skip


def _sheet(asked: WaitingPayment) -> WaitingSheet:
    return WaitingSheet(
        asked.id, asked.account, asked.target or None, asked.kind.value, format_amount(asked.amount), asked.reference,
        asked.memo, asked.operator, iso_utc(asked.asked_at),
    )  # fmt: skip
