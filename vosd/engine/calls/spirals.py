"""Calls of ours that a proxy sends back to another number: spirals (RFC 3261 section 16.3 item 4, ADR 247)."""

from typing import Final

from vosd.b2bua.attempt import GatewayAttempt
from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.base.number import for_matching, without_separators
from vosd.engine.calls.services import RunningCalls
from vosd.sip.endpoint import Endpoint
from vosd.sip.headers.phone_context import number_of
from vosd.sip.transaction.client import InviteClient
from vosd.sip.wire.message import Request

PASSES_MAX: Final = 5
"""Calls that one INVITE may become before it comes back once more: ISDN counts as many diversions (ITU-T Q.732.2)."""


def sent_back(request: Request, branch: str, endpoint: Endpoint, running: RunningCalls) -> str | Refusal:
    """Return the id of the call of which a proxy has sent the INVITE back to another number; a refusal if it may not.

    ``branch`` is that of the INVITE as we have sent it.

    Raises:
        ParseError: the number cannot be read.
    """
    sent = endpoint.store.clients.get(f"{branch} INVITE")
    if not isinstance(sent, InviteClient) or not sent.is_wanted or not isinstance(sent.owner, GatewayAttempt):
        return Refusal(EndReason.LOOP, 482, "the call has come back after its end here")
    if _number(request.uri) == _number(sent.parts.uri):
        return Refusal(EndReason.LOOP, 482, "the call has come back with the number that was sent")
    if request.header("record-route") is None:
        # Requests of both calls would go from us to us, which no Contact may ask for (``Flows.is_ours``).
        return Refusal(EndReason.LOOP, 482, "a proxy has sent the call back to another number without Record-Route")
    call_id = sent.owner.call.arrival.call_id
    if sum(1 for _ in running.passed(call_id)) >= PASSES_MAX:
        return Refusal(EndReason.LOOP, 482, f"the call has come back {PASSES_MAX} times")
    return call_id


def _number(uri: str) -> str:
    return for_matching(without_separators(number_of(uri)))
