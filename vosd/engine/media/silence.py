"""The end of a relayed call whose media have stopped: its deadline, and the last proof that a side was alive."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from vosd.b2bua.call import Call
from vosd.b2bua.leg import Leg
from vosd.b2bua.supervision import Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.media.leg_media import LegMedia
from vosd.media.source import RelayPort
from vosd.sdp.media import BadSession, media_of
from vosd.trunks.media import MediaWatch


class PortLife(msgspec.Struct, frozen=True):
    """Packets that came to ports. Moments are in milliseconds of the monotonic clock."""

    last_packet: Callable[[RelayPort], int | None]
    """Return when the last packet came; None = none has."""
    receiving_since: Callable[[RelayPort], int]
    """Return from when on packets were received; a later moment than now while none are."""


_OFF, _ANY, _FROM_PEER, _TO_PEER = MediaWatch.OFF, MediaWatch.ANY, MediaWatch.FROM_PEER, MediaWatch.TO_PEER


def silence_limit(call: Call, answered_at: Instant, life: PortLife, *, is_relayed: bool) -> Limit | None:
    """Return when silence will end an answered call, if nothing more comes; None = it will not.

    ``is_relayed``: its media are, or would be if its sides had described any.

    Each trunk says which silence ends its calls, and how long that lasts. Media that never came are silent from the
    answer on. Fax, and calls on hold without ``media_hold_timeout``, may be silent; while a relay receives nothing,
    because it has ended, nothing shows that they are.
    """
    sides = _sides_of(call)
    if sides is None or not _is_watched(sides, is_relayed=is_relayed and not sides.is_joined and not sides.is_waiting):
        return None
    begun_ms, received_ms = _received(sides, answered_at, life)
    due_ms = silent = None
    for index, media in enumerate(sides.media):
        settings = media.settings
        timeout_ms = settings.hold_timeout_ms if sides.is_held else settings.timeout_ms
        if settings.watch is _OFF or not timeout_ms:
            continue
        watched = _silent_side(settings.watch, index, received_ms, begun_ms)
        side_due_ms = max(begun_ms, received_ms[watched]) + timeout_ms
        if due_ms is None or side_due_ms < due_ms:
            due_ms, silent = side_due_ms, watched
    if due_ms is None or silent is None:
        return None
    seen = sides.legs[silent].facts.last_seen_at
    proof_ms = received_ms[silent] if seen is None else max(received_ms[silent], seen.came.mono)
    return Limit(
        answered_at.plus(due_ms - answered_at.mono),
        EndReason.NO_MEDIA,
        due_ms,
        answered_at.plus(proof_ms - answered_at.mono),
    )


class _Sides(NamedTuple):
    """The caller and the callee of an answered call, in this order."""

    legs: tuple[Leg, Leg]
    media: tuple[LegMedia, LegMedia]
    is_joined: bool
    """Whether one of them is the leg of another call, after a transfer."""
    is_waiting: bool
    """Whether one of them waits while the other one consults the target of a transfer."""

    @property
    def is_held(self) -> bool:
        return self.is_waiting or any(each.is_held for each in self.media)


def _sides_of(call: Call) -> _Sides | None:
    """Return the sides of a call; None = it has not two, or one has no media."""
    callee = None if call.callee is None or call.callee.progress.has_left else call.callee.leg
    caller, bridge = call.caller.leg, call.conversation.bridge
    is_joined = caller is None or callee is None
    if bridge is not None:
        caller = bridge.opposite(callee) if caller is None and callee is not None else caller
        callee = bridge.opposite(caller) if callee is None and caller is not None else callee
    if caller is None or callee is None or caller.facts.media is None or callee.facts.media is None:
        return None
    is_waiting = bridge is not None and not (bridge.holds(caller) and bridge.holds(callee))
    return _Sides((caller, callee), (caller.facts.media, callee.facts.media), is_joined, is_waiting)


def _is_watched(sides: _Sides, *, is_relayed: bool) -> bool:
    """Return whether the ports of a relay show that a side is silent, and it may not be.

    ``is_relayed``: the call is relayed, and both sides are its own and talk with each other.
    """
    # One without an origin has a port at most for the target of a transfer that was refused; one that talks directly,
    # from the time when it was connected with another side. But a call that is relayed may have sides that have never
    # described a medium: from there nothing can come. Media that no relay carries are silent only to the relay.
    needed = any if is_relayed else all
    if not needed(each.ports and each.origin for each in sides.media):
        has_described = any(each.ports or each.sources for each in sides.media)
        if has_described or not is_relayed:
            return False
    # A fax that one side alone has was offered and refused.
    may_be_silent = any(each.is_direct for each in sides.media) or all(each.is_fax for each in sides.media)
    return not may_be_silent and not (is_relayed and _passes_by_relays(*sides.legs))


def _received(sides: _Sides, answered_at: Instant, life: PortLife) -> tuple[int, list[int]]:
    """Return from when on both sides are watched, and when something came last from each, in monotonic milliseconds."""
    begun_ms = max(answered_at.mono, *(each.watched_from for each in sides.media))
    received_ms = [_answered_ms(leg, answered_at) for leg in sides.legs]
    for index, media in enumerate(sides.media):
        for port in media.ports:
            if port is not None:
                begun_ms = max(begun_ms, life.receiving_since(port))
                received_ms[index] = max(received_ms[index], life.last_packet(port) or 0)
    return begun_ms, received_ms


def _passes_by_relays(one: Leg, other: Leg) -> bool:
    """Return whether all that two sides have agreed on are media that no relay carries, such as messages over TCP.

    The port 0 of either side is a refusal (RFC 3264 section 6).
    """
    try:
        described = [media_of(each.sessions.remote) for each in (one, other) if each.sessions.remote]
    except BadSession:
        return False
    agreed = [pair for pair in zip(*described, strict=False) if len(pair) == 2 and all(each.port for each in pair)]
    return bool(agreed) and not any(each.is_relayable for pair in agreed for each in pair)


def _answered_ms(leg: Leg, answered_at: Instant) -> int:
    """Return when the call of a leg was answered: after a transfer that may be the joined call."""
    return (leg.call.journey.answered_at or answered_at).mono


def _silent_side(watch: MediaWatch, index: int, received_ms: Sequence[int], begun_ms: int) -> int:
    """Return the side, caller or callee, whose silence a leg watches: that of the leg itself, or of its opposite."""
    if watch is _FROM_PEER:
        return index
    if watch is _TO_PEER:
        return 1 - index
    lead_ms = max(begun_ms, received_ms[index]) - max(begun_ms, received_ms[1 - index])
    is_silent = lead_ms <= 0 if watch is _ANY else lead_ms >= 0
    return index if is_silent else 1 - index
