"""The state table of a call: whatever happens in whatever state, nothing raises and nothing ends twice."""

import pytest
from doubles.announcing import scene_with
from doubles.asking_steps import Located, ScriptedAsker, looking_up, steps_with
from doubles.sockets.peer import ANSWER
from doubles.virtual.customer import SUPPORTS_100REL, Intent
from doubles.virtual.vendor import RINGS, SILENT, Line, Script, answers

from vosd.b2bua.lifetime import ANSWER_WAIT_MS
from vosd.b2bua.states import ACCEPTED, CallEvent, CallState
from vosd.base.cause import EndReason
from vosd.sip import parse_message

BUSY = parse_message(
    b"SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n"
    b"Call-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)

SCRIPT = {
    CallState.SETUP: SILENT,
    CallState.HUNTING: SILENT,
    CallState.RINGING: RINGS,
    CallState.ANSWERED: Script((Line(0, 183, ANSWER), Line(10, 200, ANSWER))),
    CallState.TALKING: answers(0),
    CallState.OVER: RINGS,
    CallState.ANNOUNCING: Script((Line(10, 486),)),
}
INTENT = {CallState.ANSWERED: Intent(headers=SUPPORTS_100REL, pracks=False)}


def reported(call, event, *facts):
    """Report an event of an attempt to the search of its call; a call that is answered, or over, has none."""
    if call.search is not None:
        getattr(call.search, event)(*facts)


HAPPENINGS = {
    CallEvent.PROGRESS: lambda call, caller, callee, now: reported(
        call, "progressed", callee, 183, ANSWER.encode(), now
    ),
    CallEvent.ANSWER: lambda call, caller, callee, now: call.answered(callee, now),
    CallEvent.ATTEMPT_FAILED: lambda call, caller, callee, now: reported(call, "attempt_failed", callee, BUSY, now),
    CallEvent.CANCEL: lambda call, caller, callee, now: call.caller_cancelled(now),
    CallEvent.ACK: lambda call, caller, callee, now: call.acknowledged(caller.leg, b"", now),
    CallEvent.ACK_MISSING: lambda call, caller, callee, now: call.ack_missing(caller.leg, now),
    CallEvent.CALLER_BYE: lambda call, caller, callee, now: call.hung_up(caller.leg, None, now),
    CallEvent.CALLEE_BYE: lambda call, caller, callee, now: call.hung_up(leg_of(callee), None, now),
    CallEvent.LEG_LOST: lambda call, caller, callee, now: call.lost(leg_of(callee), 408, now),
    CallEvent.PRACK_MISSING: lambda call, caller, callee, now: call.caller_unreachable(now),
    CallEvent.EARLY_ANSWER: lambda call, caller, callee, now: (
        callee and callee.answer_early_offer(ANSWER.encode(), now)
    ),
    CallEvent.DEADLINE: lambda call, caller, callee, now: call.deadline_due(deadline_of(call, now)),
    CallEvent.ORDERED_END: lambda call, caller, callee, now: call.end(EndReason.ADMINISTRATIVE, now),
    CallEvent.QUESTION_ANSWERED: lambda call, caller, callee, now: call.question_answered(Located(""), now),
}
ENDS = {
    CallEvent.ATTEMPT_FAILED, CallEvent.CANCEL, CallEvent.ACK_MISSING, CallEvent.CALLER_BYE, CallEvent.CALLEE_BYE,
    CallEvent.LEG_LOST, CallEvent.PRACK_MISSING, CallEvent.ORDERED_END, CallEvent.QUESTION_ANSWERED,
}  # fmt: skip
DEADLINE_ENDS = {CallState.SETUP, CallState.RINGING, CallState.ANSWERED}


def leg_of(side):
    return None if side is None else side.leg


def deadline_of(call, now):
    """Return the instant of the wait for a PRACK; all other deadlines are processed at any time."""
    return now.plus(ANSWER_WAIT_MS) if call.state is CallState.ANSWERED else now


def call_in(scene, state):
    """Bring a call into ``state``; return it with the sides it has, or had."""
    scene.vendor.script = SCRIPT[state]
    if state is CallState.SETUP:
        scene.exchange.switch.services.steps = steps_with(looking_up())
        scene.exchange.switch.services.asker = ScriptedAsker()
    made = scene.begun_call(INTENT.get(state), after_ms=50)
    (carried,) = scene.exchange.switch.calls()
    call = carried.call
    sides = call.caller, call.callee
    if state is CallState.OVER:
        made.cancel()
        scene.wire.run_for(50)
    assert call.state is state
    return call, *sides


@pytest.mark.parametrize("call_event", CallEvent)
@pytest.mark.parametrize("state", CallState)
def test_every_happening_in_every_state(scene, state, call_event):
    if state is CallState.ANNOUNCING:
        scene, _ = scene_with()
    call, caller, callee = call_in(scene, state)
    HAPPENINGS[call_event](call, caller, callee, scene.exchange.clock.now())
    scene.exchange.flush()
    is_accepted = call_event in ACCEPTED[state]
    ends = is_accepted and (call_event in ENDS or (state in DEADLINE_ENDS and call_event is CallEvent.DEADLINE))
    assert (call.state is CallState.OVER) == (ends or state is CallState.OVER)
    if not is_accepted:
        assert call.state is state
    if call.state is CallState.OVER:
        assert len(scene.exchange.sink.records) == 1
        assert scene.exchange.switch.census()["calls"] == 0
