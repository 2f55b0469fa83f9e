"""Money set aside for running calls: taken, extended, released, and never more than there is (DESIGN D13)."""

from decimal import Decimal

import pytest

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.billing.holds import Hold, HoldEnded, Purse
from vosd.billing.rater import rate_call, total_at
from vosd.testing.builders import applied_rate

CENT_A_SECOND = applied_rate("0.60", 1)
HOUR = 3_600


def purse(balance: str = "1.00", limit: str | None = "0") -> Purse:
    return Purse("acme", None if limit is None else Decimal(limit), Decimal(balance))


def held(purse: Purse, want_s: int = 60, ceiling_s: int = HOUR, applied=CENT_A_SECOND) -> Hold:
    hold = purse.hold(applied, want_s, ceiling_s)
    assert isinstance(hold, Hold)
    return hold


def test_hold_covers_the_advance_and_is_no_longer_available():
    acme = purse("1.00")
    hold = held(acme)
    assert (hold.amount, hold.granted_s) == (Decimal("0.60"), 60)
    assert (acme.reserved, acme.available, acme.balance) == (Decimal("0.60"), Decimal("0.40"), Decimal("1.00"))


def test_hold_may_take_the_last_unit_res_03():
    acme = purse("0.60")
    held(acme)
    assert acme.available == 0


def test_call_is_refused_when_one_unit_is_missing():
    acme = purse("0.599999")
    refusal = acme.hold(CENT_A_SECOND, 60, HOUR)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.status) == (EndReason.INSUFFICIENT_BALANCE, 402)
    assert refusal.detail == "account acme has 0.599999 USD available, 60 s to prefix 44 hold 0.60"
    assert acme.reserved == 0


def test_overdraft_limit_counts_as_available_res_09():
    acme = purse("-0.40", limit="1")
    held(acme)
    assert acme.available == 0


def test_hold_covers_first_period_and_tax_res_10():
    dear_start = applied_rate("0.15", 60, first_rate="0.21", first_duration=180, tax_rate="10")
    assert held(purse(), applied=dear_start).amount == Decimal("0.231")


def test_short_ceiling_needs_less_than_the_advance():
    hold = held(purse("0.30"), ceiling_s=30)
    assert (hold.granted_s, hold.amount) == (30, Decimal("0.30"))


def test_extension_reserves_the_next_advance():
    acme = purse("5.00")
    hold = held(acme)
    assert acme.extend(hold, 60)
    assert (hold.granted_s, hold.amount, acme.reserved) == (120, Decimal("1.20"), Decimal("1.20"))


def test_extension_grants_what_the_rest_of_the_money_pays():
    acme = purse("1.00")
    hold = held(acme)
    assert acme.extend(hold, 60)
    assert (hold.granted_s, acme.available) == (100, 0)
    assert not acme.extend(hold, 60)
    assert (hold.granted_s, hold.amount) == (100, Decimal("1.00"))


def test_extension_ends_with_the_last_whole_cycle_that_can_be_paid():
    acme = purse("1.00")
    hold = held(acme, applied=applied_rate("0.60", 7))
    assert (hold.granted_s, hold.amount) == (60, Decimal("0.63"))
    assert acme.extend(hold, 600)
    assert (hold.granted_s, hold.amount) == (98, Decimal("0.98"))
    assert not acme.extend(hold, 600)


def test_extension_stops_at_the_ceiling_which_is_not_exhaustion():
    acme = purse("5.00")
    hold = held(acme, ceiling_s=90)
    assert acme.extend(hold, 60)
    assert hold.granted_s == hold.ceiling_s == 90
    assert not acme.extend(hold, 60)
    assert acme.reserved == Decimal("0.90")


def test_cycle_that_is_paid_is_granted_to_its_end_although_the_account_fell_below_its_limit():
    acme = purse("1.00")
    hold = held(acme, applied=applied_rate("0.60", 7))
    acme.committed(Decimal("-3.00"), seq=1)
    assert acme.extend(hold, 60)
    assert (hold.granted_s, hold.amount) == (63, Decimal("0.63"))
    assert not acme.extend(hold, 60)


def test_running_calls_share_what_is_left():
    acme = purse("2.00")
    first, second = held(acme), held(acme)
    assert acme.extend(first, 60)
    assert acme.extend(second, 60)
    assert (first.granted_s, second.granted_s) == (120, 80)
    assert acme.available == 0


def test_hold_of_an_ended_call_frees_its_rest_and_leaves_the_charge_to_be_booked_res_08():
    acme = purse("1.00")
    hold = held(acme)
    acme.release(hold)
    acme.post(-rate_call(CENT_A_SECOND, 12_000).total)
    assert (acme.reserved, acme.unbooked, acme.available) == (0, Decimal("-0.12"), Decimal("0.88"))


def test_booked_charge_counts_once_before_and_after_its_commit():
    acme = purse("1.00")
    acme.release(held(acme))
    acme.post(Decimal("-0.12"))
    acme.committed(Decimal("0.88"), seq=1)
    assert acme.available == Decimal("0.76")  # twice for this moment, never not at all
    acme.booked(Decimal("-0.12"))
    assert (acme.available, acme.unbooked, acme.seq) == (Decimal("0.88"), 0, 1)


def test_late_news_of_an_older_commit_changes_nothing():
    acme = purse("1.00")
    acme.committed(Decimal("7.00"), seq=5)
    acme.committed(Decimal("3.00"), seq=4)
    acme.committed(Decimal("3.00"), seq=5)
    assert (acme.balance, acme.seq) == (Decimal("7.00"), 5)


def test_vendor_cost_is_posted_without_a_hold():
    carrier = purse("0.10")
    carrier.post(Decimal("-0.30"))
    assert carrier.available == Decimal("-0.20")


def test_released_hold_costs_nothing():
    acme = purse("1.00")
    acme.release(held(acme))
    assert (acme.reserved, acme.unbooked, acme.available) == (0, 0, Decimal("1.00"))


def test_unlimited_account_holds_but_is_never_refused_or_cut_res_15():
    acme = purse("0", limit=None)
    hold = held(acme)
    assert acme.extend(hold, 600)
    assert hold.granted_s == 660
    assert (acme.available, acme.reserved) == (None, total_at(CENT_A_SECOND, 660))


def test_lower_limit_leaves_holds_and_refuses_new_ones():
    acme = purse("0.60", limit="10")
    hold = held(acme)
    acme.limit = Decimal(0)
    assert isinstance(acme.hold(CENT_A_SECOND, 60, HOUR), Refusal)
    assert not acme.extend(hold, 60)
    assert hold.amount == Decimal("0.60")


@pytest.mark.parametrize("again", [Purse.release, lambda acme, hold: acme.extend(hold, 1)])
def test_hold_that_has_ended_cannot_be_used_again(again):
    acme = purse()
    hold = held(acme)
    acme.release(hold)
    with pytest.raises(HoldEnded):
        again(acme, hold)
    assert (acme.reserved, acme.unbooked) == (0, 0)
