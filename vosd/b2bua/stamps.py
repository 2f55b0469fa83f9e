"""What a call leaves behind: who, when, which gateways, and how it ended."""

from typing import NamedTuple

import msgspec

from vosd.base.cause import EndReason, HangupSource
from vosd.base.clock import Instant
from vosd.cdr.record import Attempt
from vosd.routing.pipeline import RouteChoice


class Arrival(NamedTuple):
    """The INVITE as it came, in the words of a CDR."""

    call_id: str
    caller_in: str
    callee_in: str
    sip_call_id_in: str
    source_address: str
    at: Instant


class Ending(NamedTuple):
    """Why and when a call ended; ``sip_code`` is the final code as the caller saw it."""

    reason: EndReason
    source: HangupSource
    at: Instant
    sip_code: int | None
    q850_cause: int


class Journey(msgspec.Struct):
    """What happened to a call so far; grows while it lives."""

    ringing_at: Instant | None = None
    answered_at: Instant | None = None
    progress_at: Instant | None = None
    """First 18x or 200 passed on to the caller."""
    codec: str | None = None
    attempts: list[Attempt] = []
    choice: RouteChoice | None = None
    """The gateway of the latest attempt: the winner's, once the call is answered."""
    sip_call_id_out: str | None = None
    destination_address: str | None = None
