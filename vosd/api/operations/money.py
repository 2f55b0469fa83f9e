"""Operations about accounts' money: balances, payments, ledger, statements."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Final

import msgspec
from msgspec.structs import asdict

from vosd.admin.ledger import StatementSheet
from vosd.admin.office.accounts import AccountSheet, ListAccounts, ShowAccount, list_accounts, show_account
from vosd.admin.office.bookings import PaymentReceipt
from vosd.admin.office.ledger import (
    ShowStatements,
    are_more_entries,
    list_balances,
    list_entries,
    list_payments,
    show_profit,
    show_statements,
)
from vosd.admin.office.office import Office
from vosd.admin.office.payment_file import read_payments
from vosd.admin.office.payments import (
    BookPayment,
    MoveMoney,
    WaitingSheet,
    book_payment,
    confirm_payment,
    list_waiting_payments,
    move_money,
    refuse_payment,
    undo_payment,
)
from vosd.admin.office.principal import Principal
from vosd.api.operation import Listing, Operation
from vosd.api.operations.months import month_of
from vosd.base.parts import in_parts


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a booking."""

    receipts: tuple[PaymentReceipt, ...] = ()
    """Entries that were booked, now or by a request before with the same reference; a transfer has two."""
    waiting: WaitingSheet | None = None
    """The payment, where it waits for a second person; nothing is booked then."""
    dry_run: bool | msgspec.UnsetType = msgspec.UNSET
    """True in a trial: what would be booked or wait, absent else."""


class BookedPayment(Booked, frozen=True, kw_only=True):
    """Outcome of a payment, with the keys that ``vosd payment add --json`` prints; absent while it waits."""

    account: str | msgspec.UnsetType = msgspec.UNSET
    type: str | msgspec.UnsetType = msgspec.UNSET
    """``payment``, ``adjustment``, ``refund``, ``zero`` or ``transfer``."""
    reference: str | msgspec.UnsetType = msgspec.UNSET
    amount: str | msgspec.UnsetType = msgspec.UNSET
    currency: str | msgspec.UnsetType | None = msgspec.UNSET
    """ISO 4217; null = that of an account that the configuration does not name any more."""
    before: str | msgspec.UnsetType = msgspec.UNSET
    """Balance before, as text."""
    after: str | msgspec.UnsetType = msgspec.UNSET
    """Balance now, as text."""
    repeated: bool | msgspec.UnsetType = msgspec.UNSET
    """The reference was booked before: nothing was booked now, and the balances are those of that booking."""
    id: int | msgspec.UnsetType | None = msgspec.UNSET
    """Number of the entry, by which it is taken back; null = it was a trial, or the entry was dropped since."""
    untold: str | msgspec.UnsetType = msgspec.UNSET
    """Why a running switch does not know the balance yet; empty if it does, or if none runs."""
    expires_at: str | msgspec.UnsetType = msgspec.UNSET
    """Until when the payment has extended the validity of the account; absent if it has not."""


class ShowStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One month of an account."""

    account: str
    month: str
    """As ``2026-03``."""
    zone: str = ""
    """Zone in which the month begins and ends, such as ``Europe/Berlin``; without it that of ``invoices.timezone``, in
    which months are closed."""


class AccountBalance(AccountSheet, frozen=True):
    """One account with its money, as text."""

    balance_includes_reserved: bool = False
    """Whether ``balance`` is less what running calls hold (``reserved``): never; ``available`` is."""


async def list_account_balances(office: Office, who: Principal, order: ListAccounts) -> list[AccountBalance]:
    """Return accounts with their money, by name."""
    by_name = msgspec.structs.replace(order, after=order.after or "")
    found: list[AccountBalance] = []
    for part in in_parts(await list_accounts(office, who, by_name)):
        found += (AccountBalance(**asdict(each)) for each in part)
        await asyncio.sleep(0)
    return found


async def show_account_balance(office: Office, who: Principal, order: ShowAccount) -> AccountBalance:
    """Return one account with its money."""
    return AccountBalance(**asdict(await show_account(office, who, order)))


async def book(office: Office, who: Principal, order: BookPayment) -> BookedPayment:
    """Book a payment."""
    done = booked(await book_payment(office, who, order), is_trial=order.is_trial)
    return BookedPayment(**asdict(done) | (asdict(done.receipts[-1]) if done.receipts else {}))


async def move(office: Office, who: Principal, order: MoveMoney) -> Booked:
    """Move money between two accounts."""
    return booked(await move_money(office, who, order), is_trial=order.is_trial)


def booked(done: tuple[PaymentReceipt, ...] | WaitingSheet, *, is_trial: bool = False) -> Booked:
    """Return the outcome of a booking, or of its trial, as the API has it."""
    dry_run = is_trial or msgspec.UNSET
    return Booked(receipts=done, dry_run=dry_run) if isinstance(done, tuple) else Booked(waiting=done, dry_run=dry_run)


async def show_statement(office: Office, who: Principal, order: ShowStatement) -> StatementSheet:
    """Return the statement of one account."""
    whole = ShowStatements(month=month_of(order.month), zone=order.zone, accounts=(order.account,))
    async with aclosing(show_statements(office, who, whole)) as found_sheets:
        return await anext(found_sheets)


class ListStatements(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One month of several accounts: those that are named, those of a group, or all."""

    month: str
    """As ``2026-03``."""
    zone: str = ""
    """Zone in which the month begins and ends, such as ``Europe/Berlin``; without it that of ``invoices.timezone``, in
    which months are closed."""
    accounts: tuple[str, ...] = ()
    r"""Names with commas, a comma of a name as ``\,``."""
    group: str | None = None
    """Name of an account group."""
    all: bool = False
    """Whether all accounts are wanted."""
    after: str | None = None
    limit: int | None = None


async def list_statements(office: Office, who: Principal, order: ListStatements) -> AsyncIterator[StatementSheet]:
    """Yield the statements of several accounts."""
    whole = ShowStatements(
        month=month_of(order.month), zone=order.zone, accounts=order.accounts, group=order.group, of_all=order.all,
        after=order.after, limit=order.limit,
    )  # fmt: skip
    async with aclosing(show_statements(office, who, whole)) as found:
        async for each in found:
            yield each


_PAYMENTS_OF_ACCOUNT: Final = Listing("id", sorts=("id",), in_parts=True, backwards="newest_first", ends_first=True)
_ENTRIES_OF_ACCOUNT: Final = _PAYMENTS_OF_ACCOUNT._replace(are_more=are_more_entries)
_BOOKING_PROBLEMS: Final = (
    "balance_moved", "balance_too_large", "may_not_act", "other_currency", "out_of_scope", "own_payment",
    "reference_taken", "right_lacking", "too_little_left", "unknown_account", "was_refused",
)  # fmt: skip

_OF_CONFIRMATION: Final = (
    "asker_may_not", "balance_moved", "balance_too_large", "not_waiting", "other_currency", "own_payment",
    "reference_taken", "too_little_left", "unknown_account",
)  # fmt: skip

OPERATIONS: Final = (
    Operation(
        "GET /balances",
        "Accounts with balance, limit and what running calls reserve; those of the files, too.",
        list_account_balances,
        use_case=list_accounts,
        problems=("no_such_group", "out_of_scope", "unknown_account"),
        listing=Listing(
            "id",
            filters=("currency", "type", "blocked"),
            sorts=("id", "group", "balance", "reserved", "available", "currency"),
            in_parts=True,
        ),
    ),
    Operation(
        "GET /accounts/{account}/balance",
        "One account with balance, limit and what running calls reserve.",
        show_account_balance,
        use_case=show_account,
        problems=("out_of_scope", "unknown_account"),
    ),
    Operation(
        "GET /accounts/{account}/payments",
        "Entries of an account that people have booked: the last ones, in order; `next` leads to older ones.",
        list_payments,
        problems=("out_of_scope", "right_lacking", "unknown_account"),
        fixed={"newest": None, "newest_first": False},
        listing=_PAYMENTS_OF_ACCOUNT,
    ),
    Operation(
        "POST /accounts/{account}/payments",
        "Book money on an account; a reference that was used before books nothing again.",
        book,
        use_case=book_payment,
        problems=_BOOKING_PROBLEMS,
        status=HTTPStatus.CREATED,
        reference="reference",
    ),
    Operation(
        "GET /payments",
        "Entries that people have booked, of all accounts or of one, in the order of booking or newest first.",
        list_payments,
        problems=("out_of_scope", "right_lacking", "unknown_account"),
        fixed={"newest": None},
        listing=Listing("id", sorts=("id",), in_parts=True, backwards="newest_first"),
    ),
    Operation(
        "POST /payment-files",
        "Payments of a CSV file of the bank, checked as `vosd payment import` does; nothing is booked.",
        read_payments,
        problems=("bad_payment_file",),
        is_question=True,
    ),
    Operation(
        "POST /payments/{id}/undo",
        "Take back a payment, adjustment, refund, zeroing or transfer, once, with the validity that it gave.",
        undo_payment,
        result=Booked,
        shown=booked,
        problems=("balance_too_large", "no_such_payment", "other_currency", "was_refused"),
        status=HTTPStatus.CREATED,
    ),
    Operation(
        "GET /accounts/{account}/ledger",
        "Entries of an account with the balance after each: the last ones, in order; `next` leads to older.",
        list_entries,
        problems=("out_of_scope", "right_lacking", "unknown_account"),
        fixed={"kinds": (), "newest": None, "newest_first": False},
        listing=_ENTRIES_OF_ACCOUNT,
    ),
    Operation(
        "GET /ledger",
        "Entries of all accounts, or of one, in the order of booking or newest first; pages follow each other.",
        list_entries,
        problems=("out_of_scope", "right_lacking", "unknown_account"),
        fixed={"newest": None},
        listing=Listing(
            "id",
            sorts=("id",),
            in_parts=True,
            backwards="newest_first",
            unindexed=dict.fromkeys(("since", "until", "kinds", "operator"), ("account",)),
            are_more=are_more_entries,
        ),
    ),
    Operation(
        "GET /ledger/balances",
        "The balance of every account at a moment; entries dated before count.",
        list_balances,
        listing=Listing("account", filters=("currency",), sorts=("account", "balance"), in_parts=True),
    ),
    Operation(
        "GET /ledger/profit",
        "Income and cost of the calls that ended in a time, by currency.",
        show_profit,
        listing=Listing("currency", sorts=("currency", "calls")),
    ),
    Operation(
        "GET /statements/{month}",
        "A month of several accounts: those that are named, those of a group, or all.",
        list_statements,
        use_case=show_statements,
        problems=("no_such_group", "out_of_scope", "right_lacking", "unknown_account"),
        listing=Listing("account", in_parts=True),
    ),
    Operation(
        "GET /accounts/{account}/statements/{month}",
        "A month of an account: opening balance, movements, closing balance.",
        show_statement,
        use_case=show_statements,
        problems=("out_of_scope", "right_lacking", "unknown_account"),
    ),
    Operation(
        "POST /transfers",
        "Move money between two accounts of one currency: both entries or none.",
        move,
        use_case=move_money,
        problems=_BOOKING_PROBLEMS,
        status=HTTPStatus.CREATED,
        reference="reference",
    ),
    Operation(
        "GET /waiting-payments",
        "Payments that wait for a second person, the oldest first.",
        list_waiting_payments,
        listing=Listing("id", filters=("account", "type"), sorts=("id", "asked_at", "account", "amount")),
    ),
    Operation(
        "POST /waiting-payments/{id}/confirmation",
        "Book a payment that another person has asked for.",
        confirm_payment,
        result=Booked,
        shown=booked,
        problems=_OF_CONFIRMATION,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        "POST /waiting-payments/{id}/refusal",
        "Refuse a payment that waits, or take back one's own.",
        refuse_payment,
        problems=("not_waiting",),
    ),
)
