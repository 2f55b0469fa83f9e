"""Calls alone never carry a balance below its limit, shown through the whole switch.

Many calls on one account on virtual time; answers and BYEs at any millisecond, timers that run late, callers that
never acknowledge; commits that are told late and out of order, payments, reversals and limits changed meanwhile.
"""

from decimal import Decimal
from typing import NamedTuple

from doubles.data.builders import account, applied_rate, catalogue, mapping_gateway, rate_group, rating_policy
from doubles.exploring import examples
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway
from doubles.virtual.vendor import RINGS, Line
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vosd.base.money import ZERO
from vosd.billing.rater import rate_call

money = st.decimals(min_value=0, max_value=3, places=2)  # a few minutes: exhaustion shall be common

RATES = (
    {"prefix": "441", "billing_rate": "0.60"},
    {"prefix": "442", "billing_rate": "0.137", "billing_cycle": 6, "tax_rate": "19"},
    {"prefix": "443", "billing_rate": "1.99", "billing_cycle": 60, "tax_rate": "7.7"},
    {"prefix": "444", "billing_rate": "0.90", "billing_cycle": 7, "first_rate": "0.21", "first_duration": 30},
)
POLICIES = [
    rating_policy(),
    rating_policy(hold_time_precision_ms=0, fee_precision=2),
    rating_policy(hold_time_precision_ms=999, free_time_s=6, nonzero_floor=True),
]


class Commit(NamedTuple):
    """One transaction of the database, as it will be told to the credit."""

    balance: Decimal
    seq: int
    of_calls: Decimal
    """What of it the credit had posted itself."""


class OneAccount(RuleBasedStateMachine):
    """The database, the parties and the clock around one switch."""

    @initialize(
        balance=money,
        limit=money,
        policy=st.sampled_from(POLICIES),
        advance_s=st.integers(5, 90),
        lateness_ms=st.sampled_from([0, 7, 60, 1_500]),
        only_calls_take=st.booleans(),
        charges_ringing=st.booleans(),
    )
    def open_account(self, balance, limit, policy, advance_s, lateness_ms, only_calls_take, charges_ringing):
        self.charges_ringing = charges_ringing
        self.policy, self.advance_s, self.limit = policy, advance_s, limit
        self.scene = Scene(self.catalogue(), balance=balance, lateness_ms=lateness_ms)
        self.scene.vendor.script = RINGS
        self.credit = self.scene.exchange.credits["acme"]
        self.ledger, self.seq, self.booked = balance, 1, 0
        self.untold: list[Commit] = []
        self.calls = []
        self.lowest_allowed = -limit
        self.only_calls_take = only_calls_take

    def catalogue(self):
        sell = rate_group("sell", *(applied_rate(**terms, policy=self.policy) for terms in RATES))
        acme = account("acme", overdraft_limit=self.limit, advance_s=self.advance_s)
        gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
        return catalogue(gateways, accounts=[acme], rate_groups=[sell], charges_ringing=self.charges_ringing)

    # -- what is known ------------------------------------------------------------------------------------------

    @property
    def records(self):
        return self.scene.exchange.sink.records

    def owed_at_worst(self) -> Decimal:
        """The true balance once all is booked, if every running call lasts as long as it may."""
        unbooked = sum((-(record.fee + record.tax) for record in self.records[self.booked :]), ZERO)
        return self.ledger + unbooked - self.credit.reserved

    def exposed(self) -> Decimal:
        """The same as far as the switch knows."""
        return self.credit.balance + self.credit.unbooked - self.credit.reserved

    def news(self):
        """From now on calls answer for what they are granted on top of the state as it is now known."""
        self.lowest_allowed = min(-self.credit.limit, self.exposed())

    # -- what happens -------------------------------------------------------------------------------------------

    @rule(
        prefix=st.sampled_from([terms["prefix"] for terms in RATES]),
        acknowledges=st.sampled_from([True, True, True, False]),
    )
    def a_call_comes(self, prefix, acknowledges):
        self.calls.append(self.scene.caller.call(f"{prefix}7946000", Intent(acknowledges=acknowledges)))
        self.scene.wire.run_for(2)

    @precondition(lambda self: self.scene.vendor.calls)
    @rule(data=st.data())
    def the_vendor_answers(self, data):
        data.draw(st.sampled_from(self.scene.vendor.calls)).respond(Line(0, 200, ANSWER))

    @precondition(lambda self: self.scene.vendor.calls)
    @rule(data=st.data())
    def the_vendor_hangs_up(self, data):
        call = data.draw(st.sampled_from(self.scene.vendor.calls))
        if call.final == 200:
            call.hang_up()

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def the_caller_gives_up(self, data):
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
        of_calls = sum((-(record.fee + record.tax) for record in batch), ZERO)
        self.commit(of_calls, of_calls)

    @rule(amount=money)
    def a_payment_arrives(self, amount):
        self.commit(amount)

    @precondition(lambda self: not self.only_calls_take)
    @rule(amount=money)
    def a_payment_is_reversed(self, amount):
        self.commit(-amount)

    def commit(self, amount: Decimal, of_calls: Decimal = ZERO):
        self.ledger += amount
        self.seq += 1
        self.untold.append(Commit(self.ledger, self.seq, of_calls))

    @precondition(lambda self: self.untold)
    @rule(data=st.data())
    def a_commit_is_told(self, data):
        self.tell(data.draw(st.sampled_from(self.untold)))

    def tell(self, commit: Commit):
        self.untold.remove(commit)
        self.credit.committed(commit.balance, commit.seq)
        self.credit.booked(commit.of_calls)
        self.news()

    @rule(more=money)
    def the_limit_is_raised(self, more):
        self.reload(self.limit + more)

    @precondition(lambda self: not self.only_calls_take)
    @rule(limit=money)
    def the_limit_changes(self, limit):
        self.reload(limit)

    def reload(self, limit):
        self.limit = limit
        self.scene.exchange.switch.terms.swap(self.catalogue())
        self.news()

    # -- what always holds --------------------------------------------------------------------------------------

    @invariant()
    def calls_keep_the_bound(self):
        assert self.exposed() >= self.lowest_allowed

    @invariant()
    def the_true_balance_keeps_the_limit_where_only_calls_take(self):
        if self.only_calls_take:
            assert self.owed_at_worst() >= -self.credit.limit

    @invariant()
    def every_record_is_charged_for_what_it_lasted(self):
        for record in self.records[self.booked :]:
            charged_ms = record.hold_time_ms if record.billing_base_ms is None else record.billing_base_ms
            if record.answered_at is None and record.billing_base_ms is None:
                assert record.postings == ()
                continue
            rate = self.scene.exchange.switch.catalogue.rate_groups["sell"].find(
                record.callee_billing, record.started_at
            )
            assert record.fee + record.tax == rate_call(rate, charged_ms).total
            if record.end_reason == "Balance Exhausted":
                assert charged_ms % 1000 == 0

    def teardown(self):
        if not hasattr(self, "scene"):
            return
        for call in self.calls:
            if not call.is_over:
                call.hang_up() if call.final == 200 else call.cancel()
        assert self.scene.exchange.residue() == {}
        self.calls_keep_the_bound()
        self.the_true_balance_keeps_the_limit_where_only_calls_take()
        charged = sum((record.fee + record.tax for record in self.records), ZERO)
        assert -self.scene.exchange.statement("acme") == charged
        self.calls_are_booked(len(self.records))
        for commit in reversed(list(self.untold)):
            self.tell(commit)
        assert (self.credit.balance, self.credit.unbooked, self.credit.reserved) == (self.ledger, 0, 0)
        assert len(self.records) == len(self.calls)


TestOneAccount = OneAccount.TestCase
TestOneAccount.settings = settings(max_examples=examples(50, 800), stateful_step_count=40, deadline=None)
