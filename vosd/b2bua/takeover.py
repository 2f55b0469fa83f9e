"""INVITE with Replaces (RFC 3891): another phone of the same account takes over a running call, or one that rings.

It takes the place of the caller or of the callee. Who pays for the call, and its record, stay as they are.
"""

from typing import TYPE_CHECKING

from vosd.b2bua.callee_leg import CalleeLeg
from vosd.b2bua.caller_leg import CallerLeg
from vosd.b2bua.renegotiation import Renegotiation, status_for_origin
from vosd.b2bua.supervision import Supervision
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
        leg = self._call.taken_over(self._newcomer, self.far, now)
        if leg is not self._newcomer and self._bridge is not None:
            waiting = Renegotiation(
                self._endpoint, self._bridge, leg, self.far, None, method="INVITE", offer=self._offer,
                said_before=self._said_before, answers_in_ack=self._answers_in_ack,
            )  # fmt: skip
            self._bridge.restore(waiting)  # the new callee owes only its ACK

    def _refused(self, status: int, now: Instant) -> None:
        if self._server is not None:
            self._server = None
            self.far.said = self._said_before  # the caller who was to be replaced stays
            self._newcomer.reject(status_for_origin(status) if status != 487 else 487, "", now)
        self._over()


def in_place_of(
    replaced: CalleeLeg, newcomer: CallerLeg, endpoint: Endpoint, now: Instant, choice: RouteChoice | None = None
) -> CalleeLeg:
    """Return the leg of a newcomer, whose INVITE was answered, as that of the callee.

    ``choice``: it is another attempt, which begins now; None = it goes on with the one that was answered.
    """
    leg = CalleeLeg(endpoint, replaced.call, choice or replaced.choice, replaced._address, replaced.started_at)
    if choice is not None:
        leg.started_at = now
    dialog = newcomer.invite_dialog
    acceptance = newcomer._acceptance
    if acceptance is not None:
        acceptance.owner = leg
    leg.restore(
        timer=newcomer.timer,
        remote_session=newcomer.remote_session,
        remote_session_before_hold=newcomer._remote_session_before_hold,
        said=newcomer.said,
        allows_update=newcomer.takes_update,
        is_confirmed=newcomer._is_confirmed,
        last_seen_at=newcomer.last_seen_at,
        acceptance=acceptance,
        moving=None,
        supervision=None,
    )
    leg.restore_attempt(
        endpoint.acknowledged_invite,
        dialog.peer,
        dialog.local_tag,
        invite_sequence=0,
        dialog=dialog,
        early=None,
        invitation=None,
        received_rseq=None,
        pracking=None,
        speaker=None,
        sessions=None,
        rang=replaced.rang,
        rang_at=replaced.rang_at if choice is None else now,
        tried_at=replaced.tried_at,
        answer=newcomer.remote_session,
        q850=None,
        is_settled=False,
        acknowledged=True,
    )
    endpoint.adopt(dialog.local_tag, leg)
    leg.supervision = Supervision(endpoint, leg, now)
    leg.supervision.begin(now)
    return leg
