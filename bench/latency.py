"""The wait between INVITE and 180, call after call, measured by sockets of our own (SIPp counts in 4 ms)."""

import time
from dataclasses import dataclass

from vosd.testing.sockets.loopback import Endpoint
from vosd.testing.sockets.peer import Message, OutgoingCall, Peer, UnexpectedError

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
    """A probe that is not answered ends the probing: the switch is out of breath."""


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
    """Make a call, hang it up, and return the milliseconds from INVITE to 180."""
    sent = time.perf_counter()
    call.invite()
    heard = _first_word(call.peer)
    wait_ms = (time.perf_counter() - sent) * 1000
    if heard.status == 200:  # some peers drop a 180 that the answer overtakes
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
