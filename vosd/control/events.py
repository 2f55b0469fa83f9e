"""Events of the running switch: one stream of them to a process that follows, such as the management API (ADR 126)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec

from vosd.base.text import escaped
from vosd.control.order import Following, Order


class EventType(StrEnum):
    """Types of events; a name is stable."""

    CALL_TRYING = "call.trying"
    """A gateway is tried, for each; the first one of a call is its begin."""
    CALL_RINGING = "call.ringing"
    CALL_ANSWERED = "call.answered"
    CALL_ENDED = "call.ended"
    """It has ended, or was refused; ``end_reason`` says why."""
    GATEWAY_DOWN = "gateway.down"
    GATEWAY_UP = "gateway.up"
    GATEWAY_RESTING = "gateway.resting"
    GATEWAY_WELL = "gateway.well"
    """A call to an address that rested has succeeded."""
    GATEWAY_FULL = "gateway.full"
    """It carries as many calls as it may; looked at once a second."""
    GATEWAY_FREE = "gateway.free"
    ALARM_RAISED = "alarm.raised"
    ALARM_CLEARED = "alarm.cleared"
    BALANCE_LOW = "balance.low"
    BALANCE_RECOVERED = "balance.recovered"
    BALANCE_CHANGED = "balance.changed"
    """Another process has booked: a payment, a transfer, a correction."""
    OVERRIDE_SET = "override.set"
    """An override of a gateway, a phone or an account is in force; a block is one."""
    OVERRIDE_ENDED = "override.ended"
    DEFINITIONS_CHANGED = "definitions.changed"
    """Another configuration, or another version of the objects in the database, is in force."""
    JOB_BEGUN = "job.begun"
    """The management API carries a job out; one that was interrupted begins again."""
    JOB_DONE = "job.done"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    """It was cancelled while it ran."""
    GAP = "stream.gap"
    """Events are missing: read the lists again. It is sent to every follower, whatever its filter."""
    SWITCH_AWAY = "stream.switch_away"
    """The switch does not answer; events of it come when it is back. Sent to every follower."""
    SWITCH_BACK = "stream.switch_back"
    """It answers again: read the lists again. Sent to every follower."""


OF_THE_STREAM: Final = frozenset({EventType.GAP, EventType.SWITCH_AWAY, EventType.SWITCH_BACK})
"""Events of the stream itself, which every follower gets."""
TYPES_BY_NAME: Final[Mapping[str, frozenset[EventType]]] = {
    name: frozenset(each for each in EventType if name in {each.value, each.partition(".")[0]}) - OF_THE_STREAM
    for type_ in EventType
    if type_ not in OF_THE_STREAM
    for name in (type_.value, type_.partition(".")[0])
}
"""The types that a type (``call.ended``) or a subject (``call``) names."""


class LiveEvent(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One event."""

    type: EventType
    at: str
    """RFC 3339."""
    data: Any
    accounts: tuple[str, ...] = ()
    """Accounts that it is about: for a call the customer's first, then the vendor's."""
    gateways: tuple[str, ...] = ()
    ordered_by: str = ""
    """Means and login of the one who has ordered the job that it is about."""


class EventDocument(msgspec.Struct, frozen=True):
    """An event as clients and receivers get it."""

    id: str
    """Text that the header Last-Event-ID names later."""
    type: EventType
    """Type of the event, as in docs/api.md."""
    at: str
    """RFC 3339."""
    data: Any
    """Facts; docs/api.md has them by type."""


class EventBatch(msgspec.Struct, frozen=True):
    """Events since the last batch, in order; none where the switch says only that it lives."""

    events: list[LiveEvent]
    left_out: int
    """Events before these that were dropped, because the follower was too slow."""


class FollowEvents(Following[EventBatch], frozen=True, tag="events"):
    """Report all events until the client disconnects."""


class DeadLetter(msgspec.Struct, frozen=True):
    """An event that a receiver did not get and will not get, unless it is replayed."""

    receiver: str
    """Name of the webhook."""
    number: int
    """Number among the events for the receiver."""
    made: str
    """RFC 3339."""
    why: str
    """``expired``, ``full``, or the status by which the receiver refused it, such as ``status-410``."""
    document: str
    """JSON that was sent."""


class ListDeadLetters(Order[list[DeadLetter]], frozen=True, tag="dead_letters"):
    """Return the dead letters of all receivers, or of one."""

    receiver: str | None = None
    """Name of the webhook; None = all."""


class ReplayedLetters(msgspec.Struct, frozen=True):
    """Outcome of a replay."""

    replayed: int
    """Number of events that wait for their receiver again."""


class ReplayDeadLetters(Order[ReplayedLetters], frozen=True, tag="replay_dead_letters"):
    """Deliver dead letters of a receiver again: one, or all."""

    is_change = True

    receiver: str
    """Name of the webhook."""
    number: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Number of the dead letter; None = all."""


def document_of(event: LiveEvent, event_id: str) -> bytes:
    """Return an event as the JSON document that clients and receivers get."""
    document = EventDocument(event_id, event.type, event.at, event.data)
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:  # text of peers may hold bytes that are not UTF-8
        return msgspec.json.encode(escaped(document))
