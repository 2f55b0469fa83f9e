"""Parts of a call that the leg of a test call refers to where there is no caller: its switch, conversation, dialog."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.bridge import Bridge
from vosd.b2bua.call_port import AttemptBoard, TargetBoard, TransferPort
from vosd.b2bua.caller import Caller
from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.reasons import NO_CAUSES
from vosd.b2bua.outgoing.signatures import CallerAttestation
from vosd.base.clock import Instant
from vosd.routing.pipeline import RouteChoice
from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.events import AckArrived, EarlierAnswer, RequestArrived, UnwantedAnswer
from vosd.sip.transaction.server import InviteServer, Server
from vosd.sip.wire.message import Message
from vosd.trunks.gateways import MappingGateway

_WITHOUT_SESSION: Final = {"INFO": 200, "PRACK": 481, "REFER": 403}
_ACCEPTED, _OTHER_SESSION, _GLARE = 200, 488, 491


class BoardOfTrial:
    """The switch for a test call (``SwitchPort``): no customer, no transfer, and no session that is refreshed."""

    customer: MappingGateway | None = None
    is_emergency = False

    def __init__(self, attestation: CallerAttestation) -> None:
        self._attestation = attestation

    @property
    def gateways(self) -> AttemptBoard:
        """The part for the attempt."""
        return self

    @property
    def media(self) -> TargetBoard:
        """The part for media, of which a test call has none."""
        return self

    def attested(self, _choice: RouteChoice) -> CallerAttestation:
        """Return what we attest of the call."""
        return self._attestation

    def vacate(self, choice: RouteChoice) -> None:
        """Do nothing: the call gives back what it holds at its end."""

    def target_rings(self, session: bytes, now: Instant) -> None:
        """Do nothing: there is no transfer."""

    def refresh_failed(self, gateway: str | None, status: int, now: Instant) -> None:
        """Do nothing: a test call is over before a refresh of ours is due."""

    def moved(self, *, at_once: bool = False) -> None:
        """Do nothing: a test call does not outlive the process."""


class ConversationOfTrial:
    """The conversation of a test call (``ConversationPort``): nothing is forwarded, and the session stays as it is."""

    bridge: Bridge | None = None
    transfer: TransferPort | None = None
    to_forward: Message | None = None
    is_established = False

    def bridge_to(self, _callee: GatewayAttempt) -> Bridge:
        """Refuse: there is no other side.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("a test call has no other side")

    def offer_answer(self, now: Instant) -> None:
        """Do nothing: there is no caller whose offer is open."""

    def has_transfer_keys(self, _leg: Leg) -> bool:
        """Return that no key transfers the call."""
        return False

    def is_media_blocked(self, _leg: Leg, _session: bytes, _before: bytes, _now: Instant) -> bool:
        """Return that the vendor may have its media anywhere: there are none."""
        return False

    def taken_over(self, _newcomer: Caller, _far: Leg, _now: Instant) -> Leg:
        """Refuse: no one takes a test call over.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("a test call has no other side")

    def asked(self, leg: Leg, event: RequestArrived) -> None:
        """Accept a refresh of the session or of the dialog, refuse another session, and answer what is no session."""
        request, server, now = event.request, event.transaction, event.at
        status = _WITHOUT_SESSION.get(request.method)
        if status is not None:
            leg.respond(server, status, now)
            return
        offer, is_invite = leg.session_in(request), isinstance(server, InviteServer)
        is_other = bool(offer) and offer != leg.sessions.remote
        if is_other or (leg.dialog is None and (offer or is_invite)):
            leg.respond(server, _OTHER_SESSION, now)
        elif is_invite and leg.acceptance is not None:
            leg.respond(server, _GLARE, now)  # a second 200 would take the place of the one that waits for its ACK
        else:
            leg.agree(server, leg.sessions.said if offer or is_invite else b"", now)


class WithoutCaller:
    """Events of a call that come of a caller, of several attempts or of refreshes: a test call has none of these."""

    def caller_answered(self, _now: Instant) -> bool:
        """Return that no 200 is sent."""
        return False

    def take_answer_back(self, _now: Instant) -> bool:
        """Return that no 200 waits."""
        return False

    def caller_unreachable(self, now: Instant) -> None:
        """Do nothing: there is no caller."""

    def caller_cancelled(self, now: Instant, given: Mapping[str, int] = NO_CAUSES) -> None:
        """Do nothing: there is no caller."""

    def fork_changed(self, attempt: GatewayAttempt, before: str, after: str, now: Instant, *, answers: bool) -> None:
        """Do nothing: there is no caller who is shown a fork."""

    def session_unusable(self, attempt: GatewayAttempt, now: Instant) -> None:
        """Do nothing: no other side is sent the session."""

    def acknowledged(self, leg: Leg, session: bytes, now: Instant) -> None:
        """Do nothing: it is the ACK of a refresh."""

    def ack_missing(self, leg: Leg, now: Instant) -> None:
        """Do nothing: the call is over soon."""

    def watch(self) -> None:
        """Do nothing: a test call is shorter than the shortest session interval."""

    def deadline_due(self, now: Instant) -> None:
        """Do nothing: no refresh of ours is sent."""


class DialogOfTrial(msgspec.Struct, frozen=True, eq=False):
    """The dialog of a test call (``DialogOwner``): requests of the vendor go to the leg, and become steps."""

    _attempt: GatewayAttempt
    _request_answered: Callable[[str, int, Instant], None]
    """Adds the method and the status of the answer to the steps."""

    @property
    def dialog(self) -> Dialog | None:
        """The confirmed dialog."""
        return self._attempt.leg.dialog

    @property
    def forks(self) -> Mapping[str, Dialog]:
        """Early dialogs by their remote tags: a vendor may ask something within them."""
        return self._attempt.leg.forks

    @property
    def acceptance(self) -> Acceptance | None:
        """Our 200 to a refresh, until its ACK."""
        return self._attempt.leg.acceptance

    @property
    def keypad(self) -> None:
        """Nothing: keys of a vendor transfer no call."""

    def moved(self) -> None:
        """Do nothing: a test call does not outlive the process."""

    def request_came(self, event: RequestArrived) -> None:
        """Have the leg answer a request, and add that to the steps."""
        self._attempt.leg.request_came(event)
        self._request_answered(event.request.method, _status_of(event.transaction), event.at)

    def ack_came(self, event: AckArrived) -> None:
        """Take the ACK of our 200 to a refresh."""
        self._attempt.leg.ack_came(event)

    def unwanted_answer(self, event: UnwantedAnswer) -> None:
        """Book the answer of another fork."""
        self._attempt.unwanted_answer(event)

    def earlier_answer_came(self, _event: EarlierAnswer) -> None:
        """Do nothing: a test call does not outlive the process."""


def _status_of(server: Server | InviteServer) -> int:
    """Return the status that a request was answered with; a 2xx to an INVITE is kept elsewhere."""
    if isinstance(server, InviteServer):
        sent = None if server.retry is None else server.retry.sent.data
    else:
        sent = server.last
    return _ACCEPTED if sent is None else int(sent[8:11])
