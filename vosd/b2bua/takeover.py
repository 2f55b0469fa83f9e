"""INVITE with Replaces (RFC 3891): another phone of the same customer takes over a running call."""

from typing import TYPE_CHECKING

from vosd.b2bua.caller_leg import CallerLeg
from vosd.b2bua.renegotiation import Renegotiation, status_for_origin
from vosd.base.clock import Instant
from vosd.sip.endpoint import Endpoint
from vosd.sip.transaction.invite_client import InviteClient
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.transaction.server import Server

if TYPE_CHECKING:
    from vosd.b2bua.bridge import Bridge
    from vosd.b2bua.call_port import CallPort
    from vosd.b2bua.leg import Leg


class Takeover(Renegotiation):
    """The offer of a leg that is not in the call yet; it replaces the old leg once the far side has accepted."""

    __slots__ = ("_call", "_newcomer")

    def __init__(
        self,
        endpoint: Endpoint,
        bridge: "Bridge | None",
        call: "CallPort",
        newcomer: CallerLeg,
        far: "Leg",
        server: Server | InviteServer | None,
        *,
        said_before: bytes,
        answers_in_ack: InviteClient | None = None,
    ) -> None:
        super().__init__(
            endpoint, bridge, newcomer, far, server, method="INVITE", offer=newcomer.offer, said_before=said_before,
            answers_in_ack=answers_in_ack,
        )  # fmt: skip
        self._call = call
        self._newcomer = newcomer

    def _agreed(self, session: bytes, invite: InviteClient | None, now: Instant) -> None:
        super()._agreed(session, invite, now)
        self._call.taken_over(self._newcomer, now)

    def _refused(self, status: int, now: Instant) -> None:
        if self._server is not None:
            self._server = None
            self.far.said = self._said_before  # the caller who was to be replaced stays
            self._newcomer.reject(status_for_origin(status) if status != 487 else 487, "", now)
        self._over()
