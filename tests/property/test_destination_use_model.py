"""Use of a class of destinations against a naive recount: every call looked at again, whatever came before."""

from dataclasses import dataclass
from decimal import Decimal

from doubles.data.builders import applied_rate
from hypothesis import given, strategies as st

from vosd.base.money import ZERO
from vosd.billing.destinations import HOUR_MS, DestinationLimit, DestinationUses, Past, Usage, excess
from vosd.billing.holds import AccountCredit, AccountHold
from vosd.billing.rater import total_at
from vosd.callcontrol.destinations import WatchedCall

BEGIN = 1_790_000_000_000
RATES = [applied_rate(price) for price in ("0.60", "6.00", "0.07")]
OPERATION = st.one_of(
    st.tuples(st.just("call"), st.integers(0, len(RATES) - 1)),
    st.tuples(st.just("answer"), st.integers(0, 9)),
    st.tuples(st.just("extend"), st.integers(0, 9)),
    st.tuples(st.just("end"), st.integers(0, 9)),
    st.tuples(st.just("pass"), st.integers(1, 3 * HOUR_MS)),
    st.tuples(st.just("pass"), st.integers(1, 90_000)),
)


@dataclass
class Told:
    """One call as the recount remembers it."""

    watched: WatchedCall
    hold: AccountHold
    answered: int | None = None
    ended: int | None = None
    is_over: bool = False
    fee: Decimal = ZERO

    def in_hour(self, now: int) -> Usage:
        if self.answered is None:
            return Usage()
        if self.ended is None:
            return Usage(1, now - self.answered, self.hold.amount)
        return Usage(1, self.ended - self.answered, self.fee) if hour_of(self.ended) == hour_of(now) else Usage()


def hour_of(elapsed_ms: int) -> int:
    return (BEGIN + elapsed_ms) // HOUR_MS


@given(st.lists(OPERATION, max_size=40))
def test_what_is_used_in_an_hour_is_what_a_recount_finds(operations):
    credit, uses, now = AccountCredit("acme", None), DestinationUses(), 0
    use = uses.of("acme", "premium", BEGIN)
    calls: list[Told] = []
    for what, value in operations:
        open_calls = [each for each in calls if not each.is_over]
        chosen = open_calls[value % len(open_calls)] if open_calls else None
        if what == "call":
            hold = credit.hold(RATES[value], 60, 43_200)
            assert isinstance(hold, AccountHold)
            calls.append(Told(WatchedCall(uses, use, "4490"), hold))
        elif what == "pass":
            now += value
            use.roll(BEGIN + now)
        elif chosen is None:
            continue
        elif what == "answer":
            chosen.watched.answered(now, chosen.hold)
            chosen.answered = now if chosen.answered is None else chosen.answered
        elif what == "extend":
            over_s = chosen.hold.granted_s
            credit.grant(chosen.hold, credit.reach(chosen.hold, over_s + 60), over_s)
        elif what == "end":
            if chosen.answered is not None:
                chosen.ended = now
                chosen.fee = total_at(chosen.hold.applied, (now - chosen.answered) // 1_000)
                use.ended(now - chosen.answered, chosen.fee, BEGIN + now)
            credit.release(chosen.hold)
            chosen.watched.give_back()
            chosen.watched.undo()
            chosen.is_over = True
        recount = Usage()
        for each in calls:
            recount = recount.plus(each.in_hour(now))
        assert use.used(now) == recount
    assert use.running == sum(1 for each in calls if each.answered is not None and not each.is_over)


AMOUNT = st.none() | st.integers(1, 100)


@given(AMOUNT, AMOUNT, st.integers(1, 10), st.integers(0, 50), st.booleans(), st.integers(0, 300))
def test_what_is_allowed_grows_with_the_past_between_floor_and_cap(floor, cap, factor, usual, is_new, minutes):
    limit = DestinationLimit("premium", factor=factor, minutes=floor, max_minutes=cap)
    past = Past(is_new, Usage(1, usual * 60_000, ZERO))
    is_excess = excess(limit, past, Usage(1, minutes * 60_000, ZERO)) is not None
    if cap is not None and minutes >= cap:
        assert is_excess
    elif floor is None:
        assert not is_excess
    elif is_new:
        assert is_excess is (cap is None and minutes >= floor)
    else:
        assert is_excess is (minutes >= max(floor, factor * usual))
