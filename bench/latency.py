"""The wait between INVITE and 180, call after call, measured by sockets of our own (SIPp counts in 4 ms)."""

import time
from typing import NamedTuple

from vosd.testing.peer import Message, OutgoingCall, Peer
from vosd.testing.sipp import Endpoint

PROBE = Endpoint("127.0.0.1", 15_203)
PAUSE_SECONDS = 0.02


class Latency(NamedTuple):
    """Milliseconds from INVITE to 180."""

    p50: float
    p99: float
    calls: int


def measure(switch: Endpoint, seconds: float) -> Latency:
    """Make one call after the other for the given time."""
    waits = []
    began = time.perf_counter()
    with Peer(PROBE) as peer:
        while time.perf_counter() - began < seconds:
            call = OutgoingCall(peer, switch, f"442079460{len(waits):03}")
            sent = time.perf_counter()
            call.invite()
            heard = _first_word(peer)
            waits.append((time.perf_counter() - sent) * 1000)
            if heard.status == 200:  # some peers drop a 180 that the answer overtakes
                call.adopt(heard)
                call.send(call.request("ACK"))
            else:
                call.answered()
            call.hang_up()
            peer.messages(PAUSE_SECONDS)
    waits.sort()
    return Latency(waits[len(waits) // 2], waits[len(waits) * 99 // 100], len(waits))


def _first_word(peer: Peer) -> Message:
    while (heard := peer.receive(5)) is not None:
        if heard.status != 100:
            return heard
    raise TimeoutError("no answer to the probe's INVITE within 5 s")
