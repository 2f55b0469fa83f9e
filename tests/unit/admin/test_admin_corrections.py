"""From what an operator says to the changes of a call's charges; the tax follows from the fee."""

from decimal import Decimal

import msgspec
import pytest
from doubles.data.builders import applied_rate, rating_policy
from doubles.data.records import answered_call
from doubles.ended_calls import ended_call

from vosd.admin.corrections import TaxUnknownError, Wanted, changes_of
from vosd.billing.parties import Party, Role
from vosd.billing.rater import breakdown, rate_call
from vosd.billing.tax import tax_by
from vosd.cdr.corrections import Amounts, Change, NoSuchCharge
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR

AGENTS = (Party("reseller", Role.AGENT, 1, applied_rate("0.50", tax_rate="20")),)
RECORD = ended_call(1, applied_rate("0.60", tax_rate="10"), applied_rate("0.30"), AGENTS)


def test_the_tax_follows_from_the_fee_by_the_terms_of_the_call():
    (change,) = changes_of(RECORD, {(CUSTOMER, 0): Wanted(Decimal("0.36"))})
    assert change == Change(CUSTOMER, 0, Amounts(Decimal("0.36"), Decimal("0.036"), 62))
    (of_agent,) = changes_of(RECORD, {(AGENT, 1): Wanted(Decimal("0.10"))})
    assert of_agent.after == Amounts(Decimal("0.10"), Decimal("0.02"), 62)


def test_a_tax_that_is_said_counts():
    (change,) = changes_of(RECORD, {(VENDOR, 0): Wanted(Decimal("0.2"), Decimal("0.01"), 60)})
    assert change.after == Amounts(Decimal("0.2"), Decimal("0.01"), 60)


def test_what_is_not_said_stays():
    (change,) = changes_of(RECORD, {(CUSTOMER, 0): Wanted(billed_seconds=60)})
    assert change.after == Amounts(Decimal("0.62"), Decimal("0.062"), 60)


def test_nothing_is_taxed_with_nothing():
    (change,) = changes_of(answered_call(1), {(CUSTOMER, 0): Wanted(Decimal(0))})
    assert change.after == Amounts(Decimal(0), Decimal(0), 60)


def test_without_steps_the_tax_must_be_said():
    with pytest.raises(TaxUnknownError, match="say --tax"):
        changes_of(answered_call(1, fee_breakdown="{}"), {(CUSTOMER, 0): Wanted(Decimal("0.36"))})


def test_a_party_that_the_call_has_not_is_named():
    with pytest.raises(
        NoSuchCharge, match="no charge for the agent of level 2; it has: customer customer-1, agent res"
    ):
        changes_of(RECORD, {(AGENT, 2): Wanted(Decimal(1))})


@pytest.mark.parametrize("seconds", [1, 59, 61, 3_601])
@pytest.mark.parametrize("places", [0, 2, 6])
@pytest.mark.parametrize("tax_exempt", [False, True])
def test_the_tax_on_an_unchanged_fee_is_the_one_that_was_charged(seconds, places, tax_exempt):
    policy = rating_policy(fee_precision=places, nonzero_floor=True, tax_exempt=tax_exempt)
    applied = applied_rate("0.0137", 6, tax_rate="7.7", policy=policy)
    charge = rate_call(applied, 1_000 * seconds)
    assert tax_by(breakdown(applied, charge), charge.fee) == charge.tax


def test_what_is_no_breakdown_has_no_tax():
    with pytest.raises(KeyError):
        tax_by(msgspec.json.decode("[]"), Decimal(1))
