"""Hang up the legs of an earlier process that was killed: its peers still hold them.

Answered legs get BYE (those of gateways an ACK first, since their 2xx may lack it), INVITEs without a final response
CANCEL, and callers without a final response 503. This is paced, because there may be thousands of calls. The journal
has what was sent and what has been answered, so that a start that is killed, too, leaves less than it found.

A 2xx that no call waits for is journalled before its ACK, whichever process has sent the INVITE: its sender repeats it
no more once it has the ACK, and a kill before the BYE would leave it connected.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from vosd.b2bua.attempt import GatewayAttempt
from vosd.b2bua.outgoing.reasons import reason_headers
from vosd.base.cause import EndReason
from vosd.base.clock import Clock, Instant
from vosd.callcontrol.vendor_terms import buy_rate
from vosd.cdr.record import CallRecord
from vosd.engine.calls.known import logins
from vosd.engine.calls.lost_attempts import LostAttempts, record_of
from vosd.engine.calls.services import CallServices
from vosd.engine.journal import Journal, Remains
from vosd.engine.journal.entries import LeftOver, PlacedCall
from vosd.engine.journal.left_over import key_of, key_of_invite
from vosd.engine.journal.released import LATE_MS
from vosd.engine.journal.replay import REFUSED_WITH
from vosd.obs.events import log as _log
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.snapshot import CallerSnapshot, DialogSnapshot, InviteSnapshot, text_of
from vosd.sip.endpoint import Endpoint
from vosd.sip.headers.via import branch_of
from vosd.sip.transaction.client import InviteClient
from vosd.sip.transaction.server import InviteServer
from vosd.sip.wire.compose import encode
from vosd.sip.wire.outgoing import Datagram, InviteParts
from vosd.trunks.dialect import ReasonForm

LEGS_PER_S: Final = 200
"""Towards gateways, and as many towards callers, who have no reason to wait for each other.

A vendor bills every second that its BYE is late; a burst of thousands would be lost in its buffers, or blocked.
"""
_ROUND_S: Final = 0.05
_LEGS_A_ROUND: Final = round(LEGS_PER_S * _ROUND_S)

ASKED_MAX: Final = 20_000
"""Most legs whose end is awaited; further late answers get ACK and BYE, and are not journalled.

Any trunk can send 2xx that nothing waits for. A start without any answer waits for 400 a second, for 64·T1.
"""

_REASON: Final = reason_headers(ReasonForm.Q850, EndReason.LOST, EndReason.LOST.q850_cause)

_Left = DialogSnapshot | InviteSnapshot | CallerSnapshot


class _Request(Protocol):
    """A transaction that ends a leg."""

    @property
    def is_over(self) -> bool:
        """Whether the peer has answered, or had time enough to do so."""


class Placements:
    """Journals every INVITE to a gateway (``sip.client_core.Placed``)."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.services: CallServices | None = None
        """Services of the switch; without them no record is kept."""

    def __call__(self, transaction: InviteClient) -> None:
        """Journal one INVITE."""
        attempt = transaction.owner
        if not isinstance(attempt, GatewayAttempt):
            return  # re-INVITEs begin no dialog
        call = attempt.call
        flows, caller = call.endpoint.flows, call.caller.inviter
        invite = InviteSnapshot.of(transaction.parts, flows, attempt.choice.gateway.name)
        waiting = None
        if not call.journey.attempts and caller is not None:
            waiting = CallerSnapshot.of(caller.invite, caller.dialog.local_tag, flows)
        record = None if self.services is None else record_of(attempt, transaction.parts.call_id, self.services)
        rate = None if record is None else buy_rate(attempt.choice)
        call_id, earns = call.arrival.call_id, attempt.choice.gateway.earns
        refused = [each.via for each in self._journal.invites_of(call_id) if _is_refused(each, call.endpoint)]
        self._journal.placed(PlacedCall(call_id, invite, waiting, record, rate, earns, tuple(refused)))


class Leftovers:
    """Legs that are to be hung up: those of an earlier process, and those of late answers."""

    def __init__(
        self,
        endpoint: Endpoint,
        journal: Journal,
        clock: Clock,
        flush: Callable[[Instant], None],
        services: CallServices,
        write: Callable[[CallRecord], None],
    ) -> None:
        """``flush`` sends the messages that were written; ``write`` journals and books the record of a call."""
        self._endpoint = endpoint
        self._lost = LostAttempts(write, services)
        self._invites: dict[bytes, tuple[LeftOver, InviteClient]] = {}
        """INVITEs that have no final response yet, whether their CANCEL was sent or not."""
        self._callers: dict[bytes, InviteServer] = {}
        """INVITEs that an earlier start has refused, until they are refused again: a copy is no new call."""
        self._left_over = journal.left_over
        self._clock = clock
        self._flush = flush
        self._services = services
        self._to_gateways: deque[tuple[bytes, _Left]] = deque()
        self._to_callers: deque[tuple[bytes, _Left]] = deque()
        self._asked: dict[bytes, _Request | None] = {}
        """Requests that were sent to end a leg, until it is over; None where nothing had to be sent."""
        self._ended: dict[str, LeftOver] = {}
        """INVITEs that were given up or refused before, by branch: nothing is sent, but they may be answered."""
        self._ended_until_ms = 0
        endpoint.client.unclaimed.released = self.take_late_answer

    def __len__(self) -> int:
        """Return how many legs have to be asked."""
        return len(self._to_gateways) + len(self._to_callers)

    def adopt(self, remains: Remains) -> None:
        """Queue the legs that the journal of an earlier process names; they stay in it until they are hung up."""
        left = self._left_over.leave(remains.legs(), self._clock.now())
        self._await_answers(left, remains)
        self._know_refused(left, remains)
        now = self._clock.now()
        self._ended, self._ended_until_ms = remains.answers_in_vain(now.wall), now.mono + LATE_MS
        gateways: list[tuple[int, bytes, _Left]] = []
        callers: list[tuple[int, bytes, _Left]] = []
        for key, each in left.items():
            gateways.extend((each.asked, key, invite) for invite in each.invites)
            callers.extend((each.asked, key, caller) for caller in each.callers)
        for key, each in left.items():
            for dialog in each.dialogs:
                (gateways if dialog.gateway else callers).append((each.asked, key, dialog))
        for queue, legs in ((self._to_gateways, gateways), (self._to_callers, callers)):
            legs.sort(key=lambda leg: leg[0])  # what earlier starts have asked already comes last
            queue.extend((key, leg) for _, key, leg in legs)

    async def run(self) -> None:
        """Hang up all legs, and return."""
        if not self:
            return
        _log.warning("earlier_legs_being_ended", legs=len(self), a_second=LEGS_PER_S)
        while self or self._asked:
            now = self._clock.now()
            self.ask_some(now)
            self._flush(now)
            await asyncio.sleep(_ROUND_S)
        self._left_over.all_released()
        _log.info("earlier_legs_ended", late_answers=self._lost.answered, unknown_answers=self._lost.unknown)

    def ask_some(self, now: Instant) -> None:
        """Ask the peers of the next legs to end them, and note those that are over."""
        self.note_over(now)
        asked = []
        for queue in (self._to_gateways, self._to_callers):
            for _ in range(min(_LEGS_A_ROUND, len(queue))):
                key, leg = queue.popleft()
                request = self._asked[key] = self._hang_up(key, leg, now)
                if request is not None:
                    asked.append(key)
        self._left_over.note(asked, (), now)

    def note_over(self, now: Instant) -> None:
        """Note the legs that are over."""
        done = [key for key, request in self._asked.items() if request is None or request.is_over]
        for key in done:
            del self._asked[key]
            if key in self._invites:
                self._invite_over(key, *self._invites.pop(key), now)
        self._left_over.note((), done, now)
        if now.mono > self._ended_until_ms:
            self._ended.clear()

    def take_late_answer(self, dialog: Dialog, invite: InviteParts, bye: _Request, now: Instant) -> bool:
        """Journal a dialog that no call waits for, until its BYE is over; an INVITE of an earlier process is done.

        Return False for a dialog that is there already: an earlier process had its answer.
        """
        if len(self._asked) >= ASKED_MAX:
            return True
        by_via, answers = key_of_invite(encode(invite.via)), dialog.answers
        gateway = "" if answers is None else answers.gateway
        call_id, answered = "", self._invites.pop(by_via, None)
        if answered is not None:
            call_id, gateway = answered[0].call_id, answered[0].invites[0].gateway
        ended = self._ended.pop(branch_of(invite.via), None)
        if answered is None and ended is not None and ended.invites[0].call_id == encode(dialog.call_id):
            call_id, gateway = ended.call_id, ended.invites[0].gateway
            self._lost.answered_after_end(ended, now)
        leg = DialogSnapshot.of(dialog, self._endpoint.flows, gateway, invite.sequence)
        key = key_of(leg)
        is_new = key not in self._left_over
        self._asked[key] = bye
        self._left_over.add(key, LeftOver(call_id, dialogs=(leg,), asked=1, asked_since=now.wall))
        if answered is not None:
            self._asked.pop(by_via, None)
            self._invite_over(by_via, *answered, now)
            self._left_over.note((), (by_via,), now)
        return is_new

    def _invite_over(self, key: bytes, left: LeftOver, transaction: InviteClient, now: Instant) -> None:
        """Note the end of an INVITE; a record that is written by it is written no more for the others of its call."""
        for other, alone in self._lost.over(key, left, transaction, now).items():
            self._invites[other] = alone, self._invites[other][1]
            self._left_over.settle(other)

    def _await_answers(self, left: Mapping[bytes, LeftOver], remains: Remains) -> None:
        """Take the final responses to all INVITEs from now on: the CANCEL of the last may be sent in minutes."""
        flows, answers_of, now = self._endpoint.flows, logins(self._services.admission.catalogue), self._clock.now()
        for key, each in left.items():
            for invite in each.invites:
                self._invites[key] = each, self._endpoint.client.take_left_over(invite.restored(flows, answers_of))
        given_up = self._left_over.given_up
        invites = {**{key: each for key, (each, _) in self._invites.items()}, **given_up}
        answered = {dialog.call_id for each in left.values() for dialog in each.dialogs}
        for key, each in invites.items():
            if each.record is None or remains.has_ended(each.record.call_id):
                continue
            # What an answer costs that the earlier process has released is in a record of that process.
            if each.record.call_id == each.call_id or each.invites[0].call_id not in answered:
                self._lost.add(key, each)
        for key, each in given_up.items():
            self._lost.over(key, each, None, now)

    def _know_refused(self, left: Mapping[bytes, LeftOver], remains: Remains) -> None:
        """Take no INVITE for a new call that was refused before, however it comes again."""
        endpoint, flows, now = self._endpoint, self._endpoint.flows, self._clock.now()
        for key, each in left.items():
            for caller in each.callers if each.asked else ():
                invite = _taken_over(caller, endpoint)
                if invite is not None:
                    self._callers[key] = invite
        for caller, status in remains.refused_callers.lately(now.wall):
            endpoint.repeat_refusal(*caller.restored(flows), status, caller.tag, now)

    def _hang_up(self, key: bytes, leg: _Left, now: Instant) -> _Request | None:
        flows, client, answers_of = (
            self._endpoint.flows,
            self._endpoint.client,
            logins(self._services.admission.catalogue),
        )
        if isinstance(leg, CallerSnapshot):
            caller = self._callers.pop(key, None) or _taken_over(leg, self._endpoint)
            if caller is not None:
                caller.respond(REFUSED_WITH, leg.tag, self._endpoint.server_header + _REASON, now)
            return caller
        if isinstance(leg, InviteSnapshot):
            if key not in self._invites:
                return None  # it was answered before its turn came
            invite = self._invites[key][1]
            if not invite.is_over:
                invite.cancel(_REASON, now)
            return invite
        return client.end_left_over(leg.to_hang_up(flows, answers_of), leg.invite_sequence, _REASON, now)


def _taken_over(caller: CallerSnapshot, endpoint: Endpoint) -> InviteServer | None:
    """Return an open INVITE of an earlier process; None = it has come again, and is a new call, or was one."""
    invite = endpoint.take_left_over(*caller.restored(endpoint.flows))
    if invite is not None:
        invite.left_name = caller.server_name
    return invite


def _is_refused(invite: InviteSnapshot, endpoint: Endpoint) -> bool:
    """Return whether an INVITE has its final response, and that was a failure.

    The ACK of a failure repeats its Via (RFC 3261 section 17.1.1.3), that of a 2xx has another branch.
    """
    ack = endpoint.store.finished.get(f"{branch_of(text_of(invite.via))} INVITE")
    return isinstance(ack, Datagram) and invite.via in ack.data
