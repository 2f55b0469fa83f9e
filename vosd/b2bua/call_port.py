"""Ports of a leg to its call: what a leg and the changes of its session report to the call, and read from it.

``Call``, ``CalleeSearch`` and ``Conversation`` implement them. Legs and all that they use name these ports instead, so
that they do not import the call. A method is an event with the instant of its packet.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from vosd.b2bua.outgoing.reasons import NO_CAUSES
from vosd.b2bua.outgoing.signatures import CallerAttestation
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.stamps import Arrival, Journey
from vosd.b2bua.states import CallState
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.cdr.record import Attempt
from vosd.routing.failover import AttemptOutcome
from vosd.routing.pipeline import RouteChoice
from vosd.sip.door.messages import OutgoingInvite, OutgoingSuccess
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import RequestArrived
from vosd.sip.owners import KeyPauses
from vosd.sip.wire.message import Message, Response
from vosd.trunks.gateways import MappingGateway

if TYPE_CHECKING:
    from vosd.b2bua.attempt import GatewayAttempt
    from vosd.b2bua.bridge import Bridge
    from vosd.b2bua.caller import Caller
    from vosd.b2bua.caller_side import CallerSide
    from vosd.b2bua.given_up import GivenUp
    from vosd.b2bua.leg import Leg


class PressedKeys(KeyPauses, Protocol):
    """The keys that a side presses, as its leg knows them."""

    def is_for_transfer(self, key: str, now: Instant) -> bool:
        """Process a key; False = it is for the other side."""

    def answered(self, now: Instant) -> None:
        """Count the pause before the next key from now: the INFO of a key was answered."""

    def stop(self) -> None:
        """Stop at the end of the leg."""


class AttemptBoard(Protocol):
    """The gateways of one call, as its attempts know them."""

    def vacate(self, choice: RouteChoice) -> None:
        """Release the capacity of an answered attempt."""

    def attested(self, choice: RouteChoice) -> CallerAttestation:
        """Return what we attest of the call that is sent to a gateway, and by which key."""


class TargetBoard(Protocol):
    """The media of one call, as a side that has left it knows them."""

    def target_rings(self, session: bytes, now: Instant) -> None:
        """Report that the target of a transfer rings, with early media or without."""


class SwitchPort(Protocol):
    """The switch, as the legs of one call know it."""

    @property
    def customer(self) -> MappingGateway | None:
        """The trunk or phone that the call came from."""

    @property
    def is_emergency(self) -> bool:
        """Whether it is a call to an emergency number."""

    @property
    def gateways(self) -> AttemptBoard:
        """The part for attempts at gateways."""

    @property
    def media(self) -> TargetBoard:
        """The part for media."""

    def refresh_failed(self, gateway: str | None, status: int, now: Instant) -> None:
        """Note that the leg of a gateway, or of the caller (None), refused a refresh of its session."""

    def moved(self, *, at_once: bool = False) -> None:
        """Journal a call that talks as it is now: a leg or its session has changed, or (``at_once``) who takes part."""


class SearchPort(Protocol):
    """The search for a callee, as its attempts know it."""

    def progressed(self, attempt: "GatewayAttempt", status: int, session: bytes, now: Instant) -> None:
        """Report a provisional response."""

    def fork_changed(self, attempt: "GatewayAttempt", before: str, after: str, now: Instant, *, answers: bool) -> None:
        """Report that another fork of an INVITE sends early media or answers, by the tags of both."""

    def attempt_failed(self, attempt: "GatewayAttempt", response: Response, now: Instant) -> None:
        """Report a final refusal of a gateway."""

    def attempt_silent(self, attempt: "GatewayAttempt", outcome: AttemptOutcome, now: Instant) -> None:
        """Report a gateway that sent no response, or could not be reached."""

    def session_unusable(self, attempt: "GatewayAttempt", now: Instant) -> None:
        """Report a gateway whose answer, in a 200 or a reliable response before it, the caller cannot be sent."""


class TransferPort(Protocol):
    """A transfer, as the call to its target knows it."""

    def progressed(self, status: int, now: Instant) -> None:
        """Report that the target rings."""

    def answered(self, now: Instant) -> None:
        """Report that the target has answered."""

    def failed(self, status: int, now: Instant) -> None:
        """Report that the target was not reached."""

    def asks_for_offer(self, status: int, now: Instant) -> bool:
        """Return whether another offer to a target that has refused the one before is asked for."""

    def offer_came(self, now: Instant) -> None:
        """Report that the side which was asked for that has made an offer, or none."""


class ConversationPort(Protocol):
    """The conversation of the two sides of a call, as their legs know it."""

    to_forward: Message | None
    """The latest response to an INVITE of ours, or the BYE of a side: rules of the other trunk pass headers of it."""

    @property
    def bridge(self) -> "Bridge | None":
        """Bridge between the two legs; made when the first request within a dialog needs it."""

    @property
    def transfer(self) -> TransferPort | None:
        """The transfer of one of its sides, or to its callee, while it is in progress."""

    @property
    def is_established(self) -> bool:
        """Whether both legs are established and have agreed on a session."""

    def bridge_to(self, callee: "GatewayAttempt") -> "Bridge":
        """Return the bridge between the two legs."""

    def offer_answer(self, now: Instant) -> None:
        """Report that an UPDATE of before the answer was refused."""

    def has_transfer_keys(self, leg: "Leg") -> bool:
        """Return whether the keys of a leg may transfer the call."""

    def asked(self, leg: "Leg", event: RequestArrived) -> None:
        """Report an INVITE, UPDATE, PRACK, INFO or REFER."""

    def is_media_blocked(self, leg: "Leg", session: bytes, before: bytes, now: Instant) -> bool:
        """Return whether the caller describes media at an address that may have none, and that is new in its call."""

    def taken_over(self, newcomer: "Caller", far: "Leg", now: Instant) -> "Leg":
        """Report that the far side goes on with a newcomer (RFC 3891); return the leg that it has become."""


class CallPort(Protocol):
    """The call of a leg."""

    arrival: Arrival
    journey: Journey
    settings: CallSettings
    endpoint: Endpoint
    state: CallState
    callee: "GatewayAttempt | None"
    caller: "CallerSide"

    refused: "tuple[GivenUp, ...]"
    """Attempts that were refused, and that another fork may answer."""

    @property
    def board(self) -> SwitchPort:
        """The switch, for this call."""

    @property
    def search(self) -> SearchPort | None:
        """The search for a callee; None once one has answered: what others report then changes nothing."""

    @property
    def conversation(self) -> ConversationPort:
        """The conversation of the two sides."""

    # -- an attempt ---------------------------------------------------------------------------------------------

    def answered(self, attempt: "GatewayAttempt", now: Instant) -> None:
        """Report the answer of a gateway."""

    def sent(
        self, leg: "Leg", message: OutgoingInvite | OutgoingSuccess, now: Instant, *, has_waited: bool = True
    ) -> None:
        """Report an INVITE that has left after a wait, or a 200 to one."""

    def not_sent(self, leg: "Leg", message: OutgoingInvite | OutgoingSuccess, now: Instant) -> bool:
        """Report one that the door has not let out; return whether it was of the call itself, and is dealt with."""

    def unwanted_answer(self, row: Attempt, now: Instant, given_up: "GivenUp") -> None:
        """Report the answer of another fork, or the first one of an attempt given up."""

    # -- the caller ---------------------------------------------------------------------------------------------

    def caller_answered(self, now: Instant) -> bool:
        """Ask to send the caller's 200; False = it must not be sent."""

    def take_answer_back(self, now: Instant) -> bool:
        """Take the caller's 200 back if it waits to leave by the door; return whether it does."""

    def caller_unreachable(self, now: Instant) -> None:
        """Report that the caller sent no PRACK."""

    def caller_cancelled(self, now: Instant, given: Mapping[str, int] = NO_CAUSES) -> None:
        """Report a CANCEL of the caller with its causes by protocol, or that its INVITE has expired."""

    # -- an answered call ---------------------------------------------------------------------------------------

    def end(self, reason: EndReason, now: Instant) -> None:
        """Ask to end the call, answered or not."""

    def acknowledged(self, leg: "Leg", session: bytes, now: Instant) -> None:
        """Report the ACK of our 200."""

    def ack_missing(self, leg: "Leg", now: Instant) -> None:
        """Report that our 200 was never acknowledged."""

    def watch(self) -> None:
        """Report that a session was agreed or refreshed, which may move the deadline."""

    def deadline_due(self, now: Instant) -> None:
        """Send the refreshes that are due, then end a call that has reached a limit."""

    def lost(self, leg: "Leg", status: int, now: Instant, reason: EndReason = EndReason.NO_COMMON_CODEC) -> None:
        """Report that a leg has no such dialog (481), does not answer (408), or has no session (488, ``reason``)."""

    def hung_up(self, leg: "Leg | None", cause: int | None, now: Instant, at: Instant | None = None) -> None:
        """Report a BYE with its Q.850 cause; ``at`` is when, if it is processed later; None = a caller without leg."""
