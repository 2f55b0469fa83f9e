"""Operation that follows new calls with their messages, as a stream."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Annotated, Any, Final, NamedTuple

import msgspec

from vosd.admin.office.calls import follow_new_calls
from vosd.admin.office.office import Office
from vosd.admin.office.principal import Principal
from vosd.admin.tracing import FollowedCalls, call_json
from vosd.api.http import Answer, HttpRequest, preferred
from vosd.api.listing import NDJSON
from vosd.api.operation import Operation
from vosd.control.traces import CallSought, FollowCalls, TraceUpdate
from vosd.obs.ladder import draw
from vosd.obs.pcap import FILE_HEADER, packet
from vosd.obs.traced import TracedCall

TRACE_S_MAX: Final = 3_600
TRACES_MAX: Final = 20
"""Traces at once: for each the switch looks at the messages of all new calls, and this process keeps those that fit."""
TEXT: Final = "text/plain"
PCAP: Final = "application/vnd.tcpdump.pcap"


class TraceCalls(CallSought, frozen=True, kw_only=True):
    """New calls that match every field given, until the time is up or the client closes the connection."""

    seconds: Annotated[int, msgspec.Meta(ge=1, le=TRACE_S_MAX)] = 60
    """Seconds after which the stream ends."""


class Trace(NamedTuple):
    """A trace that has begun."""

    first: TraceUpdate
    updates: AsyncGenerator[TraceUpdate, None]


async def begin_trace(office: Office, who: Principal, order: TraceCalls) -> Trace:
    """Begin to follow; what the switch refuses is an error before the stream begins."""
    wanted = msgspec.structs.asdict(order)
    seconds = wanted.pop("seconds")
    updates = follow_new_calls(office, who, FollowCalls(CallSought(**wanted), seconds))
    return Trace(await anext(updates), updates)


def ladder_of(call: TracedCall) -> bytes:
    """Return the ladder of a call as text."""
    return "\n".join([*draw(call), ""]).encode()


def capture_of(call: TracedCall) -> bytes:
    """Return the messages of a call as a capture file."""
    return FILE_HEADER + b"".join(map(packet, call.messages))


FORMS: Final[Mapping[str, Callable[[Any], bytes]]] = {TEXT: ladder_of, PCAP: capture_of}
"""Forms of a call with its messages, beside JSON."""


async def answer_of(_office: Office, request: HttpRequest, trace: Trace) -> Answer:
    """Return the stream: a capture as messages come, else each call when it is complete."""
    wanted = preferred(request.headers.get("accept", ""), (PCAP, TEXT), NDJSON)
    if wanted == PCAP:
        return Answer(is_live=True, stream=_packets(trace), content_type=PCAP)
    if wanted == TEXT:
        return Answer(is_live=True, stream=_calls(trace, _drawn), content_type=f"{TEXT}; charset=utf-8")
    return Answer(is_live=True, stream=_calls(trace, _line), content_type=NDJSON)


def _drawn(call: TracedCall) -> bytes:
    return ladder_of(call) + b"\n"


def _line(call: TracedCall) -> bytes:
    return msgspec.json.encode(call_json(call)) + b"\n"


async def _packets(trace: Trace) -> AsyncGenerator[bytes, None]:
    yield FILE_HEADER
    async with aclosing(_all(trace)) as updates:
        async for update in updates:
            found = b"".join(packet(message) for call in update.calls for message in call.messages)
            if found:
                yield found


async def _calls(trace: Trace, form: Callable[[TracedCall], bytes]) -> AsyncGenerator[bytes, None]:
    followed = FollowedCalls()
    async with aclosing(_all(trace)) as updates:
        async for update in updates:
            complete = followed.take(update)
            if complete:
                yield b"".join(map(form, complete))
    if followed.going_on:
        yield b"".join(map(form, followed.going_on.values()))


async def _all(trace: Trace) -> AsyncGenerator[TraceUpdate, None]:
    async with aclosing(trace.updates) as updates:
        yield trace.first
        async for update in updates:
            yield update


OPERATIONS: Final = (
    Operation(
        "GET /calls/trace",
        "Follow new calls with their messages: a line or a ladder for each that ends, or a capture that grows.",
        begin_trace,
        use_case=follow_new_calls,
        result=dict[str, Any],
        problems=("daemon_refused", "daemon_unreachable", "unknown_name"),
        answer=answer_of,
        streams_max=TRACES_MAX,
        forms={NDJSON: bytes, TEXT: bytes, PCAP: bytes},
    ),
)
