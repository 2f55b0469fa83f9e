"""Followers of live calls, and messages of ended ones: ``vosd trace`` and ``vosd cdr show --ladder``.

The switch reports its calls here; the messages come from the trace buffer. All output has credentials blanked and is
bounded in size, because the same thread carries the calls.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from vosd.b2bua.call import Call
from vosd.b2bua.stamps import Arrival, Journey
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.host import plain_host
from vosd.base.number import for_matching
from vosd.callcontrol.call_request import CallRequest
from vosd.cdr.record import CallRecord
from vosd.control.traces import CallSought, CallUpdate, EndedCallMessages
from vosd.engine.trace.call_messages import CallOutcome
from vosd.engine.trace.messages import CallTraces, Traced
from vosd.obs.traced import TracedMessage, blanked
from vosd.sip.flows import Listener

_WELL: Final = CallOutcome.WELL  # access to enum members is slow
_FAILED: Final = CallOutcome.FAILED
_NORMAL: Final = EndReason.NORMAL.text
CALLS_MAX: Final = 100
"""Most calls that one follower follows at a time; further ones are counted."""
UPDATE_BYTES_MAX: Final = 64 * 1024
"""Most bytes of messages in one report; the rest is in the next."""
CALL_BYTES_MAX: Final = 1024 * 1024
"""Most bytes of messages of one ended call."""
LINGER_MS: Final = 2_000
"""A call is followed for so long after its end: the last ACK and the answer to BYE arrive then."""


def fits(
    sought: CallSought, arrival: Arrival, journey: Journey, callee_billing: str | None, gateways: Iterable[str | None]
) -> bool:
    """Return whether a call is looked for, by what is known of it so far."""
    return (
        _begins(sought.caller, (arrival.caller_in,))
        and _begins(sought.callee, (arrival.callee_in, callee_billing))
        and (sought.gateway is None or sought.gateway in gateways)
        and (sought.address is None or _is_of(sought.address, (arrival.source_address, journey.destination_address)))
        and (
            sought.sip_call_id is None
            or sought.sip_call_id == arrival.sip_call_id_in
            or sought.sip_call_id in journey.sip_call_ids_out
        )
    )


def _is_of(address: str, addresses: Iterable[str | None]) -> bool:
    wanted = _host_and_port(address)
    shown = [_host_and_port(each) for each in addresses if each is not None]
    return wanted in shown or wanted in [(host, "") for host, _ in shown]


def _host_and_port(address: str) -> tuple[str, str]:
    """Return the host in canonical form, and the port; empty = an address has none."""
    host, _, port = address.rpartition(":")
    has_port = host.endswith("]") or (host and ":" not in host)
    return (plain_host(host), port) if has_port else (plain_host(address), "")


class _Followed:
    """A call that a follower follows."""

    __slots__ = ("arrival", "journey", "mapping_gateway", "record", "sent_until")

    def __init__(self, arrival: Arrival, mapping_gateway: str | None, journey: Journey) -> None:
        self.arrival = arrival
        self.mapping_gateway = mapping_gateway
        self.journey = journey
        self.record: CallRecord | None = None
        self.sent_until = 0
        """Position of the last reported message."""

    @property
    def legs(self) -> list[str]:
        return [self.arrival.sip_call_id_in, *self.journey.sip_call_ids_out]


class TraceFollower:
    """One follower; created by ``TraceFollowers.follow_calls``."""

    def __init__(self, sought: CallSought, show: Callable[[Traced], TracedMessage], trace: CallTraces) -> None:
        self._sought = sought
        self._show = show
        self._trace = trace
        self._followed: dict[str, _Followed] = {}
        self.left_out = 0
        """Calls that matched beyond ``CALLS_MAX``."""
        self.has_more = False
        """Whether the last report did not hold everything."""

    def attempted(self, call: Call, call_request: CallRequest, gateway: str) -> None:
        """Start to follow a call at its first attempt that matches."""
        arrival = call.arrival
        if arrival.call_id in self._followed:
            return
        mapping = call_request.mapping.name if call_request.mapping is not None else None
        if fits(self._sought, arrival, call.journey, call_request.callee_billing, (mapping, gateway)):
            self._follow(arrival, mapping, call.journey)

    def ended(self, arrival: Arrival, journey: Journey, record: CallRecord) -> None:
        """Note the end of a call; one without attempts is seen here for the first time."""
        followed = self._followed.get(record.call_id)
        if followed is None:
            if not fits(self._sought, arrival, journey, record.callee_billing, (record.mapping_gateway,)):
                return
            followed = self._follow(arrival, record.mapping_gateway, journey)
        if followed is None:
            self.left_out += 1
        else:
            followed.record = record

    def updates(self, now: Instant) -> list[CallUpdate]:
        """Return the changes, at most ``UPDATE_BYTES_MAX`` plus one message."""
        updates: list[CallUpdate] = []
        room = UPDATE_BYTES_MAX
        for call_id, followed in list(self._followed.items()):
            if room <= 0:
                break
            found = self._trace.messages(followed.legs, followed.sent_until)
            sent = _first(found, room)
            room -= sum(len(traced.entry[4]) for traced in sent)
            record = followed.record
            is_last = len(sent) == len(found) and record is not None and now.wall - record.ended_at >= LINGER_MS
            if sent:
                followed.sent_until = sent[-1].entry[0]
            if is_last:
                del self._followed[call_id]
            if sent or is_last:
                updates.append(self._update(followed, sent, is_last=is_last))
        self.has_more = room <= 0
        return updates

    def _follow(self, arrival: Arrival, mapping: str | None, journey: Journey) -> _Followed | None:
        if len(self._followed) >= CALLS_MAX:
            return None
        followed = self._followed[arrival.call_id] = _Followed(arrival, mapping, journey)
        return followed

    def _update(self, followed: _Followed, sent: Sequence[Traced], *, is_last: bool) -> CallUpdate:
        arrival, record = followed.arrival, followed.record
        return CallUpdate(
            call_id=arrival.call_id,
            caller=arrival.caller_in,
            callee=arrival.callee_in,
            mapping_gateway=followed.mapping_gateway,
            gateways=_gateways(followed.journey),
            messages=[self._show(traced) for traced in sent],
            record=record,
            is_last=is_last,
        )


class TraceFollowers:
    """All followers, and the trace buffer."""

    def __init__(self, trace: CallTraces, listeners: Sequence[Listener]) -> None:
        self.trace = trace
        self._listeners = listeners
        self._present: list[TraceFollower] = []
        self.are_present = False

    # -- reports of the switch -----------------------------------------------------------------------------------

    def attempted(self, call: Call, call_request: CallRequest, gateway: str) -> None:
        """Report that a gateway is about to be tried for a call."""
        for follower in self._present:
            follower.attempted(call, call_request, gateway)

    def ended(self, arrival: Arrival, journey: Journey, record: CallRecord) -> None:
        """Report the end of a call."""
        outcome = _WELL if record.end_reason == _NORMAL else _FAILED
        call_ids = (arrival.sip_call_id_in, *journey.sip_call_ids_out)
        if journey.rung_together:
            self.trace.note_together(arrival.call_id, journey.rung_together)
        self.trace.ended(arrival.call_id, call_ids, outcome, arrival.at.wall)
        if self.trace.mirror is not None:
            has_failed = outcome is _FAILED
            messages = self.trace.messages(call_ids) if has_failed else ()
            self.trace.mirror.ended(record, messages, has_failed=has_failed)
        for follower in self._present:
            follower.ended(arrival, journey, record)

    # -- what people ask ----------------------------------------------------------------------------------------

    @contextmanager
    def follow_calls(self, sought: CallSought) -> Iterator[TraceFollower]:
        """Follow calls while the context lasts."""
        follower = TraceFollower(sought, self._show, self.trace)
        self._present.append(follower)
        self.are_present = self.trace.is_followed = True
        try:
            yield follower
        finally:
            self._present.remove(follower)
            self.are_present = self.trace.is_followed = bool(self._present)

    async def call_of(self, sip_call_ids: Iterable[str]) -> EndedCallMessages:
        """Return the messages of an ended call, by any of its Call-IDs; empty if none is kept."""
        wanted = tuple(sip_call_ids)
        found, together = self.trace.call_of(wanted), self.trace.together_in(wanted)
        sent = _first(found, CALL_BYTES_MAX)
        return EndedCallMessages(await self._shown(sent), len(found) - len(sent), together)

    async def running(self, call: Call) -> CallUpdate:
        """Return the messages of a running call so far."""
        arrival, journey, customer = call.arrival, call.journey, call.board.customer
        legs = [arrival.sip_call_id_in, *journey.sip_call_ids_out]
        messages = await self._shown(_first(self.trace.messages(legs), CALL_BYTES_MAX))
        return CallUpdate(
            call_id=arrival.call_id,
            caller=arrival.caller_in,
            callee=arrival.callee_in,
            mapping_gateway=None if customer is None else customer.name,
            gateways=_gateways(journey),
            messages=messages,
            record=None,
            is_last=False,
        )

    async def _shown(self, found: Sequence[Traced]) -> list[TracedMessage]:
        shown = []
        for traced in found:
            shown.append(self._show(traced))
            await asyncio.sleep(0)  # blanking 64 KiB takes milliseconds: let calls run
        return shown

    def _show(self, traced: Traced) -> TracedMessage:
        leg, (_, at, way, peer, data) = traced
        ours = self._listeners[peer.flow]
        shown = blanked(data)
        return TracedMessage(at, way, leg, ours.transport, ours.host, ours.port, peer.host, peer.port, shown)


def _first(found: Sequence[Traced], size_bytes: int) -> Sequence[Traced]:
    """Return as many as begin within a size; at least one, if there is any."""
    for index, traced in enumerate(found):
        if size_bytes <= 0:
            return found[:index]
        size_bytes -= len(traced.entry[4])
    return found


def _gateways(journey: Journey) -> tuple[str, ...]:
    """Return the gateways of the attempts, including the open one."""
    names = [attempt.gateway for attempt in journey.attempts]
    if len(names) < len(journey.sip_call_ids_out) and journey.choice is not None:
        names.append(journey.choice.gateway.name)
    if journey.rung_together:  # they end in another order than they began
        together = dict(journey.rung_together)
        others = iter([name for name in names if name not in together.values()])
        names = [together.get(call_id) or next(others, "") for call_id in journey.sip_call_ids_out]
    return tuple(names)


def _begins(prefix: str | None, numbers: Iterable[str | None]) -> bool:
    if prefix is None:
        return True
    wanted = for_matching(prefix)
    return any(number is not None and for_matching(number).startswith(wanted) for number in numbers)
