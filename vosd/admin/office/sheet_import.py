"""Use case of a sheet of another switch: its accounts, gateways and phones, and the balances of the accounts.

Balances become adjustments, as they are no money that was received: a payment would extend the validity of an account.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import PurePath
from typing import ClassVar, Final, NamedTuple
from urllib.parse import unquote

import msgspec

from vosd.admin.office.bookings import refresh_balances
from vosd.admin.office.change_check import Checked, when_checked
from vosd.admin.office.definitions import ChangeSheet
from vosd.admin.office.office import Office, needs, require
from vosd.admin.office.payment_file import ImportOutcome
from vosd.admin.office.payments import needs_second, waiting_of
from vosd.admin.office.planned_change import ObjectOrder, Plan, WantedObject, audit_line, plan_of
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.office.taken_change import NOT_ASKED, taken
from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.billing.accounts import Account
from vosd.catalogue.problems import ConfigError, DefinitionProblem, ProblemList, SourceLine
from vosd.storage.audit_line import AuditLine
from vosd.storage.ports import EntryKind, Payment, ReferenceTaken
from vosd.storage.waiting_values import WaitingPayment

_OBJECT: Final = re.compile(r"(\w+) (\S.*) \(version \d+\) in the database")
_NAME: Final = re.compile(r"\w+\[[^\]]*\]\.?")
"""Words of messages for the object in front of a key: ``accounts[shop].``."""
_ITEM: Final = re.compile(r"\[\d+\]\Z")


class SheetObject(WantedObject, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An object of a line of the sheet."""

    line: int
    columns: Mapping[str, str]
    """Column of each key that was read from one."""


class OpeningBalance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The balance of an account when it comes to this switch."""

    account: str
    amount: Decimal
    line: int
    column: str


class ImportSheet(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All objects and balances of a sheet, or none of them; other objects stay as they are."""

    takes_weak_passwords: ClassVar[bool] = True

    file: str
    objects: tuple[SheetObject, ...]
    balances: tuple[OpeningBalance, ...] = ()
    reference: str = ""
    """Reference of the adjustments: an account gets one of it, however often the sheet is imported."""


class BookedOpening(msgspec.Struct, frozen=True):
    """A balance and its outcome; the amount is text."""

    line: int
    account: str
    amount: str
    currency: str | None
    outcome: str


class ImportedSheet(ChangeSheet, frozen=True, kw_only=True):
    """Effect of an import."""

    balances: list[BookedOpening]


class _Openings(NamedTuple):
    payments: list[Payment]
    waiting: list[WaitingPayment]
    shown: list[BookedOpening]


@needs(Permission.DEFINITIONS_CHANGE)
async def import_sheet(office: Office, who: Principal, order: ImportSheet) -> ImportedSheet:
    """Define or change the objects of a sheet and book its balances, in one transaction.

    A balance above the limit of one person waits for a second one. Balances of zero are not booked.

    Raises:
        OrderError: balances cannot be planned.
        PermissionLackingError: there are balances, and the principal may not book payments.
        ConfigError: the configuration would not be valid, or a balance cannot be booked; nothing was changed.
        ObjectsMoved, ContentRefused, OtherCurrency, NotWaiting: nothing was changed.
        NotTakenError: the running switch does not take the change, as ``taken`` has it.
    """
    if order.balances and order.at is not None:
        raise OrderError("at", "is not for balances, which are booked at once", "import them without it")
    if order.balances:
        require(who, Permission.MONEY_BOOK)
    plan = await plan_of(office, who, order, order.objects)

    async def add(found: Checked) -> _Openings:
        openings = await _openings(office, who, order, found.accounts)
        if (plan.versions or openings.payments or openings.waiting) and not order.is_trial:
            line = _audit_line(office, who, order, plan, openings)
            booked, asked = openings.payments, openings.waiting
            await office.stores.objects.add(plan.versions, line, booked, asked, checked=found.definitions)
        return openings

    if plan.versions:
        try:
            openings = await when_checked(office, None, plan, None, add, {each.account for each in order.balances})
        except ConfigError as error:
            raise type(error)(_of_lines(order, error.problems)) from error
    else:
        openings = await add(Checked(office.definitions.accounts(), None))
    reloaded = NOT_ASKED
    if (plan.versions or openings.payments or openings.waiting) and not order.is_trial:
        if order.at is None:
            has_booked = bool(openings.payments or openings.waiting)
            reloaded = await taken(office, who, plan.versions, is_confirmed=order.is_confirmed, has_booked=has_booked)
        if openings.payments:
            await refresh_balances(office.switch)  # a switch that does not answer reads them within a second
    return ImportedSheet(
        dry_run=order.is_trial,
        changes=plan.differences,
        calls_unknown="",
        balances=openings.shown,
        **reloaded._asdict(),
    )


def _audit_line(office: Office, who: Principal, order: ImportSheet, plan: Plan, openings: _Openings) -> AuditLine:
    line = audit_line(office, who, order, plan.versions)
    balances: dict[str, Decimal] = {}
    for payment in openings.payments:
        currency = payment.currency or ""
        balances[currency] = balances.get(currency, ZERO) + payment.amount
    detail = msgspec.json.decode(line.detail) | {
        "file": order.file,
        "balances": {currency: format_amount(amount) for currency, amount in balances.items()},
    }
    return line._replace(detail=json.dumps(detail, ensure_ascii=False))


async def _openings(office: Office, who: Principal, order: ImportSheet, accounts: Mapping[str, Account]) -> _Openings:
    """Return what is booked of the balances, and what waits.

    Raises:
        ConfigError: an account is not configured, or the reference is of another amount.
    """
    found, problems, now = _Openings([], [], []), ProblemList(), office.now()
    wanted: list[tuple[OpeningBalance, Payment]] = []
    for each in order.balances:
        place = SourceLine(order.file, each.line)
        account = accounts.get(each.account)
        if account is None:
            problems.error(place, each.column, f"the balance of an account that is configured, not of {each.account!r}")
            continue
        if not each.amount:
            continue
        memo = f"{PurePath(order.file).name}, line {each.line}"
        payment = Payment(
            account=each.account, kind=EntryKind.ADJUSTMENT, reference=order.reference, made_at=now,
            amount=each.amount, operator=who.recorded, memo=memo, currency=account.currency,
        )  # fmt: skip
        wanted.append((each, payment))
    earlier = await office.stores.payments.earlier_of([payment for _, payment in wanted])
    for (each, payment), booked in zip(wanted, earlier, strict=True):
        amount = format_amount(each.amount)
        if isinstance(booked, ReferenceTaken):
            place = SourceLine(order.file, each.line)
            problems.error(place, each.column, f"the amount that was booked before: {booked}", amount)
            continue
        if isinstance(booked, VosError):
            raise booked
        outcome = ImportOutcome.NEW if order.is_trial else ImportOutcome.BOOKED
        if booked is not None:
            outcome = ImportOutcome.REPEATED
        elif needs_second(office, who, each.amount):
            outcome = ImportOutcome.WAITING
            found.waiting.append(waiting_of(payment, who))
        else:
            found.payments.append(payment)
        found.shown.append(BookedOpening(each.line, each.account, amount, payment.currency, outcome.value))
    return problems.checked(found)


def _of_lines(order: ImportSheet, problems: Iterable[DefinitionProblem]) -> Sequence[DefinitionProblem]:
    """Return problems of objects that came from the sheet with their line and column."""
    objects = {(each.kind, each.name): each for each in order.objects}

    def of_line(problem: DefinitionProblem) -> DefinitionProblem:
        named = _OBJECT.fullmatch(problem.file)
        found = None if named is None else objects.get((named[1], unquote(named[2])))
        if found is None:
            return problem
        key = _ITEM.sub("", _NAME.sub("", problem.key, count=1))
        column = found.columns.get(key)
        shown = problem.key if column is None else f"{column} ({key} of {found.kind} {found.name})"
        return problem._replace(file=order.file, line=found.line, key=shown)

    return sorted(map(of_line, problems), key=lambda each: (each.file, each.line))
