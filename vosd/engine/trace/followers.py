"""Who looks on while calls are made, or asks afterwards what was said: ``vosd trace`` and ``vosd cdr show --ladder``.

The switch tells here what becomes of its calls; the messages come from the ring. Everything that leaves has its
credentials blanked and is bounded, because the same thread carries the calls.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from vosd.b2bua.call import Call
from vosd.b2bua.stamps import Arrival, Journey
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.number import for_matching
from vosd.callcontrol.admission import CallRequest
from vosd.cdr.columns import json_object
from vosd.cdr.record import CallRecord
from vosd.engine.trace.call_messages import Fate
from vosd.engine.trace.messages import Trace, Traced
from vosd.obs.traced import TracedMessage, blanked
from vosd.sip.flows import Listener

CALLS_MAX: Final = 100
"""Calls that one follower follows at a time; the others are counted."""
NEWS_BYTES_MAX: Final = 64 * 1024
"""Bytes of messages in one piece of news; what does not fit comes with the next."""
CALL_BYTES_MAX: Final = 1024 * 1024
"""Bytes of the messages of one call in the answer to who asks afterwards."""
LINGER_MS: Final = 2_000
"""For so long after its end a call is followed: the last ACK and the answer to BYE come then."""


class CallSought(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which calls an follower wants to see: those that fit everything given; all, where nothing is."""

    caller: str | None = None
    """Beginning of the calling number as it came; a leading plus sign is dropped from both."""
    callee: str | None = None
    """Beginning of the called number as it came, or as it is rated."""
    gateway: str | None = None
    """Mapping or routing."""

    def fits(self, caller: str, callees: Iterable[str | None], gateways: Iterable[str | None]) -> bool:
        """Say whether a call with these numbers and gateways is meant."""
        return (
            _begins(self.caller, (caller,))
            and _begins(self.callee, callees)
            and (self.gateway is None or self.gateway in gateways)
        )


class CallNews(msgspec.Struct, frozen=True):
    """What is new of one call since the last news."""

    call_id: str
    caller: str
    callee: str
    mapping_gateway: str | None
    gateways: tuple[str, ...]
    """Of the attempts so far, in order."""
    messages: list[TracedMessage]
    cdr: dict[str, Any] | None
    """As ``vosd cdr show --json`` prints it, once the call has ended."""
    is_last: bool
    """Nothing will be told of the call any more."""


class TraceNews(msgspec.Struct, frozen=True):
    """What is new of the calls that are followed."""

    calls: list[CallNews]
    left_out: int
    """Calls so far that fitted and were too many."""
    is_over: bool
    """The time is up: nothing comes after this."""


class CallMessages(msgspec.Struct, frozen=True):
    """What is left of an ended call."""

    messages: list[TracedMessage]
    left_out: int
    """Later messages that would have made the answer too long."""


class RunningCall(msgspec.Struct, frozen=True):
    """A running call that is looked for by the beginning of its id."""

    fitting: list[str]
    """Ids of the running calls that begin so, a few at most."""
    news: CallNews | None
    """All that was said, where there is only one."""


class _Followed:
    """A call that an follower follows."""

    __slots__ = ("arrival", "journey", "mapping_gateway", "record", "told_until")

    def __init__(self, arrival: Arrival, mapping_gateway: str | None, journey: Journey) -> None:
        self.arrival = arrival
        self.mapping_gateway = mapping_gateway
        self.journey = journey
        self.record: CallRecord | None = None
        self.told_until = 0
        """Position of the last message that was told."""

    @property
    def legs(self) -> list[str]:
        return [self.arrival.sip_call_id_in, *self.journey.sip_call_ids_out]


class TraceFollower:
    """One who looks on; made by ``TraceFollowers.look_on``."""

    def __init__(self, sought: CallSought, show: Callable[[Traced], TracedMessage], trace: Trace) -> None:
        self._sought = sought
        self._show = show
        self._trace = trace
        self._followed: dict[str, _Followed] = {}
        self.left_out = 0
        """Calls that fitted and were too many."""
        self.has_more = False
        """Whether there was more than the latest news could hold."""

    def attempted(self, call: Call, call_request: CallRequest, gateway: str) -> None:
        """Begin to follow a call that fits, at the first attempt that does."""
        arrival = call.arrival
        if arrival.call_id in self._followed:
            return
        mapping = call_request.mapping.name if call_request.mapping is not None else None
        callees = (arrival.callee_in, call_request.callee_billing)
        if self._sought.fits(arrival.caller_in, callees, (mapping, gateway)):
            self._follow(arrival, mapping, call.journey)

    def ended(self, arrival: Arrival, journey: Journey, record: CallRecord) -> None:
        """Learn how a call ended; one that no gateway was tried for is met here for the first time."""
        followed = self._followed.get(record.call_id)
        if followed is None:
            callees = (record.callee_in, record.callee_billing)
            if not self._sought.fits(record.caller_in, callees, (record.mapping_gateway,)):
                return
            followed = self._follow(arrival, record.mapping_gateway, journey)
        if followed is None:
            self.left_out += 1
        else:
            followed.record = record

    def news(self, now: Instant) -> list[CallNews]:
        """Return what is new, no more than ``NEWS_BYTES_MAX`` and one message of it."""
        news: list[CallNews] = []
        room = NEWS_BYTES_MAX
        for call_id, followed in list(self._followed.items()):
            if room <= 0:
                break
            found = self._trace.messages(followed.legs, followed.told_until)
            told = _first(found, room)
            room -= sum(len(traced.entry[4]) for traced in told)
            record = followed.record
            is_last = len(told) == len(found) and record is not None and now.wall - record.ended_at >= LINGER_MS
            if told:
                followed.told_until = told[-1].entry[0]
            if is_last:
                del self._followed[call_id]
            if told or is_last:
                news.append(self._tell(followed, told, is_last=is_last))
        self.has_more = room <= 0
        return news

    def _follow(self, arrival: Arrival, mapping: str | None, journey: Journey) -> _Followed | None:
        if len(self._followed) >= CALLS_MAX:
            return None
        followed = self._followed[arrival.call_id] = _Followed(arrival, mapping, journey)
        return followed

    def _tell(self, followed: _Followed, told: Sequence[Traced], *, is_last: bool) -> CallNews:
        arrival, record = followed.arrival, followed.record
        return CallNews(
            call_id=arrival.call_id,
            caller=arrival.caller_in,
            callee=arrival.callee_in,
            mapping_gateway=followed.mapping_gateway,
            gateways=_gateways(followed.journey),
            messages=[self._show(traced) for traced in told],
            cdr=None if record is None else json_object(record, None),
            is_last=is_last,
        )


class TraceFollowers:
    """Everybody who looks on, and the ring behind them."""

    def __init__(self, trace: Trace, listeners: Sequence[Listener]) -> None:
        self.trace = trace
        self._listeners = listeners
        self._present: list[TraceFollower] = []

    @property
    def are_present(self) -> bool:
        """Whether anybody looks on."""
        return bool(self._present)

    # -- what the switch tells ----------------------------------------------------------------------------------

    def attempted(self, call: Call, call_request: CallRequest, gateway: str) -> None:
        """Hear that a gateway is about to be tried for a call."""
        for follower in self._present:
            follower.attempted(call, call_request, gateway)

    def ended(self, arrival: Arrival, journey: Journey, record: CallRecord) -> None:
        """Hear how a call ended."""
        fate = Fate.WELL if record.end_reason == EndReason.NORMAL.text else Fate.FAILED
        self.trace.ended((arrival.sip_call_id_in, *journey.sip_call_ids_out), fate)
        for follower in self._present:
            follower.ended(arrival, journey, record)

    # -- what people ask ----------------------------------------------------------------------------------------

    @contextmanager
    def look_on(self, sought: CallSought) -> Iterator[TraceFollower]:
        """Look on for as long as the context lasts."""
        follower = TraceFollower(sought, self._show, self.trace)
        self._present.append(follower)
        self.trace.keeps_unknown_sources = True
        try:
            yield follower
        finally:
            self._present.remove(follower)
            self.trace.keeps_unknown_sources = self.are_present

    async def call_of(self, sip_call_ids: Iterable[str]) -> CallMessages:
        """Return what is left of a call that has ended, by any of its Call-IDs; empty when nothing is."""
        found = self.trace.call_of(sip_call_ids)
        told = _first(found, CALL_BYTES_MAX)
        return CallMessages(await self._shown(told), len(found) - len(told))

    async def running(self, call: Call, mapping_gateway: str | None) -> CallNews:
        """Return what was said so far in a call that runs."""
        arrival, journey = call.arrival, call.journey
        legs = [arrival.sip_call_id_in, *journey.sip_call_ids_out]
        messages = await self._shown(_first(self.trace.messages(legs), CALL_BYTES_MAX))
        return CallNews(
            call_id=arrival.call_id,
            caller=arrival.caller_in,
            callee=arrival.callee_in,
            mapping_gateway=mapping_gateway,
            gateways=_gateways(journey),
            messages=messages,
            cdr=None,
            is_last=False,
        )

    async def _shown(self, found: Sequence[Traced]) -> list[TracedMessage]:
        shown = []
        for traced in found:
            shown.append(self._show(traced))
            await asyncio.sleep(0)  # blanking 64 KiB takes milliseconds: the calls come between
        return shown

    def _show(self, traced: Traced) -> TracedMessage:
        leg, (_, at, way, peer, data) = traced
        ours = self._listeners[peer.flow]
        shown = blanked(data)
        return TracedMessage(at, way, leg, ours.transport, ours.host, ours.port, peer.host, peer.port, shown)


def _first(found: Sequence[Traced], size_bytes: int) -> Sequence[Traced]:
    """Return as many as begin within a size; at least one, where there is any."""
    for index, traced in enumerate(found):
        if size_bytes <= 0:
            return found[:index]
        size_bytes -= len(traced.entry[4])
    return found


def _gateways(journey: Journey) -> tuple[str, ...]:
    """Return the names of the attempts, the one that goes on included."""
    names = [attempt.gateway for attempt in journey.attempts]
    if len(names) < len(journey.sip_call_ids_out) and journey.choice is not None:
        names.append(journey.choice.gateway.name)
    return tuple(names)


def _begins(prefix: str | None, numbers: Iterable[str | None]) -> bool:
    if prefix is None:
        return True
    wanted = for_matching(prefix)
    return any(number is not None and for_matching(number).startswith(wanted) for number in numbers)
