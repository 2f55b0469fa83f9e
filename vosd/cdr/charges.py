"""Steps, loss and profit of the charges of a call."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from vosd.base.money import EXACT, ZERO, in_places
from vosd.cdr.record import VENDOR, CallRecord, ChargeRow


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
        for charge in record.charges
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
