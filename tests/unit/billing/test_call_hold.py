"""The money of a call that several accounts pay for: one deadline, the earliest, taken whole and given back whole."""

import gc
from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate, rating_policy

from vosd.base.errors import Refusal
from vosd.billing.call_hold import CallHold
from vosd.billing.holds import FROZEN, AccountCredit, AccountHold
from vosd.billing.rater import total_at
from vosd.billing.spending import SpendAction, Spending, SpendLimit, SpendPeriod

CENT_A_SECOND = applied_rate("0.60")
HALF_A_CENT = applied_rate("0.30")
BY_THE_MINUTE = applied_rate("0.60", 60)
HOUR = 3_600


def credit(name: str, balance: str, limit: str | None = "0") -> AccountCredit:
    return AccountCredit(name, None if limit is None else Decimal(limit), Decimal(balance))


def held(acme: AccountCredit, advance_s: int = 60, ceiling_s: int = HOUR) -> CallHold:
    hold = acme.hold(CENT_A_SECOND, advance_s, ceiling_s)
    return CallHold([hold], hold.granted_s, ceiling_s)


def test_a_vendor_is_held_for_from_its_attempt_to_its_failure():
    acme, carrier = credit("acme", "5"), credit("carrier", "5")
    call = held(acme)
    assert call.join(carrier, HALF_A_CENT, 60) is None
    assert (acme.reserved, carrier.reserved, call.vendor_s) == (Decimal("0.60"), Decimal("0.30"), 60)
    call.leave("carrier", HALF_A_CENT)
    assert (acme.reserved, carrier.reserved, call.vendor_s) == (Decimal("0.60"), 0, None)
    call.leave("carrier", HALF_A_CENT)
    assert (len(call.holds), call.granted_s) == (1, 60)


@pytest.mark.parametrize(
    ("balances", "said"),
    [
        (("0.65", "9", "9"), "account acme has 0.00 USD available, 1 s to prefix 44 hold 0.01"),
        (("9", "0.65", "9"), "agent reseller: account reseller has 0.00 USD available, 1 s to prefix 44 hold 0.01"),
        (("9", "9", "0.35"), "vendor carrier: account carrier has 0.00 USD available, 1 s to prefix 44 hold 0.005"),
    ],
)
def test_the_account_whose_money_ends_a_call_is_named(balances, said):
    acme, reseller, carrier = map(credit, ("acme", "reseller", "carrier"), balances)
    call = held(acme)
    call.add_agent(reseller, CENT_A_SECOND, 60)
    call.join(carrier, HALF_A_CENT, 60)
    call.answered(2_000)
    while call.extend():
        assert call.used_up == ""
    assert call.used_up == said
    for each in (acme, reseller, carrier):
        each.restore(Decimal(99), 2)
    assert call.extend()
    assert call.used_up == "", "money has come since"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda acme: setattr(acme, "is_frozen", True), f"account acme {FROZEN}"),
        (lambda acme: acme.bound(Decimal(0)), "as its database_away_cap allows no more until the database is back"),
        (
            lambda acme: setattr(
                acme,
                "spending",
                Spending([SpendLimit(SpendPeriod.DAY, Decimal("0.60"), SpendAction.HANG_UP)], "UTC", 0, acme),
            ),
            "per day: 0.00 is spent, 0.60 is held by running calls, 1 s to prefix 44 hold 0.01",
        ),
    ],
)
def test_an_account_with_money_says_why_it_grants_none_of_it(spoil, said):
    acme = credit("acme", "9")
    call = held(acme)
    spoil(acme)
    assert not call.extend()
    assert call.used_up.endswith(said)


def test_a_vendor_without_money_changes_nothing():
    acme, carrier = credit("acme", "5"), credit("carrier", "0.29")
    call = held(acme)
    refusal = call.join(carrier, HALF_A_CENT, 60)
    assert isinstance(refusal, Refusal)
    assert refusal.detail == "account carrier has 0.29 USD available, 60 s to prefix 44 hold 0.30"
    assert (acme.reserved, carrier.reserved, call.vendors, call.granted_s) == (Decimal("0.60"), 0, [], 60)


@pytest.mark.parametrize(("balance", "could"), [("0.30", True), ("0.29", False)])
def test_a_question_whether_another_attempt_could_be_paid_counts_what_the_present_one_holds_as_free(balance, could):
    acme, carrier = credit("acme", "5"), credit("carrier", "0.30")
    call = held(acme)
    call.join(carrier, HALF_A_CENT, 60)
    carrier.restore(Decimal(balance), 2)
    assert call.could_join(carrier, HALF_A_CENT, 60, ("carrier", HALF_A_CENT)) is could
    assert not call.could_join(carrier, CENT_A_SECOND, 60, ("carrier", HALF_A_CENT))
    assert not call.could_join(carrier, HALF_A_CENT, 60, ("other", HALF_A_CENT))
    other = credit("other", "0.29")
    assert not call.could_join(other, HALF_A_CENT, 60, ("carrier", HALF_A_CENT)), "that is the carrier's money"


def test_a_hold_that_is_only_tried_leaves_no_account_in_memory():
    """Holds are unknown to the garbage collector, so it would never free a cycle of a copy and its hold."""
    carrier, call = credit("carrier", "5"), held(credit("acme", "5"))
    call.join(carrier, HALF_A_CENT, 60)

    def accounts() -> int:
        gc.collect()
        return sum(isinstance(each, AccountCredit) for each in gc.get_objects())

    before = accounts()
    for _ in range(10):
        assert call.could_join(carrier, HALF_A_CENT, 60, ("carrier", HALF_A_CENT))
        assert isinstance(carrier.copied().hold(HALF_A_CENT, 60, HOUR), AccountHold)
        assert isinstance(carrier.copied().resume(HALF_A_CENT, Decimal(0), HOUR), AccountHold)
    assert accounts() == before
    assert (carrier.reserved, len(call.vendors), call.vendors[0].is_open) == (Decimal("0.30"), 1, True)


def test_while_one_attempt_takes_the_place_of_another_both_are_held_for():
    acme, first, second = credit("acme", "5"), credit("first", "5"), credit("second", "5")
    call = held(acme)
    call.join(first, HALF_A_CENT, 60)
    call.join(second, CENT_A_SECOND, 60)
    assert (first.reserved, second.reserved) == (Decimal("0.30"), Decimal("0.60"))
    call.leave("first", HALF_A_CENT)
    assert (first.reserved, second.reserved) == (0, Decimal("0.60"))
    call.give_back()
    assert (acme.reserved, second.reserved) == (0, 0)


def test_of_two_attempts_at_one_account_the_one_that_fails_is_left_alone():
    carrier = credit("carrier", "5")
    call = held(credit("acme", "5"))
    call.join(carrier, CENT_A_SECOND, 60)
    call.join(carrier, HALF_A_CENT, 60)
    call.leave("carrier", HALF_A_CENT)
    assert (carrier.reserved, [each.applied for each in call.vendors]) == (Decimal("0.60"), [CENT_A_SECOND])


def test_a_vendor_that_charges_from_a_later_invite_pays_for_later_seconds():
    carrier = credit("carrier", "5")
    call = held(credit("acme", "5"))
    call.join(carrier, HALF_A_CENT, 30, elapsed_s=20)
    assert (call.granted_s, carrier.reserved) == (50, Decimal("0.15"))


def test_the_deadline_of_a_vendor_that_has_failed_is_that_of_the_call_no_more():
    acme, carrier = credit("acme", "5"), credit("carrier", "5")
    call = held(acme, advance_s=60)
    assert call.join(carrier, HALF_A_CENT, 30) is None
    assert call.granted_s == 30
    call.leave("carrier", HALF_A_CENT)
    assert call.granted_s == 60


def test_the_deadline_is_that_of_the_account_whose_money_ends_first():
    acme, carrier = credit("acme", "50"), credit("carrier", "0.40")
    call = held(acme)
    call.join(carrier, HALF_A_CENT, 60)
    call.answered(0)
    assert call.granted_s == 60
    assert call.extend()
    assert (call.granted_s, carrier.available) == (80, 0)
    assert acme.reserved == Decimal("0.80"), "no account holds more than the call may last"
    assert not call.extend()
    assert call.granted_s == 80


def test_an_account_that_reserves_more_at_a_time_is_extended_when_the_others_have_caught_up():
    acme, agent = credit("acme", "50"), credit("agent", "50")
    call = held(acme)
    assert call.add_agent(agent, HALF_A_CENT, 180) is None
    assert (call.granted_s, agent.reserved) == (60, Decimal("0.90"))
    assert [(call.extend(), call.granted_s, agent.reserved) for _ in range(3)] == [
        (True, 120, Decimal("0.90")),
        (True, 180, Decimal("0.90")),
        (True, 240, Decimal("1.20")),
    ]


def test_accounts_of_other_cycles_are_granted_the_same_seconds():
    acme, agent = credit("acme", "0.65"), credit("agent", "5")
    call = held(acme)
    call.add_agent(agent, BY_THE_MINUTE, 60)
    assert call.extend()
    assert (call.granted_s, acme.reserved, agent.reserved) == (65, Decimal("0.65"), Decimal("1.20"))
    assert not call.extend()


def test_the_vendor_pays_for_the_time_before_our_200_too():
    acme, carrier = credit("acme", "5"), credit("carrier", "5")
    call = held(acme)
    call.join(carrier, HALF_A_CENT, 60)
    call.answered(2_700)
    assert (call.granted_s, carrier.reserved) == (60, total_at(HALF_A_CENT, 63))


def test_a_vendor_that_cannot_pay_for_the_time_before_our_200_ends_the_call_earlier():
    acme, carrier = credit("acme", "5"), credit("carrier", "0.305")
    call = held(acme)
    call.join(carrier, HALF_A_CENT, 60)
    call.answered(3_000)
    assert (call.granted_s, carrier.reserved) == (58, Decimal("0.305"))
    assert not call.extend()


@pytest.mark.parametrize(("precision_ms", "lead_s"), [(0, 1), (500, 0)])
def test_the_time_before_our_200_is_rounded_as_the_vendor_bills_it(precision_ms, lead_s):
    strict = applied_rate("0.30", policy=rating_policy(hold_time_precision_ms=precision_ms))
    acme, carrier = credit("acme", "5"), credit("carrier", "0.30")
    call = held(acme)
    call.join(carrier, strict, 60)
    call.answered(3)
    assert call.granted_s == 60 - lead_s


def test_an_account_that_is_customer_and_vendor_pays_for_the_time_before_our_200_too():
    both = credit("both", "1.01")
    call = held(both)
    call.join(both, HALF_A_CENT, 60)
    call.answered(2_000)
    while call.extend():
        pass
    assert (call.granted_s, both.available) == (66, Decimal("0.01")), "one more second costs 0.015"


@pytest.mark.parametrize("has_agent", [False, True])
def test_one_account_may_be_customer_and_vendor_of_a_call(has_agent):
    both = credit("both", "0.92")
    call = held(both)
    assert call.join(both, HALF_A_CENT, 60) is None
    assert not has_agent or call.add_agent(credit("agent", "5"), HALF_A_CENT, 60) is None
    assert both.available == Decimal("0.02")
    assert call.extend()
    assert (call.granted_s, both.reserved) == (61, Decimal("0.915"))
    assert not call.extend()
    call.give_back()
    assert both.reserved == 0


def test_both_sides_are_granted_a_cycle_that_is_paid_although_their_account_fell_below_its_limit():
    both = credit("both", "1.01")
    call = CallHold([both.hold(applied_rate("0.60", 7), 60, HOUR)], 60, HOUR)
    assert call.join(both, applied_rate("0.30", 7), 60) is None
    both.committed(Decimal("-3.00"), seq=1)
    assert call.extend()
    assert call.granted_s == 63
    assert not call.extend()


def test_one_account_that_can_pay_for_one_side_alone_is_no_vendor_of_the_call():
    both = credit("both", "0.89")
    call = held(both)
    assert isinstance(call.join(both, HALF_A_CENT, 60), Refusal)
    assert both.reserved == Decimal("0.60")


def test_each_account_shares_what_it_has_left_among_its_own_calls():
    acme, agent = credit("acme", "100"), credit("agent", "1.00")
    calls = [held(acme) for _ in range(2)]
    for call in calls:
        call.add_agent(agent, HALF_A_CENT, 60)
    assert calls[0].extend()
    assert (calls[0].granted_s, agent.available) == (100, Decimal("0.20")), "half of what the agent has left"
    assert calls[1].extend()
    assert calls[1].granted_s == 80


def test_a_call_that_reaches_its_ceiling_has_not_used_its_money_up():
    acme, agent = credit("acme", "5"), credit("agent", "5")
    call = held(acme, ceiling_s=90)
    call.add_agent(agent, HALF_A_CENT, 60)
    assert call.extend()
    assert not call.extend()
    assert call.granted_s == call.ceiling_s == 90


def test_an_account_without_limit_grants_whatever_is_asked():
    acme, agent = credit("acme", "5"), credit("agent", "-100", None)
    call = held(acme)
    call.add_agent(agent, HALF_A_CENT, 60)
    assert call.extend()
    assert (call.granted_s, agent.reserved) == (120, Decimal("0.60"))


class Minutes:
    """A share of something that calls use up by the second, and that is no money (implements ``Pool``)."""

    account, own_limit = "package", None

    def __init__(self, left_s: int) -> None:
        self.left_s = left_s

    def reach(self, hold: AccountHold, target_s: int) -> int:
        return min(target_s, hold.granted_s + self.left_s)

    def objection(self, hold: AccountHold, target_s: int) -> str:
        return "" if self.reach(hold, target_s) >= target_s else "the package is empty"

    def covers(self, more: Decimal) -> bool:
        return more == 0

    def grant(self, hold: AccountHold, until_s: int, over_s: int) -> None:
        self.left_s -= until_s - hold.granted_s
        hold.granted_s = until_s

    def release(self, hold: AccountHold) -> None:
        hold.is_open = False


def test_a_call_lasts_no_longer_than_each_pool_grants_whatever_it_has():
    acme, minutes = credit("acme", "9"), Minutes(left_s=40)
    call = held(acme, advance_s=30)
    call.add(AccountHold(minutes, CENT_A_SECOND, Decimal(0), 30, 30))
    assert call.extend()
    assert (call.granted_s, minutes.left_s, acme.reserved) == (60, 10, Decimal("0.60"))
    assert call.extend()
    assert (call.granted_s, minutes.left_s) == (70, 0)
    assert not call.extend()
    assert call.used_up == "agent package: the package is empty"
    call.give_back()
    assert (acme.reserved, [each.is_open for each in call.holds]) == (0, [False, False])


def test_seconds_that_are_granted_ahead_are_not_over():
    """A call whose caller is warned asks before its seconds are used up: spend limits count what was over."""
    acme, carrier = credit("acme", "50"), credit("carrier", "50")
    call = held(acme)
    call.join(carrier, HALF_A_CENT, 60)
    call.answered(2_000)
    assert call.extend(25)
    assert [(each.granted_s, each.over_s) for each in call.holds] == [(120, 35), (122, 37)]
    assert (acme.over, carrier.over) == (Decimal("0.35"), Decimal("0.185"))
    assert call.extend(85)
    assert [each.over_s for each in call.holds] == [35, 37], "at the same moment"
    assert call.extend()
    assert (acme.over, call.holds[0].over_s) == (Decimal("1.80"), 180)


@pytest.mark.parametrize(("ahead_s", "over_s"), [(0, 60), (25, 35), (90, 0)])
def test_of_a_restored_hold_that_much_is_over_at_least(ahead_s, over_s):
    acme = credit("acme", "50")
    hold = acme.resume(CENT_A_SECOND, Decimal("1.20"), 120, 60, ahead_s=ahead_s)
    assert (hold.over_s, acme.over) == (over_s, Decimal(over_s) / 100)
