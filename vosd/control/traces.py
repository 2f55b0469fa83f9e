"""Orders about the messages of calls: follow new calls, look at a running or an ended one."""

from typing import Annotated, Final

import msgspec

from vosd.cdr.record import CallRecord
from vosd.control.order import Following, Order
from vosd.obs.traced import TracedMessage

TRACE_S_MAX: Final = 86_400
"""Longest duration of a trace: a day."""


class CallSought(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Filter of a follower: calls that match all given fields; all calls if none is given."""

    caller: str | None = None
    """Beginning of the calling number as received; a leading plus sign is ignored."""
    callee: str | None = None
    """Beginning of the called number, as received or as rated."""
    gateway: str | None = None
    """Mapping or routing."""
    address: str | None = None
    """Address of the caller's side or of a vendor, with or without port."""
    sip_call_id: str | None = None
    """Call-ID of a leg."""


class CallUpdate(msgspec.Struct, frozen=True):
    """Changes of one call since the last report."""

    call_id: str
    caller: str
    callee: str
    mapping_gateway: str | None
    gateways: tuple[str, ...]
    """Gateways of the attempts so far, in order."""
    messages: list[TracedMessage]
    record: CallRecord | None
    """Record of the call, once it has ended; text of peers is escaped."""
    is_last: bool
    """No further report of the call follows."""


class TraceUpdate(msgspec.Struct, frozen=True):
    """Changes of the followed calls."""

    calls: list[CallUpdate]
    left_out: int
    """Calls so far that matched and were too many to follow."""
    is_over: bool
    """The time is up: no further report follows."""
    unaudited: str = ""
    """Why the audit has no line of the trace; the office says so in the first report."""


class FollowCalls(Following[TraceUpdate], frozen=True, tag="trace"):
    """Report the messages of new calls until the time is up or the client disconnects."""

    sought: CallSought
    seconds: Annotated[int, msgspec.Meta(ge=1, le=TRACE_S_MAX)]


class EndedCallMessages(msgspec.Struct, frozen=True):
    """Messages of an ended call."""

    messages: list[TracedMessage]
    left_out: int
    """Number of later messages left out for size."""
    together: list[tuple[int, str]] = []
    """Legs that rang at the same time, and the gateway of each: they did not end in the order in which they began."""


class FindMessages(Order[EndedCallMessages], frozen=True, tag="messages"):
    """Return the remaining messages of an ended call, by the Call-IDs of any of its legs."""

    sip_call_ids: tuple[str, ...]


class RunningCall(msgspec.Struct, frozen=True):
    """Result of a search for a running call by the beginning of its id."""

    fitting: list[str]
    """Ids of the matching running calls, a few at most."""
    update: CallUpdate | None
    """All messages so far, if only one matches."""


class FindRunningCall(Order[RunningCall], frozen=True, tag="running_call"):
    """Return the messages of a running call so far, by the beginning of its id."""

    beginning: str
