"""Cost of keeping the messages of calls: time for a message, the slowest single message, and memory.

python -m bench.tracing [SECONDS]

All times are processor time. Whole calls of 14 messages in 6 turns, as in the main benchmark, each after some others
have begun; its end is included, and where calls fail the removal of the oldest one.
"""

import gc
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

from vosd.b2bua.states import CallState
from vosd.base.clock import Instant
from vosd.engine.settings import TraceSettings
from vosd.engine.trace.call_messages import CallOutcome
from vosd.engine.trace.messages import CallTraces
from vosd.obs.traced import Direction
from vosd.sip.wire.outgoing import Datagram, Peer

CALLER, VENDOR = Peer(0, "198.51.100.10", 5060), Peer(0, "203.0.113.1", 5060)
LEGS = ((CALLER, 7), (VENDOR, 7))
SETTINGS = TraceSettings()
BATCH = 20
NOW = 1_790_000_000_000
BODY = (
    b"v=0\r\no=- 1 1 IN IP4 198.51.100.10\r\ns=-\r\nc=IN IP4 198.51.100.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 101\r\n"
)


class Call(NamedTuple):
    """One call: as much of it as the trace reads, its Call-IDs, its messages, and those by turns."""

    call: Any
    legs: tuple[str, ...]
    said: Sequence[tuple[Peer, bytes]]
    turns: Sequence[tuple[Peer, bytes, list[Datagram]]]


def message(call_id: str, index: int, padding: bytes) -> bytes:
    start = b"INVITE sip:442079460000@192.0.2.1 SIP/2.0" if index == 0 else b"SIP/2.0 180 Ringing"
    return (
        start + b"\r\nVia: SIP/2.0/UDP 198.51.100.10:5060;rport;branch=z9hG4bK3f2a7c5d%d\r\nMax-Forwards: 69\r\n"
        b"From: <sip:12025550100@198.51.100.10>;tag=7c1b8e\r\nTo: <sip:442079460000@192.0.2.1>\r\nCall-ID: %b\r\n"
        b"CSeq: 1 INVITE\r\nContact: <sip:198.51.100.10:5060>\r\nContent-Length: 100\r\n\r\n%b%b"
        % (index, call_id.encode(), BODY, padding)
    )


def call_of(number: int, padding: bytes) -> Call:
    legs = [f"{number:08d}-0a1b2c3d@{peer.host}" for peer, _ in LEGS]
    said = [
        (peer, message(leg, index, padding))
        for leg, (peer, messages) in zip(legs, LEGS, strict=True)
        for index in range(messages)
    ]
    call = SimpleNamespace(
        arrival=SimpleNamespace(call_id=str(number), sip_call_id_in=legs[0]),
        journey=SimpleNamespace(sip_call_ids_out=legs[1:]),
        state=CallState.TALKING,
    )
    turns = []
    for first in range(0, len(said), 3):
        peer, data = said[first]
        turns.append((peer, data, [Datagram(*each) for each in said[first + 1 : first + 3]]))
    return Call(call, tuple(legs), said, turns)


def batches(seconds: float, padding: bytes) -> Iterator[list[Call]]:
    """Yield batches of new calls, small enough for the processor's caches; creating them is not counted."""
    until, first = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        yield [call_of(number, padding) for number in range(first, first + BATCH)]
        first += BATCH


def keep(trace: CallTraces, calls: Sequence[Call], failing: int) -> None:
    """Keep whole calls, of which ``failing`` in a hundred fail."""
    now = Instant(0, NOW)
    for index, (call, legs, _, turns) in enumerate(calls):
        for peer, data, sent in turns:
            messages = trace.of_calls.get(call.arrival.call_id) or trace.begin_call(call, NOW)
            if messages is not None:
                trace.turn(call, messages, now, peer, data, sent)
        fails = (index * 7 + 3) % 100 < failing
        trace.ended(call.arrival.call_id, legs, CallOutcome.FAILED if fails else CallOutcome.WELL, NOW)


def nanoseconds_a_message(trace: CallTraces, seconds: float, failing: int, padding: bytes) -> float:
    """Return the median over the batches, measured with a full buffer where calls fail."""
    number = 10**6
    while failing and trace.held_bytes < 0.9 * SETTINGS.failed_bytes:
        keep(trace, [call_of(number, padding)], 100)
        number += 1
    costs = []
    for batch in batches(seconds, padding):
        began = time.thread_time()
        keep(trace, batch, failing)
        costs.append((time.thread_time() - began) / sum(len(call.said) for call in batch) * 1e9)
    return statistics.median(costs)


def longest_ms(actions: Sequence[Callable[[], object]]) -> float:
    """Return the duration of the slowest of them."""
    longest = 0.0
    for action in actions:
        began = time.thread_time()
        action()
        longest = max(longest, time.thread_time() - began)
    return longest * 1e3


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    gc.disable()  # its pauses are measured in the daemon
    print(f"{'':40}{'ns a message':>14}{'longest ms':>12}{'held MiB':>10}")
    for name, failing, padding in (
        ("every call goes well", 0, b""),
        ("one call in ten fails", 10, b""),
        ("every call fails", 100, b""),
        ("every call fails, messages of 64 KiB", 100, b"x" * 65_000),
    ):
        trace = CallTraces(SETTINGS, lambda _host, _port: True)
        cost = nanoseconds_a_message(trace, seconds, failing, padding)
        more = [each for number in range(100) for each in call_of(10**7 + number, padding).said]
        longest = longest_ms([partial(trace.message, NOW, Direction.IN, *each) for each in more])
        print(f"{name:40}{cost:14.0f}{longest:12.3f}{trace.held_bytes / 2**20:10.1f}")
    asked = call_of(10**7, b"").legs[:1]
    print(f"{'asking for a call':40}{'':14}{longest_ms([partial(trace.call_of, asked)] * 20):12.3f}")


if __name__ == "__main__":
    main()
