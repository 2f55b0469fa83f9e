"""The end of a relayed call whose media have stopped: its deadline, and the last proof that a side was alive."""

from collections.abc import Callable, Sequence

import msgspec

from vosd.b2bua.call import Call
from vosd.b2bua.leg import Leg
from vosd.b2bua.supervision import Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
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
    callee = None if call.callee is None or call.callee.progress.has_left else call.callee.leg
    caller, bridge = call.caller.leg, call.conversation.bridge
    is_whole = caller is not None and callee is not None
    if bridge is not None:  # after a transfer, one side is the leg of another call
        caller = bridge.opposite(callee) if caller is None and callee is not None else caller
        callee = bridge.opposite(caller) if callee is None and caller is not None else callee
    if callee is None or caller is None:
        return None
    # One side waits while the other one consults the target of a transfer.
    is_waiting = bridge is not None and not (bridge.holds(caller) and bridge.holds(callee))
    one, other = caller.facts.media, callee.facts.media
    if one is None or other is None:
        return None
    # One without an origin has a port at most for the target of a transfer that was refused; one that talks directly,
    # from the time when it was connected with another side. But a call that is relayed may have sides that have never
    # described a medium: from there nothing can come. Media that no relay carries are silent only to the relay.
    is_relayed = is_relayed and is_whole and not is_waiting
    needed, sides = any if is_relayed else all, (one, other)
    if not needed(each.ports and each.origin for each in sides) and (
        not is_relayed or any(each.ports or each.sources for each in sides)
    ):
        return None
    # A fax that one side alone has was offered and refused.
    may_be_silent = one.is_direct or other.is_direct or (one.is_fax and other.is_fax)
    if may_be_silent or (is_relayed and _passes_by_relays(caller, callee)):
        return None
    begun_ms = max(answered_at.mono, one.watched_from, other.watched_from)
    received_ms = [_answered_ms(leg, answered_at) for leg in (caller, callee)]
    for index, media in enumerate((one, other)):
        for port in media.ports:
            if port is not None:
                begun_ms = max(begun_ms, life.receiving_since(port))
                received_ms[index] = max(received_ms[index], life.last_packet(port) or 0)
    due_ms = silent = None
    is_held = is_waiting or one.is_held or other.is_held
    for index, media in enumerate((one, other)):
        settings = media.settings
        timeout_ms = settings.hold_timeout_ms if is_held else settings.timeout_ms
        if settings.watch is _OFF or not timeout_ms:
            continue
        watched = _silent_side(settings.watch, index, received_ms, begun_ms)
        side_due_ms = max(begun_ms, received_ms[watched]) + timeout_ms
        if due_ms is None or side_due_ms < due_ms:
            due_ms, silent = side_due_ms, watched
    if due_ms is None or silent is None:
        return None
    seen = (caller, callee)[silent].facts.last_seen_at
    proof_ms = received_ms[silent] if seen is None else max(received_ms[silent], seen.came.mono)
    return Limit(
        answered_at.plus(due_ms - answered_at.mono),
        EndReason.NO_MEDIA,
        due_ms,
        answered_at.plus(proof_ms - answered_at.mono),
    )


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
