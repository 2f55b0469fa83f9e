"""Use case of a new customer: account, rate group, gateways, phones and the first payment, all of it or nothing."""

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

import msgspec

from vosd.admin.office.agent_objects import AgentObjects
from vosd.admin.office.bookings import for_account, refresh_balances
from vosd.admin.office.change_check import Checked, when_checked
from vosd.admin.office.definitions import ChangeSheet
from vosd.admin.office.object_versions import differing, numbered, owned_by
from vosd.admin.office.objects_in_use import with_calls
from vosd.admin.office.office import Office, needs, require
from vosd.admin.office.payment_file import ImportOutcome
from vosd.admin.office.payments import check_decimals, needs_second, waiting_of
from vosd.admin.office.planned_change import (
    Action,
    AlreadyDefinedError,
    DifferenceSheet,
    ObjectOrder,
    WantedObject,
    audit_line,
    planned,
)
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.office.taken_change import NOT_ASKED, taken
from vosd.base.errors import VosError
from vosd.base.money import format_amount
from vosd.billing.accounts import Account
from vosd.cdr.columns import iso_utc
from vosd.storage.ports import EntryKind, Payment, ReferenceTaken

_LINES_SEARCHED: Final = 20


class NewObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An object that the database does not define yet."""

    name: str
    keys: dict[str, Any] = msgspec.field(default_factory=dict)
    """Keys as in the configuration files, without the name."""


class FirstPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Money that the customer has paid."""

    amount: Decimal
    memo: str | None = None

    def __post_init__(self) -> None:
        if self.amount <= 0:
            raise OrderError("amount", "of a first payment is above zero", "leave the payment out where there is none")


class ProvisionCustomer(ObjectOrder, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A new customer, with names that neither files nor database have yet."""

    account: str
    """Name of the account."""
    keys: dict[str, Any] = msgspec.field(default_factory=dict)
    """Keys of the account as in the configuration files, without its id."""
    rate_group: NewObject | None = None
    """A rate group of its own; an existing one is named by the key ``rate_group``."""
    mapping_gateways: tuple[NewObject, ...] = ()
    """Gateways from which it calls; their account is this one."""
    phones: tuple[NewObject, ...] = ()
    """Phones by number; their account is this one."""
    payment: FirstPayment | None = None
    """First payment; None = none."""
    reference: str | None = None
    """Reference of the payment; the order repeated with the same one changes nothing more. None = a new one."""

    def __post_init__(self) -> None:
        if self.reference == "":
            raise OrderError("reference", "is empty", "leave it out for an order that need not be repeatable")
        if self.payment is not None and self.at is not None:
            raise OrderError("at", "is not for payments, which are booked at once", "pay when the account is there")
        for field, objects in (("mapping_gateways", self.mapping_gateways), ("phones", self.phones)):
            if any(each.keys.get("account", self.account) != self.account for each in objects):
                raise OrderError(field, f"are of the account {self.account}", "leave their account out")
        if self.rate_group is not None and self.keys.get("rate_group", self.rate_group.name) != self.rate_group.name:
            raise OrderError("rate_group", "is another one in the keys of the account", "leave one of the two out")

    def objects(self) -> tuple[WantedObject, ...]:
        """Return the objects as the database gets them."""
        own, made = {"account": self.account}, []
        keys = self.keys
        if self.rate_group is not None:
            made.append(WantedObject("rate_groups", self.rate_group.name, self.rate_group.keys, is_new=True))
            keys = keys | {"rate_group": self.rate_group.name}
        made.append(WantedObject("accounts", self.account, keys, is_new=True))
        for kind, objects in (("mapping_gateways", self.mapping_gateways), ("phones", self.phones)):
            made += [WantedObject(kind, each.name, each.keys | own, is_new=True) for each in objects]
        return tuple(made)


class NotOneCustomerError(VosError):
    """A file that has not the objects of one customer."""


def objects_of_customer(objects: Iterable[WantedObject], file: str) -> dict[str, Any]:
    """Return the objects of a ``file`` as fields of ``ProvisionCustomer``.

    Raises:
        NotOneCustomerError: they are not one account, its gateways and phones, and at most one rate group.
    """
    found: dict[str, list[NewObject]] = {}
    for each in objects:
        found.setdefault(each.kind, []).append(NewObject(each.name, each.keys))
    accounts, groups = found.pop("accounts", []), found.pop("rate_groups", [])
    gateways, phones = found.pop("mapping_gateways", []), found.pop("phones", [])
    if len(accounts) != 1 or len(groups) > 1 or found:
        message = f"{file}: expected one account, its mapping_gateways and phones, and at most one rate group"
        raise NotOneCustomerError(message)
    return {
        "account": accounts[0].name, "keys": accounts[0].keys, "rate_group": next(iter(groups), None),
        "mapping_gateways": tuple(gateways), "phones": tuple(phones),
    }  # fmt: skip


class FirstPaymentSheet(msgspec.Struct, frozen=True):
    """The first payment and its outcome; the amount is text."""

    reference: str
    amount: str
    currency: str | None
    outcome: str
    """``booked``; ``waiting`` for a second person; ``new`` in a trial."""


class CustomerSheet(ChangeSheet, frozen=True, kw_only=True):
    """A customer that was made, as programs read it."""

    account: str
    payment: FirstPaymentSheet | None
    """The first payment; None = there is none."""
    repeated: bool
    """An earlier order had this reference: nothing was changed now."""


@needs(Permission.DEFINITIONS_CHANGE, by_account=True)
async def provision_customer(office: Office, who: Principal, order: ProvisionCustomer) -> CustomerSheet:
    """Make a customer in one transaction; a running switch knows it when this returns.

    A payment above the limit of one person waits for a second one; the customer is made nevertheless.

    Raises:
        PermissionLackingError: there is a payment, and the principal may not book any.
        AlreadyDefinedError: the database defines one of the objects; nothing was changed.
        TooManyChangesError: an agent has too many under way; nothing was changed.
        BadObjectError, OrderError, ConfigError: the configuration would not be valid; nothing was changed.
        ObjectsMoved, ContentRefused, ReferenceTaken, OtherCurrency, NotWaiting: nothing was changed.
        NotTakenError: the running switch does not take the change, as ``taken`` has it.
        StoreUnavailable: as far as is known nothing was changed; repeat it with the same reference.
    """
    scope = office.scope_of(who)
    if order.payment is not None:
        require(who, Permission.MONEY_BOOK)
        if scope.agent is not None:
            raise OrderError("payment", f"is not for agents, such as {scope.agent}", "make the customer, then pay")
    with office.changing.under_way(who.account):
        return await _provision(office, who, order, owned_by(office, scope))


async def _provision(
    office: Office, who: Principal, order: ProvisionCustomer, owned: AgentObjects | None
) -> CustomerSheet:
    subject = f"customer {order.account}"
    try:
        plan = await planned(office, who, order, order.objects(), owned)
    except AlreadyDefinedError:
        detail = await _carried_out(office, who, order, subject)
        if detail is None:
            raise
        return await _repeated(office, who, order, detail)
    reference = order.reference or str(uuid4())

    async def add(found: Checked) -> tuple[FirstPaymentSheet | None, bool]:
        payment = _payment(office, who, order, found.accounts, reference)
        waits = payment is not None and needs_second(office, who, payment.amount)
        sheet = None if payment is None else _shown(payment, waits=waits, is_trial=order.is_trial)
        if payment is not None and await office.stores.payments.earlier(payment) is not None:
            raise ReferenceTaken(f"reference {reference} was used for another payment to account {order.account}")
        if order.is_trial:
            return sheet, False
        line = audit_line(office, who, order, plan.versions)
        detail = json.loads(line.detail) | {
            "versions": {f"{each.kind} {each.name}": each.version for each in plan.versions},
            "reference": reference,
            "payment": None if sheet is None else msgspec.to_builtins(sheet),
        }
        line = line._replace(subject=subject, detail=json.dumps(detail, ensure_ascii=False))
        booked = () if payment is None or waits else (payment,)
        asked = (waiting_of(payment, who),) if payment is not None and waits else ()
        await office.stores.objects.add(plan.versions, line, booked, asked, checked=found.definitions)
        return sheet, bool(booked)

    sheet, is_booked = await when_checked(office, who, plan, owned, add, {order.account})
    reloaded = NOT_ASKED
    if not order.is_trial and order.at is None:
        has_booked = order.payment is not None
        reloaded = await taken(office, who, plan.versions, is_confirmed=order.is_confirmed, has_booked=has_booked)
    if is_booked:
        await refresh_balances(office.switch)  # a switch that does not answer reads them within a second
    changes, calls_unknown = await with_calls(office, order, plan.differences)
    return CustomerSheet(
        dry_run=order.is_trial, changes=changes, calls_unknown=calls_unknown, **reloaded._asdict(),
        account=order.account, payment=sheet, repeated=False,
    )  # fmt: skip


def _payment(
    office: Office, who: Principal, order: ProvisionCustomer, accounts: Mapping[str, Account], reference: str
) -> Payment | None:
    if order.payment is None:
        return None
    account = accounts[order.account]
    check_decimals(office, account, order.payment.amount)
    payment = Payment(
        account=account.id, kind=EntryKind.PAYMENT, reference=reference, made_at=office.now(),
        amount=order.payment.amount, operator=who.recorded, memo=order.payment.memo,
    )  # fmt: skip
    return for_account(account, payment)


def _shown(payment: Payment, *, waits: bool, is_trial: bool) -> FirstPaymentSheet:
    outcome = ImportOutcome.WAITING if waits else ImportOutcome.NEW if is_trial else ImportOutcome.BOOKED
    return FirstPaymentSheet(payment.reference, format_amount(payment.amount), payment.currency, outcome.value)


async def _carried_out(office: Office, who: Principal, order: ProvisionCustomer, subject: str) -> dict[str, Any] | None:
    """Return the detail of the audit's line of an order with the same reference; None = there was none.

    An agent is shown its own orders alone: those of others may have keys that are not for agents.
    """
    if order.reference is None or order.is_trial:
        return None
    for line in await office.stores.audit.newest(_LINES_SEARCHED, subject=subject):
        detail: dict[str, Any] = json.loads(line.detail)
        is_shown = who.account is None or line.principal == who.recorded
        if is_shown and line.action == type(order).__name__ and detail.get("reference") == order.reference:
            return detail
    return None


async def _repeated(
    office: Office, who: Principal, order: ProvisionCustomer, detail: Mapping[str, Any]
) -> CustomerSheet:
    """Return the outcome of an order that was carried out before.

    Raises:
        ReferenceTaken: that order made other objects, or had another payment.
    """
    changes, made = [], detail["versions"]
    wanted, payment = order.objects(), msgspec.convert(detail["payment"], FirstPaymentSheet | None)
    amount = None if order.payment is None else format_amount(order.payment.amount)
    if {f"{each.kind} {each.name}" for each in wanted} != made.keys() or amount != (payment and payment.amount):
        raise ReferenceTaken(f"reference {order.reference} was used for another order of customer {order.account}")
    for each in wanted:
        version = numbered(await office.stores.objects.history(each.kind, each.name), made[f"{each.kind} {each.name}"])
        changes.append(
            DifferenceSheet(
                kind=each.kind, name=each.name, action=Action.DEFINED, version=version.version,
                begins_at=iso_utc(version.begins_at), keys=differing(None, version.body),
            )
        )  # fmt: skip
    reloaded = NOT_ASKED if order.at is not None else await taken(office, who, (), is_confirmed=order.is_confirmed)
    return CustomerSheet(
        dry_run=False, changes=changes, calls_unknown="", **reloaded._asdict(),
        account=order.account, payment=payment, repeated=True,
    )  # fmt: skip
