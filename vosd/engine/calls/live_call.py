"""One live call in the switch's hands."""

import msgspec

from vosd.b2bua.call import Call
from vosd.b2bua.caller_leg import CallerLeg
from vosd.base.wheel import Timer
from vosd.billing.holds import Hold
from vosd.callcontrol.admission import CallRequest
from vosd.callcontrol.bookkeeping import OpenCall, opened
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.sip.dialog.snapshot import DialogSnapshot


class LiveCall:
    """What the switch keeps beside a call: what it occupies, what it pays, and its one deadline."""

    __slots__ = ("call", "call_request", "kept", "timer", "vendors")

    def __init__(self, call: Call, call_request: CallRequest, vendors: LiveVendors) -> None:
        self.call = call
        self.call_request = call_request
        self.vendors = vendors
        """Of the catalogue that admitted the call: a reload may have taken a gateway's account away."""
        self.kept: OpenCall | None = None
        """What the journal has of the call, once it is answered."""
        self.timer: Timer[Call] | None = None

    def opened(self, node: str, *, recorded: bool) -> OpenCall | None:
        """Return what the journal is to keep of the call as it stands; None where no gateway has answered."""
        call = self.call
        kept = opened(node, call.arrival, self.call_request, call.journey, recorded=recorded)
        return None if kept is None else msgspec.structs.replace(kept, legs=legs_of(call))

    def granted_s(self, hold: Hold) -> int:
        """Return for how many seconds the call may go on for now that a gateway has answered, which may limit it."""
        choice = self.call.journey.choice
        if choice is not None and choice.gateway.max_call_seconds is not None:
            hold.end_within(choice.gateway.max_call_seconds)
        return min(hold.granted_s, hold.ceiling_s)


def legs_of(call: Call) -> tuple[DialogSnapshot, ...]:
    """Describe the answered legs of a call, the gateway's first: it costs money."""
    caller, callee, flows = call.caller, call.callee, call.endpoint.flows
    legs = []
    if callee is not None and callee.dialog is not None:
        legs.append(DialogSnapshot.of(callee.dialog, flows, callee.choice.gateway.name, callee.invite_sequence))
    if isinstance(caller, CallerLeg) and call.journey.answered_at is not None:
        legs.append(DialogSnapshot.of(caller.dialog, flows))
    return tuple(legs)
