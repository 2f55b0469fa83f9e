"""``python -m bench.rerating``: what rating many stored calls again costs, apart from reading them."""

import argparse
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from random import Random
from typing import TypeVar

from doubles.data import builders
from rich.console import Console

from vosd.admin.foreign_calls import ForeignCall
from vosd.admin.rerate import Rerating
from vosd.admin.shadow_rating import RatedSide, ShadowRating
from vosd.billing.rater import itemise
from vosd.catalogue.catalogue import Catalogue
from vosd.cdr.past import PastCall

Thing = TypeVar("Thing")

GOAL_A_SECOND = 20_000
BEGIN = 1_790_000_000_000
CONSOLE = Console(width=140, highlight=False)
_SELL = [builders.applied_rate(f"0.{digit}7", 6, prefix=f"44{digit}", tax_rate="19") for digit in range(10)]
_BUY = [builders.applied_rate(f"0.{digit}3", prefix=f"44{digit}") for digit in range(10)]


def main() -> int:
    """Run all and print the results; return 0."""
    parser = argparse.ArgumentParser(prog="python -m bench.rerating", description=__doc__)
    parser.add_argument("--calls", type=int, default=50_000, help="calls that are rated (default 50000)")
    count = parser.parse_args().calls
    groups = [builders.rate_group("sell", *_SELL), builders.rate_group("buy", *_BUY)]
    customer, vendor = builders.mapping_gateway("acme", "192.0.2.1/32"), builders.routing_gateway("carrier")
    catalogue = builders.catalogue([customer, vendor], rate_groups=groups)
    calls = [_call(catalogue, number, Random(number)) for number in range(count)]
    foreign = [_foreign(call) for call in calls]
    _measure("calls rated again, both sides", calls, Rerating(catalogue).add)
    _measure("the same, steps compared byte by byte", calls, Rerating(catalogue, compares_steps=True).add)
    shadow = ShadowRating(catalogue, RatedSide.SELL)
    _measure("rows of another switch, one side", foreign, partial(shadow.add, 0))
    return 0


def _call(catalogue: Catalogue, number: int, random: Random) -> PastCall:
    callee = f"44{random.randrange(10**8, 10**9)}"
    length_ms, groups = random.randrange(1, 600_000), catalogue.rate_groups
    sides = {"customer": groups["sell"], "vendor": groups["buy"]}
    rates = {side: group.find(callee, BEGIN) for side, group in sides.items()}
    charges = {side: itemise(rate, length_ms) for side, rate in rates.items() if rate is not None}
    customer, vendor = charges["customer"][0], charges["vendor"][0]
    steps = ",".join(f'"{side}":{text}' for side, (_, text) in charges.items())
    return PastCall(
        call_id=str(number), started_at=BEGIN, mapping_gateway="acme", routing_gateway="carrier",
        customer_account="acme", vendor_account="carrier", currency="USD", vendor_currency="USD", caller_in="1000",
        callee_in=callee, caller_out="1000", callee_billing=callee, forward_prefix=None, routing_number=None,
        answered_at=BEGIN, vendor_answered_at=BEGIN, billing_base_ms=None, vendor_billing_base_ms=None,
        ended_at=BEGIN + length_ms, hold_time_ms=length_ms, fee=customer.fee, tax=customer.tax, cost=vendor.fee,
        cost_tax=vendor.tax, rate_group="sell", rate_prefix=callee[:3], rate_area=None, vendor_rate_prefix=callee[:3],
        end_reason="Normal", fee_breakdown=f"{{{steps}}}",
    )  # fmt: skip


def _foreign(call: PastCall) -> ForeignCall:
    return ForeignCall("acme", "", call.callee_in, "1000", call.started_at, call.hold_time_ms, Decimal(1))


def _measure(what: str, things: Iterable[Thing], take: Callable[[Thing], object]) -> None:
    begun, count = time.process_time(), 0
    for thing in things:
        take(thing)
        count += 1
    rate = count / (time.process_time() - begun)
    CONSOLE.print(f"{what}: {rate:,.0f} a second of one core (goal {GOAL_A_SECOND:,})")


if __name__ == "__main__":
    raise SystemExit(main())
