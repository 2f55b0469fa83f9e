"""What the SIP engine tells its user.

Every event carries the instant at which it is told, which knows when its packet came (DESIGN D2).
"""

from typing import TYPE_CHECKING, Any

import msgspec

from vosd.base.clock import Instant
from vosd.sip.auth_gate import UNKNOWN
from vosd.sip.wire.compose import Peer
from vosd.sip.wire.message import Request, Response

if TYPE_CHECKING:
    from vosd.sip.dialog.acceptance import Acceptance
    from vosd.sip.dialog.dialog import Dialog
    from vosd.sip.transaction.client import Client
    from vosd.sip.transaction.invite_client import InviteClient
    from vosd.sip.transaction.invite_server import InviteServer
    from vosd.sip.transaction.server import Server


class InviteArrived(msgspec.Struct, frozen=True):
    """A new call: an INVITE outside any dialog that passed the general checks."""

    transaction: "InviteServer"
    request: Request
    source: Peer
    at: Instant
    user: str = ""
    """Who proved to be the sender (``sip.auth_gate``); empty where the source address is all there is."""


class RegisterArrived(msgspec.Struct, frozen=True):
    """A REGISTER that passed the general checks."""

    transaction: "Server"
    request: Request
    source: Peer
    at: Instant
    user: str = ""
    """Who proved to be the sender (``sip.auth_gate``); empty where the source address is all there is."""


class RequestArrived(msgspec.Struct, frozen=True):
    """A request within a dialog of ours, other than ACK; ``owner`` is who keeps the dialog."""

    owner: Any
    transaction: "Server | InviteServer"
    request: Request
    dialog: "Dialog"
    at: Instant


class CancelArrived(msgspec.Struct, frozen=True):
    """An INVITE was given up before its answer; the CANCEL itself is answered already."""

    owner: Any
    transaction: "InviteServer"
    request: Request
    """The CANCEL."""
    at: Instant


class AckArrived(msgspec.Struct, frozen=True):
    """The ACK of a 2xx of ours."""

    owner: Any
    request: Request
    at: Instant


class AckMissing(msgspec.Struct, frozen=True):
    """A 2xx of ours was not acknowledged in 64·T1 (RFC 3261 section 13.3.1.4)."""

    owner: Any
    acceptance: "Acceptance"
    at: Instant


class ResponseArrived(msgspec.Struct, frozen=True):
    """A response to a request of ours; retransmissions and what nobody waits for do not come up."""

    owner: Any
    transaction: "Client | InviteClient"
    response: Response
    at: Instant


class AnswerStrayed(msgspec.Struct, frozen=True):
    """Somebody answered whom no call waits for: a second fork, or a gateway given up; it is hung up already."""

    owner: Any
    """Who asked: the leg whose INVITE was forked, or the witness of one given up."""
    response: Response
    at: Instant


class ProvisionalUnheard(msgspec.Struct, frozen=True):
    """A reliable provisional response of ours got no PRACK in 64·T1 (RFC 3262 section 3)."""

    owner: Any
    at: Instant


class AlarmRang(msgspec.Struct, frozen=True):
    """The time has come that ``owner`` asked for with ``Endpoint.set_alarm``."""

    owner: Any
    at: Instant


class NoResponse(msgspec.Struct, frozen=True):
    """A request of ours found no final response in time (timers B and F)."""

    owner: Any
    transaction: "Client | InviteClient"
    at: Instant


class UnknownSourceIgnored(msgspec.Struct, frozen=True):
    """A request of an unknown source, or one that is not heard any more, was dropped without an answer.

    Or it was answered with a challenge that such a source will hardly meet.
    """

    source: Peer
    summary: str
    at: Instant
    why: str = UNKNOWN
    request: Request | None = None
    """The INVITE, where it was one."""
    status: int | None = None
    """Of the answer; None = it was dropped."""


Event = (
    InviteArrived
    | RegisterArrived
    | RequestArrived
    | CancelArrived
    | AckArrived
    | AckMissing
    | ResponseArrived
    | NoResponse
    | AnswerStrayed
    | ProvisionalUnheard
    | AlarmRang
    | UnknownSourceIgnored
)
