"""Moves of calls to other ports: those whose rtpengine is lost, and those that have lost ports over a restart."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from vosd.b2bua.call import Call
from vosd.b2bua.leg import Leg
from vosd.b2bua.states import CallState
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.engine.media.encryption import has_keys
from vosd.engine.media.media_parts import MediaParts
from vosd.obs.events import log as _log

MOVES_AT_ONCE: Final = 10
"""Sides of calls that are offered new ports at once; ten times a second."""
LOOKED_AT_MOST: Final = 1_000
"""Calls that are looked at for that: most may wait for their next move."""
AGREED_MS: Final = 2_000
"""Time that both sides of a call may take to agree on keys, before they are asked again."""
MOVED_MS: Final = 500
"""Time that the offer to a side of a call may take, before the other one gets its own."""
DOUBLED_MOST: Final = 7
"""Most doublings of the pause before the next round of offers to a call: it grows from half a second to a minute."""


class _Move(NamedTuple):
    """The next step of a call that is moved."""

    side: int = 0
    """The side that is offered other ports next; behind both: whether they have accepted theirs is looked at."""
    due_ms: int = 0
    """Earliest time for that, monotonic milliseconds."""
    rounds: int = 0
    """Rounds that have left a side without ports, or whose offer a side has refused."""

    def begun_anew(self, now: Instant) -> "_Move":
        """Return the next round."""
        pause_ms = MOVED_MS << min(self.rounds, DOUBLED_MOST)
        return _Move(0, now.mono + pause_ms, self.rounds + 1)


class MovedCalls:
    """Calls that get other ports, by new offers to both sides."""

    def __init__(self, parts: MediaParts) -> None:
        self._parts = parts
        self._moving: OrderedDict[Call, _Move] = OrderedDict()
        """Calls in turn."""

    def add(self, call: Call) -> None:
        """Move a call that has lost ports."""
        self._moving[call] = _Move()

    def drop(self, call: Call) -> None:
        """Move a call no more: it does not go on after all."""
        self._moving.pop(call, None)

    def engine_lost(self, numbers: set[int], now: Instant) -> None:
        """Move the calls of an rtpengine that is lost to another one; ``numbers`` are those of their legs."""
        by_number = self._parts.legs.by_number
        legs = (leg for number, leg in by_number.items() if number in numbers)
        calls = {id(leg.call): leg.call for leg in legs if isinstance(leg.call, Call)}
        calls = {key: call for key, call in calls.items() if not _talks_directly(call)}
        if calls:
            _log.warning("media_moved", calls=len(calls))
        for number in numbers & by_number.keys():
            if (media := by_number[number].facts.media) is not None:
                media.is_moved = bool(media.said)
                self._parts.music.over(media, now)
        for call in calls.values():
            self.add(call)

    def go_on(self, now: Instant) -> bool:
        """Offer new ports to calls whose rtpengine is lost, or whose ports are; return whether there are any.

        The second side of a call follows when the first has its ports: both have to be at one rtpengine. It begins anew
        with a call that has them not, after a while: the next one gave none, or was lost as well. A side that refuses
        them is offered them again in the same growing intervals, for it still sends to those that are lost. A call
        whose sides talk directly is left as it is: their ports are those of the target of a transfer before.
        """
        if not self._moving:
            return False
        rtpengines = self._parts.rtpengines
        if rtpengines is not None and not rtpengines.engines.is_usable and not self._parts.falls_back:
            return False
        moved = 0
        for _ in range(min(LOOKED_AT_MOST, len(self._moving))):
            call, move = self._moving.popitem(last=False)
            if call.state is CallState.OVER:
                continue
            if now.mono < move.due_ms:
                self._moving[call] = move
                continue
            try:
                self._go_on_with(call, move, now)
            except Exception:  # noqa: BLE001  the boundary: an error costs one call its other ports
                _log.exception("call_not_moved", call_id=call.arrival.call_id)
            moved += 1
            if moved == MOVES_AT_ONCE:
                break
        return True

    def _go_on_with(self, call: Call, move: _Move, now: Instant) -> None:
        """Offer other ports to the next side of a call, or see whether both have theirs."""
        legs, side = [leg for leg in _sides(call) if leg.facts.media is not None], move.side
        joined = next((leg.call for leg in legs if leg.call is not call), None)
        if joined in self._moving:
            return  # both sides are moved with that call
        if len(legs) < 2 or not call.conversation.is_established:
            self._moving[call] = move._replace(due_ms=now.mono + MOVED_MS)
        elif _talks_directly(call):
            return
        elif side == len(legs):
            if not all(map(self._is_anchored, legs)):
                self._moving[call] = move.begun_anew(now)
            elif waiting := [leg for leg in legs if _has_not_accepted(leg)]:
                self._moving[call] = _offered_again(waiting, move, now)
            else:
                self._parts.music.begin_again((legs[0], legs[1]), self._parts.parameters, now)
        elif any(has_keys(leg.facts.media) for leg in legs):
            self._renew_keys(call, move, now)
        elif side == 1 and not self._is_anchored(legs[0]):
            self._moving[call] = move.begun_anew(now)
        else:
            supervision = legs[side].supervision
            if supervision is not None:
                supervision.offer_again(now)
            self._moving[call] = move._replace(side=side + 1, due_ms=now.mono + MOVED_MS)

    def _renew_keys(self, call: Call, move: _Move, now: Instant) -> None:
        """Have both sides of a call agree on keys with another rtpengine; the relay has none for them."""
        assert call.callee is not None
        bridge = call.conversation.bridge_to(call.callee)
        if self._parts.rtpengines is None or not self._parts.rtpengines.engines.is_usable:
            call.end(EndReason.NO_MEDIA, now)
        elif bridge.is_quiet:
            bridge.introduce(now)
            self._moving[call] = move._replace(side=len(_sides(call)), due_ms=now.mono + AGREED_MS)
        else:
            self._moving[call] = move._replace(side=0, due_ms=now.mono + MOVED_MS)

    def _is_anchored(self, leg: Leg) -> bool:
        """Return whether a leg has ports that work, or needs none: who came by a transfer may not be relayed."""
        media = leg.facts.media
        if media is None or not media.is_at_ports:
            return True
        if any(port is not None and port.id >= 0 for port in media.ports):
            return True
        return self._parts.rtpengines is not None and self._parts.rtpengines.is_anchored(media)


def _sides(call: Call) -> Sequence[Leg]:
    """Return both sides of a conversation: after a transfer, one of them is the leg of another call."""
    bridge = call.conversation.bridge
    return call.conversation.parties if bridge is None else (bridge.one, bridge.other)


def _has_not_accepted(leg: Leg) -> bool:
    """Return whether a side has not accepted the ports that it was offered; one with keys agrees on them otherwise."""
    return leg.supervision is not None and leg.supervision.facts.offers_again and not has_keys(leg.facts.media)


def _offered_again(legs: Sequence[Leg], move: _Move, now: Instant) -> _Move:
    """Offer ports to sides that have refused them; return the next step, where others have not answered yet, too."""
    refused = [leg.supervision for leg in legs if leg.supervision is not None and leg.supervision.pending is None]
    for supervision in refused:
        supervision.offer_again(now)
    if not refused:
        return move._replace(due_ms=now.mono + MOVED_MS)
    return move.begun_anew(now)._replace(side=move.side)


def _talks_directly(call: Call) -> bool:
    """Return whether neither side of a conversation is at ports; one that is not established may get some yet."""
    if not call.conversation.is_established:
        return False
    return not any(media.is_at_ports for leg in _sides(call) if (media := leg.facts.media) is not None)
