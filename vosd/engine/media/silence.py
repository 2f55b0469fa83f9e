"""The end of a relayed call whose media have stopped: its deadline, and the last proof that a side was alive."""

from collections.abc import Callable
from typing import Final, NamedTuple

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


_OFF: Final = MediaWatch.OFF


def silence_limit(call: Call, answered_at: Instant, life: PortLife) -> Limit | None:
    """Return when silence will end an answered call, if nothing more comes; None = it will not.

    Each trunk says which silence ends its calls, and how long that lasts. Media that never came are silent from the
    answer on. Fax, and calls on hold without ``media_hold_timeout``, may be silent; while a relay receives nothing,
    because it has ended, nothing shows that they are.
    """
    callee = None if call.callee is None else call.callee.leg
    caller: Leg | None = call.caller.leg
    if callee is not None and call.bridge is not None:
        caller = call.bridge.opposite(callee)  # after a transfer, the leg of another call
    if callee is None or caller is None:
        return None
    first: Limit | None = None
    for leg, other in ((caller, callee), (callee, caller)):
        limit = _limit(leg, other, answered_at, life)
        if limit is not None and (first is None or limit.due_ms < first.due_ms):
            first = limit
    return first


def _limit(leg: Leg, other: Leg, answered_at: Instant, life: PortLife) -> Limit | None:
    """Return the limit that the trunk of a leg sets."""
    media, opposite = leg.facts.media, other.facts.media
    if media is None or opposite is None or not (media.ports and opposite.ports):
        return None
    settings = media.settings
    watch = settings.watch
    if watch is _OFF:
        return None
    timeout_ms = settings.hold_timeout_ms if media.is_held or opposite.is_held else settings.timeout_ms
    if not timeout_ms or media.is_fax or opposite.is_fax:
        return None
    receiving_since = (life.receiving_since(port) for port in (*media.ports, *opposite.ports) if port is not None)
    begun_ms = max(answered_at.mono, media.watched_from, opposite.watched_from, *receiving_since)
    received = {
        leg: _received_ms(media, answered_at, life),
        other: _received_ms(opposite, answered_at, life),
    }
    latest = {each: max(begun_ms, received_ms) for each, received_ms in received.items()}
    match watch:
        case MediaWatch.FROM_PEER:
            silent = leg
        case MediaWatch.TO_PEER:
            silent = other
        case MediaWatch.ANY:
            silent = min(latest, key=latest.__getitem__)
        case _:
            silent = max(latest, key=latest.__getitem__)
    since = latest[silent]
    seen = silent.facts.last_seen_at
    proof_ms = received[silent] if seen is None else max(received[silent], seen.came.mono)
    return Limit(
        answered_at.plus(since + timeout_ms - answered_at.mono),
        EndReason.NO_MEDIA,
        since + timeout_ms,
        answered_at.plus(proof_ms - answered_at.mono),
    )


def _received_ms(media: LegMedia, answered_at: Instant, life: PortLife) -> int:
    """Return when the last packet of a leg came, on the monotonic clock; at least the answer of the call."""
    last = [latest for port in media.ports if port is not None and (latest := life.last_packet(port)) is not None]
    return max([answered_at.mono, *last])
