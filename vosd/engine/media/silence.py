"""The end of a relayed call whose media have stopped: its deadline, and the last proof that a side was alive."""

from collections.abc import Callable
from typing import NamedTuple

from vosd.b2bua.call import Call
from vosd.b2bua.leg import Leg
from vosd.b2bua.supervision import Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.media.leg_media import LegMedia
from vosd.media.source import RelayPort
from vosd.trunks.media import MediaWatch


class PortLife(NamedTuple):
    """Packets that came to ports. Moments are in milliseconds of the monotonic clock."""

    last_packet: Callable[[RelayPort], int | None]
    """Return when the last packet came; None = none has."""
    receiving_since: Callable[[RelayPort], int]
    """Return from when on packets were received; a later moment than now while none are."""


_OFF, _ANY, _FROM_PEER, _TO_PEER = MediaWatch.OFF, MediaWatch.ANY, MediaWatch.FROM_PEER, MediaWatch.TO_PEER


def silence_limit(call: Call, answered_at: Instant, life: PortLife) -> Limit | None:
    """Return when silence will end an answered call, if nothing more comes; None = it will not.

    Each trunk says which silence ends its calls, and how long that lasts. Media that never came are silent from the
    answer on. Fax, and calls on hold without ``media_hold_timeout``, may be silent; while a relay receives nothing,
    because it has ended, nothing shows that they are.
    """
    callee = None if call.callee is None else call.callee.leg
    caller, bridge = call.caller.leg, call.conversation.bridge
    is_waiting = callee is not None and bridge is not None and not bridge.holds(callee)  # while the caller consults
    if callee is not None and bridge is not None and not is_waiting:
        caller = bridge.opposite(callee)  # after a transfer, the leg of another call
    if callee is None or caller is None:
        return None
    one, other = caller.facts.media, callee.facts.media
    if one is None or other is None or not (one.ports and other.ports):
        return None
    if one.is_fax and other.is_fax:  # else it was offered and refused
        return None
    begun_ms = max(answered_at.mono, one.watched_from, other.watched_from)
    sides = _Side(caller, one, answered_at.mono), _Side(callee, other, answered_at.mono)
    for side in sides:
        for port in side.media.ports:
            if port is not None:
                begun_ms = max(begun_ms, life.receiving_since(port))
                side.received_ms = max(side.received_ms, life.last_packet(port) or 0)
    first: Limit | None = None
    is_held = is_waiting or one.is_held or other.is_held
    for side, opposite in (sides, sides[::-1]):
        limit = _limit(side, opposite, answered_at, begun_ms, is_held=is_held)
        if limit is not None and (first is None or limit.due_ms < first.due_ms):
            first = limit
    return first


class _Side:
    """A leg whose media are watched, and when its last packet came: at least the answer of the call."""

    __slots__ = ("leg", "media", "received_ms")

    def __init__(self, leg: Leg, media: LegMedia, received_ms: int) -> None:
        self.leg = leg
        self.media = media
        self.received_ms = received_ms


def _limit(side: _Side, opposite: _Side, answered_at: Instant, begun_ms: int, *, is_held: bool) -> Limit | None:
    """Return the limit that the trunk of a leg sets."""
    settings = side.media.settings
    timeout_ms = settings.hold_timeout_ms if is_held else settings.timeout_ms
    watch = settings.watch
    if watch is _OFF or not timeout_ms:
        return None
    if watch is _FROM_PEER:
        silent = side
    elif watch is _TO_PEER:
        silent = opposite
    else:
        lead_ms = max(begun_ms, side.received_ms) - max(begun_ms, opposite.received_ms)
        is_silent = lead_ms <= 0 if watch is _ANY else lead_ms >= 0
        silent = side if is_silent else opposite
    since = max(begun_ms, silent.received_ms)
    seen = silent.leg.facts.last_seen_at
    proof_ms = silent.received_ms if seen is None else max(silent.received_ms, seen.came.mono)
    return Limit(
        answered_at.plus(since + timeout_ms - answered_at.mono),
        EndReason.NO_MEDIA,
        since + timeout_ms,
        answered_at.plus(proof_ms - answered_at.mono),
    )
