"""Time from INVITE to 180, call after call, measured with our own sockets (SIPp counts in steps of 4 ms)."""

import time
from dataclasses import dataclass

from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, OutgoingCall, Peer, UnexpectedError

PROBE = Endpoint("127.0.0.1", 15_203)
PAUSE_SECONDS = 0.02
PATIENCE_SECONDS = 5


@dataclass(frozen=True)
class Latency:
    """Milliseconds from INVITE to 180."""

    p50: float
    p99: float
    calls: int
    failed: int
    """An unanswered probe ends the probing: the switch is overloaded."""


def measure(switch: Endpoint, seconds: float) -> Latency:
    """Make one call after the other for the given time."""
    waits: list[float] = []
    failed = 0
    began = time.perf_counter()
    with Peer(PROBE) as peer:
        while time.perf_counter() - began < seconds and not failed:
            try:
                waits.append(wait_of(OutgoingCall(peer, switch, f"442079460{len(waits):03}")))
            except UnexpectedError:
                failed = 1
            peer.messages(PAUSE_SECONDS)
    waits.sort()
    if not waits:
        return Latency(float("inf"), float("inf"), 0, failed)
    return Latency(waits[len(waits) // 2], waits[len(waits) * 99 // 100], len(waits), failed)


def wait_of(call: OutgoingCall) -> float:
    """Make and end a call, and return the milliseconds from INVITE to 180."""
    sent = time.perf_counter()
    call.invite()
    heard = _first_word(call.peer)
    wait_ms = (time.perf_counter() - sent) * 1000
    if heard.status == 200:  # some peers drop a 180 that is overtaken by the answer
        call.adopt(heard)
        call.send(call.request("ACK"))
    else:
        call.answered(PATIENCE_SECONDS)
    call.hang_up()
    return wait_ms


def _first_word(peer: Peer) -> Message:
    while (heard := peer.receive(PATIENCE_SECONDS)) is not None:
        if heard.status != 100:
            return heard
    raise peer.unexpected("the answer to a probe")
