"""Messages of a leg that have not left: headers and body, which may still be changed, and who waits for what follows.

``Leg.send`` lets every one of them leave. Its transaction exists before it is sent, so that the leg can refer to it.
"""

from collections.abc import Callable

import msgspec

from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.prack import ReliableProvisional
from vosd.sip.owners import Witness
from vosd.sip.transaction.client import Client, InviteClient
from vosd.sip.transaction.server import InviteServer, Server
from vosd.sip.wire.multipart import BodyPart
from vosd.sip.wire.outgoing import InviteParts


class _Enclosing(msgspec.Struct, kw_only=True, eq=False, gc=False):
    """A message with more than a session description."""

    enclosed: tuple[BodyPart, ...] = ()
    """Parts that stand beside the body when it leaves; until then the body is the session description alone."""
    left_out: Callable[[], None] | None = None
    """Called where it is to leave without its session description; None = nothing is to be done then."""


class Outgoing(_Enclosing, eq=False, gc=False):
    """A message: ``headers`` are whole lines, without those that identify transaction and dialog."""

    headers: str
    body: bytes


class OutgoingResponse(Outgoing, eq=False, gc=False):
    """A response that is not repeated by itself: provisional, a failure, or any to another request than INVITE."""

    transaction: Server | InviteServer
    status: int
    tag: str
    agreed_in: object = None
    """The bridge whose other side has accepted the offer that it answers, and has another session now."""

    @property
    def is_answer(self) -> bool:
        """Whether it is a 200 to an UPDATE or a PRACK, with the answer to its offer."""
        return self.status == 200 and bool(self.body)


class OutgoingReliable(Outgoing, eq=False, gc=False):
    """A provisional response that is repeated until its PRACK (RFC 3262)."""

    transaction: InviteServer
    status: int
    tag: str
    provisional: ReliableProvisional


class OutgoingSuccess(Outgoing, eq=False, gc=False):
    """A 200 to an INVITE, which is repeated until its ACK."""

    transaction: InviteServer
    acceptance: Acceptance
    is_agreed: bool = True
    """Whether the other side has another session by it now; not that to an unchanged offer."""


class OutgoingInvite(Outgoing, eq=False, gc=False):
    """The INVITE of an attempt; ``is_fixed``: it may not use another transport."""

    transaction: InviteClient
    parts: InviteParts
    hops: int
    is_fixed: bool


class OutgoingReinvite(Outgoing, eq=False, gc=False):
    """An INVITE within a dialog."""

    transaction: InviteClient
    dialog: Dialog


class OutgoingRequest(Outgoing, eq=False, gc=False):
    """A request within a dialog, other than INVITE, ACK, CANCEL and BYE."""

    transaction: Client
    dialog: Dialog
    method: str


class OutgoingAck(Outgoing, eq=False, gc=False):
    """The ACK of a 2xx."""

    transaction: InviteClient
    dialog: Dialog


class OutgoingCancel(Outgoing, eq=False, gc=False):
    """The CANCEL of an INVITE; ``is_abandoned``: only a witness learns of an answer that comes all the same."""

    transaction: InviteClient
    is_abandoned: bool
    witness: Witness | None


class OutgoingBye(Outgoing, eq=False, gc=False):
    """A BYE; that of a caller whose ACK is missing waits for it (``acceptance``)."""

    dialog: Dialog
    acceptance: Acceptance | None
