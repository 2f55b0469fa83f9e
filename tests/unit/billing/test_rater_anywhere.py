"""A charge depends on the rate and the duration alone: not on the process, its locale, zone, or decimal context."""

import os
import subprocess
import sys
from decimal import ROUND_CEILING, Decimal, localcontext
from pathlib import Path

import pytest
from doubles.data.builders import applied_rate, rating_policy
from doubles.recomputed import recompute

from vosd.base.money import Rounding
from vosd.billing.rater import itemise, total_at
from vosd.billing.rates import AppliedRate

DURATIONS_MS = (0, 1, 49, 50, 999, 1_000, 6_050, 59_999, 60_049, 60_050, 119_000, 150_020, 3_599_951, 43_200_000)
RATES = (
    applied_rate("0.012345678901", 1, tax_rate="7.7"),
    applied_rate("0.05", 7, policy=rating_policy(fee_precision=2, rounding=Rounding.UP, nonzero_floor=True)),
    applied_rate("999999999999.99999999", 7, tax_rate="19", policy=rating_policy(fee_precision=8)),
    applied_rate("0.15", 60, first_rate="0.21", first_duration=180, connection_fee="0.0149", minimum_charge="0.22"),
    applied_rate("0.15", 59, sections="0.10@60;0.18@120;0.25@180", policy=rating_policy(section_cap=False)),
)


def everything() -> str:
    """Charge calls of all rates and lengths, with every step."""
    charges = (repr(itemise(applied, duration_ms)) for applied in RATES for duration_ms in DURATIONS_MS)
    return "\n".join(charges)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1", "LC_ALL": "C", "TZ": "UTC"},
        {"PYTHONHASHSEED": "2", "LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Kathmandu"},
    ],
    ids=["plain", "elsewhere"],
)
def test_another_process_in_another_place_gives_the_same_charges(environment: dict[str, str]) -> None:
    program = (
        "import locale, sys\n"
        "try:\n    locale.setlocale(locale.LC_ALL, '')\nexcept locale.Error:\n    pass\n"
        f"sys.path[:0] = [{str(Path(__file__).parent)!r}, {str(Path(__file__).parents[2])!r}]\n"
        "from test_rater_anywhere import everything\n"
        "sys.stdout.write(everything())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    assert done.stdout == everything()


@pytest.mark.parametrize("applied", RATES)
def test_the_decimal_context_of_a_thread_changes_no_charge(applied: AppliedRate) -> None:
    expected = [(itemise(applied, each), total_at(applied, each // 1_000)) for each in DURATIONS_MS]
    with localcontext() as context:
        context.prec, context.rounding, context.Emax = 3, ROUND_CEILING, 9
        assert [(itemise(applied, each), total_at(applied, each // 1_000)) for each in DURATIONS_MS] == expected


def test_the_highest_prices_lose_no_digit() -> None:
    charge, _ = itemise(applied_rate("999999999999.99999999", 60, policy=rating_policy(fee_precision=8)), 600_000)
    assert charge.fee == Decimal("9999999999999.99999990")


def test_a_breakdown_of_the_first_version_gives_its_charge() -> None:
    steps = [
        {"step": "rate", "group": "sell", "version": "v1", "currency": "USD", "prefix": "44", "billing_rate": "0.15",
         "price_per": "minute", "billing_cycle": 60, "first_rate": "0.21", "first_duration": 180, "tax_rate": "10"},
        {"step": "hold_time", "precision_ms": 50, "seconds": 250},
        {"step": "free_time", "free_s": 0, "seconds": 250},
        {"step": "first_period", "seconds": 180, "raw": "0.21"},
        {"step": "cycles", "cycles": 2, "cycle": 60, "raw": "0.3"},
        {"step": "fee", "raw": "0.51", "precision": 3, "unit": "0.001", "rounding": "half_up", "nonzero_floor": False,
         "amount": "0.51"},
        {"step": "tax", "raw": "0.051", "amount": "0.051"},
    ]  # fmt: skip
    charge = recompute(steps)
    assert (charge.billed_seconds, charge.fee, charge.tax) == (300, Decimal("0.51"), Decimal("0.051"))
