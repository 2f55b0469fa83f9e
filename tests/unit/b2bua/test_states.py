"""The state table of a call: whatever happens in whatever state, nothing raises and nothing ends twice (DESIGN D2)."""

import pytest

from vosd.b2bua.states import HEEDED, CallState, Happening
from vosd.base.cause import EndReason
from vosd.sip import parse_message
from vosd.testing.customer import HEARS_RELIABLY, Intent
from vosd.testing.peer import ANSWER
from vosd.testing.scene import CALLEE
from vosd.testing.vendor import RINGS, SILENT, Line, Script, answers

BUSY = parse_message(
    b"SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n"
    b"Call-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)

SCRIPT = {
    CallState.HUNTING: SILENT,
    CallState.RINGING: RINGS,
    CallState.ANSWERED: Script((Line(0, 183, ANSWER), Line(10, 200, ANSWER))),
    CallState.TALKING: answers(0),
    CallState.OVER: RINGS,
}
INTENT = {CallState.ANSWERED: Intent(headers=HEARS_RELIABLY, pracks=False)}

HAPPENINGS = {
    Happening.PROGRESS: lambda call, caller, callee, now: call.progressed(callee, 183, ANSWER.encode(), now),
    Happening.ANSWER: lambda call, caller, callee, now: call.answered(callee, now),
    Happening.ATTEMPT_FAILED: lambda call, caller, callee, now: call.attempt_failed(callee, BUSY, now),
    Happening.CANCEL: lambda call, caller, callee, now: call.caller_cancelled(now),
    Happening.ACK: lambda call, caller, callee, now: call.acknowledged(caller, b"", now),
    Happening.ACK_MISSING: lambda call, caller, callee, now: call.ack_missing(caller, now),
    Happening.CALLER_BYE: lambda call, caller, callee, now: call.hung_up(caller, None, now),
    Happening.CALLEE_BYE: lambda call, caller, callee, now: call.hung_up(callee, None, now),
    Happening.LEG_LOST: lambda call, caller, callee, now: call.lost(callee, 408, now),
    Happening.PRACK_MISSING: lambda call, caller, callee, now: call.caller_unreachable(now),
    Happening.EARLY_ANSWER: lambda call, caller, callee, now: call.early_answer_came(ANSWER.encode(), now),
    Happening.DEADLINE: lambda call, caller, callee, now: call.deadline_due(now),
    Happening.ORDERED_END: lambda call, caller, callee, now: call.end(EndReason.ADMINISTRATIVE, now),
}
ENDS = {
    Happening.ATTEMPT_FAILED, Happening.CANCEL, Happening.ACK_MISSING, Happening.CALLER_BYE, Happening.CALLEE_BYE,
    Happening.LEG_LOST, Happening.PRACK_MISSING, Happening.ORDERED_END,
}  # fmt: skip
DEADLINE_ENDS = {CallState.RINGING, CallState.ANSWERED}


def call_in(scene, state):
    """Bring a call into ``state``; return it with the legs it has, or had."""
    scene.vendor.script = SCRIPT[state]
    made = scene.caller.call(CALLEE, INTENT.get(state))
    scene.wire.run_for(50)
    (carried,) = scene.exchange.switch.calls()
    call = carried.call
    legs = call.caller, call.callee
    if state is CallState.OVER:
        made.cancel()
        scene.wire.run_for(50)
    assert call.state is state
    return call, *legs


@pytest.mark.parametrize("happening", Happening)
@pytest.mark.parametrize("state", CallState)
def test_every_happening_in_every_state(scene, state, happening):
    call, caller, callee = call_in(scene, state)
    HAPPENINGS[happening](call, caller, callee, scene.exchange.clock.now())
    scene.exchange.flush()
    heeded = happening in HEEDED[state]
    ends = heeded and (happening in ENDS or (state in DEADLINE_ENDS and happening is Happening.DEADLINE))
    assert (call.state is CallState.OVER) == (ends or state is CallState.OVER)
    if not heeded:
        assert call.state is state
    if call.state is CallState.OVER:
        assert len(scene.exchange.ledger.records) == 1
        assert scene.exchange.switch.census()["calls"] == 0
