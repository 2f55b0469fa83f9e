"""The conversation of the two sides of a call: their bridge, a transfer, and the requests within their dialogs.

Requests may come while the callee still rings (UPDATE, PRACK, INFO). The bridge between the two legs handles
re-INVITE, UPDATE and INFO; requests that it cannot take now are answered here.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from vosd.b2bua import information, referral, states
from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.bridge import Bridge
from vosd.b2bua.call_port import PressedKeys
from vosd.b2bua.caller import Caller
from vosd.b2bua.keypad import Keypad, KeypadFacts, duration_in, key_in
from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.headers import retry_later
from vosd.b2bua.ports import Switchboard
from vosd.b2bua.renegotiation import may_be_offered
from vosd.b2bua.stamps import Ending
from vosd.b2bua.states import CallState
from vosd.b2bua.takeover import in_place_of
from vosd.b2bua.transfer import CallTransfer
from vosd.b2bua.transferor import transferor_in
from vosd.base.clock import Instant
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import RequestArrived
from vosd.sip.screening import accepting
from vosd.sip.transaction.server import InviteServer
from vosd.sip.wire.message import Message

if TYPE_CHECKING:
    from vosd.b2bua.call import Call


class Conversation(msgspec.Struct, eq=False):
    """The two sides of one call as they talk to each other, or to those of another call after a transfer."""

    call: "Call"
    """Deleted at the end of the call: the two refer to each other."""
    _board: Switchboard
    bridge: Bridge | None = None
    """Bridge between the two legs; made when the first request within a dialog needs it."""
    transfer: CallTransfer | None = None
    """The transfer of one of its sides, or to its callee, while it is in progress."""
    joined: "Call | None" = None
    """The call that a transfer has joined this one with: both share a bridge, and end together."""
    to_forward: Message | None = None
    """The latest response to an INVITE of ours, or the BYE of a side: rules of the other trunk pass headers of it."""

    @property
    def parties(self) -> Sequence[Leg]:
        """The legs that take part, the caller's first."""
        callee = self.call.callee
        legs = self.call.caller.leg, None if callee is None or callee.progress.has_left else callee.leg
        return [leg for leg in legs if leg is not None]

    @property
    def all_legs(self) -> Sequence[Leg]:
        """The legs that take part, the caller's first, and those of attempts beside the foremost one."""
        beside = () if self.call.search is None else self.call.search.beside
        return [*self.parties, *(each.leg for each in beside)]

    @property
    def is_established(self) -> bool:
        """Whether both legs are established and have agreed on a session."""
        call = self.call
        if call.state is not states.TALKING or call.callee is None or not call.callee.progress.acknowledged:
            return False
        return self.bridge is not None or (call.caller.leg is not None and not call.callee.progress.has_left)

    @property
    def may_be_transferred(self) -> bool:
        """Whether both sides talk, and neither is being transferred or replaced."""
        is_changing = self.running is not None or (self.bridge is not None and self.bridge.is_being_taken_over)
        return self.is_established and not is_changing

    @property
    def running(self) -> CallTransfer | None:
        """The transfer that is in progress; of two joined calls, each of them has that of either."""
        return self.transfer if self.joined is None else self.transfer or self.joined.conversation.transfer

    def partner_ended(self, at: Instant, now: Instant, ending: Ending | None = None) -> None:
        """End with the call that this one is connected with, at the same instant: a late timer must not be billed.

        ``ending`` is that of a call in the same conversation: where its peer has vanished, this one ends as dead, too.
        """
        self.joined, answered_at = None, self.call.journey.answered_at
        if answered_at is None:
            return
        if ending is not None and ending.dead_call is not None:
            self.call.end(ending.reason, now, ending.dead_call)
        else:
            self.call.hung_up(None, None, now, max(at.came, answered_at))

    def drop_bridge(self, now: Instant) -> None:
        """Abandon a change of the session in progress, before the dialogs end."""
        bridge, self.bridge = self.bridge, None
        if bridge is not None:
            bridge.over(now)

    def bridge_to(self, callee: GatewayAttempt) -> Bridge:
        """Return the bridge between the two legs."""
        if self.bridge is None:
            caller = self.call.caller.leg
            if caller is None or callee.progress.has_left:
                raise RuntimeError(f"a side has left {self.call!r}")
            self.bridge = Bridge(self.call.endpoint, caller, callee.leg)
        return self.bridge

    def offer_answer(self, now: Instant) -> None:
        """Offer the caller the session in force after its ACK, where it has agreed on another one before the 200.

        Our 18x was reliable, so our 200 had no answer. The gateway's has another one where its 18x was not, or where it
        does not keep to that; a later 18x with it may have waited for a PRACK, or been ignored. An UPDATE that was
        answered after the 200 has changed it for both sides; while it has no response, nothing is offered.
        """
        callee, caller, acknowledged_at = self.call.callee, self.call.caller, self.call.journey.acknowledged_at
        if self.call.state is not CallState.TALKING or acknowledged_at is None or callee is None:
            return
        if caller.progress.is_settled and not callee.progress.has_left:
            self.bridge_to(callee).answer_changed(callee.leg, callee.leg.sessions.remote, now)

    def is_media_blocked(self, leg: Leg, session: bytes, before: bytes, now: Instant) -> bool:
        """Return whether the caller describes media at an address that may have none, and that is new in its call."""
        is_new = leg is self.call.caller.leg and bool(session) and session != before
        return is_new and self._board.media.is_media_blocked(session, before, now)

    def asked(self, leg: Leg, event: RequestArrived) -> None:
        """Handle a request of one leg."""
        match event.request.method:
            case "INFO":
                self._information_came(leg, event)
            case "PRACK":
                self._prack_came(leg, event)
            case "REFER":
                referral.refer_came(self.call, leg, event)
            case _:
                if self.is_media_blocked(leg, leg.session_in(event.request), leg.sessions.remote, event.at):
                    leg.respond(event.transaction, 403, event.at)
                else:
                    self._session_wanted(leg, event)

    def key_pressed(self, leg: Leg, key: str, duration_ms: int, now: Instant) -> Leg | None:
        """Return the leg that a key in the media of a leg is for.

        None if it is for a transfer, for no one now, or has come as INFO already.
        """
        callee, is_established = self.call.callee, self.is_established
        if callee is None or not (is_established or self._speaking(callee)) or not self.bridge_to(callee).holds(leg):
            return None
        if self._board.media.is_key_repeated(leg, key, duration_ms, now, by_info=False):
            return None
        keypad = self._keypad(leg) if is_established else None
        if keypad is not None and keypad.is_for_transfer(key, now):
            return None
        return self.bridge_to(callee).opposite(leg)

    def take_over(self, newcomer: Caller, replaced: Leg, server: InviteServer, now: Instant) -> bool:
        """Let a newcomer replace a leg (RFC 3891); False = not in this state."""
        if self.call.callee is None or not self.may_be_transferred:
            return False
        return self.bridge_to(self.call.callee).take_over(self.call, replaced, newcomer, server, now)

    def taken_over(self, newcomer: Caller, far: Leg, now: Instant) -> Leg:
        """Replace a side by a newcomer whose session the far side has accepted (RFC 3891); send the old one BYE."""
        callee, caller = self.call.callee, self.call.caller
        leg = newcomer.leg
        # Of two joined calls the far side is in the other one, and this one has a single leg.
        if callee is None or far is callee.leg or callee.progress.has_left:
            self.call.caller = newcomer
            if self.bridge is not None and caller.leg is not None:
                self.bridge.replace(caller.leg, leg)
            caller.hang_up("", now)
            replaced = caller.leg
        else:
            self.call.callee = in_place_of(callee, newcomer, self.call.endpoint, now)
            leg = self.call.callee.leg
            if self.bridge is not None:
                self.bridge.replace(callee.leg, leg)
            callee.hang_up("", now)
            replaced = callee.leg
        if replaced is not None and replaced.facts.media is not None and leg.facts.media is not None:
            leg.facts.media.take_place_of(replaced.facts.media)
        self.call.watch()
        self._board.moved(at_once=True)
        return leg

    def _session_wanted(self, leg: Leg, event: RequestArrived) -> None:
        """Handle a re-INVITE or UPDATE; before the answer only once offer and answer are complete (RFC 3311)."""
        callee, is_talking = self.call.callee, self.call.state is CallState.TALKING
        if callee is not None and (self.is_established or self._is_settled_early(callee, leg, event)):
            if self.bridge_to(callee).holds(leg):
                self.bridge_to(callee).session_wanted(leg, event)
            else:
                _asked_aside(leg, event)
        elif is_talking and callee is not None and callee.progress.acknowledged:
            _asked_aside(leg, event)  # the other side has left, and the target of its transfer rings
        elif event.request.method == "UPDATE" and not event.request.body:
            leg.agree(event.transaction, b"", event.at)  # without SDP it only refreshes the target (RFC 3311 5.2)
        elif is_talking or self.call.state is CallState.ANSWERED:
            leg.respond(event.transaction, 491, event.at)  # a 200 waits for a PRACK of the caller, or its ACK
        elif leg.early is not None and leg.early.agreed is None and leg.sessions.said:
            leg.respond(event.transaction, 491, event.at)  # the offer of our INVITE has no answer yet (RFC 3311 5.2)
        else:
            leg.respond(event.transaction, 500, event.at, retry_later(self.call.endpoint))

    def _is_settled_early(self, callee: GatewayAttempt, leg: Leg, event: RequestArrived) -> bool:
        """Return whether both sides have agreed on a session before the answer (RFC 3262 section 5)."""
        agreed = None if callee.leg.early is None else callee.leg.early.agreed
        if agreed is None or not self.call.caller.progress.is_settled:
            return False
        return leg is self.call.caller.leg or (leg is callee.leg and event.dialog is agreed)

    def _speaking(self, callee: GatewayAttempt) -> Dialog | None:
        """Return the callee's dialog, to which keys go before both legs are established; None = there is none.

        Before the answer it is that of an announcement; then the caller's PRACK, or its answer in the ACK, is missing.
        """
        if self.call.caller.leg is None or callee.progress.has_left:
            return None
        if callee.leg.early is None:
            return callee.leg.dialog
        return callee.leg.early.speaking if self.call.state is CallState.RINGING else None

    def _prack_came(self, leg: Leg, event: RequestArrived) -> None:
        """Handle a PRACK of the caller: no other side is sent reliable responses."""
        caller = self.call.caller.inviter
        if caller is not None and leg is caller.leg:
            caller.prack_came(event)
        else:
            leg.respond(event.transaction, 481, event.at)

    def _information_came(self, leg: Leg, event: RequestArrived) -> None:
        """Handle an INFO, mostly a DTMF digit."""
        callee, is_established = self.call.callee, self.is_established
        speaking = None if callee is None or is_established else self._speaking(callee)
        if callee is not None and speaking is not None and (leg is self.call.caller.leg or event.dialog is speaking):
            self._forward(self.bridge_to(callee), leg, event)
        elif callee is None or not is_established:
            leg.respond(event.transaction, 200 if not event.request.body else 491, event.at)
        elif not self.bridge_to(callee).holds(leg):
            leg.respond(event.transaction, 200, event.at)  # this leg is on hold: there is no side to forward it to
        else:
            self._forward(self.bridge_to(callee), leg, event, self._keypad(leg))

    def _forward(self, bridge: Bridge, leg: Leg, event: RequestArrived, keypad: PressedKeys | None = None) -> None:
        """Forward an INFO to the other leg, whose media take a key of it where that is their way.

        A key that has come in the media already, or is for a transfer, is answered here.
        """
        key, media, now = key_in(event.request), self._board.media, event.at
        if key and (
            media.is_key_repeated(leg, key, 0, now, by_info=True)
            or (keypad is not None and keypad.is_for_transfer(key, now))
            or media.is_key_taken(leg, bridge.opposite(leg), key, duration_in(event.request))
        ):
            leg.respond(event.transaction, 200, now)
        else:
            information.relay(leg, bridge.opposite(leg), event, has_key=bool(key))

    def has_transfer_keys(self, leg: Leg) -> bool:
        """Return whether the keys of a leg may transfer the call."""
        transferor = transferor_in(self.call, leg)
        return transferor is not None and transferor.keys is not None

    def _keypad(self, leg: Leg) -> PressedKeys | None:
        """Return the keypad of a leg, if the operator has configured keys for transfers; None for a vendor's."""
        if leg.keypad is None:
            transferor = transferor_in(self.call, leg)
            keys = None if transferor is None else transferor.keys
            if transferor is not None and keys is not None:
                facts, endpoint = KeypadFacts(), self.call.endpoint
                leg.keypad = Keypad(endpoint, leg, transferor.dialect, keys, facts)
        return leg.keypad


def _asked_aside(leg: Leg, event: RequestArrived) -> None:
    """Answer a leg without another side, which waits for the end of a transfer: it may refresh its session alone."""
    offer, server = leg.session_in(event.request), event.transaction
    wants_session = bool(offer) or isinstance(server, InviteServer)  # a 2xx to INVITE has an offer (RFC 3261 14.2)
    if event.request.required_types:
        leg.respond(server, 415, event.at, accepting(()))  # there is no side that could be sent them
    elif wants_session and not may_be_offered(leg):
        # It crosses an offer of ours (RFC 3261 section 14.2, RFC 3311 section 5.2), or its 200 would take the place of
        # one that waits for its ACK.
        leg.respond(server, 491, event.at)
    elif (offer and offer != leg.sessions.remote) or (wants_session and not leg.sessions.said):
        leg.respond(server, 491, event.at)
    else:
        leg.agree(server, leg.sessions.said if wants_session else b"", event.at)
