"""Spend limits and calls over the begin of an hour or day, against every call looked at one by one.

Calls are granted more when their seconds are over, whatever the watch does, and the watch comes late. What is left out
is never more than the calls had cost when the period began, and never less than the plain way finds: all calls, each
by what it is granted at most ahead. Where the watch is in time, both are the same.
"""

from dataclasses import dataclass
from decimal import Decimal

from doubles.data.builders import applied_rate, rating_policy
from doubles.exploring import examples
from hypothesis import example, given, settings, strategies as st

from vosd.base.errors import Refusal
from vosd.base.money import ZERO
from vosd.billing.call_hold import CallHold
from vosd.billing.holds import AccountCredit, AccountHold
from vosd.billing.rater import total_at
from vosd.billing.rates import AppliedRate
from vosd.billing.spending import Spending, SpendPeriod

MIDNIGHT = 1_774_742_400_000
"""UTC."""
RATES = [
    applied_rate("0.60"),
    applied_rate("0.0137", 6, tax_rate="19"),
    applied_rate("0.90", 7, first_rate="0.21", first_duration=180, policy=rating_policy(free_time_s=6)),
    applied_rate("0.45", 6, sections="0.30@60;0.70@180", tax_rate="10"),
]
OPERATION = st.one_of(
    st.tuples(st.just("call"), st.integers(0, 7)),
    st.tuples(st.just("end"), st.integers(0, 9)),
    st.tuples(st.just("vanish"), st.integers(0, 9)),
    st.tuples(st.just("restart"), st.just(0)),
    st.tuples(st.just("look"), st.integers(0, 1)),
    st.tuples(st.just("pass"), st.integers(1, 90_000)),
    st.tuples(st.just("pass"), st.integers(1, 700_000)),
)


@dataclass
class Talk:
    """A call that was answered at ``since``; both of its holds are on the account where it pays twice."""

    call: CallHold
    since: int

    @property
    def due(self) -> int:
        return self.since + 1_000 * self.call.granted_s

    def cost_at(self, moment: int) -> Decimal:
        return sum((cost_at(each, moment - self.since) for each in self.call.holds), ZERO)


def cost_at(hold: AccountHold, elapsed_ms: int) -> Decimal:
    return total_at(hold.applied, max(0, elapsed_ms) // 1_000)


def plainly(hold: AccountHold, ago_ms: int) -> Decimal:
    over_s = hold.over_s - -(-max(0, ago_ms) // 1_000)
    return min(hold.amount, total_at(hold.applied, over_s)) if over_s > 0 else ZERO


class Account:
    """The account, its calls and the clock."""

    def __init__(self, begins_at: int) -> None:
        self.now = self.looked_at = begins_at
        self.credit = AccountCredit("acme", Decimal(300), ZERO)
        self.credit.spending = Spending([], "UTC", self.now, self.credit)
        self.calls: list[Talk] = []
        self.ended = dict.fromkeys(SpendPeriod, ZERO)
        """Cost in the present period of calls that have ended in it."""
        self.most = dict.fromkeys(SpendPeriod, ZERO)
        """That, and what they may have held ahead when it began."""

    @property
    def spending(self) -> Spending:
        assert self.credit.spending is not None
        return self.credit.spending

    def begin_call(self, applied: AppliedRate, *, pays_twice: bool) -> None:
        hold = self.credit.hold(applied, 60, 7_200)
        if isinstance(hold, Refusal):
            return
        call = CallHold([], hold.granted_s, 7_200)
        call.add(hold)
        if pays_twice and call.add_agent(self.credit, RATES[0], 45) is not None:
            call.undo()
            return
        self.calls.append(Talk(call, self.now))

    def talk_until(self, moment: int, *, is_watched: bool) -> None:
        """Grant each call more at its moments; the watch looks each hour, or not until it is told to."""
        while True:
            due = min((each.due for each in self.calls), default=moment + 1)
            tick = self.looked_at - self.looked_at % 3_600_000 + 3_600_000
            if is_watched and tick <= min(due, moment):
                self.now = max(self.now, tick)
                self.look()
                continue
            if due > moment:
                self.now = moment
                return
            self.now = max(self.now, due)
            for each in [each for each in self.calls if each.due <= self.now]:
                if not each.call.extend():
                    self.end(each)

    def end(self, talk: Talk, *, charged: Decimal = Decimal(1)) -> None:
        """Let a call end that costs that part of its price: less where its peer has vanished before."""
        self.calls.remove(talk)
        talk.call.give_back()
        holds = talk.call.holds
        costs = [charged * cost_at(each, self.now - talk.since) for each in holds]
        whole = sum(costs, ZERO)
        for per in SpendPeriod:  # what was left out is that of the call, whichever of its holds it was of
            began = self.spending.began(per)
            before = sum((cost_at(each, began - talk.since) for each in holds), ZERO)
            least = sum((cost_at(each, began - talk.since - 1_000 * (each.advance_s + 1)) for each in holds), ZERO)
            self.ended[per] += whole - min(whole, before)
            self.most[per] += whole - min(whole, least)
        for cost in costs:
            self.credit.post(-cost)

    def restart(self) -> None:
        """Make the account anew, and hold again what its calls hold."""
        before, self.credit = self.credit, AccountCredit("acme", Decimal(300), ZERO)
        self.credit.spending = Spending([], "UTC", self.now, self.credit)
        self.looked_at = self.now
        self.credit.post(before.unbooked)
        self.ended = {per: self.spending.spent(per) for per in SpendPeriod}
        self.most = dict(self.ended)
        for talk in self.calls:
            holds = [*talk.call.holds]
            talk.call = CallHold([], talk.call.granted_s, 7_200)
            for each in holds:
                talk.call.add(
                    self.credit.resume(each.applied, each.amount, each.granted_s, each.advance_s, each.lead_s)
                )

    def look(self) -> None:
        begun = {per: self.spending.began(per) for per in SpendPeriod}
        is_late = self.now - self.looked_at > 3_600_000  # a whole period was never looked at
        self.spending.roll(self.now)
        self.looked_at = self.now
        for per in SpendPeriod:
            began = self.spending.began(per)
            if began != begun[per]:
                self.ended[per] = self.most[per] = ZERO
                plain = self.credit.reserved - sum(
                    (plainly(hold, self.now - began) for talk in self.calls for hold in talk.call.holds), ZERO
                )
                counted = sum(self.spending.parts(per, self.credit.reserved))
                assert counted <= plain
                if self.now == began and not is_late:
                    assert counted == plain
        self.check()

    def check(self) -> None:
        """Compare what counts with what the calls have cost since the period began."""
        for talk in self.calls:
            assert all(each.over <= cost_at(each, self.now - talk.since) for each in talk.call.holds)
        for per in SpendPeriod:
            began = self.spending.began(per)
            spent = sum((each.cost_at(self.now) - each.cost_at(began) for each in self.calls), self.ended[per])
            assert sum(self.spending.parts(per, self.credit.reserved)) >= spent
            assert self.spending.parts(per, self.credit.reserved)[0] <= self.most[per] or self.calls


@given(
    st.sampled_from((2, 7, 62, 67)),
    st.lists(st.integers(0, 7), min_size=1, max_size=4),
    st.lists(OPERATION, max_size=25),
    st.integers(150_000, 900_000),
    st.sampled_from((Decimal(1), Decimal("0.4"), Decimal(0))),
    st.booleans(),
)
@example(minutes=7, first=[5], operations=[], last_ms=900_000, last_part=Decimal("0.4"), is_watched=False)
@settings(max_examples=examples(200, 3_000), deadline=None)
def test_no_more_is_left_out_than_calls_had_cost_and_no_less_than_the_plain_way_finds(
    minutes, first, operations, last_ms, last_part, is_watched
):
    account = Account(MIDNIGHT - 60_000 * minutes)
    for kind in first:
        account.begin_call(RATES[kind // 2], pays_twice=kind % 2 == 1)
    for what, value in operations:
        if what == "call":
            account.begin_call(RATES[value // 2], pays_twice=value % 2 == 1)
        elif what in {"end", "vanish"} and account.calls:
            part = Decimal(1) if what == "end" else Decimal(value) / 10
            account.end(account.calls[value % len(account.calls)], charged=part)
        elif what == "restart":
            account.restart()
        elif what == "look":
            account.look()
        elif what == "pass":
            account.talk_until(account.now + value, is_watched=is_watched)
            account.check()
    account.talk_until(account.now + last_ms, is_watched=is_watched)
    account.look()
    for talk in [*account.calls]:
        account.end(talk, charged=last_part)
        account.check()
    assert all(account.spending.parts(per, account.credit.reserved)[1] == 0 for per in SpendPeriod)
    assert account.credit.over == account.credit.reserved == 0
