"""Calls with their messages, from the running switch: live and afterwards.

Assembles reports into whole calls; drawing is done elsewhere.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from vosd.base.cause import EndReason
from vosd.base.errors import VosError
from vosd.cdr.columns import iso_utc
from vosd.cdr.record import CallRecord
from vosd.control.client import RunningSwitch
from vosd.control.traces import CallUpdate, EndedCallMessages, FindMessages, FindRunningCall, TraceUpdate
from vosd.obs.traced import TracedCall, TracedMessage, TracedOutcome


class NothingKeptError(VosError):
    """The trace buffer has no message of a call any more."""


class AmbiguousCallError(VosError):
    """Several calls have an id with that beginning."""


class FollowedCalls:
    """The followed calls, as far as reported."""

    def __init__(self) -> None:
        self.going_on: dict[str, TracedCall] = {}
        """Calls with further reports to come, the oldest first."""
        self.left_out = 0
        """Number of matching calls that were too many to follow."""

    def take(self, update: TraceUpdate) -> list[TracedCall]:
        """Add a report, and return the calls that are complete now."""
        self.left_out = update.left_out
        complete = []
        for each in update.calls:
            call = self._add(each)
            if each.is_last:
                complete.append(self.going_on.pop(call.call_id))
        return complete

    def _add(self, update: CallUpdate) -> TracedCall:
        call = self.going_on.get(update.call_id)
        if call is None:
            call = TracedCall(update.call_id, update.caller, update.callee, update.mapping_gateway, (), [])
            self.going_on[update.call_id] = call
        call.gateways = update.gateways
        call.messages += update.messages
        if update.record is not None:
            call.outcome = TracedOutcome.of_record(update.record)
        return call


async def messages_of(switch: RunningSwitch, record: CallRecord) -> EndedCallMessages:
    """Return the remaining messages of an ended call.

    Raises:
        NothingKeptError: none is left.
        DaemonUnreachableError: no switch runs.
    """
    legs = tuple(leg for leg in (record.sip_call_id_in, record.sip_call_id_out) if leg)
    found = await switch.ask(FindMessages(legs))
    if not found.messages and record.end_reason == EndReason.NORMAL.text:
        raise NothingKeptError(
            f"no message of call {record.call_id} is kept: those of a call that ended normally are dropped with it,"
            " unless `vosd trace` runs; trace the next call"
        )
    if not found.messages:
        raise NothingKeptError(
            f"no message of call {record.call_id} is kept any more: the switch was started since, or later calls took"
            " the room (trace.recent_mb and trace.failed_mb say how much there is)"
        )
    return found


async def running_call(switch: RunningSwitch, beginning: str) -> TracedCall | None:
    """Return a running call by the beginning of its id, with its messages so far; None if there is none.

    Raises:
        AmbiguousCallError: several running calls match.
        NoDaemonError: no switch runs.
        DaemonUnreachableError: one runs and does not answer.
    """
    found = await switch.ask(FindRunningCall(beginning))
    if len(found.fitting) > 1:
        message = "\n  ".join([f"several running calls begin with {beginning}, say more of the id:", *found.fitting])
        raise AmbiguousCallError(message)
    if found.update is None:
        return None
    followed = FollowedCalls()
    followed.take(TraceUpdate([found.update], 0, is_over=False))
    return followed.going_on[found.update.call_id]


def traced_call(record: CallRecord, found: EndedCallMessages) -> TracedCall:
    """Combine a call's record with its messages."""
    gateways, together = [attempt.gateway for attempt in record.attempts], dict(found.together)
    if together:
        others = iter([name for name in gateways if name not in together.values()])
        legs = range(1, max(len(gateways), *together) + 1)
        gateways = [together.get(leg) or next(others, "") for leg in legs]
    return TracedCall(
        call_id=record.call_id,
        caller=record.caller_in,
        callee=record.callee_in,
        mapping_gateway=record.mapping_gateway,
        gateways=tuple(gateways),
        messages=found.messages,
        outcome=TracedOutcome.of_record(record),
    )


def messages_json(messages: Sequence[TracedMessage]) -> list[dict[str, Any]]:
    """Return messages as ``--json`` prints them; bytes that are not UTF-8 are replaced."""
    return [
        {
            "at": iso_utc(message.at),
            "way": message.way.value,
            "leg": message.leg,
            "transport": message.transport,
            "local_host": message.local_host,
            "local_port": message.local_port,
            "remote_host": message.remote_host,
            "remote_port": message.remote_port,
            "message": message.data.decode("utf-8", "replace"),
        }
        for message in messages
    ]


def call_json(call: TracedCall) -> dict[str, Any]:
    """Return a followed call as ``--json`` prints it; ``outcome`` is null while it goes on."""
    return {
        "call_id": call.call_id,
        "caller": call.caller,
        "callee": call.callee,
        "mapping_gateway": call.mapping_gateway,
        "gateways": list(call.gateways),
        "outcome": None if call.outcome is None else msgspec.to_builtins(call.outcome),
        "messages": messages_json(call.messages),
    }
