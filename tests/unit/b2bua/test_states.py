"""The state table of a call: whatever happens in whatever state, nothing raises and nothing ends twice (DESIGN D2)."""

import pytest

from vosd.b2bua.states import HEEDED, CallState, Happening
from vosd.base.cause import EndReason
from vosd.testing.peer import ANSWER
from vosd.testing.scene import CALLEE
from vosd.testing.vendor import RINGS, SILENT, answers

SCRIPT = {CallState.HUNTING: SILENT, CallState.RINGING: RINGS, CallState.TALKING: answers(0), CallState.OVER: RINGS}

HAPPENINGS = {
    Happening.PROGRESS: lambda call, leg, now: call.progressed(leg, 183, ANSWER.encode(), now),
    Happening.ANSWER: lambda call, leg, now: call.answered(leg, now),
    Happening.ATTEMPT_FAILED: lambda call, leg, now: call.attempt_failed(leg, 486, now),
    Happening.CANCEL: lambda call, leg, now: call.caller_cancelled(now),
    Happening.ACK: lambda call, leg, now: call.acknowledged(b""),
    Happening.ACK_MISSING: lambda call, leg, now: call.ack_missing(now),
    Happening.CALLER_BYE: lambda call, leg, now: call.caller_hung_up(now),
    Happening.CALLEE_BYE: lambda call, leg, now: call.callee_hung_up(now),
    Happening.DEADLINE: lambda call, leg, now: call.deadline_due(now),
    Happening.ORDERED_END: lambda call, leg, now: call.end(EndReason.ADMINISTRATIVE, now),
}
ENDS = {
    Happening.ATTEMPT_FAILED, Happening.CANCEL, Happening.ACK_MISSING, Happening.CALLER_BYE, Happening.CALLEE_BYE,
    Happening.ORDERED_END,
}  # fmt: skip


def call_in(scene, state):
    """Bring a call into ``state``; return it with the leg it has, or had."""
    scene.vendor.script = SCRIPT[state]
    made = scene.caller.call(CALLEE)
    scene.wire.run_for(50)
    (carried,) = scene.exchange.switch.calls()
    call, leg = carried.call, carried.call.callee
    if state is CallState.OVER:
        made.cancel()
        scene.wire.run_for(50)
    assert call.state is state
    return call, leg


@pytest.mark.parametrize("happening", Happening)
@pytest.mark.parametrize("state", CallState)
def test_every_happening_in_every_state(scene, state, happening):
    call, leg = call_in(scene, state)
    HAPPENINGS[happening](call, leg, scene.exchange.clock.now())
    scene.exchange.flush()
    heeded = happening in HEEDED[state]
    ends = heeded and (happening in ENDS or (state, happening) == (CallState.RINGING, Happening.DEADLINE))
    assert (call.state is CallState.OVER) == (ends or state is CallState.OVER)
    if not heeded:
        assert call.state is state
    if call.state is CallState.OVER:
        assert len(scene.exchange.ledger.records) == 1
        assert scene.exchange.switch.census()["calls"] == 0
