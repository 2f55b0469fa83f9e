"""Hang up the legs of an earlier process that was killed: its peers still hold them.

Answered legs get BYE (those of gateways an ACK first, since their 2xx may lack it), INVITEs without a final response
CANCEL, and callers without a final response 503. This is paced, because there may be thousands of calls. The journal
keeps them until all are hung up.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

import structlog

from vosd.b2bua.callee_leg import CalleeLeg
from vosd.b2bua.reasons import reason_headers
from vosd.base.cause import EndReason
from vosd.base.clock import Clock, Instant
from vosd.catalogue.catalogue import Catalogue
from vosd.engine.calls.logins import logins
from vosd.engine.journal import Journal, Remains
from vosd.engine.journal.entries import LeftOver
from vosd.sip.dialog.snapshot import CallerSnapshot, DialogSnapshot, InviteSnapshot
from vosd.sip.endpoint import Endpoint
from vosd.sip.transaction.invite_client import InviteClient
from vosd.trunks.dialect import ReasonForm

LEGS_PER_S: Final = 200
"""A vendor bills every second that its BYE is late; a burst of thousands would be lost in its buffers, or blocked."""
_ROUND_S: Final = 0.05
_LEGS_A_ROUND: Final = round(LEGS_PER_S * _ROUND_S)

_REASON: Final = reason_headers(ReasonForm.Q850, EndReason.LOST, EndReason.LOST.q850_cause)

_Left = DialogSnapshot | InviteSnapshot | CallerSnapshot

_log = structlog.get_logger()


class Placements:
    """Journals every INVITE to a gateway (``sip.client_core.Placed``)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __call__(self, transaction: InviteClient) -> None:
        """Journal one INVITE."""
        leg = transaction.owner
        if not isinstance(leg, CalleeLeg):
            return  # re-INVITEs begin no dialog
        call = leg.call
        flows, caller = call.endpoint.flows, call.caller.leg
        invite = InviteSnapshot.of(transaction.parts, flows, leg.choice.gateway.name)
        waiting = None
        if not call.journey.attempts and caller is not None:
            waiting = CallerSnapshot.of(caller.invite, caller.dialog.local_tag, flows)
        self._journal.placed(call.arrival.call_id, invite, waiting)


class Leftovers:
    """Legs of an earlier process that are to be hung up."""

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        clock: Clock,
        flush: Callable[[Instant], None],
        catalogue: Callable[[], Catalogue],
        patience_s: float,
    ) -> None:
        """``flush`` sends the messages that were written; a request is repeated for at most ``patience_s``."""
        self._patience_s = patience_s
        self._endpoint = endpoint
        self._journal = journal
        self._clock = clock
        self._flush = flush
        self._catalogue = catalogue
        self._legs: deque[_Left] = deque()

    def __len__(self) -> int:
        """Return how many legs wait."""
        return len(self._legs)

    def adopt(self, remains: Remains) -> None:
        """Queue the legs that the journal of an earlier process names; they stay in it until they are hung up."""
        left: list[LeftOver] = remains.legs()
        if not left:
            return
        self._journal.leave(left)
        waiting = [caller for each in left for caller in each.callers]
        asked = [invite for each in left for invite in each.invites]
        answered = [dialog for each in left for dialog in each.dialogs]
        answered.sort(key=lambda dialog: not dialog.gateway)  # gateways cost money, callers do not
        self._legs.extend((*asked, *answered, *waiting))

    async def run(self) -> None:
        """Hang up all legs, and return."""
        if not self._legs:
            return
        _log.warning("earlier_legs_being_ended", legs=len(self._legs), a_second=LEGS_PER_S)
        while self._legs:
            now = self._clock.now()
            for _ in range(min(_LEGS_A_ROUND, len(self._legs))):
                self._hang_up(self._legs.popleft(), now)
            self._flush(now)
            await asyncio.sleep(_ROUND_S)
        try:
            await asyncio.sleep(self._patience_s)  # after a kill before the answers the next process tries again
        finally:
            self._journal.hung_up()
        _log.info("earlier_legs_ended")

    def _hang_up(self, leg: _Left, now: Instant) -> None:
        flows, client, answers_of = self._endpoint.flows, self._endpoint.client, logins(self._catalogue())
        if isinstance(leg, CallerSnapshot):
            self._endpoint.refuse_left_over(*leg.restored(flows), leg.tag, _REASON, now)
        elif isinstance(leg, InviteSnapshot):
            client.cancel_left_over(leg.restored(flows, answers_of), _REASON, now)
        else:
            client.end_left_over(leg.to_hang_up(flows, answers_of), leg.invite_sequence, _REASON, now)
