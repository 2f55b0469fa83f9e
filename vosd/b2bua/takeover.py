"""INVITE with Replaces (RFC 3891): another phone of the same account takes over a running call, or one that rings.

It takes the place of the caller or of the callee. Who pays for the call, and its record, stay as they are.
"""

from typing import TYPE_CHECKING

from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.attempt_progress import AttemptProgress
from vosd.b2bua.caller import Caller
from vosd.b2bua.renegotiation import Renegotiation, status_for_origin
from vosd.base.clock import Instant
from vosd.routing.pipeline import RouteChoice
from vosd.sip.endpoint import Endpoint
from vosd.sip.transaction.client import InviteClient
from vosd.sip.transaction.server import InviteServer, Server

if TYPE_CHECKING:
    from vosd.b2bua.bridge import Bridge
    from vosd.b2bua.call_port import CallPort
    from vosd.b2bua.leg import Leg


class Takeover(Renegotiation):
    """The offer of a leg that is not in the call yet; it replaces the old leg once the far side has accepted."""

    __slots__ = ("newcomer", "replaced_in")

    def __init__(
        self,
        endpoint: Endpoint,
        bridge: "Bridge | None",
        call: "CallPort",
        newcomer: Caller,
        far: "Leg",
        server: Server | InviteServer | None,
        *,
        said_before: bytes,
        answers_in_ack: InviteClient | None = None,
    ) -> None:
        super().__init__(
            endpoint, bridge, newcomer.leg, far, server, method="INVITE", offer=newcomer.offer, said_before=said_before,
            answers_in_ack=answers_in_ack,
        )  # fmt: skip
        self.replaced_in = call
        self.newcomer = newcomer

    def _agreed(self, session: bytes, invite: InviteClient | None, now: Instant) -> None:
        super()._agreed(session, invite, now)
        if self.offer and not session:
            return  # without an answer the newcomer was refused
        leg = self.replaced_in.conversation.taken_over(self.newcomer, self.far, now)
        callee = self.replaced_in.callee
        if callee is not None and callee.leg is leg and self._bridge is not None:
            waiting = Renegotiation(
                self._endpoint, self._bridge, leg, self.far, None, method="INVITE", offer=self.offer,
                said_before=self.said_before, answers_in_ack=self.answers_in_ack,
            )  # fmt: skip
            self._bridge.proposal = waiting  # the new callee owes only its ACK

    def _answer(self, _server: Server | InviteServer, session: bytes, now: Instant) -> None:
        self.newcomer.answer(session, now)

    def _refused(self, status: int, now: Instant) -> None:
        if self.server is not None:
            self.server = None
            self._restore_said(status)  # the caller who was to be replaced stays
            self.newcomer.reject(status_for_origin(status) if status != 487 else 487, "", now)
        self._over()


def in_place_of(
    replaced: GatewayAttempt, newcomer: Caller, endpoint: Endpoint, now: Instant, choice: RouteChoice | None = None
) -> GatewayAttempt:
    """Return the callee that a newcomer has become, whose INVITE was answered.

    ``choice``: it is another attempt, which begins now; None = it goes on with the one that was answered.
    """
    before, dialog, leg = replaced.progress, newcomer.dialog, newcomer.leg
    progress = AttemptProgress(before.started_at, before.rang, before.rang_at, before.tried_at, acknowledged=True)
    progress.newcomer = newcomer.trunk or ""
    if choice is not None:
        progress.started_at = progress.rang_at = now
    attempt = GatewayAttempt(endpoint, replaced.call, choice or replaced.choice, replaced.address, progress, leg)
    attempt.transaction, attempt.peer, attempt.tag = endpoint.acknowledged_invite, dialog.peer, dialog.local_tag
    attempt.answer = leg.sessions.remote
    return attempt
