"""Holds for running calls: taken, extended, released, and never more than the account has."""

from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.billing.call_hold import CallHold
from vosd.billing.holds import AccountCredit, AccountHold, HoldEnded
from vosd.billing.rater import rate_call, total_at

CENT_A_SECOND = applied_rate("0.60", 1)
HOUR = 3_600


def credit(balance: str = "1.00", limit: str | None = "0") -> AccountCredit:
    return AccountCredit("acme", None if limit is None else Decimal(limit), Decimal(balance))


def held(credit: AccountCredit, want_s: int = 60, ceiling_s: int = HOUR, applied=CENT_A_SECOND) -> AccountHold:
    hold = credit.hold(applied, want_s, ceiling_s)
    assert isinstance(hold, AccountHold)
    return hold


def extend(hold: AccountHold, want_s: int, ceiling_s: int = HOUR) -> bool:
    """Extend the hold of a call that one account pays for."""
    hold.advance_s = want_s
    return CallHold([hold], hold.granted_s, ceiling_s).extend()


@pytest.mark.parametrize("earned", ["0.000001", "0.50", "1.00", "7"])
def test_what_a_partner_earns_is_not_spent_before_it_is_booked(earned):
    """However little it is: the committed balance has it later, and it would count twice."""
    partner = credit("1.00")
    partner.post(Decimal(earned))
    assert (partner.balance, partner.available) == (Decimal("1.00"), Decimal("1.00"))


def test_hold_covers_the_advance_and_is_no_longer_available():
    acme = credit("1.00")
    hold = held(acme)
    assert (hold.amount, hold.granted_s) == (Decimal("0.60"), 60)
    assert (acme.reserved, acme.available, acme.balance) == (Decimal("0.60"), Decimal("0.40"), Decimal("1.00"))


def test_hold_may_take_the_last_unit():
    acme = credit("0.60")
    held(acme)
    assert acme.available == 0


def test_call_is_refused_when_one_unit_is_missing():
    acme = credit("0.599999")
    refusal = acme.hold(CENT_A_SECOND, 60, HOUR)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.status) == (EndReason.INSUFFICIENT_BALANCE, 402)
    assert refusal.detail == "account acme has 0.599999 USD available, 60 s to prefix 44 hold 0.60"
    assert acme.reserved == 0


@pytest.mark.parametrize(("cap", "is_capped"), [("0.40", True), ("5", False)])
def test_a_refusal_names_the_cap_of_an_outage_where_that_is_what_binds(cap, is_capped):
    acme = credit("0.50")
    acme.bound(Decimal(cap))
    refusal = acme.hold(CENT_A_SECOND, 60, HOUR)
    assert isinstance(refusal, Refusal)
    assert ("database_away_cap" in refusal.detail, acme.is_capped) == (is_capped, is_capped)


def test_overdraft_limit_counts_as_available():
    acme = credit("-0.40", limit="1")
    held(acme)
    assert acme.available == 0


def test_hold_covers_first_period_and_tax():
    dear_start = applied_rate("0.15", 60, first_rate="0.21", first_duration=180, tax_rate="10")
    assert held(credit(), applied=dear_start).amount == Decimal("0.231")


def test_short_ceiling_needs_less_than_the_advance():
    hold = held(credit("0.30"), ceiling_s=30)
    assert (hold.granted_s, hold.amount) == (30, Decimal("0.30"))


def test_extension_reserves_the_next_advance():
    acme = credit("5.00")
    hold = held(acme)
    assert extend(hold, 60)
    assert (hold.granted_s, hold.amount, acme.reserved) == (120, Decimal("1.20"), Decimal("1.20"))


def test_extension_grants_what_the_rest_of_the_money_pays():
    acme = credit("1.00")
    hold = held(acme)
    assert extend(hold, 60)
    assert (hold.granted_s, acme.available) == (100, 0)
    assert not extend(hold, 60)
    assert (hold.granted_s, hold.amount) == (100, Decimal("1.00"))


def test_extension_ends_with_the_last_whole_cycle_that_can_be_paid():
    acme = credit("1.00")
    hold = held(acme, applied=applied_rate("0.60", 7))
    assert (hold.granted_s, hold.amount) == (60, Decimal("0.63"))
    assert extend(hold, 600)
    assert (hold.granted_s, hold.amount) == (98, Decimal("0.98"))
    assert not extend(hold, 600)


def test_extension_stops_at_the_ceiling_which_is_not_exhaustion():
    acme = credit("5.00")
    hold = held(acme, ceiling_s=90)
    assert extend(hold, 60, ceiling_s=90)
    assert hold.granted_s == 90
    assert not extend(hold, 60, ceiling_s=90)
    assert acme.reserved == Decimal("0.90")


def test_cycle_that_is_paid_is_granted_to_its_end_although_the_account_fell_below_its_limit():
    acme = credit("1.00")
    hold = held(acme, applied=applied_rate("0.60", 7))
    acme.committed(Decimal("-3.00"), seq=1)
    assert extend(hold, 60)
    assert (hold.granted_s, hold.amount) == (63, Decimal("0.63"))
    assert not extend(hold, 60)


def test_running_calls_share_what_is_left():
    acme = credit("2.00")
    first, second = held(acme), held(acme)
    assert extend(first, 60)
    assert (first.granted_s, acme.available) == (100, Decimal("0.40")), "half of what is left"
    assert extend(second, 60)
    assert (second.granted_s, acme.available) == (80, Decimal("0.20"))


def test_while_there_is_money_a_call_is_granted_five_seconds_however_small_its_share():
    acme = credit("600.50")
    holds = [held(acme) for _ in range(1_000)]
    steps = [holds[0].granted_s]
    while extend(holds[0], 60):
        steps.append(holds[0].granted_s)
    assert steps == [60, 65, 70, 75, 80, 85, 90, 95, 100, 105, 110]
    assert acme.available == 0
    assert not extend(holds[1], 60)


def test_a_share_that_pays_for_no_cycle_grants_one_to_its_end():
    by_the_minute = applied_rate("0.60", 60)
    acme = credit("3.00")
    holds = [held(acme, applied=by_the_minute) for _ in range(3)]
    assert extend(holds[0], 60)
    assert (holds[0].granted_s, holds[0].amount) == (120, Decimal("1.20"))
    assert extend(holds[1], 60)
    assert not extend(holds[2], 60)
    assert acme.available == 0


def test_calls_are_granted_the_whole_advance_while_it_is_within_their_share():
    acme = credit("6.00")
    holds = [held(acme) for _ in range(5)]
    assert extend(holds[0], 60)
    assert holds[0].granted_s == 120


def test_calls_of_an_unlimited_account_are_granted_the_whole_advance():
    acme = credit("-100", limit=None)
    holds = [held(acme) for _ in range(5)]
    assert all(extend(hold, 60) for hold in holds)
    assert {hold.granted_s for hold in holds} == {120}


def run_to_the_end(calls: int, balance: str) -> tuple[Decimal, int]:
    """Use an account up by calls; return what is unspent when the first of them ends, and within how long all end."""
    acme = credit(balance)
    answered_at = {held(acme): index * 60 // calls for index in range(calls)}
    cuts: list[int] = []
    unspent = Decimal(-1)
    now = 0
    while answered_at:
        for hold in [hold for hold, began in answered_at.items() if began + hold.granted_s == now]:
            if not extend(hold, 60):
                cuts.append(now)
                spent = sum((total_at(CENT_A_SECOND, max(now - each, 0)) for each in answered_at.values()), Decimal(0))
                unspent = acme.balance + acme.unbooked - spent if unspent < 0 else unspent
                del answered_at[hold]
                acme.release(hold)
                acme.post(-total_at(CENT_A_SECOND, hold.granted_s))
        now += 1
    assert acme.balance + acme.unbooked == 0, "all of the money is used"
    return unspent / Decimal(balance), max(cuts) - min(cuts)


def test_hardly_any_money_is_held_by_other_calls_when_the_first_of_a_thousand_ends():
    unspent, spread_s = run_to_the_end(1_000, "1500")
    assert unspent < Decimal("0.03")
    assert spread_s <= 5, "no call gets much more than another"


def low(balance: str, low_below: str, limit: str | None = "0") -> tuple[AccountCredit, list[AccountCredit]]:
    acme, reported = credit(balance, limit), []
    acme.lows = reported
    acme.set_terms(acme.limit, Decimal(low_below))
    return acme, reported


def test_a_low_balance_is_reported_once_however_many_calls_come_and_go():
    acme, reported = low("10", "5")
    holds = [held(acme) for _ in range(8)]
    assert reported == []
    holds += [held(acme) for _ in range(4)]
    assert reported == [acme]
    for hold in holds:
        acme.release(hold)
        acme.post(Decimal("-0.10"))
    for _ in range(12):
        held(acme)
    assert reported == [acme]


def test_a_hold_that_is_only_tried_reports_no_low_balance():
    acme, reported = low("10", "5")
    held(acme.copied(), 600)
    assert (reported, acme.is_low) == ([], False)


def test_a_low_balance_is_reported_again_after_a_payment_that_was_enough():
    """5.10, 4.90, 4.80, 10, 4.99: at 4.90 and at 4.99."""
    acme, reported = low("5.10", "5")
    reported_at = []
    for seq, balance in enumerate(("4.90", "4.80", "10", "4.99"), start=1):
        acme.committed(Decimal(balance), seq)
        if reported:
            reported_at.append(balance)
            reported.clear()
    assert reported_at == ["4.90", "4.99"]


def test_a_payment_that_is_not_enough_repeats_no_report():
    acme, reported = low("5.10", "5")
    for seq, balance in enumerate(("1", "2", "1.5"), start=1):
        acme.committed(Decimal(balance), seq)
    assert reported == [acme]


def test_a_call_that_is_being_booked_is_not_counted_twice_for_the_report():
    acme, reported = low("10", "5")
    acme.release(held(acme, 300))
    acme.post(Decimal(-3))
    acme.committed(Decimal(7), 1)
    assert acme.available == 4, "for this moment"
    acme.booked(Decimal(-3))
    assert (reported, acme.is_low) == ([], False)
    acme.post(Decimal("-2.01"))
    acme.committed(Decimal("4.99"), 2)
    acme.booked(Decimal("-2.01"))
    assert (reported, acme.is_low) == ([acme], True)


def test_a_payment_is_enough_also_where_more_was_spent_since_the_report_than_paid():
    acme, reported = low("10", "2")
    calls = [held(acme, 60) for _ in range(14)]
    assert reported == [acme]
    for hold in calls:
        acme.release(hold)
        acme.post(Decimal("-0.60"))
    assert acme.is_low
    acme.committed(Decimal("6.60"), 15)  # 14 calls, and a payment of 5
    acme.booked(Decimal("-8.40"))
    assert not acme.is_low
    held(acme, 600)
    assert reported == [acme, acme]


def test_a_payment_is_enough_also_where_an_operator_has_taken_money_since_the_report():
    acme, reported = low("10", "5")
    hold = held(acme, 600)
    acme.committed(Decimal(7), 1)
    acme.release(hold)
    assert acme.is_low, "money that a hold releases is no payment"
    acme.committed(Decimal(8), 2)
    assert (reported, acme.is_low) == ([acme], False)


def test_money_left_is_counted_without_holds_and_with_the_overdraft_limit():
    acme, reported = low("0", "1", limit="2")
    hold = held(acme, 90)
    assert reported == []
    assert extend(hold, 20)
    assert reported == [acme]


def test_a_balance_of_a_database_that_has_lost_commits_is_reported_where_it_is_low():
    acme, reported = low("10", "5")
    acme.committed(Decimal(12), 7)
    acme.restore(Decimal(4), 3)
    assert reported == [acme]
    acme.restore(Decimal(6), 4)
    assert not acme.is_low


def test_a_reload_that_raises_the_threshold_reports_an_account_below_it():
    acme, reported = low("5", "1")
    acme.set_terms(Decimal(0), Decimal(6))
    assert reported == [acme]


def test_a_reload_to_a_threshold_that_is_just_met_lets_the_account_be_reported_again():
    acme, reported = low("4", "5")
    acme.set_terms(Decimal(0), Decimal(4))
    acme.committed(Decimal("3.99"), 1)
    assert reported == [acme, acme]


def test_while_no_money_is_granted_a_call_goes_on_for_as_long_as_it_costs_no_more():
    free_behind_a_minute = applied_rate("0", first_rate="0.60", first_duration=60)
    acme = credit("100")
    free, charged = held(acme, applied=free_behind_a_minute), held(acme)
    acme.is_frozen = True
    assert extend(free, 60)
    assert free.granted_s == 120
    assert not extend(charged, 60)
    acme.is_frozen = False
    assert extend(charged, 60)


def test_the_hold_of_an_ended_call_is_released_and_its_charge_remains_to_be_booked():
    acme = credit("1.00")
    hold = held(acme)
    acme.release(hold)
    acme.post(-rate_call(CENT_A_SECOND, 12_000).total)
    assert (acme.reserved, acme.unbooked, acme.available) == (0, Decimal("-0.12"), Decimal("0.88"))


def test_booked_charge_counts_once_before_and_after_its_commit():
    acme = credit("1.00")
    acme.release(held(acme))
    acme.post(Decimal("-0.12"))
    acme.committed(Decimal("0.88"), seq=1)
    assert acme.available == Decimal("0.76")  # twice for this moment, never not at all
    acme.booked(Decimal("-0.12"))
    assert (acme.available, acme.unbooked, acme.seq) == (Decimal("0.88"), 0, 1)


def test_an_older_commit_that_arrives_late_changes_nothing():
    acme = credit("1.00")
    acme.committed(Decimal("7.00"), seq=5)
    acme.committed(Decimal("3.00"), seq=4)
    acme.committed(Decimal("3.00"), seq=5)
    assert (acme.balance, acme.seq) == (Decimal("7.00"), 5)


def test_vendor_cost_is_posted_without_a_hold():
    carrier = credit("0.10")
    carrier.post(Decimal("-0.30"))
    assert carrier.available == Decimal("-0.20")


def test_released_hold_costs_nothing():
    acme = credit("1.00")
    acme.release(held(acme))
    assert (acme.reserved, acme.unbooked, acme.available) == (0, 0, Decimal("1.00"))


def test_an_unlimited_account_holds_but_its_calls_are_never_refused_or_ended():
    acme = credit("0", limit=None)
    hold = held(acme)
    assert extend(hold, 600)
    assert hold.granted_s == 660
    assert (acme.available, acme.reserved) == (None, total_at(CENT_A_SECOND, 660))


def test_a_lower_limit_keeps_holds_and_refuses_new_ones():
    acme = credit("0.60", limit="10")
    hold = held(acme)
    acme.limit = Decimal(0)
    assert isinstance(acme.hold(CENT_A_SECOND, 60, HOUR), Refusal)
    assert not extend(hold, 60)
    assert hold.amount == Decimal("0.60")


@pytest.mark.parametrize("again", [AccountCredit.release, lambda _acme, hold: extend(hold, 1)])
def test_hold_that_has_ended_cannot_be_used_again(again):
    acme = credit()
    hold = held(acme)
    acme.release(hold)
    with pytest.raises(HoldEnded):
        again(acme, hold)
    assert (acme.reserved, acme.unbooked) == (0, 0)


def test_a_hold_that_was_written_down_goes_on_as_it_stood():
    acme = AccountCredit("acme", Decimal(5), Decimal(10), 7)
    hold = acme.hold(CENT_A_SECOND, 600, 900)
    acme.post(Decimal("-2.5"))
    again = AccountCredit("acme", Decimal(5), Decimal(10), 7)
    again.post(Decimal("-2.5"))
    resumed = again.resume(hold.applied, hold.amount, hold.granted_s, hold.advance_s)
    assert (again.available, again.reserved, again.unbooked) == (acme.available, acme.reserved, acme.unbooked)
    assert [extend(resumed, 600), resumed.granted_s] == [extend(hold, 600), hold.granted_s]
    again.release(resumed)
    assert again.reserved == 0


def test_a_hold_that_was_written_down_takes_nothing_of_what_calls_may_cost_in_an_outage():
    acme = credit("1.00", limit="10")
    acme.bound(Decimal("0.60"))
    acme.resume(CENT_A_SECOND, Decimal("0.80"), 80)
    assert (acme.left_in_bound, acme.available) == (Decimal("0.60"), Decimal("0.60"))


def test_an_account_is_low_by_hours_of_its_average_use_from_when_that_is_known():
    acme, reported = credit("10"), []
    acme.lows = reported
    acme.set_terms(Decimal(0), None, 24)
    assert (acme.low_below, acme.is_low, acme.awaits_use) == (None, False, True)
    acme.set_use(Decimal("0.41680"))
    assert (acme.low_below, acme.is_low, acme.awaits_use) == (Decimal("10.00"), False, False)
    acme.set_use(Decimal("0.417"))
    assert (acme.low_below, reported) == (Decimal("10.01"), [acme])
    acme.set_terms(Decimal(0), None, 25)
    assert (reported, acme.awaits_use) == ([acme], False), "it stays low, and its use is known"


def test_what_calls_hold_counts_where_a_reload_or_less_use_might_end_the_alarm():
    acme, reported = low("10", "9.5")
    held(acme)
    acme.set_terms(Decimal(0), Decimal("9.41"))
    assert (reported, acme.is_low) == ([acme], True)
    acme.set_terms(Decimal(0), None, 1)
    acme.set_use(Decimal("9.5"))
    acme.set_use(Decimal("4.71"))
    assert (reported[1:], acme.is_low) == ([acme], True)


def test_the_higher_of_amount_and_hours_of_use_is_what_is_low():
    acme = credit("10")
    for amount, use, expected in (("5", "0.1", "5"), ("5", "1", "24"), ("5", "0", "5"), ("25", "1", "25")):
        acme.set_use(Decimal(use))
        acme.set_terms(Decimal(0), Decimal(amount), 24)
        assert acme.low_below == Decimal(expected)
    acme.set_terms(Decimal(0), None)
    assert acme.low_below is None


def test_use_that_goes_up_and_down_repeats_no_report():
    acme, reported = credit("10"), []
    acme.lows = reported
    acme.set_terms(Decimal(0), None, 10)
    for per_hour in ("1.1", "0.9", "1.1", "0.51", "1.1"):
        acme.set_use(Decimal(per_hour))
        acme.set_terms(Decimal(0), None, 10)  # as any reload does
        assert (reported, acme.is_low) == ([acme], True)
    acme.committed(Decimal(30), 1)
    acme.committed(Decimal("10.99"), 2)
    assert reported == [acme, acme], "a payment, and then it is used up"


def test_use_that_falls_to_half_ends_the_alarm():
    acme, reported = credit("10"), []
    acme.lows = reported
    acme.set_terms(Decimal(0), None, 10)
    acme.set_use(Decimal("1.1"))
    acme.set_use(Decimal("0.5"))
    assert not acme.is_low
    acme.set_use(Decimal("1.1"))
    assert reported == [acme, acme]


def test_an_overdrawn_account_is_not_low_once_a_week_was_without_calls():
    acme = credit("-0.50")
    acme.lows = []
    acme.set_terms(Decimal(0), None, 24)
    acme.set_use(Decimal(1))
    assert acme.is_low
    acme.set_use(Decimal(0))
    assert (acme.low_below, acme.is_low) == (None, False), "no payment would be looked at that ends it"
