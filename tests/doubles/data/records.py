"""Call records for tests and benchmarks: complete, plausible, numbered."""

from decimal import Decimal
from typing import Any, Final

import msgspec

from vosd.base.ids import uuid7
from vosd.base.money import ZERO
from vosd.cdr.ports import RejectedRecord
from vosd.cdr.record import CUSTOMER, VENDOR, Attempt, CallRecord, ChargeRow, Posting

STARTED: Final = 1_790_000_000_000
"""UTC milliseconds of the first call; the others follow a millisecond apart."""

_CUSTOMERS: Final = 50
_VENDORS: Final = 7
_BREAKDOWN: Final = (
    '{"sell":{"group":"sell","version":"a1b2c3","prefix":"4420","rate":"0.012345","cycles":60},'
    '"buy":{"group":"buy","version":"d4e5f6","prefix":"44","rate":"0.009876","cycles":60}}'
)


def call_id(index: int) -> str:
    """Return the id of the call with this number."""
    return uuid7(STARTED + index, index.to_bytes(10, "big"))


def answered_call(index: int, **changes: Any) -> CallRecord:
    """Return an answered call of a minute: every column filled, one attempt, both sides charged.

    ``customer_account``, ``vendor_account``, ``fee``, ``tax``, ``cost`` and ``cost_tax`` shape the postings and
    charges too, unless those are given; any other field is simply replaced.
    """
    started = STARTED + index
    customer = changes.pop("customer_account", f"customer-{index % _CUSTOMERS}")
    vendor = changes.pop("vendor_account", f"vendor-{index % _VENDORS}")
    fee, tax = changes.pop("fee", Decimal("0.012345")), changes.pop("tax", ZERO)
    cost, cost_tax = changes.pop("cost", Decimal("0.009876")), changes.pop("cost_tax", ZERO)
    identity = call_id(index)
    record = CallRecord(
        call_id=identity,
        node="sw1",
        mapping_gateway=f"{customer}-pbx",
        routing_gateway=f"{vendor}-trunk",
        customer_account=customer,
        vendor_account=vendor,
        currency="USD",
        caller_in=f"+4930{index:08d}",
        callee_in=f"+4420{index:08d}",
        caller_out=f"4930{index:08d}",
        callee_out=f"4420{index:08d}",
        callee_billing=f"4420{index:08d}",
        routing_number="4499100",
        sip_call_id_in=f"{identity}@192.0.2.10",
        sip_call_id_out=identity[:20],
        source_address="192.0.2.10:5060",
        destination_address="198.51.100.7:5060",
        codec="PCMU",
        vendor_codec="PCMU",
        started_at=started,
        ringing_at=started + 900,
        answered_at=started + 4_000,
        ended_at=started + 64_000,
        pdd_ms=900,
        hold_time_ms=60_000,
        hold_time_s=60,
        billed_seconds=60,
        vendor_billed_seconds=60,
        fee=fee,
        tax=tax,
        cost=cost,
        cost_tax=cost_tax,
        rate_group="sell",
        rate_prefix="4420",
        rate_area="United Kingdom London",
        vendor_rate_prefix="44",
        fee_breakdown=_BREAKDOWN,
        hangup_source="caller",
        end_reason="Normal",
        sip_code=200,
        q850_cause=16,
        acknowledged_at=started + 4_020,
        vendor_answered_at=started + 3_950,
        vendor_currency="USD",
        reason_text="Normal call clearing",
        attempts=(Attempt(f"{vendor}-trunk", 200, 4_000, 880, "Normal"),),
        postings=(
            Posting(customer, -(fee + tax), f"{identity}/customer", "USD"),
            Posting(vendor, -(cost + cost_tax), f"{identity}/vendor", "USD"),
        ),
        charges=(charge_row(customer, CUSTOMER, 0, fee, tax), charge_row(vendor, VENDOR, 0, cost, cost_tax)),
    )
    return msgspec.structs.replace(record, **changes)


def charge_row(account: str, role: str, level: int, fee: Decimal, tax: Decimal = ZERO) -> ChargeRow:
    """Return what a party pays or is paid for a call of ``answered_call``."""
    return ChargeRow(account, role, level, "sell", "a1b2c3", "4420", fee, "minute", 60, fee, tax, "USD")


def partner_call(index: int, customer: str, partner: str, **changes: Any) -> CallRecord:
    """Return a call of ``answered_call`` that a gateway of a partner has carried, whose balance it raises."""
    plain = answered_call(index, customer_account=customer, vendor_account=partner, **changes)
    pays, earns = plain.charges
    paid, earned = plain.postings
    return msgspec.structs.replace(
        plain,
        charges=(pays, msgspec.structs.replace(earns, earned=1)),
        postings=(paid, msgspec.structs.replace(earned, amount=-earned.amount)),
    )


def refused_call(index: int, **changes: Any) -> CallRecord:
    """Return a call that no gateway was tried for: everything that did not happen is None or zero."""
    started = STARTED + index
    record = CallRecord(
        call_id=call_id(index),
        node="sw1",
        caller_in="1000",
        callee_in="4420",
        sip_call_id_in="refused@192.0.2.10",
        source_address="192.0.2.10:5060",
        started_at=started,
        ended_at=started + 3,
        hangup_source="switch",
        end_reason="No Matching Rate",
        sip_code=403,
        q850_cause=21,
    )
    return msgspec.structs.replace(record, **changes)


def rejected(reason: str, *records: CallRecord) -> list[RejectedRecord]:
    """Return records that the database refuses, all for the same reason."""
    return [RejectedRecord(record, reason) for record in records]
