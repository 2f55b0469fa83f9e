"""Requests within a call, answered or ringing: re-INVITE, UPDATE, PRACK, INFO and REFER.

The bridge between the two legs handles them; requests that it cannot take now are answered here.
"""

from typing import TYPE_CHECKING

from vosd.b2bua import referral
from vosd.b2bua.keypad import Keypad, KeypadFacts, duration_in, key_in
from vosd.b2bua.outgoing.headers import retry_later
from vosd.b2bua.states import CallState
from vosd.sip.screening import accepting
from vosd.sip.transaction.invite_server import InviteServer
from vosd.trunks.dialect import Transfers

if TYPE_CHECKING:
    from vosd.b2bua.attempt import GatewayAttempt
    from vosd.b2bua.bridge import Bridge
    from vosd.b2bua.call import Call
    from vosd.b2bua.call_port import PressedKeys
    from vosd.b2bua.leg import Leg
    from vosd.b2bua.ports import Switchboard
    from vosd.base.clock import Instant
    from vosd.sip.events import RequestArrived


def asked(call: "Call", leg: "Leg", event: "RequestArrived", board: "Switchboard") -> None:
    """Handle a request of one leg."""
    match event.request.method:
        case "INFO":
            _information_came(call, leg, event, board)
        case "PRACK":
            _prack_came(call, leg, event)
        case "REFER":
            referral.refer_came(call, leg, event, board)
        case _:
            offer = leg.session_in(event.request) if leg is call.caller.leg else b""
            if offer and offer != leg.sessions.remote and board.is_media_blocked(offer, leg.sessions.remote):
                leg.respond(event.transaction, 403, event.at)
            else:
                _session_wanted(call, leg, event)


def _session_wanted(call: "Call", leg: "Leg", event: "RequestArrived") -> None:
    """Handle a re-INVITE or UPDATE; before the answer only once offer and answer are complete (RFC 3311)."""
    callee = call.callee
    if callee is None or (call.state is not CallState.TALKING and not _is_settled_early(call, callee, leg, event)):
        if event.request.method == "UPDATE" and not event.request.body:
            leg.agree(event.transaction, b"", event.at)  # without SDP it only refreshes the target (RFC 3311 5.2)
        elif call.state is CallState.ANSWERED:
            leg.respond(event.transaction, 491, event.at)  # the caller's 200 waits for a PRACK
        else:
            leg.respond(event.transaction, 500, event.at, retry_later(call.endpoint))
    elif call.state is CallState.TALKING and not call.is_conversing:
        leg.respond(event.transaction, 491, event.at)
    elif call.talk(callee).holds(leg):
        call.talk(callee).session_wanted(leg, event)
    else:
        _asked_aside(leg, event)


def _is_settled_early(call: "Call", callee: "GatewayAttempt", leg: "Leg", event: "RequestArrived") -> bool:
    """Return whether both sides have agreed on a session before the answer (RFC 3262 section 5); not another fork."""
    agreed = None if callee.leg.early is None else callee.leg.early.agreed
    if agreed is None or not call.caller.progress.is_settled:
        return False
    return leg is call.caller.leg or (leg is callee.leg and event.dialog is agreed)


def _rings_with_keys(call: "Call", callee: "GatewayAttempt", leg: "Leg", event: "RequestArrived") -> bool:
    """Return whether an INFO goes to an announcement, or comes from it: both sides have an early dialog."""
    speaking = None if callee.leg.early is None else callee.leg.early.speaking
    if call.state is not CallState.RINGING or call.caller.leg is None or speaking is None:
        return False
    return leg is call.caller.leg or event.dialog is speaking


def _prack_came(call: "Call", leg: "Leg", event: "RequestArrived") -> None:
    """Handle a PRACK of the caller: no other side is sent reliable responses."""
    caller = call.caller.inviter
    if caller is not None and leg is caller.leg:
        caller.prack_came(event)
    else:
        leg.respond(event.transaction, 481, event.at)


def _information_came(call: "Call", leg: "Leg", event: "RequestArrived", board: "Switchboard") -> None:
    """Handle an INFO, mostly a DTMF digit."""
    callee = call.callee
    if callee is not None and _rings_with_keys(call, callee, leg, event):
        _forward(call.talk(callee), leg, event, board)
    elif callee is None or not call.is_conversing:
        leg.respond(event.transaction, 200 if not event.request.body else 491, event.at)
    elif not call.talk(callee).holds(leg):
        leg.respond(event.transaction, 200, event.at)  # this leg is on hold: there is no side to forward it to
    elif (keypad := _keypad(call, leg, board)) is None or not keypad.takes(event):
        _forward(call.talk(callee), leg, event, board)


def _forward(bridge: "Bridge", leg: "Leg", event: "RequestArrived", board: "Switchboard") -> None:
    """Forward an INFO to the other leg, whose media take a key of it where that is their way."""
    key = key_in(event.request)
    if key and board.is_key_taken(leg, bridge.opposite(leg), key, duration_in(event.request), event.at):
        leg.respond(event.transaction, 200, event.at)
    else:
        bridge.information_came(leg, event)


def key_pressed(call: "Call", leg: "Leg", key: str, now: "Instant", board: "Switchboard") -> "Leg | None":
    """Return the leg that a key in the media of a leg is for; None if it is for a transfer, or for no one now."""
    callee = call.callee
    if callee is None or not call.is_conversing or not call.talk(callee).holds(leg):
        return None
    keypad = _keypad(call, leg, board)
    if keypad is not None and keypad.is_for_transfer(key, now):
        return None
    return call.talk(callee).opposite(leg)


def _asked_aside(leg: "Leg", event: "RequestArrived") -> None:
    """Answer the leg that is on hold during a consultation: it may refresh its session, and not change it."""
    offer, server = leg.session_in(event.request), event.transaction
    wants_session = bool(offer) or isinstance(server, InviteServer)  # a 2xx to INVITE has an offer (RFC 3261 14.2)
    if event.request.required_types:
        leg.respond(server, 415, event.at, accepting(()))  # there is no side that could be sent them
    elif wants_session and leg.awaits_ack:
        leg.respond(server, 491, event.at)  # a second 200 would take the place of the one that waits for its ACK
    elif (offer and offer != leg.sessions.remote) or (wants_session and not leg.sessions.said):
        leg.respond(server, 491, event.at)
    else:
        leg.agree(server, leg.sessions.said if wants_session else b"", event.at)


def _keypad(call: "Call", leg: "Leg", board: "Switchboard") -> "PressedKeys | None":
    """Return the keypad of the caller, if the operator has configured keys for transfers; None for other legs."""
    caller = call.caller.inviter
    if caller is None or leg is not caller.leg or caller.dialect.transfers is not Transfers.ACCEPT:
        return None
    if caller.dialect.transfer_keys is None:
        return None
    if caller.keypad is None:
        caller.keypad = Keypad(call.endpoint, board, caller, caller.dialect.transfer_keys, KeypadFacts())
    return caller.keypad
