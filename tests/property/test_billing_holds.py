"""Many calls on one account, on virtual time: calls alone never carry its balance below its limit.

The model keeps the true ledger, of which the credit gets reports: commits arrive late and out of order, and people
pay, reverse and change limits meanwhile. Money that such a reversal takes is beyond any hold, so the bound that
calls must keep is measured against the news that the credit had when they were granted more time.
"""

from decimal import Decimal
from typing import NamedTuple

from doubles.data.builders import applied_rate, rating_policy
from doubles.exploring import examples
from hypothesis import settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, precondition, rule

from vosd.base.errors import Refusal
from vosd.base.money import ZERO
from vosd.billing.call_hold import CallHold
from vosd.billing.holds import AccountCredit, AccountHold
from vosd.billing.rater import rate_call

money = st.decimals(min_value=0, max_value=3, places=2)  # a few minutes: exhaustion shall be common

RATES = [
    applied_rate("0.60", 1),
    applied_rate("0.0137", 6, tax_rate="19"),
    applied_rate("1.99", 60, tax_rate="7.7", policy=rating_policy(fee_precision=2)),
    applied_rate("0.90", 7, first_rate="0.21", first_duration=180, policy=rating_policy(free_time_s=6)),
    applied_rate("0.05", 30, per_cycle=True, policy=rating_policy(hold_time_precision_ms=0, nonzero_floor=True)),
    applied_rate("0", 60),
]


class RunningCall:
    """A call in talk: what it holds, when it was answered."""

    def __init__(self, hold: AccountHold, ceiling_s: int, answered_ms: int) -> None:
        self.hold = hold
        self.call_hold = CallHold([hold], hold.granted_s, ceiling_s)
        self.answered_ms = answered_ms

    @property
    def deadline_ms(self) -> int:
        return self.answered_ms + self.hold.granted_s * 1000


class Commit(NamedTuple):
    """One transaction of the ledger, as it will be told to the credit."""

    balance: Decimal
    seq: int
    of_calls: Decimal
    """What of it the credit had posted itself."""


class CallsOnOneAccount(RuleBasedStateMachine):
    """The ledger, the switch and the clock around one credit."""

    untold = Bundle("untold")

    @initialize(balance=money, limit=money, only_calls_take=st.booleans())
    def open_account(self, balance, limit, only_calls_take):
        self.credit = AccountCredit("acme", limit, balance)
        self.ledger = balance
        self.seq = 0
        self.newest_told = (0, balance)
        self.now_ms = 0
        self.running: list[RunningCall] = []
        self.ended_unbooked: list[Decimal] = []
        self.lowest_allowed = -limit
        self.only_calls_take = only_calls_take

    def exposed(self) -> Decimal:
        """What the balance becomes, as far as the credit knows, if every hold is used to the end."""
        return self.credit.balance + self.credit.unbooked - self.credit.reserved

    def news(self):
        """From now on calls answer for what they are granted on top of the state as it is now known."""
        self.lowest_allowed = min(-self.credit.limit, self.exposed())

    @rule(applied=st.sampled_from(RATES), want_s=st.integers(1, 300), ceiling_s=st.integers(1, 900))
    def call_is_answered(self, applied, want_s, ceiling_s):
        available = self.credit.available
        hold = self.credit.hold(applied, want_s, ceiling_s)
        if isinstance(hold, Refusal):
            assert rate_call(applied, min(want_s, ceiling_s) * 1000).total > available
        else:
            self.running.append(RunningCall(hold, ceiling_s, self.now_ms))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def call_hangs_up(self, data):
        call = data.draw(st.sampled_from(self.running))
        self.end(call, self.now_ms - call.answered_ms)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def call_is_lost_without_charge(self, data):
        call = data.draw(st.sampled_from(self.running))
        self.running.remove(call)
        self.credit.release(call.hold)

    @rule(ms=st.integers(1, 400_000), want_s=st.integers(1, 120))
    def time_passes(self, ms, want_s):
        until_ms = self.now_ms + ms
        while due := [call for call in self.running if call.deadline_ms <= until_ms]:
            call = min(due, key=lambda each: each.deadline_ms)
            self.now_ms = max(self.now_ms, call.deadline_ms)
            granted_before_s = call.hold.granted_s
            call.hold.advance_s, ceiling_s = want_s, call.call_hold.ceiling_s
            if call.call_hold.extend():
                assert granted_before_s < call.hold.granted_s <= min(granted_before_s + want_s, ceiling_s)
            else:
                assert call.hold.granted_s == granted_before_s
                self.there_is_nothing_left_for(call.hold, ceiling_s)
                self.end(call, granted_before_s * 1000)
        self.now_ms = until_ms

    def there_is_nothing_left_for(self, hold: AccountHold, ceiling_s: int):
        """However small its share: a call that is cut could not have paid for one second more."""
        if hold.granted_s < ceiling_s:
            wants = rate_call(hold.applied, (hold.granted_s + 1) * 1000).total
            assert wants - hold.amount > max(self.credit.available, ZERO)

    def end(self, call: RunningCall, duration_ms: int):
        charge = rate_call(call.hold.applied, duration_ms).total
        assert charge <= call.hold.amount
        self.running.remove(call)
        self.credit.release(call.hold)
        self.credit.post(-charge)
        self.ended_unbooked.append(-charge)

    @rule(target=untold, at_most=st.integers(1, 5))
    def calls_are_booked(self, at_most):
        batch, self.ended_unbooked = self.ended_unbooked[:at_most], self.ended_unbooked[at_most:]
        return self.commit(sum(batch, ZERO), of_calls=sum(batch, ZERO))

    @rule(target=untold, amount=money)
    def payment_arrives(self, amount):
        return self.commit(amount)

    @precondition(lambda self: not self.only_calls_take)
    @rule(target=untold, amount=money)
    def payment_is_reversed(self, amount):
        return self.commit(-amount)

    def commit(self, amount: Decimal, of_calls: Decimal = ZERO) -> Commit:
        self.ledger += amount
        self.seq += 1
        return Commit(self.ledger, self.seq, of_calls)

    @rule(commit=consumes(untold))
    def commit_is_told(self, commit):
        self.credit.committed(commit.balance, commit.seq)
        self.credit.booked(commit.of_calls)
        self.newest_told = max(self.newest_told, (commit.seq, commit.balance))
        self.news()

    @rule()
    def poll_brings_the_latest_balance_early(self):
        self.credit.committed(self.ledger, self.seq)
        self.newest_told = (self.seq, self.ledger)
        self.news()

    @rule(more=money)
    def limit_is_raised(self, more):
        self.credit.limit += more
        self.news()

    @precondition(lambda self: not self.only_calls_take)
    @rule(limit=money)
    def limit_changes(self, limit):
        self.credit.limit = limit
        self.news()

    @invariant()
    def calls_keep_the_bound(self):
        assert self.exposed() >= self.lowest_allowed

    @invariant()
    def true_balance_keeps_the_limit_where_only_calls_take(self):
        if self.only_calls_take:
            assert self.owed_at_worst() >= -self.credit.limit

    @invariant()
    def credit_has_the_newest_reported_balance(self):
        assert (self.credit.seq, self.credit.balance) == self.newest_told

    @invariant()
    def reserve_is_what_running_calls_may_still_cost(self):
        assert self.credit.reserved == sum((call.hold.amount for call in self.running), ZERO)
        for call in self.running:
            assert rate_call(call.hold.applied, call.hold.granted_s * 1000).total == call.hold.amount

    def owed_at_worst(self) -> Decimal:
        """The true balance once all is booked, if every running call lasts as long as it may."""
        return self.ledger + sum(self.ended_unbooked, ZERO) - self.credit.reserved

    def teardown(self):
        for call in list(self.running):
            self.end(call, min(self.now_ms, call.deadline_ms) - call.answered_ms)
        self.calls_keep_the_bound()
        self.true_balance_keeps_the_limit_where_only_calls_take()
        assert self.credit.reserved == 0


TestCallsOnOneAccount = CallsOnOneAccount.TestCase
TestCallsOnOneAccount.settings = settings(max_examples=examples(60, 200), stateful_step_count=50, deadline=None)
