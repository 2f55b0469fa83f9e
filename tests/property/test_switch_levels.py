"""Calls alone never carry an account below its limit, at any level, shown through the whole switch.

Calls of two customers below two agents, by two vendors that are paid in advance, on virtual time: vendors refuse, ring
and answer at any millisecond, timers run late; commits are told late and out of order, people pay, reverse and move
money, and reloads change limits.
"""

from decimal import Decimal
from typing import NamedTuple

from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group, rating_policy
from doubles.exploring import examples
from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, Line
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vosd.base.money import ZERO
from vosd.billing.accounts import AccountType

money = st.decimals(min_value=0, max_value=3, places=2)  # a few minutes: exhaustion shall be common

OTHER = Endpoint("198.51.100.20", 5060)
AGENTS = {"acme": "south", "bingo": "top", "south": "top", "top": None}
VENDORS = ("first", "second")
NAMES = (*AGENTS, *VENDORS)
POLICY = rating_policy(hold_time_precision_ms=0)
GROUPS = {
    "acme": applied_rate("0.90", 7, first_rate="0.21", first_duration=30, policy=POLICY),
    "bingo": applied_rate("0.60", 1, connection_fee="0.03", policy=rating_policy(free_time_s=6)),
    "south": applied_rate("0.54", 1, tax_rate="19", policy=POLICY),
    "top": applied_rate("1.20", 60, policy=rating_policy(fee_precision=2)),
    "first": applied_rate("0.40", 6, policy=POLICY),
    "second": applied_rate("0.30", 1, sections="0.20@30;0.33@60", policy=POLICY),
}


class Commit(NamedTuple):
    """One transaction of the database on one account, as it will be told to its credit."""

    account: str
    balance: Decimal
    seq: int
    of_calls: Decimal


class Levels(RuleBasedStateMachine):
    """The database, the parties and the clock around one switch."""

    @initialize(
        balances=st.lists(money, min_size=len(NAMES), max_size=len(NAMES)),
        advance_s=st.integers(5, 90),
        lateness_ms=st.sampled_from([0, 7, 60, 1_500]),
        only_calls_take=st.booleans(),
    )
    def open_accounts(self, balances, advance_s, lateness_ms, only_calls_take):
        self.advance_s, self.only_calls_take = advance_s, only_calls_take
        self.limits = dict.fromkeys(NAMES, Decimal("0.40"))
        self.scene = Scene(self.catalogue(), lateness_ms=lateness_ms)
        self.credits = self.scene.exchange.credits
        self.callers = [self.scene.caller, self.scene.exchange.caller(OTHER)]
        for vendor in self.scene.vendors:
            vendor.script = RINGS
        self.ledger = dict(zip(NAMES, balances, strict=True))
        self.seq = 1
        for name in NAMES:
            self.credits[name].restore(self.ledger[name], 1)
        self.booked = 0
        self.untold: list[Commit] = []
        self.calls = []
        self.lowest_allowed = {name: -limit for name, limit in self.limits.items()}

    def catalogue(self):
        customers = [
            account(name, rate_group=name, agent=agent, overdraft_limit=self.limits[name], advance_s=self.advance_s)
            for name, agent in AGENTS.items()
        ]
        vendors = [
            account(
                name,
                type=AccountType.CLEARING,
                rate_group=name,
                overdraft_limit=self.limits[name],
                advance_s=self.advance_s + 7,
            )
            for name in VENDORS
        ]
        gateways = [
            mapping_gateway("acme", f"{CUSTOMER.host}/32"),
            mapping_gateway("bingo", f"{OTHER.host}/32"),
            *(vendor_gateway(index, account=name, failover_after_ringing=True) for index, name in enumerate(VENDORS)),
        ]
        groups = [rate_group(name, rate) for name, rate in GROUPS.items()]
        return catalogue(gateways, accounts=[*customers, *vendors], rate_groups=groups)

    # -- what is known ------------------------------------------------------------------------------------------

    @property
    def records(self):
        return self.scene.exchange.sink.all_records

    def unbooked(self, name: str, records) -> Decimal:
        return sum((each.amount for record in records for each in record.postings if each.account == name), ZERO)

    def exposed(self, name: str) -> Decimal:
        credit = self.credits[name]
        return credit.balance + credit.unbooked - credit.reserved

    def news(self, name: str):
        self.lowest_allowed[name] = min(-self.credits[name].limit, self.exposed(name))

    # -- what happens -------------------------------------------------------------------------------------------

    @rule(caller=st.sampled_from([0, 1]), acknowledges=st.sampled_from([True, True, True, False]))
    def a_call_comes(self, caller, acknowledges):
        self.calls.append(self.callers[caller].call("447946000", Intent(acknowledges=acknowledges)))
        self.scene.wire.run_for(2)

    def ringing(self):
        return [call for vendor in self.scene.vendors for call in vendor.calls]

    @precondition(lambda self: self.ringing())
    @rule(data=st.data(), status=st.sampled_from([200, 200, 200, 503]))
    def a_vendor_answers_or_refuses(self, data, status):
        call = data.draw(st.sampled_from(self.ringing()))
        call.respond(Line(0, status, ANSWER if status == 200 else ""))

    @precondition(lambda self: self.ringing())
    @rule(data=st.data())
    def a_vendor_hangs_up(self, data):
        call = data.draw(st.sampled_from(self.ringing()))
        if call.final == 200:
            call.hang_up()

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def a_caller_gives_up(self, data):
        call = data.draw(st.sampled_from(self.calls))
        if call.final is None:
            call.cancel()
        elif call.final == 200:
            call.hang_up()

    @rule(ms=st.one_of(st.integers(0, 3_000), st.integers(0, 200_000)))
    def time_passes(self, ms):
        self.scene.wire.run_for(ms)

    @rule(at_most=st.integers(1, 5))
    def calls_are_booked(self, at_most):
        batch = self.records[self.booked : self.booked + at_most]
        self.booked += len(batch)
        for name in NAMES:
            of_calls = self.unbooked(name, batch)
            if of_calls:
                self.commit(name, of_calls, of_calls)

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

    def commit(self, name: str, amount: Decimal, of_calls: Decimal = ZERO):
        self.ledger[name] += amount
        self.seq += 1
        self.untold.append(Commit(name, self.ledger[name], self.seq, of_calls))

    @precondition(lambda self: self.untold)
    @rule(data=st.data())
    def a_commit_is_told(self, data):
        self.tell(data.draw(st.sampled_from(self.untold)))

    def tell(self, commit: Commit):
        self.untold.remove(commit)
        credit = self.credits[commit.account]
        credit.committed(commit.balance, commit.seq)
        credit.booked(commit.of_calls)
        self.news(commit.account)

    @precondition(lambda self: not self.only_calls_take)
    @rule(name=st.sampled_from(NAMES), limit=money)
    def a_reload_changes_a_limit(self, name, limit):
        self.limits[name] = limit
        self.scene.exchange.switch.terms.swap(self.catalogue())
        self.news(name)

    # -- what always holds --------------------------------------------------------------------------------------

    @invariant()
    def calls_keep_the_bound_of_every_account(self):
        for name in NAMES:
            assert self.exposed(name) >= self.lowest_allowed[name], name

    @invariant()
    def the_true_balances_keep_their_limits_where_only_calls_take(self):
        if self.only_calls_take:
            for name in NAMES:
                at_worst = self.ledger[name] + self.unbooked(name, self.records[self.booked :])
                assert at_worst - self.credits[name].reserved >= -self.credits[name].limit, name

    @invariant()
    def every_level_of_an_answered_call_is_charged(self):
        for record in self.records[self.booked :]:
            if record.customer_account is None:  # what a vendor is owed for a late answer
                continue
            agents = [each.account for each in record.charges if each.role == "agent"]
            expected = {"acme": ["south", "top"], "bingo": ["top"]}[record.customer_account]
            assert agents == ([] if record.answered_at is None else expected)

    def teardown(self):
        if not hasattr(self, "scene"):
            return
        for call in self.calls:
            if not call.is_over:
                call.hang_up() if call.final == 200 else call.cancel()
        assert self.scene.exchange.residue() == {}
        self.calls_keep_the_bound_of_every_account()
        self.the_true_balances_keep_their_limits_where_only_calls_take()
        self.calls_are_booked(len(self.records))
        for commit in reversed(list(self.untold)):
            self.tell(commit)
        for name in NAMES:
            credit = self.credits[name]
            assert (credit.balance, credit.unbooked, credit.reserved) == (self.ledger[name], 0, 0)
            assert not credit._holds
        assert len(self.scene.exchange.sink.records) == len(self.calls)


TestLevels = Levels.TestCase
TestLevels.settings = settings(max_examples=examples(40, 600), stateful_step_count=40, deadline=None)
