"""INVITE with Replaces (RFC 3891): another phone of the same account takes over a running call, or one that rings.

It takes the place of the caller or of the callee. Who pays for the call, and its record, stay as they are.
"""

from copy import copy
from typing import TYPE_CHECKING

from vosd.b2bua.attempt_progress import AttemptProgress
from vosd.b2bua.callee_leg import CalleeLeg
from vosd.b2bua.caller_leg import CallerLeg
from vosd.b2bua.renegotiation import Renegotiation, status_for_origin
from vosd.b2bua.supervision import Supervision, SupervisionFacts
from vosd.base.clock import Instant
from vosd.routing.pipeline import RouteChoice
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

    __slots__ = ("newcomer", "replaced_in")

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
        self.replaced_in = call
        self.newcomer = newcomer

    def _agreed(self, session: bytes, invite: InviteClient | None, now: Instant) -> None:
        super()._agreed(session, invite, now)
        leg = self.replaced_in.taken_over(self.newcomer, self.far, now)
        if leg is not self.newcomer and self._bridge is not None:
            waiting = Renegotiation(
                self._endpoint, self._bridge, leg, self.far, None, method="INVITE", offer=self.offer,
                said_before=self.said_before, answers_in_ack=self.answers_in_ack,
            )  # fmt: skip
            self._bridge.proposal = waiting  # the new callee owes only its ACK

    def _refused(self, status: int, now: Instant) -> None:
        if self.server is not None:
            self.server = None
            self.far.sessions.said = self.said_before  # the caller who was to be replaced stays
            self.newcomer.reject(status_for_origin(status) if status != 487 else 487, "", now)
        self._over()


def in_place_of(
    replaced: CalleeLeg, newcomer: CallerLeg, endpoint: Endpoint, now: Instant, choice: RouteChoice | None = None
) -> CalleeLeg:
    """Return the leg of a newcomer, whose INVITE was answered, as that of the callee.

    ``choice``: it is another attempt, which begins now; None = it goes on with the one that was answered.
    """
    before, dialog, acceptance = replaced.progress, newcomer.invite_dialog, newcomer.acceptance
    progress = AttemptProgress(before.started_at, before.rang, before.rang_at, before.tried_at, acknowledged=True)
    if choice is not None:
        progress.started_at = progress.rang_at = now
    leg = CalleeLeg(endpoint, replaced.call, choice or replaced.choice, replaced.address, progress)
    if acceptance is not None:
        acceptance.owner = leg
    leg.facts, leg.sessions, leg.timer = copy(newcomer.facts), copy(newcomer.sessions), newcomer.timer
    leg.acceptance = acceptance
    if newcomer.door is not None:
        leg.door = newcomer.door
        newcomer.door.belong_to(leg)
    leg.transaction, leg.peer, leg.tag = endpoint.acknowledged_invite, dialog.peer, dialog.local_tag
    leg.dialog, leg.answer = dialog, newcomer.sessions.remote
    endpoint.adopt(dialog.local_tag, leg)
    leg.supervision = Supervision(endpoint, leg, SupervisionFacts(now))
    leg.supervision.begin(now)
    return leg
