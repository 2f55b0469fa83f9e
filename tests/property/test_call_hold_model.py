"""Any calls over agents at three levels, vendors paid in advance and partners: no account is carried below its limit.

The pure part of the money, without SIP: holds over several accounts that are joined, left, extended and given back in
any order, while commits are told late and out of order, people pay, reverse payments, move money and change limits.
A partner makes calls and is paid for others, its own ones too: what it earns counts when it is booked, and not before.
After every step each account that has a limit keeps the bound against what was known when its calls were granted more.
"""

from decimal import Decimal
from typing import NamedTuple

from doubles.data.builders import applied_rate, rating_policy
from doubles.exploring import examples
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vosd.base.errors import Refusal
from vosd.base.money import ZERO
from vosd.billing.call_hold import CallHold
from vosd.billing.holds import AccountCredit, AccountHold
from vosd.billing.rater import rate_call
from vosd.billing.rates import AppliedRate

money = st.decimals(min_value=0, max_value=3, places=2)  # a few minutes: exhaustion shall be common

AGENTS = {
    "acme": ("south", "north", "top"),
    "bingo": ("south", "north", "top"),
    "both": ("north", "top"),
    "alone": (),
    "partner": (),
    "peer": (),
}
"""Customers and the agents above them."""
VENDORS = ("first", "second", "both")
"""``both`` is a customer's account and a vendor's."""
PARTNERS = ("partner", "peer")
"""Customers whose gateways carry calls, which raises their balances."""
NAMES = ("acme", "bingo", "both", "alone", "south", "north", "top", "first", "second", *PARTNERS)

RATES = [
    applied_rate("0.60", 1),
    applied_rate("0.0137", 6, tax_rate="19"),
    applied_rate("1.99", 60, tax_rate="7.7", policy=rating_policy(fee_precision=2)),
    applied_rate("0.90", 7, first_rate="0.21", first_duration=180, policy=rating_policy(free_time_s=6)),
    applied_rate("0.05", 30, per_cycle=True, policy=rating_policy(hold_time_precision_ms=0, nonzero_floor=True)),
    applied_rate(
        "0.30", 1, connection_fee="0.05", minimum_charge="0.11", policy=rating_policy(hold_time_precision_ms=0)
    ),
    applied_rate("0.45", 6, sections="0.30@60;0.70@180", tax_rate="10"),
    applied_rate("0", 60),
]
rates = st.sampled_from(RATES)


class Commit(NamedTuple):
    """One transaction of the ledger on one account, as it will be told to the credit."""

    account: str
    balance: Decimal
    seq: int
    of_calls: tuple[Decimal, ...]
    """The postings in it that the credit was told of before."""


class Ledger:
    """The truth about one account, and the bound that its calls keep."""

    def __init__(self, name: str, limit: Decimal, balance: Decimal) -> None:
        self.credit = AccountCredit(name, limit, balance)
        self.balance = balance
        self.seq = 0
        self.unbooked: list[Decimal] = []
        """What ended calls owe, or have earned, and no commit contains."""
        self.lowest_allowed = -limit

    def exposed(self) -> Decimal:
        """What the balance becomes, as far as the credit knows, if every hold is used to its end."""
        return self.credit.balance + self.credit.unbooked - self.credit.reserved

    def news(self) -> None:
        """From now on calls answer for what they are granted on top of the state as it is now known."""
        if self.credit.limit is not None:
            self.lowest_allowed = min(-self.credit.limit, self.exposed())


class RunningCall:
    """A call from its set-up to its end."""

    def __init__(self, hold: CallHold) -> None:
        self.hold = hold
        self.vendor: tuple[str, AppliedRate] | None = None
        self.earner: tuple[str, AppliedRate] | None = None
        """The partner whose gateway is tried: nothing is held for it."""
        self.answered_ms: int | None = None
        self.lead_ms = 0

    @property
    def deadline_ms(self) -> int:
        assert self.answered_ms is not None
        return self.answered_ms + min(self.hold.granted_s, self.hold.ceiling_s) * 1_000


class CallsOverSeveralAccounts(RuleBasedStateMachine):
    """The ledger, the switch and the clock around the credits."""

    @initialize(
        balances=st.lists(money, min_size=len(NAMES), max_size=len(NAMES)),
        limits=st.lists(st.sampled_from(["0", "0", "0.5", "3"]), min_size=len(NAMES), max_size=len(NAMES)),
        only_calls_take=st.booleans(),
    )
    def open_accounts(self, balances, limits, only_calls_take):
        self.ledgers = {
            name: Ledger(name, Decimal(limit), balance)
            for name, limit, balance in zip(NAMES, limits, balances, strict=True)
        }
        self.only_calls_take = only_calls_take
        self.now_ms = 0
        self.calls: list[RunningCall] = []
        self.untold: list[Commit] = []

    def credit(self, name: str) -> AccountCredit:
        return self.ledgers[name].credit

    # -- calls --------------------------------------------------------------------------------------------------

    @rule(
        customer=st.sampled_from(sorted(AGENTS)),
        applied=st.lists(rates, min_size=4, max_size=4),
        advances=st.lists(st.integers(1, 120), min_size=4, max_size=4),
        ceiling_s=st.integers(1, 900),
    )
    def a_call_is_set_up(self, customer, applied, advances, ceiling_s):
        before = {name: each.credit.reserved for name, each in self.ledgers.items()}
        hold = self.credit(customer).hold(applied[0], advances[0], ceiling_s)
        if isinstance(hold, Refusal):
            assert {name: each.credit.reserved for name, each in self.ledgers.items()} == before
            return
        call_hold = CallHold([hold], hold.granted_s, ceiling_s)
        for level, agent in enumerate(AGENTS[customer], start=1):
            if call_hold.add_agent(self.credit(agent), applied[level], advances[level]) is not None:
                call_hold.undo()
                assert {name: each.credit.reserved for name, each in self.ledgers.items()} == before
                return
        self.calls.append(RunningCall(call_hold))

    def waiting(self) -> list[RunningCall]:
        return [call for call in self.calls if call.answered_ms is None]

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), vendor=st.sampled_from(VENDORS), applied=rates, advance_s=st.integers(1, 120))
    def a_vendor_is_tried_in_place_of_the_one_before(self, data, vendor, applied, advance_s):
        call = data.draw(st.sampled_from(self.waiting()))
        before = self.credit(vendor).reserved
        refusal = call.hold.join(self.credit(vendor), applied, advance_s)
        if refusal is not None:
            assert self.credit(vendor).reserved == before
            return
        self.give_up_attempt(call)
        call.vendor = vendor, applied

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), partner=st.sampled_from(PARTNERS), applied=rates)
    def a_partner_is_tried_in_place_of_the_vendor_before(self, data, partner, applied):
        call = data.draw(st.sampled_from(self.waiting()))
        self.give_up_attempt(call)
        call.earner = partner, applied

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def an_attempt_fails(self, data):
        self.give_up_attempt(data.draw(st.sampled_from(self.waiting())))

    def give_up_attempt(self, call: RunningCall):
        if call.vendor is not None:
            call.hold.leave(*call.vendor)
        call.vendor = call.earner = None

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), lead_ms=st.integers(0, 20_000))
    def a_call_is_answered(self, data, lead_ms):
        """Our 200 is so much later than the vendor's, but never later than what the vendor is paid for."""
        call = data.draw(st.sampled_from(self.waiting()))
        if call.hold.vendor_s is not None:
            lead_ms = min(lead_ms, 1_000 * call.hold.vendor_s)
        call.answered_ms, call.lead_ms = self.now_ms, lead_ms
        call.hold.answered(lead_ms)

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def a_call_ends(self, data):
        call = data.draw(st.sampled_from(self.calls))
        self.end(call, self.now_ms)

    @precondition(lambda self: self.waiting())
    @rule(data=st.data(), waited_ms=st.integers(0, 20_000))
    def a_call_ends_that_only_its_vendor_has_answered(self, data, waited_ms):
        call = data.draw(st.sampled_from(self.waiting()))
        if call.vendor is not None and call.hold.vendor_s is not None:
            self.post(call.hold.vendors[-1], min(waited_ms, 1_000 * call.hold.vendor_s))
        self.calls.remove(call)
        call.hold.give_back()

    @rule(ms=st.integers(1, 400_000))
    def time_passes(self, ms):
        until_ms = self.now_ms + ms
        while due := [call for call in self.calls if call.answered_ms is not None and call.deadline_ms <= until_ms]:
            call = min(due, key=lambda each: each.deadline_ms)
            self.now_ms = max(self.now_ms, call.deadline_ms)
            granted_s = call.hold.granted_s
            if call.hold.extend():
                assert granted_s < call.hold.granted_s <= call.hold.ceiling_s
            else:
                assert call.hold.granted_s == granted_s
                self.one_account_cannot_pay_for_one_second_more(call)
                self.end(call, call.deadline_ms)
        self.now_ms = until_ms

    def one_account_cannot_pay_for_one_second_more(self, call: RunningCall):
        if call.hold.granted_s >= call.hold.ceiling_s:
            return
        wanted: dict[str, Decimal] = {}
        for hold in call.hold.holds:
            seconds = call.hold.granted_s + 1 + hold.lead_s
            price = max(total(hold, seconds), hold.amount)
            wanted[hold.credit.account] = wanted.get(hold.credit.account, ZERO) + price - hold.amount
        assert any(more > max(self.credit(name).available, ZERO) for name, more in wanted.items())

    def end(self, call: RunningCall, at_ms: int):
        """End a call at its deadline at the latest; each account pays by its own duration."""
        self.calls.remove(call)
        if call.answered_ms is not None:
            lasted_ms = min(at_ms, call.deadline_ms) - call.answered_ms
            for hold in call.hold.holds:
                is_vendor = any(hold is each for each in call.hold.vendors)
                self.post(hold, lasted_ms + call.lead_ms if is_vendor else lasted_ms)
            self.earn(call, lasted_ms + call.lead_ms)
        call.hold.give_back()

    def post(self, hold: AccountHold, duration_ms: int):
        charge = rate_call(hold.applied, duration_ms).total
        assert charge <= hold.amount
        hold.credit.post(-charge)
        self.ledgers[hold.credit.account].unbooked.append(-charge)

    def earn(self, call: RunningCall, duration_ms: int):
        if call.earner is not None:
            name, applied = call.earner
            earned = rate_call(applied, duration_ms).total
            self.credit(name).post(earned)
            self.ledgers[name].unbooked.append(earned)

    # -- the ledger ---------------------------------------------------------------------------------------------

    @rule(at_most=st.integers(1, 5))
    def calls_are_booked(self, at_most):
        for name, each in self.ledgers.items():
            batch, each.unbooked = each.unbooked[:at_most], each.unbooked[at_most:]
            if batch:
                self.commit(name, sum(batch, ZERO), of_calls=tuple(batch))

    @rule(name=st.sampled_from(NAMES), amount=money)
    def a_payment_arrives(self, name, amount):
        self.commit(name, amount)

    @precondition(lambda self: not self.only_calls_take)
    @rule(name=st.sampled_from(NAMES), amount=money)
    def a_payment_is_reversed(self, name, amount):
        self.commit(name, -amount)

    @precondition(lambda self: not self.only_calls_take)
    @rule(ends=st.permutations(NAMES), amount=money)
    def money_is_moved_away(self, ends, amount):
        self.commit(ends[0], -amount)
        self.commit(ends[1], amount)

    def commit(self, name: str, amount: Decimal, of_calls: tuple[Decimal, ...] = ()):
        ledger = self.ledgers[name]
        ledger.balance += amount
        ledger.seq += 1
        self.untold.append(Commit(name, ledger.balance, ledger.seq, of_calls))

    @precondition(lambda self: self.untold)
    @rule(data=st.data())
    def a_commit_is_told(self, data):
        commit = data.draw(st.sampled_from(self.untold))
        self.untold.remove(commit)
        credit = self.credit(commit.account)
        credit.committed(commit.balance, commit.seq)
        for posted in commit.of_calls:
            credit.booked(posted)
        self.ledgers[commit.account].news()

    @precondition(lambda self: not self.only_calls_take)
    @rule(name=st.sampled_from(NAMES), limit=st.none() | money)
    def a_limit_changes(self, name, limit):
        self.credit(name).set_terms(limit, None)
        self.ledgers[name].news()

    # -- what always holds --------------------------------------------------------------------------------------

    @invariant()
    def calls_keep_the_bound_of_every_account(self):
        for each in self.ledgers.values():
            if each.credit.limit is not None:
                assert each.exposed() >= each.lowest_allowed

    @invariant()
    def true_balances_keep_their_limits_where_only_calls_take(self):
        if self.only_calls_take:
            for each in self.ledgers.values():
                owed = sum((amount for amount in each.unbooked if amount < 0), ZERO)
                assert each.balance + owed - each.credit.reserved >= -each.credit.limit

    @invariant()
    def what_is_earned_counts_only_in_balances(self):
        for each in self.ledgers.values():
            told = sum((amount for amount in each.unbooked if amount < 0), ZERO)
            told += sum(
                amount
                for commit in self.untold
                if commit.account == each.credit.account
                for amount in commit.of_calls
                if amount < 0
            )
            assert each.credit.unbooked == told

    @invariant()
    def what_is_reserved_is_what_the_calls_hold(self):
        held = dict.fromkeys(NAMES, ZERO)
        counted = dict.fromkeys(NAMES, 0)
        for call in self.calls:
            for hold in call.hold.holds:
                assert hold.is_open
                assert hold.amount == total(hold, hold.granted_s)
                held[hold.credit.account] += hold.amount
                counted[hold.credit.account] += 1
            assert call.hold.granted_s <= min(each.granted_s - each.lead_s for each in call.hold.holds) or (
                call.hold.granted_s == 0
            )
        for name, each in self.ledgers.items():
            assert (each.credit.reserved, len(each.credit._holds)) == (held[name], counted[name])

    def teardown(self):
        for call in list(self.calls):
            self.end(call, self.now_ms)
        self.calls_keep_the_bound_of_every_account()
        self.true_balances_keep_their_limits_where_only_calls_take()
        assert all(each.credit.reserved == 0 and not each.credit._holds for each in self.ledgers.values())


def total(hold: AccountHold, seconds: int) -> Decimal:
    """Return what a call of so many seconds costs; the rates here are dearer the longer a call is."""
    return rate_call(hold.applied, seconds * 1_000).total


TestCallsOverSeveralAccounts = CallsOverSeveralAccounts.TestCase
TestCallsOverSeveralAccounts.settings = settings(max_examples=examples(70, 300), stateful_step_count=50, deadline=None)
