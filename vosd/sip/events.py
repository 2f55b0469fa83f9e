"""Events of the SIP core for its user.

Every event carries the instant at which it is reported; ``Instant`` also holds the time of arrival of its packet.
Most events have an owner, of the type that ``sip.owners`` declares. The rarer ones call it
themselves (``notify_owner``); the switch does that for the frequent ones, which saves a function call. These are final:
the switch compares their types.
"""

from typing import TYPE_CHECKING, final

import msgspec

from vosd.base.clock import Instant
from vosd.sip.drops import Drop
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.outgoing import Peer

if TYPE_CHECKING:
    from vosd.sip.dialog.acceptance import Acceptance
    from vosd.sip.dialog.dialog import Dialog
    from vosd.sip.owners import (
        AcceptanceOwner,
        AlarmOwner,
        ClientOwner,
        DialogOwner,
        InviteServerOwner,
        ProvisionalOwner,
        Witness,
    )
    from vosd.sip.transaction.client import Client, InviteClient
    from vosd.sip.transaction.server import InviteServer, Server


@final
class InviteArrived(msgspec.Struct, frozen=True):
    """A new call: an INVITE outside any dialog that passed the general checks."""

    transaction: "InviteServer"
    request: Request
    source: Peer
    at: Instant
    user: str = ""
    """User who authenticated (``sip.auth_gate``); empty where the source address identifies the sender."""
    longest_s: int | None = None
    """Longest call in seconds, as in ``auth_gate.Accepted``."""
    interim_s: int | None = None
    """Interval of Interim-Updates, as there."""
    radius_classes: tuple[bytes, ...] = ()
    """Values of Class in the accounting, as there."""
    server_name: str = ""
    """The name that the certificate of its connection has proven, as there."""


class OutsideArrived(msgspec.Struct, frozen=True):
    """A request outside any dialog, and no INVITE, that passed the general checks."""

    transaction: "Server"
    request: Request
    source: Peer
    at: Instant
    user: str = ""
    """User who authenticated (``sip.auth_gate``); empty where the source address identifies the sender."""


@final
class RegisterArrived(OutsideArrived, frozen=True):
    """A REGISTER."""


@final
class StandaloneArrived(OutsideArrived, frozen=True):
    """A MESSAGE, SUBSCRIBE or NOTIFY that is relayed (``Endpoint.relay``)."""


@final
class RequestArrived(msgspec.Struct, frozen=True):
    """A request within a dialog of ours, other than ACK; ``owner`` is the owner of the dialog."""

    owner: "DialogOwner"
    transaction: "Server | InviteServer"
    request: Request
    dialog: "Dialog"
    at: Instant


@final
class InviteRefused(msgspec.Struct, frozen=True):
    """An INVITE outside any dialog was refused by the general checks; the refusal is sent already."""

    request: Request
    source: Peer
    at: Instant
    status: int
    why: str
    user: str = ""
    """User who authenticated before the refusal; empty where the source address identifies the sender, if at all."""
    is_blocked: bool = False
    """Whether it was refused for the address that it comes from."""


class CancelArrived(msgspec.Struct, frozen=True):
    """An INVITE was cancelled before its final response; the CANCEL is answered already."""

    owner: "InviteServerOwner"
    transaction: "InviteServer | None"
    """None = it was accepted while the CANCEL waited in our queues, and its 2xx has no ACK."""
    request: Request
    """The CANCEL."""
    at: Instant

    def notify_owner(self) -> None:
        """Hand the event to its owner."""
        self.owner.cancelled(self)


@final
class AckArrived(msgspec.Struct, frozen=True):
    """The ACK of a 2xx of ours."""

    owner: "DialogOwner"
    request: Request
    at: Instant


class AckMissing(msgspec.Struct, frozen=True):
    """A 2xx of ours was not acknowledged within 64·T1 (RFC 3261 section 13.3.1.4)."""

    owner: "AcceptanceOwner | None"
    """None where the call is over: then a BYE waits for the ACK (RFC 3261 section 15.1.1)."""
    acceptance: "Acceptance"
    at: Instant

    def notify_owner(self) -> None:
        """Hand the event to its owner."""
        if self.owner is not None:
            self.owner.ack_missing(self)


@final
class ResponseArrived(msgspec.Struct, frozen=True):
    """A response to a request of ours; retransmissions and responses that nothing waits for are not reported."""

    owner: "ClientOwner"
    transaction: "Client | InviteClient"
    response: Response
    at: Instant


class UnwantedAnswer(msgspec.Struct, frozen=True):
    """An unwanted 2xx: from a second fork, or from an abandoned gateway. ACK and BYE are sent already."""

    owner: "Witness"
    """Owner of the INVITE: the leg that was forked, or the witness of an abandoned one."""
    response: Response
    at: Instant

    def notify_owner(self) -> None:
        """Hand the event to its owner."""
        self.owner.unwanted_answer(self)


class EarlierAnswer(msgspec.Struct, frozen=True):
    """A 2xx to a re-INVITE or UPDATE of ours that was given up, or is not known after a restart; any ACK is sent."""

    owner: "DialogOwner"
    response: Response
    at: Instant

    def notify_owner(self) -> None:
        """Hand the event to its owner."""
        self.owner.earlier_answer_came(self)


class ProvisionalUnacknowledged(msgspec.Struct, frozen=True):
    """A reliable provisional response of ours got no PRACK within 64·T1 (RFC 3262 section 3)."""

    owner: "ProvisionalOwner"
    at: Instant

    def notify_owner(self) -> None:
        """Hand the event to its owner."""
        self.owner.provisional_unacknowledged(self)


class AlarmFired(msgspec.Struct, frozen=True):
    """The timer that ``owner`` set with ``Endpoint.set_alarm`` has fired."""

    owner: "AlarmOwner"
    at: Instant

    def notify_owner(self) -> None:
        """Hand the event to its owner."""
        self.owner.alarm_fired(self)


class NoResponse(msgspec.Struct, frozen=True):
    """A request of ours got no final response in time (timers B and F), or its connection failed."""

    owner: "ClientOwner"
    transaction: "Client | InviteClient"
    at: Instant
    is_unreachable: bool = False
    """Whether its connection failed: within a dialog that counts as 503, which ends none (RFC 3261 section 8.1.3.1)."""

    def notify_owner(self) -> None:
        """Hand the event to its owner."""
        self.owner.no_response(self)


@final
class UnknownSourceIgnored(msgspec.Struct, frozen=True):
    """A request of an unknown or locked-out source was dropped without an answer.

    Or it was answered with a challenge that the source is not expected to meet.
    """

    source: Peer
    summary: str
    at: Instant
    why: Drop = Drop.UNKNOWN_SOURCE
    request: Request | None = None
    """The INVITE, if it was one."""
    status: int | None = None
    """Status of the answer; None = it was dropped."""


Event = (
    InviteArrived
    | InviteRefused
    | RegisterArrived
    | StandaloneArrived
    | RequestArrived
    | CancelArrived
    | AckArrived
    | AckMissing
    | ResponseArrived
    | NoResponse
    | UnwantedAnswer
    | EarlierAnswer
    | ProvisionalUnacknowledged
    | AlarmFired
    | UnknownSourceIgnored
)
