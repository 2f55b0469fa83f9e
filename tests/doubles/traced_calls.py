"""A trace, and calls of which it keeps messages, without a switch."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

from vosd.b2bua.states import CallState
from vosd.base.clock import Instant
from vosd.engine.settings import TraceSettings
from vosd.engine.trace.call_messages import CallOutcome
from vosd.engine.trace.messages import CallTraces
from vosd.sip.wire.outgoing import Datagram, Peer

CALLER = Peer(0, "198.51.100.10", 5060)
VENDOR = Peer(0, "203.0.113.1", 5060)
UNKNOWN_SOURCE = Peer(0, "192.0.2.66", 5060)
NOW = 1_790_000_000_000
MIB = 1024 * 1024


def ring(recent: int = MIB, failed: int = MIB) -> CallTraces:
    return CallTraces(TraceSettings(recent, failed), lambda host, _port: host in {CALLER.host, VENDOR.host})


def message(
    call_id: str, start: str = "INVITE sip:44@192.0.2.1 SIP/2.0", *, name: str = "Call-ID: ", size: int = 0
) -> bytes:
    head = f"{start}\r\nVia: SIP/2.0/UDP 198.51.100.10\r\n{name}{call_id}\r\nCSeq: 1 INVITE\r\n\r\n".encode()
    return head + b"x" * size


RINGING = "SIP/2.0 180 Ringing"
BUSY = "SIP/2.0 486 Busy Here"


def said(trace: CallTraces, *call_ids: str) -> list[bytes]:
    return [traced.entry[4] for traced in trace.messages(call_ids)]


def the_call(name: str, legs: Iterable[str] = ("out",)) -> Any:
    """Return as much of a call as the trace reads."""
    arrival = SimpleNamespace(call_id=name, sip_call_id_in=f"{name}-in")
    return SimpleNamespace(
        arrival=arrival,
        state=CallState.TALKING,
        journey=SimpleNamespace(sip_call_ids_out=[f"{name}-{leg}" for leg in legs]),
    )


def turn(trace: CallTraces, call: Any, data: bytes, *sent: bytes, at: int = NOW, peer: Peer = CALLER) -> None:
    """Record one message of a call, and what was sent for it."""
    messages = trace.of_calls.get(call.arrival.call_id) or trace.begin_call(call, at)
    if messages is not None:
        trace.turn(call, messages, Instant(0, at), peer, data, [Datagram(VENDOR, each) for each in sent])


def end(trace: CallTraces, call: Any, outcome: CallOutcome, *, at: int = NOW) -> None:
    legs = (call.arrival.sip_call_id_in, *call.journey.sip_call_ids_out)
    call.state = CallState.OVER
    trace.ended(call.arrival.call_id, legs, outcome, at)


def a_call(trace: CallTraces, name: str, outcome: CallOutcome | None, *, size: int = 1_000, at: int = NOW) -> None:
    """Record four messages of two legs in two turns, and the end of the call."""
    call = the_call(name)
    turn(trace, call, message(f"{name}-in", size=size), message(f"{name}-out", size=size), at=at)
    last = BUSY if outcome else RINGING
    answers = (message(f"{name}-{leg}", last, size=size) for leg in ("out", "in"))
    turn(trace, call, *answers, at=at, peer=VENDOR)
    if outcome is not None:
        end(trace, call, outcome, at=at)
