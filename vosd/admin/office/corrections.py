"""Use cases of corrections: what a booked call has cost, set right afterwards, and the list of that."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import takewhile
from typing import Annotated, Final
from uuid import uuid4

import msgspec

from vosd.admin.office.bookings import refresh_balances
from vosd.admin.office.office import Office, needs
from vosd.admin.office.payments import AboveLimitError, alone_at_most, needs_second
from vosd.admin.office.principal import OrderError, Permission, Principal
from vosd.admin.office.records import booked_call
from vosd.admin.rerate import OF_RUNS
from vosd.base.errors import VosError
from vosd.base.money import ZERO, AmountText, format_amount, has_more_decimals
from vosd.billing.rater import Step, tax_by
from vosd.cdr.charges import decimals_of, steps_of, tax_rate_of, with_breakdowns
from vosd.cdr.corrections import Amounts, ChargeChange, CorrectedCharge, Correction, NoSuchCharge
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, CallRecord, ChargeRow
from vosd.cdr.shown import shown_as

BILLED_SECONDS_MAX: Final = 2**31 - 1
"""Most seconds that the columns of a call take."""
_decode: Final = msgspec.json.Decoder(list[Step]).decode


class TaxUnknownError(VosError):
    """The tax on a corrected fee cannot be computed: the call has no steps of that charge."""


class WantedCharge(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Wanted amounts of a charge; None = as it is, and a tax follows from the fee."""

    role: str
    """Party of the charge: ``customer``, ``agent`` or ``vendor``."""
    level: Annotated[int, msgspec.Meta(ge=0)] = 0
    """0 = customer or vendor, 1 = the customer's agent, and so on."""
    fee: Decimal | None = None
    tax: Decimal | None = None
    billed_seconds: Annotated[int, msgspec.Meta(ge=0, le=BILLED_SECONDS_MAX)] | None = None

    def __post_init__(self) -> None:
        if min(self.fee or ZERO, self.tax or ZERO, Decimal(self.billed_seconds or 0)) < 0:
            raise OrderError("charge", f"of the {self.role} is zero or more")


class CorrectCall(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Charges of one call that are set right; the beginning of its id is enough."""

    call_id: str
    charges: tuple[WantedCharge, ...]
    """Charges that shall hold; those that are not named stay."""
    memo: str
    """Why; it stands in the ledger."""
    reference: str | None = None
    """Reference that corrects a call once; None = a new one."""
    is_trial: bool = False
    """Nothing is booked."""

    def __post_init__(self) -> None:
        if not self.memo.strip():
            raise OrderError("memo", "is empty", "say why")
        if self.reference == "":
            raise OrderError("reference", "is empty", "leave it out for a correction that need not be repeatable")
        if self.reference is not None and self.reference.startswith(OF_RUNS):
            raise OrderError("reference", "begins as those of vosd rerate, which rates again what it has booked")
        if not self.charges:
            raise OrderError("fee", "or `cost` or `agent_fee` is needed", "say what is to be corrected")


class CorrectionSheet(msgspec.Struct, frozen=True):
    """A charge before and after its correction; money as text."""

    call_id: str
    account: str
    role: str
    """Party of the charge: ``customer``, ``agent`` or ``vendor``."""
    level: int
    """0 = customer or vendor, 1 = the customer's agent, and so on."""
    fee_before: AmountText
    """Charge without tax before, as text."""
    fee_after: AmountText
    """Charge without tax now, as text."""
    tax_before: AmountText
    """Tax before, as text."""
    tax_after: AmountText
    """Tax now, as text."""
    tax_rate_before: AmountText | None
    """Percent of tax before, as text; null = that of the steps of the charge."""
    tax_rate_after: AmountText | None
    """Percent of tax now, as text; null = that of the steps of the charge."""
    billed_seconds_before: int
    """Seconds that were charged before."""
    billed_seconds_after: int
    """Seconds that are charged now."""
    amount: AmountText
    """Amount of the ledger entry, as text; below zero: the account pays."""
    currency: str | None
    reference: str
    operator: str
    memo: str
    corrected_at: str
    """Time of the correction, RFC 3339."""
    repeated: bool
    """It was booked under this reference before; nothing was booked now."""


class CorrectedCall(msgspec.Struct, frozen=True):
    """The charges that were changed, or would be."""

    changes: list[CorrectionSheet]
    """Charges before and after."""
    untold: str = ""
    """Why a running switch does not know the balances yet; empty if it does, or if none runs."""


@needs(Permission.BOOKS_CHANGE)
async def correct_call(office: Office, who: Principal, order: CorrectCall) -> CorrectedCall:
    """Correct a call, with entries of the difference; the running switch knows the balances afterwards.

    Raises:
        NoRecordError, AmbiguousCallError: no call has that id, or several have.
        OrderError: an amount has more decimals than the charge.
        NoSuchCall, NoSuchCharge, TaxUnknownError: nothing was booked.
        ReferenceTaken, OtherCurrency, ContentRefused: nothing was booked.
        AboveLimitError: an entry would be above the limit of the person; nothing was booked.
        StoreUnavailable: as far as is known nothing was booked; try again with the same reference.
    """
    record = (await booked_call(office.stores.queries, order.call_id)).record
    reference = order.reference or str(uuid4())
    history = await office.stores.corrections.history(record.call_id)
    if all(each.reference != reference for each in history):  # a repeat is answered as it was booked
        _check_decimals(record, order.charges, history)
    earlier = takewhile(lambda each: each.reference != reference, history)
    rates = {(each.role, each.level): each.tax_rate_after for each in earlier}
    changes = changes_of(record, order.charges, rates)
    correction = Correction(record.call_id, changes, reference, who.recorded, order.memo, office.now())
    if order.is_trial or alone_at_most(office, who) is not None:
        wanted = await office.stores.corrections.preview([correction])
        _check_limit(office, who, wanted)
        if order.is_trial:
            return CorrectedCall([*map(_sheet, wanted)])
    noted = msgspec.structs.replace(order, call_id=record.call_id, reference=reference)
    line = office.audit_line(who, noted, record.call_id)
    booked = await office.stores.corrections.book([correction], line)
    is_new = any(each.is_new for each in booked)
    return CorrectedCall([*map(_sheet, booked)], await refresh_balances(office.switch) if is_new else "")


def _check_decimals(record: CallRecord, wanted: Iterable[WantedCharge], history: Iterable[CorrectedCharge]) -> None:
    """Raise OrderError where an amount has more decimals than its charge was rounded to, unless that has had it."""
    charges = {(each.role, each.level): each for each in with_breakdowns(record)}
    had = {amount for each in history for amount in (*each.before[:2], *each.after[:2])}
    for what in wanted:
        charge = charges.get((what.role, what.level))
        places = None if charge is None else decimals_of(steps_of(charge.breakdown))
        if charge is None or places is None:
            continue
        for amount in filter(None, (what.fee, what.tax)):
            if amount not in {charge.fee, charge.tax, *had} and has_more_decimals(amount, places):
                shown, money = format_amount(amount), charge.currency or "the money"
                raise OrderError(
                    "charge", f"{shown} has more decimals than {money} of account {charge.account}: {places}"
                )


def _check_limit(office: Office, who: Principal, wanted: Iterable[CorrectedCharge]) -> None:
    """Raise AboveLimitError where an entry is more than the person books alone; no correction waits for another one."""
    for each in wanted:
        if each.is_new and needs_second(office, who, each.amount):
            limit = alone_at_most(office, who) or ZERO
            raise AboveLimitError(
                f"account {each.account} would get {format_amount(each.amount)}, more than billing.confirm_above of "
                f"{format_amount(limit)}: a person with a higher limit corrects it"
            )


class ListCorrections(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """List the corrections of one call; the beginning of its id is enough."""

    call_id: str


@needs(Permission.BOOKS_SEE)
async def list_corrections(office: Office, who: Principal, order: ListCorrections) -> list[CorrectionSheet]:
    """Return the corrections, in the order in which they were made.

    Raises:
        NoRecordError, AmbiguousCallError: no call has that id, or several have.
    """
    call = await booked_call(office.stores.queries, order.call_id)
    return [*map(_sheet, await office.stores.corrections.history(call.record.call_id))]


def changes_of(
    record: CallRecord, wanted: Iterable[WantedCharge], tax_rates: Mapping[tuple[str, int], Decimal | None]
) -> tuple[ChargeChange, ...]:
    """Return the changes of a call's charges.

    ``tax_rates`` has the tax rate after the latest correction of a charge by role and level; None = that of its steps.

    Raises:
        NoSuchCharge: the call has no charge of that role and level.
        TaxUnknownError: a fee is given without its tax, and the call has no steps to compute that from.
    """
    charges = {(each.role, each.level): each for each in with_breakdowns(record)}
    made = []
    for what in wanted:
        role, level = what.role, what.level
        charge = charges.get((role, level))
        if charge is None:
            known = ", ".join(f"{each.role} {each.account}" for each in record.charges) or "none"
            raise NoSuchCharge(f"call {record.call_id} has no charge for the {role} of level {level}; it has: {known}")
        fee = charge.fee if what.fee is None else what.fee
        percent = tax_rates.get((role, level))
        if what.tax is None:
            tax, by = _tax(charge, fee, percent), _percent_of(charge, percent)
        else:
            tax, by = what.tax, _percent_of_said(charge, fee, what.tax, percent)
        seconds = charge.billed_seconds if what.billed_seconds is None else what.billed_seconds
        made.append(ChargeChange(role, level, Amounts(fee, tax, seconds), by))
    return tuple(made)


def _percent_of(charge: ChargeRow, percent: Decimal | None) -> Decimal | None:
    """Return ``percent``, or else the tax rate in the steps of a charge; None = they do not say it."""
    return tax_rate_of(steps_of(charge.breakdown)) if percent is None else percent


def _percent_of_said(charge: ChargeRow, fee: Decimal, tax: Decimal, percent: Decimal | None) -> Decimal | None:
    """Return the tax rate of a tax that a person has said; None = ``cdr.corrections`` finds it.

    A tax of zero is struck out, unless the tax on this fee rounds to zero by the rate, too: the console says the tax
    with every fee.
    """
    if tax or not fee:
        return None
    try:
        return ZERO if _computed(charge, fee, percent) else _percent_of(charge, percent)
    except TaxUnknownError:
        return None


def _tax(charge: ChargeRow, fee: Decimal, percent: Decimal | None) -> Decimal:
    if fee == charge.fee:
        return charge.tax
    return _computed(charge, fee, percent) if fee else ZERO


def _computed(charge: ChargeRow, fee: Decimal, percent: Decimal | None) -> Decimal:
    try:
        return tax_by(_decode(charge.breakdown or ""), fee, percent)
    except (msgspec.DecodeError, KeyError):
        option = {CUSTOMER: "`tax`", VENDOR: "`cost_tax`", AGENT: f"`agent_tax` {charge.level}"}[charge.role]
        message = f"call has no steps of its {charge.role}'s charge to compute the tax from: say {option}"
        raise TaxUnknownError(message) from None


def _sheet(change: CorrectedCharge) -> CorrectionSheet:
    return shown_as(
        CorrectionSheet,
        change,
        fee_before=format_amount(change.before.fee),
        fee_after=format_amount(change.after.fee),
        tax_before=format_amount(change.before.tax),
        tax_after=format_amount(change.after.tax),
        tax_rate_before=_percent(change.tax_rate_before),
        tax_rate_after=_percent(change.tax_rate_after),
        billed_seconds_before=change.before.billed_seconds,
        billed_seconds_after=change.after.billed_seconds,
        repeated=change.is_repeated,
    )


def _percent(rate: Decimal | None) -> str | None:
    return None if rate is None else format_amount(rate)
