"""Whatever both sides of a call do while it lasts, it ends, is recorded once, and is paid for what it lasted.

Sides that propose, cancel, transfer, take over, press keys, fall silent and answer with any code at all, on a network
that loses, doubles and reorders packets and now and then falsifies one, or behind a NAT that forgets. A seed makes
the same day again.
"""

import re
from collections import Counter
from functools import partial
from random import Random

import pytest
from doubles.conformance import faults_of
from doubles.data.builders import applied_rate
from doubles.exploring import examples
from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import INSISTS_ON_RELIABLE, KNOWS_TIMER, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.exchange import RESIDUE_MS, SWITCH
from doubles.virtual.scene import CALLEE, CUSTOMER, VENDORS, Scene, usual_catalogue
from doubles.virtual.side import SILENCE, Reply
from doubles.virtual.vendor import RINGS, Line, Script, answers, answers_reliably, answers_timed, refuses
from doubles.virtual.wire import Storm
from structlog.testing import capture_logs

from vosd.base.nat import Nat
from vosd.base.session_timer import Probe, SessionTimerSettings
from vosd.billing.rater import rate_call
from vosd.trunks.dialect import CalleeDialect, CallerDialect, Redirects

DAYS = examples(30, 150)
CALLS_A_DAY = 6
DAY_MS = 120_000
TARGET = "4420711111"
SELL, BUY = applied_rate("0.60"), applied_rate("0.30")

INTENTS = [
    Intent(),
    Intent(headers=KNOWS_UPDATE),
    Intent(headers=(*KNOWS_UPDATE, *KNOWS_TIMER)),
    Intent(headers=(*KNOWS_TIMER, "Session-Expires: 90;refresher=uac")),
    Intent(offer=""),
    Intent(offer="", headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)),
    Intent(headers=INSISTS_ON_RELIABLE),
    Intent(headers=SUPPORTS_100REL, pracks=False),
    Intent(acknowledges=False),
    Intent(cancel_after_ms=900),
]
UPDATING = Line(1_000, 200, ANSWER, KNOWS_UPDATE)
SCRIPTS = [
    answers(),
    Script((Line(0, 180), UPDATING)),
    answers_timed("90;refresher=uac"),
    answers_timed("90;refresher=uas", knows_update=False),
    Script((Line(0, 180), UPDATING), is_patient=True),
    Script((Line(0, 200, ""),)),
    answers_reliably(),
    Script((Line(0, 183, ANSWER), UPDATING), forks=(Script((Line(50, 183, ANSWER), Line(1_005, 200, ANSWER))),)),
    Script((Line(0, 180), UPDATING), accepts_cancel=False),
    refuses(503),
    refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[2]}>", "Contact: <sip:12@198.51.100.99>")),
    RINGS,
]
CODES = [200, 202, 300, 302, 400, 401, 404, 408, 415, 422, 481, 486, 487, 488, 491, 500, 503, 600, 699]
FALSEHOODS = [
    (re.compile(rb"^SIP/2.0 \d\d\d"), lambda draw: b"SIP/2.0 %d" % draw.choice([100, 180, 183, *CODES])),
    (re.compile(rb"(?m)^CSeq: \d+"), lambda draw: b"CSeq: %d" % draw.choice([0, 1, 2, 3, 2**31 - 1])),
    (re.compile(rb"(?m)^(To: .*tag=)[\w-]+"), lambda draw: rb"\1unknown%d" % draw.randrange(3)),
    (re.compile(rb"(?m)^o=- \d+ \d+"), lambda draw: b"o=- %d %s" % (draw.randrange(3), b"9" * draw.choice([1, 5_000]))),
    (re.compile(rb"(?m)^Contact: .*\r\n"), lambda draw: draw.choice([b"", b"Contact: <tel:1>\r\n", b"Contact: x\r\n"])),
    (re.compile(rb"(?m)^Session-Expires: \d+"), lambda draw: b"x: %d" % draw.choice([0, 1, 89, 90, 2**32, 10**11])),
    (re.compile(rb"(?m)refresher=ua"), lambda draw: b"refresher=" + draw.choice([b"", b"ua", b"us"])),
    (re.compile(rb"(?m)^Supported: .*\r\n"), lambda draw: draw.choice([b"", b"Min-SE: 7200\r\n", b"Min-SE: x\r\n"])),
    (re.compile(rb"(?m)^RSeq: \d+"), lambda draw: b"RSeq: %d" % draw.choice([0, 1, 2**32])),
    (re.compile(rb"(?ms)\r\n\r\n.*"), lambda _draw: b"\r\n\r\n"),
]


class Party:
    """What the sides of one day's calls do."""

    def __init__(self, scene, draw):
        self.scene = scene
        self.draw = draw
        self.calls = []
        self.transfers = 0

    def call(self, callee, *headers):
        """Make a call; with ``headers`` it is a phone that replaces another."""
        for vendor in self.scene.vendors:
            script = self.draw.choice(SCRIPTS)
            vendor.by_number = {**vendor.by_number, callee: script._replace(then=self.busy)}
        intent = self.draw.choice(INTENTS)
        made = self.scene.caller.call(callee, intent._replace(headers=(*intent.headers, *headers), then=self.busy))
        if not headers:
            self.calls.append((made, callee))
            made.wire.after(self.draw.choice([200, 600, 1_001]), partial(self.meddle, callee))

    def meddle(self, callee):
        """Ask for something before the answer."""
        ends = [call for call, number in self.calls if number == callee]
        ends += [call for vendor in self.scene.vendors for call in vendor.calls if f":{callee}@" in call.invite["To"]]
        for side in ends:
            if side.final is None and side.remote.partition("tag=")[2]:
                self.draw.choice([self.propose, self.refer, self.press_a_key, self.ask_anything])(side)

    def busy(self, side):
        """Do a few things within the call, some at the very moment the other does; hang up in the end, or not."""
        for _ in range(self.draw.choice([0, 1, 2, 4])):
            method = self.draw.choice(["INVITE", "INVITE", "UPDATE", "INFO", "BYE", "NOTIFY"])
            odd = Reply(self.draw.choice(CODES), after_ms=self.draw.choice([0, 0, 700, 40_000]))
            side.will(method, self.draw.choice([SILENCE, Reply(100), odd, odd]))
        for _ in range(self.draw.choice([0, 1, 2, 4, 8])):
            deed = self.draw.choice([self.propose, self.change_its_mind, self.press_a_key, self.refer, self.replace,
                                     self.ask_anything, self.hang_up])  # fmt: skip
            side.wire.after(self.draw.choice([0, 10, 500, 1_000, 1_001, 3_000, 20_000, 35_000]), partial(deed, side))
        if self.draw.random() < 0.7:
            side.wire.after(self.draw.choice([5_000, 40_000, 90_000]), side.hang_up)

    def propose(self, side):
        side.ask(self.draw.choice(["INVITE", "UPDATE"]), body=self.draw.choice([side.mine, "", ANSWER]))

    def change_its_mind(self, side):
        side.propose("a=sendonly")
        side.wire.after(self.draw.choice([0, 5, 300]), side.asking[-1].cancel)

    def press_a_key(self, side):
        side.ask("INFO", body="Signal=5\r\n", kind="application/dtmf-relay")

    def ask_anything(self, side):
        side.ask(self.draw.choice(["OPTIONS", "PRACK", "MESSAGE", "SUBSCRIBE", "NOTIFY", "INFO", "REFER"]))

    def hang_up(self, side):
        if self.draw.random() < 0.3:
            side.hang_up()

    def refer(self, side):
        """Transfer to a number, or to another call."""
        other, _ = self.draw.choice([(None, ""), *self.calls])
        self.transfers += 1
        number = f"{TARGET}{self.transfers:03}"
        for vendor in self.scene.vendors:
            vendor.by_number = {**vendor.by_number, number: self.draw.choice(SCRIPTS)._replace(then=self.busy)}
        named = "" if other is None else f"?Replaces={other.replaces_in_uri}"
        side.ask("REFER", headers=[f"Refer-To: <sip:{number}@192.0.2.1{named}>"])

    def replace(self, side):
        """Take a call over with another phone."""
        replaced, _ = self.draw.choice(self.calls)
        self.call(CALLEE, f"Replaces: {replaced.replaces}")


def falsify(scene, draw, share):
    """Let some packets reach the switch otherwise than they were sent, or come again much later."""
    receive = scene.wire._receivers[SWITCH]

    def received(packet):
        chance = draw.random()
        if chance < share:
            what, by = draw.choice(FALSEHOODS)
            packet = packet._replace(data=what.sub(by(draw), packet.data, count=1))
        elif chance < 2 * share:
            scene.wire.after(draw.choice([20, 900, 33_000]), partial(receive, packet))
        receive(packet)

    scene.wire.attach(SWITCH, received)


class Day:
    """One day, its parties, and the judgement of it."""

    def __init__(self, seed):
        draw = Random(seed)
        timer = SessionTimerSettings(ttl_s=90, segment=draw.choice([2, 10]), probe=draw.choice(list(Probe)))
        terms = {"ring_timeout_ms": 20_000, "dialect": CalleeDialect(redirects=Redirects.FOLLOW, session_timer=timer)}
        self.mappings = draw.choice([0, 0, 1, 5])
        customer = {"dialect": CallerDialect(nat=Nat.YES if self.mappings else Nat.AUTO)}
        content = usual_catalogue(terms=terms, customer=customer, max_call_seconds=draw.choice([30, 100]))
        lateness_ms = draw.choice([0, 7, 1_500])
        self.scene = Scene(content, balance=draw.choice(["100", "3"]), lateness_ms=lateness_ms)
        self.scene.wire.delays = Storm(seed, loss=draw.choice([0, 0.05]), doubling=0.2, jitter_ms=draw.choice([0, 60]))
        self.is_honest = draw.random() < 0.5
        if not self.is_honest:
            falsify(self.scene, draw, 0.05)
        self.party = Party(self.scene, draw)
        for number in range(self.mappings):
            outside = Address(CUSTOMER.host, 40_000 + number)
            self.scene.wire.after(
                draw.choice([0, 800, 5_000, 30_000]), partial(self.scene.wire.hide, CUSTOMER, outside)
            )
        for number in range(CALLS_A_DAY):
            self.party.call(f"{CALLEE}{number}")
            self.scene.wire.run_for(draw.choice([0, 15, 1_500]))
        self.scene.wire.run_for(DAY_MS)

    def judge(self):
        exchange = self.scene.exchange
        self.scene.wire.run_until(lambda: not exchange.switch.has_calls)
        self.scene.wire.run_for(RESIDUE_MS)
        assert exchange.leftovers() == {}
        assert exchange.residue() == {}
        records = exchange.sink.records
        assert len({record.call_id for record in records}) == len(records)
        for account, credit in exchange.credits.items():
            assert exchange.statement(account) == credit.unbooked
            assert credit.limit is None or credit.balance + credit.unbooked >= -credit.limit
        for record in records:
            self.judge_record(record)
        if self.is_honest:
            assert faults_of(self.scene.wire.packets, SWITCH) == []
        if self.is_honest and not self.mappings:  # else what is said to the customer may be lost for good
            placed = Counter((record.sip_call_id_in, record.callee_in) for record in records)
            for call, callee in self.party.calls:
                assert placed[call.call_id, callee] == bool(call.responses)
            ends = [call for call in self.scene.caller.calls.values() if call.intent.acknowledges]
            ends += [call for each in self.scene.vendors for call in each.calls]
            assert all(end.is_over or end.asked["BYE"] or end.got.get("BYE") for end in ends if end.final == 200)
        return records

    def judge_record(self, record):
        vendor_answered = record.vendor_answered_at is not None
        assert record.started_at <= record.ended_at
        assert [row.reason for row in record.attempts].count("Answered") == vendor_answered
        vendor_ms = record.ended_at - record.vendor_answered_at if vendor_answered else 0
        assert record.cost == rate_call(BUY, vendor_ms).total
        if record.answered_at is None:
            assert (record.fee, record.hold_time_ms, record.sip_code == 200) == (0, 0, False)
            assert [posting.amount for posting in record.postings] == [-record.cost] * bool(record.cost)
            return
        assert record.vendor_answered_at <= record.answered_at
        assert record.hold_time_ms == record.ended_at - record.answered_at
        assert record.fee == rate_call(SELL, record.hold_time_ms).total


@pytest.mark.parametrize("seed", range(DAYS))
def test_a_day_of_whatever_may_be_done_within_a_call(seed):
    with capture_logs() as lines:
        records = Day(seed).judge()
    assert [line for line in lines if line["log_level"] in {"error", "critical"}] == []
    assert records
