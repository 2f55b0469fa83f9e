"""Charges of a call that its record does not list: those of records that an earlier version has written.

Such a record holds the customer's and the vendor's charge in its columns, and their rates in its breakdown.
"""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from vosd.base.money import EXACT, ZERO, in_places
from vosd.cdr.record import CUSTOMER, VENDOR, CallRecord, ChargeRow


def charges_of(record: CallRecord) -> tuple[ChargeRow, ...]:
    """Return the charges of a record; where it lists none, those of customer and vendor from its columns."""
    if record.charges:
        return record.charges
    customer = record.customer_account, record.rate_prefix, record.billed_seconds, record.fee, record.tax
    vendor = (
        record.vendor_account, record.vendor_rate_prefix, record.vendor_billed_seconds, record.cost, record.cost_tax,
    )  # fmt: skip
    found = []
    for role, (account, prefix, seconds, fee, tax) in ((CUSTOMER, customer), (VENDOR, vendor)):
        if account is None or not (seconds or fee or tax):
            continue
        rate = _rate_of(record, role)
        found.append(
            ChargeRow(
                account=account,
                role=role,
                level=0,
                rate_group=record.rate_group if role == CUSTOMER else rate.group,
                rate_version=rate.version,
                rate_prefix=prefix,
                unit_price=rate.unit_price,
                price_per=rate.price_per,
                billed_seconds=seconds,
                fee=fee,
                tax=tax,
                currency=record.currency if role == CUSTOMER else record.vendor_currency,
                tax_rate=rate.tax_rate,
            )
        )
    return tuple(found)


def loss_of(income: Decimal, cost: Decimal, cost_rate: Decimal | None) -> Decimal | None:
    """Return by how much a cost is above an income, in the currency of the income; None = it is not.

    ``cost_rate`` are units of that currency for one of the cost's; None = both are the same.
    """
    if cost_rate is not None:
        cost = EXACT.multiply(cost, cost_rate)
    return in_places(EXACT.subtract(cost, income)) if cost > income else None


def sold_in(record: CallRecord) -> str | None:
    """Return the currency of the last agent that a call charges, else of its customer: that of its loss."""
    return next((each.currency for each in reversed(record.charges) if each.role != VENDOR), record.currency)


def with_breakdowns(record: CallRecord) -> tuple[ChargeRow, ...]:
    """Return the charges, each with its steps: those of customer and vendor are taken from the call's breakdown."""
    parts = _parts(record.fee_breakdown)
    return tuple(
        msgspec.structs.replace(charge, breakdown=msgspec.json.encode(parts[charge.role]).decode())
        if charge.breakdown is None and charge.role in parts
        else charge
        for charge in charges_of(record)
    )


def steps_of(breakdown: str | None) -> list[dict[str, Any]]:
    """Return the steps of a charge; none where it has none, or where they are damaged."""
    try:
        steps = msgspec.json.decode(breakdown or "[]")
    except msgspec.DecodeError:
        return []
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []


def tax_rate_of(steps: Sequence[dict[str, Any]]) -> Decimal | None:
    """Return the tax rate in the steps of a charge, percent; None = they do not say it."""
    for step in steps:
        if step.get("step") == "rate":
            return ZERO if step.get("tax_exempt") else Decimal(str(step.get("tax_rate", "0")))
    return None


def decimals_of(steps: Sequence[dict[str, Any]]) -> int | None:
    """Return the decimals to which the steps of a charge have rounded it; None = they do not say it."""
    found = next((step.get("precision") for step in steps if step.get("step") == "fee"), None)
    return found if isinstance(found, int) else None


class _RateOf(msgspec.Struct, frozen=True):
    """The line of a rate in a breakdown, as far as it can be read."""

    group: str | None = None
    version: str | None = None
    unit_price: Decimal | None = None
    price_per: str | None = None
    tax_rate: Decimal | None = None


def _rate_of(record: CallRecord, role: str) -> _RateOf:
    steps = _parts(record.fee_breakdown).get(role)
    for step in steps if isinstance(steps, list) else []:
        if isinstance(step, dict) and step.get("step") == "rate":
            try:
                price = in_places(Decimal(str(step["billing_rate"])))
                return _RateOf(
                    str(step["group"]), str(step["version"]), price, str(step["price_per"]), tax_rate_of([step])
                )
            except (KeyError, InvalidOperation):
                break
    return _RateOf()


def _parts(breakdown: str) -> dict[str, Any]:
    try:
        parts = msgspec.json.decode(breakdown)
    except msgspec.DecodeError:
        return {}  # a damaged breakdown must not keep the call from being booked
    return parts if isinstance(parts, dict) else {}


def profit_of(record: CallRecord) -> tuple[Decimal, str | None] | None:
    """Return the profit of a call and its currency; None where no one is charged, or in two currencies.

    It is the income less the cost, both without tax. A call brings what the highest account above it pays: its last
    agent, else the customer. What agents charge among themselves is not ours.
    """
    if not record.charges:
        return None
    income = cost = ZERO
    payer = vendor = None
    for each in record.charges:
        if each.role == VENDOR:
            cost, vendor = each.fee, each
        else:
            income, payer = each.fee, each
    if payer is not None and vendor is not None and payer.currency != vendor.currency:
        return None
    charged = payer or vendor
    return EXACT.subtract(income, cost), None if charged is None else charged.currency
