"""Description of an answered call by which another switch goes on with it, beside record and dialogs (ADR 67).

Every answered call is described once on the path of its packets, so ``Established`` holds what can be read from it
without calling a function, and what can be derived is left out (``derived``). A call that changes later is described
by ``SavedCall``.
"""

from typing import Final

import msgspec

from vosd.b2bua.call import Call
from vosd.b2bua.caller import Caller
from vosd.b2bua.identity import PLAIN, CallerIdentity
from vosd.b2bua.settings import DeadCallBilling
from vosd.base.session_timer import SessionTimerSettings
from vosd.base.text import as_received, portable
from vosd.callcontrol.call_request import CallRequest
from vosd.callcontrol.open_call import Legs
from vosd.callcontrol.taken import Held, described_taken
from vosd.media.leg_media import LegMedia
from vosd.sdp.rewrite import Hidden
from vosd.sip.dialog.session_wish import Agreed, Wish
from vosd.sip.dialog.snapshot import DialogSnapshot
from vosd.sip.transaction.client_snapshot import InviteClientSnapshot
from vosd.trunks.scope import SharedLimit

_encode: Final = msgspec.msgpack.Encoder().encode


class Established(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An answered call whose two sides are those that were connected first, and whose session is the first one."""

    hops: int
    host: str
    """Host that the caller's INVITE came from."""
    port: int
    user: str
    caller: str
    """The number that may be presented."""
    callee: str
    """Without tech prefix."""
    prefix: str
    """By which the gateway was found."""
    limits: tuple[SharedLimit, ...]
    """Limits that the route occupies beside its gateway."""
    granted_s: int
    ceiling_s: int
    advance_s: int
    holds_of_vendor: bool
    counted: None
    """Keeps the places of the fields behind it, as the two before it: ``taken`` has what they said."""
    invite_sequence: int
    """CSeq of the caller's INVITE."""
    wish: Wish
    """Session timers in the caller's INVITE."""
    identity: CallerIdentity | None
    offer: bytes
    """Offer of the caller; empty = the vendor made it."""
    offer_from: str
    """Address at which the caller is seen, if it is behind NAT."""
    session: bytes | None
    """The caller's present session description, where it is not the offer."""
    answer: bytes
    """Answer of the vendor."""
    answer_from: str
    said_to_caller: bytes
    """Session description that the caller was sent before its 200."""
    said_to_callee: bytes | None
    """None = the offer."""
    is_sent: bool
    """The 200 was sent before this was written."""
    caller_is_settled: bool
    callee_is_settled: bool
    caller_updates: bool
    """The caller allows UPDATE."""
    callee_updates: bool
    caller_agreed: Agreed | None
    callee_agreed: Agreed | None
    floor_s: int
    offered_s: int
    """Interval that was offered to the vendor for its session timer."""
    acknowledged_mono: int | None
    """When the caller acknowledged our 200."""
    codec: str | None
    invite: InviteClientSnapshot | None
    """The INVITE to the vendor, whose 2xx waits for the caller's answer."""
    is_portable: bool
    """Text of peers is not UTF-8 throughout (``base.text.portable``)."""
    caller_timer: SessionTimerSettings
    """Terms of the caller's session timer."""
    callee_timer: SessionTimerSettings
    dead_call_billing: DeadCallBilling
    overdraft_limits: tuple[()]
    """Keeps the places of the fields behind it."""
    vendor_codec: str | None
    taken: tuple[Held, ...]
    """Limits and money that the call occupies, as in ``RequestSnapshot``."""
    caller_media: LegMedia | None = None
    callee_media: LegMedia | None = None
    recording: str = ""
    """File with early media of an attempt before."""
    caller_is_anonymous: bool = False
    """The caller withholds who it is."""
    callee_is_anonymous: bool = False
    caller_given_up: bytes = b""
    """Sent to the caller, and perhaps not taken (``LegSessions.given_up``)."""
    callee_given_up: bytes = b""
    interim_s: int | None = None
    """As in ``SetupFacts``."""
    longest_s: int | None = None
    caller_refused: bytes = b""
    """The description in an offer that the caller has refused (``LegSessions.refused``)."""
    callee_refused: bytes = b""

    @classmethod
    def of(cls, call: Call, caller: Caller | None, request: CallRequest) -> "tuple[Established | None, bytes]":
        """Describe a call that is being answered, or was, and write that; nothing if it has another form than then."""
        callee, hold, journey = call.callee, request.hold, call.journey
        choice = journey.choice
        if caller is None or callee is None or hold is None or choice is None:
            return None, b""
        offer, answer, session, said = caller.offer, callee.answer, caller.leg.sessions.remote, callee.leg.sessions.said
        if caller.progress.is_settled:  # an UPDATE may have changed it while the 200 waited for a PRACK
            answer = callee.leg.sessions.remote
        timer, identity = callee.leg.timer, caller.caller_identity
        acknowledged_at = journey.acknowledged_at
        described = cls(
            request.hops,
            request.source_host,
            request.source_port,
            request.user,
            request.caller,
            request.callee,
            choice.prefix,
            choice.limits,
            hold.granted_s,
            hold.ceiling_s,
            0,
            False,
            None,
            caller.progress.invite_sequence,
            caller.progress.wish,
            None if identity is PLAIN else identity,
            bytes(offer),
            offer.host if type(offer) is Hidden else "",
            None if session == offer else bytes(session),
            bytes(answer),
            answer.host if type(answer) is Hidden else "",
            bytes(caller.leg.sessions.said),
            None if said == offer else bytes(said),
            caller.progress.is_answered,
            caller.progress.is_settled,
            callee.progress.is_settled,
            caller.leg.facts.allows_update,
            callee.leg.facts.allows_update,
            caller.leg.timer.agreed,
            timer.agreed,
            timer.floor_s,
            timer.offered_s,
            None if acknowledged_at is None else acknowledged_at.mono,
            journey.codec,
            None if callee.progress.acknowledged else InviteClientSnapshot.of(callee.transaction, call.endpoint.flows),
            False,
            caller.leg.timer.settings,
            timer.settings,
            call.settings.dead_call_billing,
            (),
            journey.vendor_codec,
            described_taken(request.taken),
            caller.leg.facts.media,
            callee.leg.facts.media,
            journey.recording,
            caller.leg.facts.is_anonymous,
            callee.leg.facts.is_anonymous,
            bytes(caller.leg.sessions.given_up),
            bytes(callee.leg.sessions.given_up),
            request.interim_s,
            request.longest_s,
            bytes(caller.leg.sessions.refused),
            bytes(callee.leg.sessions.refused),
        )
        try:  # no function of its own: it is called for every call
            return described, _encode(described)
        except UnicodeEncodeError:
            return described, described.written()

    def written(self) -> bytes:
        """Return the description as the journal keeps it, with the media as they are now."""
        try:
            return _encode(self)
        except UnicodeEncodeError:
            return _encode(msgspec.structs.replace(portable(self), is_portable=True))

    @classmethod
    def read(cls, data: bytes) -> "Established":
        """Return what ``of`` has written; raises msgspec.DecodeError where it is not readable."""
        described = _decode(data)
        return as_received(described) if described.is_portable else described


def legs_of(call: Call, caller: Caller | None) -> Legs:
    """Describe the answered legs of a call; the gateway's first, because it costs money."""
    callee, flows = call.callee, call.endpoint.flows
    legs = []
    if callee is not None and callee.leg.dialog is not None and call.journey.vendor_answered_at is not None:
        legs.append(DialogSnapshot.of(callee.leg.dialog, flows, callee.choice.gateway.name, callee.invite_sequence))
    if caller is not None and call.journey.answered_at is not None:
        legs.append(DialogSnapshot.of(caller.dialog, flows))
    return tuple(legs)


_decode: Final = msgspec.msgpack.Decoder(Established).decode
