"""Time limit of an answered call: money, the session timers of its legs, and the limit for peers without timer.

A call has one deadline: the earliest of these, or the next refresh of a session if that is earlier. Its end is stamped
with the limit that it has reached, even if the timer fires later.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from vosd.b2bua.attempt import leg_of
from vosd.b2bua.call_port import CallPort
from vosd.b2bua.leg import Leg
from vosd.b2bua.ports import Switchboard
from vosd.b2bua.settings import DeadCallBilling
from vosd.b2bua.stamps import DeadCall
from vosd.b2bua.supervision import NEVER, Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant

_BEGUN_MS: Final = 1_000
"""Time after the answer before which no one is warned of the end: the media of the caller may not be there yet."""
ANSWER_WAIT_MS: Final = 300_000
"""Longest wait for a PRACK before our 200. The time-out of the reliable response (64·T1) is usually far shorter."""


class Granted(msgspec.Struct, array_like=True):
    """Until when an answered call may go on, as the journal keeps it."""

    answered_at: Instant
    granted_s: int
    """Paid for, from ``paid_from`` on."""
    due_ms: int = 0
    """The deadline of the call: no limit is reached before."""
    paid_from: Instant | None = None
    """The first INVITE to a gateway, where the call is charged from then on; None = the answer."""
    warns_ms: int = 0
    """The caller is warned so long before the end that is paid for; 0 = it is not."""
    is_warned: bool = False
    """Whether it was, since the end was farther away than that."""


class Lifetime:
    """The limits of one call."""

    __slots__ = ("_board", "granted")

    def __init__(self, board: Switchboard, granted: Granted) -> None:
        self._board = board
        self.granted = granted

    @property
    def granted_until(self) -> Instant:
        """The end of the time paid for so far."""
        granted = self.granted
        return (granted.paid_from or granted.answered_at).plus(1_000 * granted.granted_s)

    def watch(self, call: CallPort) -> None:
        """Set the call's deadline to the next limit or refresh."""
        granted = self.granted
        due_ms = (granted.paid_from or granted.answered_at).mono + 1_000 * granted.granted_s
        if granted.warns_ms:
            due_ms = min(self._asked_ms(due_ms), self._asked_ms(_limited_ms(call)))
        caller, callee = call.caller.leg, None if call.callee is None else call.callee.leg
        if caller is not None and caller.supervision is not None and caller.supervision.facts.due_ms < due_ms:
            due_ms = caller.supervision.facts.due_ms
        if callee is not None and callee.supervision is not None and callee.supervision.facts.due_ms < due_ms:
            due_ms = callee.supervision.facts.due_ms
        if call.endpoint.doors is not None:
            media = None if caller is None else caller.facts.media
            theirs = None if callee is None else callee.facts.media
            if not granted.due_ms and media is not None and theirs is not None and theirs.is_relayed:
                # The call is new, and its ports may not be known yet: it cannot have been silent for long.
                silent_ms = min(media.settings.shortest_silence_ms, theirs.settings.shortest_silence_ms)
                due_ms = min(due_ms, granted.answered_at.mono + silent_ms)
            elif (silence := self._board.media.silence(granted.answered_at)) is not None:
                due_ms = min(due_ms, silence.due_ms)
        granted.due_ms = due_ms
        self._board.set_deadline(due_ms)

    def exceeded(self, call: CallPort, now_ms: int) -> Limit | None:
        """Return the limit that the call has reached by ``now_ms``; if only the money is used up, try to extend it.

        Where the caller is to be warned of the end, it is tried so long before, and the caller warned if it fails.
        """
        if now_ms < self.granted.due_ms:
            return None
        was_warned = self.granted.is_warned
        while True:
            until = self.granted_until
            limit = self._first_limit(call, until.mono)
            if limit is not None and limit.due_ms <= now_ms:
                return limit
            if now_ms < self._asked_ms(until.mono):
                if self.granted.warns_ms and now_ms >= self._asked_ms(_limited_ms(call)):
                    self._warn(was_warned=was_warned)
                if self.granted.is_warned is not was_warned:
                    self._board.moved()  # a restart is not to forget it
                self.watch(call)
                return None
            more = self._board.money.extend(max(0, until.mono - now_ms))
            if not isinstance(more, EndReason):
                self.granted.granted_s, self.granted.is_warned = more, False
            elif now_ms < until.mono:
                self._warn(was_warned=was_warned)
            else:
                return Limit(until, more, until.mono)

    def _warn(self, *, was_warned: bool) -> None:
        self.granted.is_warned = True
        if not was_warned:
            self._board.media.warn()

    def _asked_ms(self, until_ms: int) -> int:
        """Return when money is asked for that a call needs from ``until_ms`` on: before a warning, else then.

        That is when its caller is warned of another end.
        """
        granted = self.granted
        if granted.is_warned or not granted.warns_ms:
            return until_ms
        return min(until_ms, max(until_ms - granted.warns_ms, granted.answered_at.mono + _BEGUN_MS))

    def billed_until(
        self, legs: Iterable[Leg], noticed_at: Instant, billing: DeadCallBilling, proof: Instant | None
    ) -> tuple[Instant, DeadCall]:
        """Return the billed end of a call whose peer vanished: at most the time of detection, at least the answer.

        ``proof`` is the last one of the side that fell silent; without it, the latest message of one of the ``legs``
        that talk counts.
        """
        answered_at = self.granted.answered_at
        if proof is None:
            seen = [leg.facts.last_seen_at.came for leg in legs if leg.facts.last_seen_at is not None]
            proof = max([answered_at, *seen])
        is_proven = billing is DeadCallBilling.PROOF
        at = min(noticed_at, max(answered_at, proof)) if is_proven else noticed_at
        return at, DeadCall(billing, noticed_at, proof)

    def _first_limit(self, call: CallPort, until_ms: int) -> Limit | None:
        """Return the first limit that a leg sets by ``until_ms``, or None; note when each leg is due again."""
        first = None
        for leg in (call.caller.leg, leg_of(call.callee)):
            if leg is None or leg.supervision is None:
                continue
            limit = leg.supervision.next_limit()
            if limit is not None and limit.due_ms <= until_ms:
                first, until_ms = limit, limit.due_ms
        if call.endpoint.doors is not None:
            limit = self._board.media.silence(self.granted.answered_at)
            if limit is not None and limit.due_ms <= until_ms:
                first = limit
        return first


def _limited_ms(call: CallPort) -> int:
    """Return when a call ends for want of a session timer of one of its legs."""
    legs = (call.caller.leg, leg_of(call.callee))
    return min([leg.supervision.limited_ms for leg in legs if leg is not None and leg.supervision], default=NEVER)
