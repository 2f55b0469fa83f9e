"""Going on with the answered calls of an earlier process that was killed (ADR 67).

The journal says how each call was when it was last written. What was not written is restored so that it is right
whatever has happened since: numbers of requests leave a gap, the sessions begin an interval now, a 200 that may not
have arrived is sent again. Money is held at least for the time that the journal proves.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from vosd.b2bua.call import Call
from vosd.b2bua.caller import Caller
from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.headers import retry_later
from vosd.b2bua.renegotiation import Renegotiation
from vosd.b2bua.settings import CallSettings
from vosd.b2bua.snapshot.references import NoSnapshotError, RestoredCalls
from vosd.b2bua.supervision import Supervision, SupervisionFacts
from vosd.base.clock import Instant
from vosd.callcontrol.open_call import OpenCall
from vosd.engine.calls.derived import EstablishedCall
from vosd.engine.calls.gone import known_to
from vosd.engine.calls.intake import Intake
from vosd.engine.calls.known import KnownObjects, logins
from vosd.engine.calls.live_call import LiveCall, undo
from vosd.engine.calls.saved import SavedCall
from vosd.engine.calls.services import CallServices
from vosd.engine.calls.stripped import moved_in_time, named_calls, stripped
from vosd.engine.journal import Remains
from vosd.obs.events import Event, log as _log
from vosd.sip.dialog.snapshot import COUNTED_SINCE, CallerSnapshot, text_of
from vosd.sip.endpoint import Endpoint
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.server import InviteServer
from vosd.sip.transaction.states import TransactionState

REFRESH_MS: Final = 2_000
"""Our sessions are refreshed so soon after the start: peers may have waited for a refresh meanwhile."""
REFRESHES_PER_S: Final = 200
"""A burst of thousands of refreshes would be lost in the buffers of the peers."""
LEFT_FOR_ACK: Final = 8
"""A peer acknowledges a 200 again for 64·T1 after the first; with less than an eighth left it is taken as received."""

Result = TypeVar("Result")


class Resumed(NamedTuple):
    """Answered calls of an earlier process that go on."""

    calls: list[OpenCall]
    """Calls that go on, as they are to be journalled again."""
    changed: set[str]
    """Ids of calls whose description is to be written anew."""


class Resumption:
    """One pass over the calls that the journal of an earlier process has open, in a switch without calls."""

    def __init__(
        self, endpoint: Endpoint, services: CallServices, intake: Intake, settings: CallSettings, now: Instant
    ) -> None:
        self._endpoint = endpoint
        self._services = services
        self._intake = intake
        self._settings = settings
        self._now = now
        self._known = KnownObjects.of(services.admission.catalogue)
        self._refreshes = 0

    def run(self, remains: Remains) -> Resumed:
        """Go on with all calls that can be continued; the credits of the accounts are there, without holds.

        Those that cannot be continued stay in ``remains.open_calls``, and are to be ended.
        """
        catalogue = self._services.admission.catalogue
        self._known = known_to(remains.open_calls.values(), catalogue)
        described = {}
        for call_id, call in remains.open_calls.items():
            try:
                described[call_id] = self._described(call, remains)
            except Exception as error:  # noqa: BLE001  the boundary: one odd call ends as lost, and stops no start
                self._refuse(call_id, error)
        self._leave_partners_out(described)
        restoration = Restoration(self._endpoint, logins(catalogue))
        calls = RestoredCalls(restoration)
        self._each(described, lambda saved: saved.restored(self._services, self._intake, calls, self._known))
        self._each(described, lambda saved: saved.parts.connect(calls))
        restoration.finish()
        awaited = self._each(described, lambda saved: self._go_on(saved, remains))
        resumed = Resumed([], set())
        for call_id in described:
            resumed.calls.append(_counted_on(remains.open_calls.pop(call_id), self._services.running.get(call_id)))
            if awaited[call_id] or remains.shifts.get(call_id):
                resumed.changed.add(call_id)
        return resumed

    def _each(self, described: dict[str, SavedCall], do: Callable[[SavedCall], Result]) -> dict[str, Result]:
        """Do something for each call; leave those out for which it fails, and those that are joined to them."""
        done: dict[str, Result] = {}
        for call_id, saved in tuple(described.items()):
            try:
                done[call_id] = do(saved)
            except Exception as error:  # noqa: BLE001  the same boundary
                self._leave_out(described, call_id, error)
        self._leave_partners_out(described)
        return done

    # -- before -------------------------------------------------------------------------------------------------

    def _described(self, call: OpenCall, remains: Remains) -> SavedCall:
        """Return a call as it is to be restored.

        Raises:
            NoSnapshotError: it cannot be continued.
            KeyError: its trunk, gateway or account is not known.
            msgspec.DecodeError: its description is not readable.
        """
        if call.record.answered_at is None:
            raise NoSnapshotError("its caller had no answer yet")
        ms = remains.shifts.get(call.record.call_id, 0)
        if call.saved:
            saved = stripped(SavedCall.read(call.saved))
            saved = replace(moved_in_time(saved, ms) if ms else saved, kept=call.alone)
        elif call.established:
            saved = EstablishedCall(call, self._known, self._settings, ms).as_saved()
        else:
            raise NoSnapshotError("it was written by an earlier version")
        missing = saved.missing(self._known, self._services.live.credits)
        if missing is not None:
            raise NoSnapshotError(f"{missing} is not configured any more")
        paid_from = call.answered_mono if call.charged_mono is None else call.charged_mono[0]
        paid_ms = max(remains.last_mono - paid_from, 0)
        return replace(saved, request=saved.request.paid_for(-(-paid_ms // 1000), saved.vendor_rate), deadline=None)

    def _leave_partners_out(self, described: dict[str, SavedCall]) -> None:
        """Leave calls out that are joined to one that is not continued."""
        while True:
            alone = [
                call_id for call_id, saved in described.items() if not named_calls(saved.parts) <= described.keys()
            ]
            if not alone:
                return
            for call_id in alone:
                error = NoSnapshotError("the call that it is joined to cannot be continued")
                self._leave_out(described, call_id, error)

    def _leave_out(self, described: dict[str, SavedCall], call_id: str, error: Exception) -> None:
        """Leave a call out that is described, and perhaps restored."""
        self._refuse(call_id, error)
        self._drop(described.pop(call_id))

    def _refuse(self, call_id: str, error: Exception) -> None:
        if isinstance(error, NoSnapshotError | msgspec.MsgspecError):
            _log.warning(Event.CALL_NOT_CONTINUED, call_id=call_id, why=str(error))
        elif isinstance(error, KeyError):
            why = f"{error.args[0]} is not configured any more"
            _log.warning(Event.CALL_NOT_CONTINUED, call_id=call_id, why=why, exc_info=error)
        else:
            _log.warning(Event.CALL_NOT_CONTINUED, call_id=call_id, why=repr(error), exc_info=error)

    def _drop(self, saved: SavedCall) -> None:
        """Forget what was restored of a call."""
        parts = saved.parts
        live_call = self._services.running.get(parts.arrival.call_id)
        if live_call is not None:
            undo(live_call, self._services)
        for side in (parts.caller, parts.callee):
            if side is not None and side.leg.dialog is not None:
                tag, moving = side.leg.dialog.local_tag, side.leg.moving
                self._endpoint.dialogs.forget(tag, self._now)
                left = None if moving is None else self._endpoint.store.servers.get(text_of(moving.transaction.key))
                if left is not None and left.state is TransactionState.PROCEEDING:
                    left.respond(500, tag, self._endpoint.server_header, self._now)

    # -- after --------------------------------------------------------------------------------------------------

    def _go_on(self, saved: SavedCall, remains: Remains) -> bool:
        """Set the timers of a call; return whether its caller has still to acknowledge our 200."""
        call_id = saved.parts.arrival.call_id
        live_call, written = self._services.running.get(call_id), remains.open_calls[call_id]
        if live_call is None:
            raise NoSnapshotError("it was not restored")
        call, hold = live_call.call, live_call.call_request.hold
        caller = call.caller.inviter
        counted = [(each.local_tag, each.local_sequence) for each in written.legs]
        for leg in call.conversation.parties:
            dialog = leg.dialog
            if dialog is not None:
                known = [sequence for tag, sequence in counted if tag == dialog.local_tag]
                leg.facts.known_sequence = max([dialog.local_sequence, *known])
                dialog.local_sequence = leg.facts.known_sequence + COUNTED_SINCE
        acknowledged = remains.acknowledged.get(call_id)
        journey = call.journey
        if acknowledged is not None and journey.acknowledged_at is None and journey.answered_at is not None:
            journey.acknowledged_at = journey.answered_at.plus(acknowledged - journey.answered_at.mono)
        is_awaited = False
        if caller is not None:
            waiting = remains.answered_callers.get(call_id)
            is_awaited = self._answer_again(caller, waiting)
        for leg in reversed(call.conversation.parties):
            if not is_awaited or leg is not call.caller.leg:  # else it is sent a 200 now, which may have to wait
                self._take_as_acknowledged(leg)
            elif leg.acceptance is not None and leg.acceptance.retry is None:
                leg.facts.is_confirmed = True  # the earlier process may have sent it: it is not taken back
            self._refuse_left(leg)
            self._supervise(leg)
        bridge = call.conversation.bridge
        if bridge is not None and isinstance(bridge.proposal, Renegotiation):
            bridge.proposal.take_back()
        _prove(call, written.seen_mono, remains)
        if hold is not None and call.lifetime is not None:
            call.lifetime.granted.granted_s = min(hold.granted_s, hold.ceiling_s)
        call.watch()
        return is_awaited

    def _answer_again(self, caller: Caller, waiting: CallerSnapshot | None) -> bool:
        """Send our 200 again if its ACK may not have come; return whether it is awaited."""
        call, now, at = caller.call, self._now, caller.call.journey.answered_at
        if at is None:
            raise RuntimeError(f"{call!r} goes on without an answer")
        lasts_ms = self._endpoint.store.timers.transaction_ms
        left_ms = at.mono + lasts_ms - now.mono
        is_awaited = call.journey.acknowledged_at is None and left_ms >= lasts_ms // LEFT_FOR_ACK
        if caller.progress.is_answered and (caller.leg.acceptance is None or caller.leg.acceptance.retry is not None):
            if is_awaited and waiting is not None:
                self._expect_again(caller, waiting)
            return caller.go_on(now, is_awaited=is_awaited)
        answer = b"" if call.callee is None else call.callee.answer
        if is_awaited and waiting is not None:
            key, stem = waiting.restored(self._endpoint.flows)
            caller.answer_again(InviteServer.received(self._endpoint.store, key, stem), answer, at, now)
            return True
        caller.was_answered(answer, at)
        return False

    def _expect_again(self, caller: Caller, waiting: CallerSnapshot) -> None:
        """Take an INVITE that comes again for one that has its 2xx, which goes to where it comes from."""
        store, dialog = self._endpoint.store, caller.dialog
        key, _ = waiting.restored(self._endpoint.flows)
        merging = f"{dialog.call_id} {dialog.remote_tag} {caller.progress.invite_sequence}"
        store.finished.keep(key, dialog.local_tag, store.timers.transaction_ms, self._now, also=merging)

    def _take_as_acknowledged(self, leg: Leg) -> None:
        """Wait no more for the ACK of a 200 whose time is over, as that of the caller: nothing says that none came.

        Nor for that of a 200 that had not left when it was written: it cannot be sent again.
        """
        acceptance, timers = leg.acceptance, self._endpoint.store.timers
        if acceptance is None:
            return
        retry = acceptance.retry
        if retry is None or retry.ends_at - self._now.mono < timers.transaction_ms // LEFT_FOR_ACK:
            acceptance.acknowledged()
            leg.acceptance, leg.facts.is_confirmed = None, True

    def _refuse_left(self, leg: Leg) -> None:
        """Refuse a re-INVITE that had a 100 of the earlier process, but no answer; its peer may make it again soon.

        An UPDATE without an answer is forgotten: its peer repeats it, but not where that had left over a connection.
        """
        moving, leg.moving = leg.moving, None
        if moving is not None:
            leg.respond(moving.transaction, 500, self._now, retry_later(self._endpoint))
        if leg.door is not None:
            leg.door.keeper.offer_forgotten(leg, self._now)

    def _supervise(self, leg: Leg) -> None:
        self._refreshes += 1
        soon_ms = REFRESH_MS + 1_000 * self._refreshes // REFRESHES_PER_S
        if leg.supervision is None:  # an earlier version has written none
            leg.supervision = Supervision(self._endpoint, leg, SupervisionFacts(self._now))
            leg.supervision.begin(self._now)
        leg.supervision.resumed(self._now, soon_ms)


def _prove(call: Call, seen_mono: int, remains: Remains) -> None:
    """Note the latest proofs of life that the legs of a call must have given (``dead_call_billing``).

    Refreshes are not written; without them the earlier run would have ended the call. The interval that a run begins by
    itself, when it goes on with a call, proves nothing.
    """
    journey = call.journey
    if journey.answered_at is None:
        return
    for leg in call.conversation.parties:
        if leg.supervision is None:
            continue
        proofs = [seen_mono] if seen_mono else [journey.answered_at.mono]
        silence_ms = leg.supervision.silence_ms
        if silence_ms is not None and remains.last_mono - silence_ms >= remains.ran_since:
            proofs.append(remains.last_mono - silence_ms)
        if leg is call.caller.leg and journey.acknowledged_at is not None:
            proofs.append(journey.acknowledged_at.mono)
        proof = journey.answered_at.plus(max(proofs) - journey.answered_at.mono)
        if leg.facts.last_seen_at is None or leg.facts.last_seen_at.came < proof:
            leg.facts.last_seen_at = proof


def _counted_on(call: OpenCall, live_call: LiveCall | None) -> OpenCall:
    """Return a call as it is journalled again: the next process leaves a gap behind the numbers of this one."""
    legs = tuple(replace(leg, local_sequence=leg.local_sequence + COUNTED_SINCE) for leg in call.legs)
    proofs = () if live_call is None else [leg.facts.last_seen_at for leg in live_call.call.conversation.parties]
    seen = [proof.came.mono for proof in proofs if proof is not None]
    return replace(call, legs=legs, seen_mono=max([call.seen_mono, *seen]))
