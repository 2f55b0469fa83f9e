"""Spend limits of an account: hours and days, what they refuse, what they grant, and what is reported."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from doubles.data.builders import applied_rate

from vosd.base.errors import Refusal
from vosd.billing.call_hold import CallHold
from vosd.billing.holds import AccountCredit, AccountHold
from vosd.billing.spending import LOOKED_AT_ONCE, SpendAction, Spending, SpendLimit, SpendPeriod

CENT_A_SECOND = applied_rate("0.60")
HOUR, DAY = SpendPeriod.HOUR, SpendPeriod.DAY


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1_000)


NOW = ms("2026-03-28T10:59:30")


def limited(amount: str, action: SpendAction, per: SpendPeriod = HOUR, limit: str | None = None) -> AccountCredit:
    acme = AccountCredit("acme", None if limit is None else Decimal(limit), Decimal(0))
    acme.spending = Spending([SpendLimit(per, Decimal(amount), action)], "UTC", NOW, acme)
    return acme


def talking(acme: AccountCredit, ceiling_s: int = 3_600, until_s: int = 0) -> CallHold:
    hold = acme.hold(CENT_A_SECOND, 60, ceiling_s)
    call = CallHold([hold], hold.granted_s, ceiling_s)
    extend(call, until_s)
    return call


def extend(call: CallHold, until_s: int) -> None:
    while call.granted_s < until_s:
        call.extend()


def talk_on(acme: AccountCredit, call: CallHold, until_s: int) -> None:
    """Let a call that was answered at ``NOW`` go on for as long as it is granted seconds, at most to ``until_s``."""
    while call.granted_s < until_s:
        acme.spending.roll(NOW + call.granted_s * 1_000)
        if not call.extend():
            break


@pytest.mark.parametrize("action", [SpendAction.BLOCK, SpendAction.HANG_UP])
def test_a_call_that_would_pass_the_limit_is_refused_until_the_hour_ends(action):
    acme = limited("1.19", action)
    first = talking(acme)
    refusal = acme.hold(CENT_A_SECOND, 60, 3_600)
    assert isinstance(refusal, Refusal)
    assert refusal.status == 402
    assert refusal.detail == (
        "account acme may spend 1.19 USD per hour: 0.00 is spent, 0.60 is held by running calls, "
        "60 s to prefix 44 hold 0.60"
    )
    first.give_back()
    acme.post(Decimal("-0.60"))
    assert isinstance(acme.hold(CENT_A_SECOND, 60, 3_600), Refusal)
    acme.spending.roll(NOW + 29_999)
    assert isinstance(acme.hold(CENT_A_SECOND, 60, 3_600), Refusal)
    acme.spending.roll(NOW + 30_000)
    assert not isinstance(acme.hold(CENT_A_SECOND, 60, 3_600), Refusal)


def test_an_event_refuses_nothing_and_is_reported_once_in_its_period():
    acme = limited("0.60", SpendAction.EVENT)
    call = talking(acme)
    assert [len(acme.spending.reached(acme.reserved)) for _ in range(2)] == [1, 0]
    talking(acme)
    call.give_back()
    acme.spending.roll(NOW + 30_000)
    assert len(acme.spending.reached(acme.reserved)) == 1


def test_a_limit_that_refused_a_call_is_reported_although_a_little_is_left():
    acme = limited("1.19", SpendAction.BLOCK)
    talking(acme)
    assert acme.spending.reached(acme.reserved) == []
    acme.copied().hold(CENT_A_SECOND, 60, 3_600)
    assert acme.spending.reached(acme.reserved) == [], "a call that is only tried reports nothing"
    acme.hold(CENT_A_SECOND, 60, 3_600)
    assert len(acme.spending.reached(acme.reserved)) == 1


def test_a_refusal_of_one_hour_does_not_report_the_limit_as_reached_in_the_next():
    acme = limited("1.19", SpendAction.BLOCK)
    first = talking(acme)
    acme.hold(CENT_A_SECOND, 60, 3_600)
    assert len(acme.spending.reached(acme.reserved)) == 1
    first.give_back()
    acme.spending.roll(NOW + 30_000)
    assert acme.spending.reached(acme.reserved) == []


@pytest.mark.parametrize(("action", "lasts_s"), [(SpendAction.BLOCK, 180), (SpendAction.HANG_UP, 119)])
def test_running_calls_are_cut_at_the_limit_only_where_it_says_so(action, lasts_s):
    call = talking(limited("1.19", action))
    while call.granted_s < 180 and call.extend():
        pass
    assert call.granted_s == lasts_s


def test_what_ended_calls_have_spent_is_no_more_granted_to_running_ones():
    acme = limited("1.19", SpendAction.HANG_UP)
    acme.post(Decimal("-0.40"))
    call = talking(acme)
    while call.extend():
        pass
    assert call.granted_s == 79


def test_the_smaller_of_money_and_limit_ends_a_call():
    call = talking(limited("5", SpendAction.HANG_UP, limit="0.80"))
    while call.extend():
        pass
    assert call.granted_s == 80


def test_the_limit_that_ends_a_call_is_named_and_no_other():
    acme = limited("1.19", SpendAction.HANG_UP)
    limits = (HOUR, "0.10", SpendAction.EVENT), (DAY, "9", SpendAction.HANG_UP), (HOUR, "1.19", SpendAction.HANG_UP)
    each_of = [SpendLimit(per, Decimal(amount), action) for per, amount, action in limits]
    acme.spending = Spending(each_of, "UTC", NOW, acme)
    call = talking(acme)
    while call.extend():
        pass
    assert call.used_up.startswith("account acme may spend 1.19 USD per hour: ")


@pytest.mark.parametrize(("amount", "lasts_s"), [("40", 10_800), ("30", 30 + 3_000)])
def test_a_long_call_ends_only_in_an_hour_that_costs_as_much(amount, lasts_s):
    """It costs 36.00 an hour, and began 30 s before the first; the minute that it holds then counts there."""
    acme = limited(amount, SpendAction.HANG_UP)
    call = talking(acme, 10_800)
    talk_on(acme, call, 10_800)
    assert lasts_s - 60 <= call.granted_s <= lasts_s


def test_a_limit_of_a_day_counts_what_a_call_costs_from_midnight_on():
    acme = limited("12", SpendAction.HANG_UP, DAY)
    acme.spending.roll(ms("2026-03-28T23:50"))
    call = talking(acme, 10_800)
    while call.granted_s < 600 and call.extend():
        pass
    acme.spending.roll(ms("2026-03-29T00:00"))
    while call.extend():
        pass
    assert 600 + 1_140 <= call.granted_s <= 600 + 1_200


def test_a_call_that_was_granted_little_at_the_limit_leaves_out_all_that_it_had_cost_when_an_hour_begins():
    acme = limited("1.30", SpendAction.HANG_UP)
    acme.spending.roll(ms("2026-03-28T11:58:55"))
    calls = [talking(acme) for _ in range(2)]
    acme.spending.roll(ms("2026-03-28T11:59:55"))
    assert [(call.extend(), call.granted_s) for call in calls] == [(True, 65)] * 2
    acme.spending.roll(ms("2026-03-28T12:00:00"))
    assert acme.spending.parts(HOUR, acme.reserved) == (0, Decimal("0.10"))
    assert [(call.extend(), call.granted_s) for call in calls] == [(True, 125), (True, 95)]
    for call in calls:
        call.give_back()
        acme.post(Decimal("-0.66"))
    assert acme.spending.parts(HOUR, acme.reserved) == (Decimal("0.12"), 0)


def test_calls_of_the_hour_before_refuse_no_new_call_and_count_with_their_rest_when_they_end():
    acme = limited("10.20", SpendAction.BLOCK)
    calls = [talking(acme, 600) for _ in range(16)]
    for call in calls:
        while call.extend():
            pass
    assert isinstance(acme.hold(CENT_A_SECOND, 60, 600), Refusal)
    acme.spending.roll(NOW + 30_000)
    assert acme.spending.parts(HOUR, acme.reserved) == (0, Decimal("9.60")), "the last minute of each"
    acme.release(acme.hold(CENT_A_SECOND, 60, 600))
    for call in calls:
        call.give_back()
        acme.post(Decimal("-5.50"))
    assert acme.spending.parts(HOUR, acme.reserved) == (Decimal("1.60"), 0)


@pytest.mark.parametrize(("cost", "counts"), [("9.00", "0"), ("12.00", "0.00"), ("12.60", "0.60"), (None, "0")])
def test_no_more_is_left_out_for_a_call_than_it_has_cost(cost, counts):
    """The dearest is held, and less may be charged: by dead_call_billing, or where sections have no cap."""
    acme = limited("50", SpendAction.BLOCK)
    call = talking(acme)
    while call.granted_s < 1_260 and call.extend():
        pass
    acme.spending.roll(NOW + 30_000)
    other = talking(acme, 60)
    assert acme.spending.parts(HOUR, acme.reserved) == (0, Decimal("1.20"))
    call.give_back()
    if cost is not None:
        acme.post(-Decimal(cost))
    other.give_back()
    acme.post(Decimal("-0.30"))
    assert acme.spending.parts(HOUR, acme.reserved) == (Decimal(counts) + Decimal("0.30"), 0)


def test_another_time_zone_leaves_out_what_calls_had_cost_when_its_day_began():
    acme = limited("50", SpendAction.BLOCK, DAY)
    acme.spending.roll(ms("2026-03-28T22:00"))
    call = talking(acme, 20_000)
    while call.granted_s < 7_260 and call.extend():
        pass
    acme.spending.roll(ms("2026-03-29T00:00"))
    assert acme.spending.parts(DAY, acme.reserved) == (0, Decimal("0.60"))
    acme.spending.set_limits((), "America/New_York", ms("2026-03-29T00:00"))
    assert acme.spending.parts(DAY, acme.reserved) == (0, Decimal("72.60"))


def test_another_time_zone_leaves_out_what_ended_calls_had_cost_before_the_hour():
    acme = limited("50", SpendAction.BLOCK)
    call = talking(acme, until_s=660)
    acme.spending.roll(NOW + 30_000)
    call.give_back()
    acme.post(Decimal("-6.30"))
    assert acme.spending.parts(HOUR, acme.reserved) == (Decimal("0.30"), 0)
    acme.spending.set_limits((), "Asia/Kolkata", NOW + 30_000)
    assert acme.spending.parts(HOUR, acme.reserved) == (Decimal("0.30"), 0)


def test_a_vendor_that_is_only_asked_whether_it_could_pay_changes_nothing_of_its_limits():
    acme = limited("100", SpendAction.BLOCK)
    call = talking(acme, 600)
    vendor = limited("100", SpendAction.BLOCK)
    assert call.join(vendor, CENT_A_SECOND, 60) is None
    extend(call, 300)
    vendor.spending.roll(NOW + 30_000)
    before = vendor.spending.parts(HOUR, vendor.reserved)
    assert call.could_join(vendor, CENT_A_SECOND, 60, ("acme", CENT_A_SECOND))
    assert vendor.spending.parts(HOUR, vendor.reserved) == before == (0, Decimal("0.60"))


def test_a_call_that_pays_twice_from_an_account_leaves_out_both_costs_of_before_the_hour():
    acme = limited("100", SpendAction.BLOCK)
    call = talking(acme, 600)
    assert call.add_agent(acme, CENT_A_SECOND, 60) is None
    extend(call, 300)
    acme.spending.roll(NOW + 30_000)
    call.give_back()
    for _ in range(2):
        acme.post(Decimal("-2.90"))
    assert acme.spending.parts(HOUR, acme.reserved) == (Decimal("1.00"), 0)


def test_an_hour_begins_without_a_look_at_each_call(monkeypatch):
    acme = limited("10000", SpendAction.BLOCK)
    calls = [talking(acme) for _ in range(50)]
    for call in calls:
        while call.granted_s < 300:
            call.extend()
    acme.spending.roll(NOW + 29_000)
    monkeypatch.setattr(AccountHold, "cost_before", None)
    acme.spending.roll(NOW + 30_000)
    assert acme.spending.parts(HOUR, acme.reserved) == (0, 50 * Decimal("0.60"))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_a_reload_looks_at_some_calls_at_once_and_leaves_out_the_same_in_the_end(zone, monkeypatch):
    looked_at, cost_before = [], AccountHold.cost_before
    monkeypatch.setattr(AccountHold, "cost_before", lambda hold, ago: looked_at.append(hold) or cost_before(hold, ago))

    def counted(calls: int, granted: int = 0, ended: int = 0) -> list[Decimal]:
        """Return what counts of calls in the end, some of which are granted more, or end, before they are looked at."""
        acme = limited("10000", SpendAction.BLOCK, DAY)
        acme.spending.set_limits((), "Asia/Kolkata" if zone == "UTC" else "UTC", NOW)
        talks = [talking(acme) for _ in range(calls)]
        for number, call in enumerate(talks, 1):
            while call.granted_s < (300 if number > granted else 240):
                call.extend()
        acme.spending.roll(NOW + 239_000)
        looked_at.clear()
        acme.spending.set_limits((), zone, NOW + 240_000)
        acme.spending.roll(NOW + 240_000)  # as each second: no period has ended
        assert len(looked_at) == min(2 * calls, LOOKED_AT_ONCE)  # for hour and day
        for call in talks[:granted]:
            call.extend()
        for call in talks[calls - ended :]:
            call.give_back()
            acme.post(Decimal("-2.40"))
        while looked_at:
            looked_at.clear()
            acme.spending.look_on()
            assert len(looked_at) <= LOOKED_AT_ONCE
            assert all(hold.is_open for hold in looked_at)
        return [sum(acme.spending.parts(per, acme.reserved)) for per in SpendPeriod]

    plain, granted, ended = counted(1), counted(1, granted=1), counted(1, ended=1)
    assert counted(600) == [600 * amount for amount in plain]
    assert counted(600, granted=40, ended=400) == [
        160 * amount + 40 * more + 400 * last for amount, more, last in zip(plain, granted, ended, strict=True)
    ]


@pytest.mark.parametrize(
    ("talks_s", "late_ms", "before"), [(1_200, 540_001, "5.99"), (7_200, 3_600_000 + 540_001, "65.99")]
)
def test_an_hour_that_is_begun_late_leaves_out_what_calls_had_cost_when_it_began(talks_s, late_ms, before):
    acme = limited("100", SpendAction.BLOCK)
    talking(acme, 7_200, until_s=talks_s)
    acme.spending.roll(NOW + 30_000 + late_ms)
    assert acme.spending.parts(HOUR, acme.reserved) == (0, talks_s * Decimal("0.01") - Decimal(before))


def test_an_hour_that_begins_before_the_end_of_the_one_before_counts_nothing_twice():
    acme = AccountCredit("acme", None, Decimal(0))
    acme.spending = Spending([], "Australia/Lord_Howe", ms("2026-04-04T14:50"), acme)
    talking(acme, until_s=660)
    acme.spending.roll(ms("2026-04-04T15:00"))  # 2:00 becomes 1:30
    assert acme.spending.began(HOUR) == ms("2026-04-04T14:30")
    assert acme.spending.parts(HOUR, acme.reserved) == (0, Decimal("0.60"))


def test_limits_that_are_removed_and_set_again_count_what_running_calls_cost_in_the_present_hour():
    acme = limited("100", SpendAction.BLOCK)
    call = talking(acme)
    talk_on(acme, call, 120)
    acme.spending = None
    extend(call, 600)
    acme.spending = Spending([], "UTC", NOW + 540_000, acme)
    assert acme.spending.parts(HOUR, acme.reserved) == (0, Decimal("6.00") - Decimal("0.30"))


def test_what_is_left_out_for_a_call_is_left_out_for_no_cost_behind_its_own():
    acme = limited("100", SpendAction.BLOCK)
    call = talking(acme, until_s=600)
    acme.spending.roll(NOW + 30_000)
    call.give_back()
    for cost in ("-0.10", "-1.00", "-1.00"):
        acme.post(Decimal(cost))
    assert acme.spending.parts(HOUR, acme.reserved) == (Decimal("2.00"), 0)


def test_a_call_of_before_a_restart_counts_with_what_it_costs_in_the_present_hour():
    acme = limited("20", SpendAction.HANG_UP, limit="100")
    acme.spending.roll(NOW + 29_999 + 1_200_000)
    hold = acme.resume(CENT_A_SECOND, Decimal(36), 3_600, 60)
    assert acme.spending.parts(HOUR, acme.reserved) == (0, Decimal("12.60"))
    assert CallHold([hold], 3_600, 7_200).extend()


def test_a_limit_that_a_reload_sets_counts_what_running_calls_cost_in_the_present_hour():
    acme = limited("1", SpendAction.EVENT, limit="100")
    acme.resume(CENT_A_SECOND, Decimal(36), 3_600, 60)
    later = Spending([], "UTC", NOW + 30_000 + 1_200_000, acme)
    assert later.parts(HOUR, acme.reserved) == (0, Decimal("12.60"))


def test_a_clock_that_was_ahead_leaves_out_nothing_of_what_calls_cost_in_its_hour():
    acme = limited("100", SpendAction.BLOCK)
    talking(acme, until_s=600)
    before = acme.spending.parts(HOUR, acme.reserved)
    for at in (NOW + 3_600_000, NOW + 1):
        acme.spending.roll(at)
    assert acme.spending.parts(HOUR, acme.reserved) == before == (0, 6)


@pytest.mark.parametrize(
    ("zone", "at", "per", "begin", "end"),
    [
        ("UTC", "2026-03-28T10:59:30", HOUR, "2026-03-28T10:00:00", "2026-03-28T11:00:00"),
        ("Asia/Kolkata", "2026-03-28T10:59:30", HOUR, "2026-03-28T10:30:00", "2026-03-28T11:30:00"),
        ("UTC", "2026-03-28T10:59:30", DAY, "2026-03-28T00:00:00", "2026-03-29T00:00:00"),
        ("Europe/Berlin", "2026-03-28T23:30:00", DAY, "2026-03-28T23:00:00", "2026-03-29T22:00:00"),
        ("Europe/Berlin", "2026-10-25T12:00:00", DAY, "2026-10-24T22:00:00", "2026-10-25T23:00:00"),
        ("America/Havana", "2024-11-03T05:30:00", DAY, "2024-11-03T04:00:00", "2024-11-04T05:00:00"),
    ],
)
def test_hours_and_days_begin_by_the_clock_of_the_zone(zone, at, per, begin, end):
    spending = Spending([], zone, ms(at))
    assert spending.began(per) == ms(begin)
    spending.ended(Decimal(1))
    spending.roll(ms(end) - 1)
    assert spending.spent(per) == 1
    spending.roll(ms(end))
    assert spending.spent(per) == 0


def test_an_hour_that_ends_leaves_the_day_as_it_is():
    acme = limited("1", SpendAction.BLOCK, DAY)
    acme.post(Decimal("-0.70"))
    acme.spending.roll(NOW + 30_000)
    assert (acme.spending.spent(HOUR), acme.spending.spent(DAY)) == (0, Decimal("0.70"))
    assert isinstance(acme.hold(CENT_A_SECOND, 60, 3_600), Refusal)


def test_a_reload_that_raises_a_limit_keeps_what_was_spent():
    acme = limited("0.70", SpendAction.BLOCK)
    acme.post(Decimal("-0.60"))
    acme.spending.set_limits([SpendLimit(HOUR, Decimal("1.20"), SpendAction.BLOCK)], "Europe/Berlin", NOW)
    assert acme.spending.spent(HOUR) == Decimal("0.60")
    call = acme.hold(CENT_A_SECOND, 60, 3_600)
    assert not isinstance(call, Refusal)


def spent_by_clock(*steps: tuple[str, str]) -> list[tuple[Decimal, Decimal]]:
    """Return what counts in hour and day after each step: what the clock says, and what a call has cost then."""
    spending = Spending([], "UTC", ms(steps[0][0]))
    found = []
    for at, cost in steps:
        spending.roll(ms(at))
        spending.ended(Decimal(cost))
        found.append((spending.spent(HOUR), spending.spent(DAY)))
    return found


def test_a_clock_that_was_ahead_for_a_moment_changes_no_period():
    assert spent_by_clock(
        ("2026-03-28T10:20:00", "3"),
        ("2026-03-29T10:20:01", "1"),
        ("2026-03-28T10:20:02", "2"),
        ("2026-03-28T10:59:59", "0"),
        ("2026-03-28T11:00:00", "5"),
        ("2026-03-29T00:00:00", "7"),
    ) == [(3, 3), (1, 1), (6, 6), (6, 6), (5, 11), (7, 7)]


def test_a_clock_that_is_set_back_grants_no_limit_once_more():
    """What counted before counts until the hour and the day end by the new time."""
    assert spent_by_clock(
        ("2026-03-28T10:20:00", "3"),
        ("2026-03-28T11:20:00", "4"),
        ("2026-03-28T12:20:00", "5"),
        ("2026-03-28T10:30:00", "1"),
        ("2026-03-28T11:00:00", "2"),
    ) == [(3, 3), (4, 7), (5, 12), (6, 13), (2, 15)]


def test_a_reload_with_the_same_limits_reports_none_again_and_a_changed_one_anew():
    acme = limited("0.60", SpendAction.EVENT)
    talking(acme)
    assert len(acme.spending.reached(acme.reserved)) == 1
    same, lower = (SpendLimit(HOUR, Decimal(amount), SpendAction.EVENT) for amount in ("0.60", "0.50"))
    acme.spending.set_limits([same], "UTC", NOW)
    assert acme.spending.reached(acme.reserved) == []
    acme.spending.set_limits([lower], "UTC", NOW)
    assert acme.spending.reached(acme.reserved) == [lower]
    acme.spending.set_limits([same], "UTC", NOW)
    assert acme.spending.reached(acme.reserved) == [same], "it was not in force meanwhile"


def test_a_reload_with_another_zone_begins_days_by_its_clock():
    acme = limited("0.60", SpendAction.EVENT, DAY)
    began = acme.spending.began(DAY)
    acme.spending.set_limits([], "UTC", NOW)
    assert acme.spending.began(DAY) == began
    acme.spending.set_limits([], "Asia/Tokyo", NOW)
    assert acme.spending.began(DAY) == ms("2026-03-27T15:00")
    acme.spending.roll(ms("2026-03-28T14:59:59"))
    assert acme.spending.began(DAY) == ms("2026-03-27T15:00")


def test_a_clock_that_is_set_back_after_a_reload_with_another_zone_grants_no_limit_of_an_hour_once_more():
    spending = Spending([], "UTC", ms("2026-03-28T10:20"))
    spending.ended(Decimal(3))
    spending.set_limits([], "Asia/Tokyo", ms("2026-03-28T11:20"))
    spending.roll(ms("2026-03-28T10:20"))
    assert spending.spent(HOUR) == 3


def test_a_clock_that_is_set_back_before_any_period_has_ended_keeps_what_was_spent():
    spending = Spending([], "UTC", ms("2026-03-28T00:20"))
    spending.ended(Decimal(3))
    spending.roll(ms("2026-03-27T23:20"))
    assert [spending.spent(per) for per in SpendPeriod] == [3, 3]


def test_a_call_counts_in_the_periods_that_had_begun_when_it_ended():
    spending = Spending([], "UTC", NOW)
    began = spending.began(HOUR)
    spending.ended(Decimal(1), began)
    spending.ended(Decimal(2), began - 1)
    assert [spending.spent(per) for per in SpendPeriod] == [1, 3]


def test_an_hour_begins_with_its_first_millisecond():
    for at in ("2026-03-28T10:00", "2026-03-28T10:00:00.001", "2026-03-28T10:59:59.999"):
        assert Spending([], "UTC", ms(at)).began(HOUR) == ms("2026-03-28T10:00")


def test_a_reload_after_an_hour_has_ended_begins_it_anew():
    acme = limited("0.70", SpendAction.BLOCK)
    acme.post(Decimal("-0.60"))
    acme.spending.set_limits([SpendLimit(HOUR, Decimal("0.70"), SpendAction.BLOCK)], "UTC", NOW + 30_000)
    assert acme.spending.spent(HOUR) == 0
