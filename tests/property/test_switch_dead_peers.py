"""A thousand calls whose peers die in every way: each ends with one record of the right length, and nothing is left.

How long each call must be is worked out here by itself, from when its peers died and what both trunks say of timers.
"""

import json
from collections import Counter
from functools import cache, partial
from random import Random
from typing import NamedTuple

import pytest
from doubles.conformance import faults_of
from doubles.data.builders import applied_rate
from doubles.exploring import examples
from doubles.timed_scene import TimedScene
from doubles.virtual.customer import KNOWS_TIMER, KNOWS_UPDATE, Intent
from doubles.virtual.exchange import SWITCH
from doubles.virtual.scene import CALLEE
from doubles.virtual.vendor import Line, Script, answers_timed
from doubles.virtual.wire import Storm

from vosd.b2bua.settings import DeadCallBilling
from vosd.base.session_timer import Probe
from vosd.billing.rater import rate_call

DAYS = examples(4, 20)
CALLS_A_DAY = examples(100, 250)
LONGEST_S = 1_000
SELL, BUY = applied_rate("0.60"), applied_rate("0.30")
DEATHS = [0, 0, 0, 408, 503, 481, 481, 500, 488, None]
"""What a peer answers once it is dead: 0 = nothing; None = it lives."""
UNREACHED = {0, 408, 503}
"""Answers that say nothing of the peer itself."""


class Terms(NamedTuple):
    """What a trunk says of timers."""

    ttl_s: int
    segment: int
    early_hangup_s: int
    no_timer_limit_s: int
    probe: Probe

    @classmethod
    def drawn(cls, draw):
        return cls(
            draw.choice([90, 100, 180, 300]), draw.choice([2, 2, 3, 5]), draw.choice([0, 0, 20, 3_600]),
            draw.choice([0, 200, 300]), draw.choice(list(Probe)),
        )  # fmt: skip


class Peer(NamedTuple):
    """One end of a call: what it can, and what becomes of it."""

    has_timer: bool
    knows_update: bool
    refreshes: bool
    """It is the one that refreshes."""
    death: int | None
    dies_at_ms: int
    """From the answer."""

    @classmethod
    def drawn(cls, draw):
        has_timer = draw.random() < 0.7
        death = draw.choice(DEATHS)
        # Never at the very moment of a refresh, which would be neither before nor after it.
        at_ms = 10 * draw.randrange(25_000) + 5
        return cls(has_timer, draw.random() < 0.6, has_timer and draw.random() < 0.4, death, at_ms)

    def ends(self, terms):
        """Yield when this leg must end the call, from the answer: when that is found, and with what it is stamped."""
        ttl = 1_000 * terms.ttl_s
        step = ttl // 2 if self.refreshes else 1_000 * (terms.ttl_s // terms.segment)
        tried_first_s = step // 1_000 + (32 if self.refreshes else 0)
        margin = 1_000 * min(terms.early_hangup_s, max(0, terms.ttl_s - tried_first_s))
        limit = LONGEST_S * 1_000 if self.has_timer else 1_000 * (terms.no_timer_limit_s or LONGEST_S)
        yield limit, limit
        if self.death is None or (not self.has_timer and terms.probe is Probe.NONE):
            return
        if not self.has_timer and self.death not in {*UNREACHED, 481}:
            return  # any answer shows that it lives
        last_good = self.dies_at_ms // step * step
        if self.death == 481 and not self.refreshes:
            yield last_good + step, last_good + step
            return
        at = last_good + ttl - margin
        # The first refresh that is not answered gets its time (64·T1), however early the session is given up.
        is_awaited = self.death == 0 and not self.refreshes
        yield max(at, last_good + step + 32_000 if is_awaited else 0), at


class Plan(NamedTuple):
    """One call."""

    caller: Peer
    callee: Peer
    hang_up_ms: int
    """When the caller hangs up, if it can."""

    @classmethod
    def drawn(cls, draw):
        return cls(Peer.drawn(draw), Peer.drawn(draw), 10 * draw.randrange(5_000, 45_000) + 5)

    def length_ms(self, ours, theirs):
        """Return how long the call must be."""
        caller_dies = self.caller.death is not None and self.caller.dies_at_ms < self.hang_up_ms
        hang_up = 1_000 * LONGEST_S if caller_dies else self.hang_up_ms
        _, stamp = min((hang_up, hang_up), *self.caller.ends(ours), *self.callee.ends(theirs))
        return stamp


def refresh(side, terms, method):
    """Refresh the session for ever, as a peer that has offered to."""
    if side.is_over or side.gone is not None:
        return
    lines = ("Supported: timer", f"Session-Expires: {terms.ttl_s};refresher=uac")
    side.ask(method, body=side.mine if method == "INVITE" else "", headers=lines)
    side.wire.after(500 * terms.ttl_s, partial(refresh, side, terms, method))


class Day:
    """The calls of one day, over two trunks with terms of their own."""

    def __init__(self, seed, billing=DeadCallBilling.DETECTION, *, storm=False):
        draw = Random(seed)
        self.ours, self.theirs = Terms.drawn(draw), Terms.drawn(draw)
        limits = {"dead_call_billing": billing, "max_call_seconds": LONGEST_S}
        self.scene = TimedScene(self.ours._asdict(), self.theirs._asdict(), parameters=limits)
        self.scene.exchange.credits["acme"].limit = None
        if storm:
            self.scene.wire.delays = Storm(seed, loss=0.05, doubling=0.1, jitter_ms=60)
        self.plans = {}
        for number in range(CALLS_A_DAY):
            self.begin(f"{CALLEE}{number}", Plan.drawn(draw), draw)
            self.scene.wire.run_for(50)
        self.scene.wire.run_until(lambda: not self.scene.exchange.switch.has_calls, within_ms=10**9)

    def begin(self, callee, plan, draw):
        offer = (f"Session-Expires: {self.ours.ttl_s};refresher=uac",) if plan.caller.refreshes else ()
        intent = Intent(
            headers=(
                *(KNOWS_TIMER if plan.caller.has_timer else ()), *offer,
                *(KNOWS_UPDATE if plan.caller.knows_update else ()),
            ),
            then=partial(self.lead, plan.caller, self.ours, draw, plan.hang_up_ms),
        )  # fmt: skip
        expires = f"{self.theirs.ttl_s};refresher={'uas' if plan.callee.refreshes else 'uac'}"
        timed = answers_timed(expires, knows_update=plan.callee.knows_update)
        plain = Script((Line(0, 180), timed.lines[-1]._replace(headers=timed.lines[-1].headers[:1])))
        script = timed if plan.callee.has_timer else plain
        script = script._replace(then=partial(self.lead, plan.callee, self.theirs, draw, None))
        vendor = self.scene.vendor
        vendor.by_number = {**vendor.by_number, callee: script}
        self.plans[self.scene.caller.call(callee, intent).call_id] = plan

    def lead(self, peer, terms, draw, hang_up_ms, side):
        """Let one end live its life, from the answer on."""
        wire = self.scene.wire
        if peer.refreshes:
            method = draw.choice(["UPDATE", "INVITE"])
            wire.after(500 * terms.ttl_s, partial(refresh, side, terms, method))
        if peer.death is not None:
            wire.after(peer.dies_at_ms, partial(setattr, side, "gone", peer.death))
        if hang_up_ms is not None:
            wire.after(hang_up_ms, lambda: side.gone is None and side.hang_up())

    def judge(self):
        """Require what holds for all days; return the records by call."""
        exchange = self.scene.exchange
        assert exchange.residue() == {}
        records = {record.sip_call_id_in: record for record in exchange.sink.records}
        assert len(records) == len(exchange.sink.records)
        for account, credit in exchange.credits.items():
            assert exchange.statement(account) == credit.unbooked
        for record in records.values():
            if record.answered_at is not None:
                assert 0 <= record.hold_time_ms == record.ended_at - record.answered_at
                assert record.fee == rate_call(SELL, record.hold_time_ms).total
                assert record.cost == rate_call(BUY, record.hold_time_ms).total
        return records


@cache
def usual_day(seed):
    """Carry a day out for all tests of it; return it with its records."""
    day = Day(seed)
    return day, day.judge()


@pytest.mark.parametrize("seed", range(DAYS))
def test_every_call_ends_once_and_at_the_right_second(seed):
    day, records = usual_day(seed)
    assert records.keys() == day.plans.keys()
    wrong = {
        call_id: (record.hold_time_ms, plan.length_ms(day.ours, day.theirs), plan)
        for call_id, plan in day.plans.items()
        if (record := records[call_id]).hold_time_ms != plan.length_ms(day.ours, day.theirs)
    }
    assert wrong == {}, (day.ours, day.theirs)
    reasons = Counter(record.end_reason for record in records.values())
    assert set(reasons) <= {"Normal", "Session Timeout", "Maximum Duration"}
    assert faults_of(day.scene.wire.packets, SWITCH) == []


@pytest.mark.parametrize("seed", range(2))
def test_proof_never_bills_more_than_detection(seed):
    (_, detected), proven = usual_day(seed), Day(seed, DeadCallBilling.PROOF).judge()
    assert len(detected) == len(proven) == CALLS_A_DAY
    dead = shorter = 0
    for (_, one), (_, other) in zip(sorted(by_callee(detected)), sorted(by_callee(proven)), strict=True):
        assert 0 <= other.hold_time_ms <= one.hold_time_ms
        assert other.fee <= one.fee
        assert one.end_reason == other.end_reason
        said = json.loads(other.fee_breakdown)
        assert ("noticed_at" in said) == (other.end_reason == "Session Timeout")
        dead += "noticed_at" in said
        shorter += other.hold_time_ms < one.hold_time_ms
    assert dead
    assert shorter


def by_callee(records):
    return ((record.callee_in, record) for record in records.values())


@pytest.mark.parametrize("seed", range(2))
def test_on_a_bad_network_nothing_is_left_either(seed):
    day = Day(seed, storm=True)
    records = day.judge()
    latest = 1_000 * max(day.ours.ttl_s, day.theirs.ttl_s)
    for call_id, plan in day.plans.items():
        record = records.get(call_id)
        if record is None or record.answered_at is None:
            continue  # every copy of an INVITE, or of its answer, was lost
        assert record.hold_time_ms <= plan.length_ms(day.ours, day.theirs) + latest
