"""Correction of what a call has cost: from what an operator says to the changes of its charges."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

import msgspec

from vosd.base.errors import VosError
from vosd.base.money import ZERO, format_amount
from vosd.billing.rater import Step
from vosd.billing.tax import tax_by
from vosd.cdr.charges import charges_of, with_breakdowns
from vosd.cdr.columns import iso_utc
from vosd.cdr.corrections import Amounts, Change, CorrectedCharge, NoSuchCharge
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR, CallRecord, ChargeRow

_decode: Final = msgspec.json.Decoder(list[Step]).decode


class TaxUnknownError(VosError):
    """The tax on a corrected fee cannot be computed: the call has no steps of that charge."""


class Wanted(NamedTuple):
    """What a charge is to be; None = as it is, and a tax follows from the fee."""

    fee: Decimal | None = None
    tax: Decimal | None = None
    billed_seconds: int | None = None


def changes_of(record: CallRecord, wanted: Mapping[tuple[str, int], Wanted]) -> tuple[Change, ...]:
    """Return the changes of a call's charges by role and level.

    Raises:
        NoSuchCharge: the call has no charge of that role and level.
        TaxUnknownError: a fee is given without its tax, and the call has no steps to compute that from.
    """
    charges = {(each.role, each.level): each for each in with_breakdowns(record)}
    made = []
    for (role, level), what in wanted.items():
        charge = charges.get((role, level))
        if charge is None:
            known = ", ".join(f"{each.role} {each.account}" for each in charges_of(record)) or "none"
            message = f"call {record.call_id} has no charge for the {role} of level {level}; it has: {known}"
            raise NoSuchCharge(message)
        fee = charge.fee if what.fee is None else what.fee
        tax = what.tax if what.tax is not None else _tax(charge, fee)
        seconds = charge.billed_seconds if what.billed_seconds is None else what.billed_seconds
        made.append(Change(role, level, Amounts(fee, tax, seconds)))
    return tuple(made)


def _tax(charge: ChargeRow, fee: Decimal) -> Decimal:
    if fee == charge.fee:
        return charge.tax
    if not fee:
        return ZERO
    try:
        return tax_by(_decode(charge.breakdown or ""), fee)
    except (msgspec.DecodeError, KeyError):
        option = {CUSTOMER: "--tax", VENDOR: "--cost-tax", AGENT: f"--agent-tax {charge.level}"}[charge.role]
        message = f"call has no steps of its {charge.role}'s charge to compute the tax from: say {option}"
        raise TaxUnknownError(message) from None


def correction_json(change: CorrectedCharge) -> dict[str, Any]:
    """Return the JSON object of a correction."""
    return {
        "call_id": change.call_id,
        "account": change.account,
        "role": change.role,
        "level": change.level,
        "fee_before": format_amount(change.before.fee),
        "fee_after": format_amount(change.after.fee),
        "tax_before": format_amount(change.before.tax),
        "tax_after": format_amount(change.after.tax),
        "billed_seconds_before": change.before.billed_seconds,
        "billed_seconds_after": change.after.billed_seconds,
        "amount": format_amount(change.amount),
        "currency": change.currency,
        "reference": change.reference,
        "operator": change.operator,
        "memo": change.memo,
        "corrected_at": iso_utc(change.corrected_at),
        "repeated": change.is_repeated,
    }
