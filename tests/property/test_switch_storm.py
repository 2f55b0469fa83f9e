"""Calls of all kinds through a network that loses one packet in twenty and reorders the rest, both ways.

Every call ends with one right record, both its ends know of it, what they say of their sessions agrees for as long as
they talk, and the switch keeps nothing. All on virtual time; a seed makes the same storm again.
"""

from collections import Counter
from functools import partial
from random import Random

import pytest
from doubles.data.builders import applied_rate
from doubles.exploring import examples
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import INSISTS_ON_RELIABLE, KNOWS_UPDATE, SUPPORTS_100REL, Intent
from doubles.virtual.scene import CALLEE, VENDORS, Scene, usual_catalogue
from doubles.virtual.side import SILENCE, Reply
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers, answers_reliably, refuses
from doubles.virtual.wire import Storm

from vosd.billing.rater import rate_call
from vosd.sdp.origin import alike
from vosd.trunks.dialect import CalleeDialect, Redirects

STORMS = examples(6, 100)
CALLS_A_STORM = 100
LOSS = 0.05
JITTER_MS = 60
SELL, BUY = applied_rate("0.60"), applied_rate("0.30")
QUIET_MS = 95_000
"""After the answer: by then whatever was done within a call has been heard, or given up."""
TALK_MS = 100_000

CALLERS = {
    "plain": Intent(),
    "late offer": Intent(offer=""),
    "supports 100rel": Intent(headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)),
    "insists on reliable": Intent(headers=INSISTS_ON_RELIABLE),
    "late offer, heard reliably": Intent(offer="", headers=(*SUPPORTS_100REL, *KNOWS_UPDATE)),
    "sends no PRACK": Intent(headers=SUPPORTS_100REL, pracks=False),
    "never acknowledges": Intent(acknowledges=False),
    "gives up": Intent(cancel_after_ms=700),
    "gives up at once": Intent(cancel_after_ms=30, headers=SUPPORTS_100REL),
}
OTHERS = ANSWER.replace("192.0.2.20", "192.0.2.21")
UPDATING = Line(1_000, 200, ANSWER, KNOWS_UPDATE)
BEHAVIOURS = {
    "answers": answers(),
    "answers, knows UPDATE": Script((Line(0, 100), Line(0, 180), UPDATING)),
    "answers at once": Script((Line(0, 200, ANSWER),)),
    "early media": Script((Line(0, 183, ANSWER), UPDATING)),
    "reliable early media": answers_reliably(),
    "rings reliably": Script((Line(0, 180, "", (), True), Line(500, 180, "", (), True), Line(1_500, 200, ANSWER))),
    "two phones": Script((Line(0, 180), UPDATING), forks=(Script((Line(5, 180), Line(1_020, 200, OTHERS))),)),
    "two phones, early media": Script((Line(0, 183, ANSWER), UPDATING), forks=(Script((Line(50, 183, OTHERS),)),)),
    "answers when given up": Script((Line(0, 180), UPDATING), accepts_cancel=False),
    "is busy": refuses(486, after_ms=100),
    "fails": refuses(503, after_ms=200),
    "fails after early media": Script((Line(0, 183, ANSWER, (), True), Line(900, 503))),
    "redirects": refuses(302, headers=(f"Contact: <sip:{CALLEE}@{VENDORS[2]}>",)),
    "rings": RINGS,
    "silent": SILENT,
}


def key(side):
    side.ask("INFO", body="Signal=5\r\nDuration=160\r\n", kind="application/dtmf-relay")


def change_its_mind(side):
    side.propose("a=sendonly")
    side.wire.after(40, side.asking[-1].cancel)


DEEDS = {
    "hold": lambda side: side.propose("a=sendonly"),
    "hold by UPDATE": lambda side: side.propose("a=sendonly", method="UPDATE"),
    "resume": lambda side: side.propose(),
    "let the other offer": lambda side: side.ask("INVITE"),
    "change its mind": change_its_mind,
    "press a key": key,
    "ask for a sign of life": lambda side: side.ask("OPTIONS"),
    "hang up": lambda side: side.hang_up('Reason: Q.850;cause=31;text="x"'),
}
OTHER_REPLIES = [Reply(488), Reply(491), Reply(500), Reply(200, after_ms=700), Reply(200, after_ms=5_000), SILENCE]


def busy_itself(draw, side):
    """Let one end do a few things within its call, some at the very moment the other does."""
    if draw.random() < 0.2:
        side.will(draw.choice(["INVITE", "UPDATE", "INFO"]), draw.choice(OTHER_REPLIES))
    for _ in range(draw.choice([0, 1, 1, 2, 3])):
        name = draw.choice([name for name in DEEDS if name != "hang up" or draw.random() < 0.2])
        side.wire.after(draw.choice([0, 100, 1_000, 1_000, 3_000, 3_010, 6_000]), partial(do, DEEDS[name], side))


def do(deed, side):
    if not side.is_over and not side.awaits_answer and not any(asking.method == "BYE" for asking in side.asking):
        deed(side)


class Day:
    """The calls of one storm."""

    def __init__(self, seed: int) -> None:
        self.draw = Random(seed)
        terms = {"ring_timeout_ms": 20_000, "dialect": CalleeDialect(redirects=Redirects.FOLLOW)}
        self.scene = Scene(usual_catalogue(terms=terms), balance="100000")
        self.scene.wire.delays = Storm(seed, loss=LOSS, jitter_ms=JITTER_MS)
        self.calls = [self.call(f"{CALLEE}{number}") for number in range(CALLS_A_STORM)]
        self.agreed = 0
        self.scene.wire.run_for(TALK_MS + 140_000)

    def call(self, callee):
        for vendor in self.scene.vendors:
            script = BEHAVIOURS[self.draw.choice(list(BEHAVIOURS))]
            vendor.by_number[callee] = script._replace(then=partial(busy_itself, self.draw))
        intent = CALLERS[self.draw.choice(list(CALLERS))]
        made = self.scene.caller.call(callee, intent._replace(then=self.talk))
        self.scene.wire.run_for(self.draw.choice([0, 15, 137]))
        return made

    def talk(self, call):
        busy_itself(self.draw, call)
        call.wire.after(QUIET_MS, partial(self.compare, call))
        call.wire.after(TALK_MS, call.hang_up)

    def compare(self, call):
        """A side that still talks, without an open request, has the session that the other end expects."""
        running = {each.call.arrival.sip_call_id_in: each.call for each in self.scene.exchange.switch.calls()}
        if call.is_over or call.call_id not in running:
            return
        tried = running[call.call_id].journey.sip_call_ids_out
        out = tried[-1] if tried else None
        taken = [there for vendor in self.scene.vendors for there in vendor.calls if there.call_id == out]
        (there,) = [each for each in taken if each.final == 200 and not each.is_over]
        assert (call.asking, there.asking) == ([], [])
        # The version may be a later one than its author's, who has cancelled an offer that the other end accepted.
        assert alike(call.mine.encode(), there.theirs.encode())
        assert alike(there.mine.encode(), call.theirs.encode())
        self.agreed += 1

    def judge(self):
        scene = self.scene
        assert scene.exchange.leftovers() == {}
        assert scene.exchange.residue() == {}
        records = {record.sip_call_id_in: record for record in scene.exchange.sink.records}
        assert len(records) == len(scene.exchange.sink.records)
        for call in self.calls:
            assert call.is_over
            if call.call_id in records:
                judge_record(records[call.call_id], call)
            else:
                assert call.responses == [], "the switch has heard of it"
        taken = [there for vendor in scene.vendors for there in vendor.calls]
        assert all(there.is_over for there in taken if there.final is not None)
        return Counter(record.end_reason for record in records.values())


def judge_record(record, call):
    assert call.final in (record.sip_code, None)  # None: every copy of it was lost
    assert (record.sip_code == 200) == (record.answered_at is not None)
    vendor_answered = record.vendor_answered_at is not None
    assert record.cost == rate_call(BUY, record.ended_at - record.vendor_answered_at if vendor_answered else 0).total
    assert [row.reason for row in record.attempts].count("Answered") == vendor_answered
    assert record.fee == rate_call(SELL, record.hold_time_ms).total
    if record.answered_at is None:
        assert (record.fee, record.hold_time_ms) == (0, 0)
    else:
        assert record.hold_time_ms == record.ended_at - record.answered_at
        assert record.vendor_answered_at <= record.answered_at


@pytest.mark.parametrize("seed", range(STORMS))
def test_a_hundred_calls_in_a_storm(seed):
    day = Day(seed)
    reasons = day.judge()
    assert day.agreed >= 10, "too few calls have lasted to say anything"
    assert {"Normal", "Cancelled", "No ACK"} <= set(reasons)
