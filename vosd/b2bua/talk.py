"""What a side may ask for while the call stands: another session, a key pressed, another partner.

Each request is brought to the bridge between the two legs, or answered here where there is none yet.
"""

from typing import TYPE_CHECKING

from vosd.b2bua import referral
from vosd.b2bua.keypad import Keypad
from vosd.b2bua.states import CallState

if TYPE_CHECKING:
    from vosd.b2bua.call import Call
    from vosd.b2bua.callee_leg import CalleeLeg
    from vosd.b2bua.leg import Leg
    from vosd.b2bua.ports import Switchboard
    from vosd.sip.events import RequestArrived


def asked(call: "Call", leg: "Leg", event: "RequestArrived", board: "Switchboard") -> None:
    """Hear a request of one side."""
    match event.request.method:
        case "INFO":
            _information_came(call, leg, event, board)
        case "REFER":
            referral.refer_came(call, leg, event, board)
        case _:
            _session_wanted(call, leg, event)


def _session_wanted(call: "Call", leg: "Leg", event: "RequestArrived") -> None:
    """Hear a re-INVITE or UPDATE; while it rings only if the first session has been agreed upon."""
    callee = call.callee
    if callee is None or (call.state is not CallState.TALKING and not _is_settled_early(call, callee)):
        if leg is call.caller.leg and event.request.method == "UPDATE" and not event.request.body:
            leg.agree(event.transaction, b"", event.at)  # it says only where the caller is (RFC 3311 section 5.2)
        else:
            leg.retry_later(event.transaction, event.at)
    elif call.state is CallState.TALKING and not call.is_conversing:
        leg.respond(event.transaction, 491, event.at)
    elif call.talk(callee).holds(leg):
        call.talk(callee).session_wanted(leg, event)
    else:
        _asked_aside(leg, event)


def _is_settled_early(call: "Call", callee: "CalleeLeg") -> bool:
    """Say whether both sides have agreed upon a session while it still rings (RFC 3262 section 5)."""
    return call.caller.is_settled and callee.early_dialog is not None


def _information_came(call: "Call", leg: "Leg", event: "RequestArrived", board: "Switchboard") -> None:
    """Hear an INFO: a key pressed, or something of that kind."""
    callee = call.callee
    if callee is None or not call.is_conversing:
        leg.respond(event.transaction, 200 if not event.request.body else 491, event.at)
    elif not call.talk(callee).holds(leg):
        leg.respond(event.transaction, 200, event.at)  # its keys have no receiver now
    elif not _is_for_transfer(call, leg, event, board):
        call.talk(callee).information_came(leg, event)


def _asked_aside(leg: "Leg", event: "RequestArrived") -> None:
    """Answer a side that waits while the other two talk: it may refresh its session, and ask for another one later."""
    offer = leg.session_in(event.request)
    if offer and (offer != leg.heard or not leg.said or leg.awaits_ack):
        leg.respond(event.transaction, 491, event.at)
    else:
        leg.agree(event.transaction, leg.said if offer else b"", event.at)


def _is_for_transfer(call: "Call", leg: "Leg", event: "RequestArrived", board: "Switchboard") -> bool:
    """Let the keys of the side that called transfer it, where the operator has chosen any for that."""
    caller = call.caller.leg
    if caller is None or leg is not caller or not caller.may_transfer or caller.dialect.transfer_keys is None:
        return False
    if caller.keypad is None:
        caller.keypad = Keypad(call.endpoint, board, caller, caller.dialect.transfer_keys)
    return caller.keypad.takes(event)
