"""A correction changes the charges of a call and books the difference."""

from decimal import Decimal

import msgspec
import pytest
from doubles.data.records import call_id, charge_row

from vosd.cdr.corrections import Amounts, ChargeChange, Correction, NoSuchCharge, corrected
from vosd.cdr.record import AGENT, CUSTOMER, VENDOR

CHARGES = (
    charge_row("acme", CUSTOMER, 0, Decimal("2.00"), Decimal("0.20")),
    charge_row("reseller", AGENT, 1, Decimal("1.50")),
    msgspec.structs.replace(charge_row("partner", VENDOR, 0, Decimal("0.60"), Decimal("0.06")), earned=1),
)


def correction(*changes: ChargeChange) -> Correction:
    return Correction(call_id(1), changes, "ticket 7", "anna", "wrong rate", 1_790_000_000_000)


def test_a_lower_charge_gives_money_back_and_less_earned_takes_it():
    asked = correction(
        ChargeChange(CUSTOMER, 0, Amounts(Decimal("1.00"), Decimal("0.10"), 30)),
        ChargeChange(VENDOR, 0, Amounts(Decimal("0.30"), Decimal("0.03"), 30)),
    )
    pays, earns = corrected(CHARGES, asked, {})
    assert (pays.account, pays.amount, pays.tax) == ("acme", Decimal("1.10"), Decimal("0.10"))
    assert (earns.account, earns.amount, earns.tax) == ("partner", Decimal("-0.33"), Decimal("-0.03"))


def test_a_corrected_charge_says_which_one_it_is_and_what_it_was():
    (found,) = corrected(CHARGES, correction(ChargeChange(AGENT, 1, Amounts(Decimal("1.20"), Decimal(0), 48))), {})
    assert (found.call_id, found.position, found.role, found.level) == (call_id(1), 2, AGENT, 1)
    assert (found.before.total, found.after.total, found.before.billed_seconds) == (
        Decimal("1.50"),
        Decimal("1.20"),
        60,
    )
    assert (found.is_new, found.is_booked) == (True, True)
    assert not found._replace(is_repeated=True).is_new
    assert not found._replace(is_overtaken=True).is_new


def test_a_charge_that_stays_as_it_is_is_no_correction():
    same = ChargeChange(CUSTOMER, 0, Amounts(Decimal("2.00"), Decimal("0.20"), 60))
    assert corrected(CHARGES, correction(same), {}) == []


def test_a_correction_of_a_charge_that_the_call_does_not_have_says_which_ones_it_has():
    nothing = Amounts(Decimal(0), Decimal(0), 0)
    known = "it has: customer acme, agent reseller, vendor partner"
    with pytest.raises(NoSuchCharge, match=f"no charge for the agent of level 2; {known}"):
        corrected(CHARGES, correction(ChargeChange(AGENT, 2, nothing)), {})
    with pytest.raises(NoSuchCharge, match="no charge for the customer; it has: none"):
        corrected((), correction(ChargeChange(CUSTOMER, 0, nothing)), {})


@pytest.mark.parametrize(
    ("tax", "by", "before", "after"),
    [
        ("0.16", Decimal(16), None, Decimal(16)),
        ("0.10", Decimal("10.0"), None, None),  # that of the steps
        ("0.10", Decimal(10), Decimal(16), None),
        ("0.16", None, None, None),  # a person says an amount, and not by which rate
        ("0.16", None, Decimal(16), Decimal(16)),
        ("0", None, None, Decimal(0)),  # a person strikes the tax out
        ("0.16", None, Decimal(0), None),  # and takes that back
        ("0", None, Decimal(16), Decimal(0)),
        ("0", Decimal(0), None, Decimal(0)),
    ],
)
def test_a_correction_knows_by_which_rates_its_amounts_are_taxed(tax, by, before, after):
    steps = '[{"step":"fee"},{"step":"rate","tax_rate":"10"}]'
    charges = (msgspec.structs.replace(CHARGES[0], breakdown=steps),)
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal("1.00"), Decimal(tax), 30), by)
    (found,) = corrected(charges, correction(change), {1: before})
    assert (found.tax_rate_before, found.tax_rate_after) == (before, after)


@pytest.mark.parametrize(("fee", "tax_before"), [("0", "0.20"), ("1.00", "0")])
@pytest.mark.parametrize("before", [None, Decimal(16)])
def test_a_charge_struck_out_whole_or_never_taxed_keeps_its_tax_rate(fee, tax_before, before):
    charges = (msgspec.structs.replace(CHARGES[0], tax=Decimal(tax_before)),)
    change = ChargeChange(CUSTOMER, 0, Amounts(Decimal(fee), Decimal(0), 30))
    (found,) = corrected(charges, correction(change), {1: before})
    assert found.tax_rate_after == before


def test_only_the_tax_of_a_charge_may_change_and_only_its_seconds():
    charge = Amounts(Decimal("2.10"), Decimal("0.10"), 60)
    (found,) = corrected(CHARGES, correction(ChargeChange(CUSTOMER, 0, charge)), {})
    assert (found.amount, found.tax, found.is_booked) == (Decimal(0), Decimal("0.10"), True)
    (found,) = corrected(
        CHARGES,
        correction(ChargeChange(CUSTOMER, 0, charge._replace(fee=2, tax=Decimal("0.20"), billed_seconds=1))),
        {},
    )
    assert not found.is_booked
