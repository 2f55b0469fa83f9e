"""References between calls that are restored together: legs and calls by name, shared bridges and transfers."""

from typing import Literal, TypeAlias

import msgspec

from vosd.b2bua.bridge import Bridge
from vosd.b2bua.call import Call
from vosd.b2bua.call_port import CallPort
from vosd.b2bua.caller import Caller
from vosd.b2bua.leg import Leg
from vosd.b2bua.states import CallState
from vosd.b2bua.takeover import Takeover
from vosd.b2bua.transfer import CallTransfer
from vosd.base.errors import VosError
from vosd.routing.pipeline import RouteChoice
from vosd.sip.restoration import Restoration

LegName: TypeAlias = Literal["caller", "callee", "newcomer"]


class NoSnapshotError(VosError):
    """A call has no snapshot: it is over, or it occupies something unknown."""


class LegReference(msgspec.Struct, frozen=True, array_like=True):
    """A leg of the call itself, or of another one."""

    name: LegName
    call_id: str = ""
    """Empty = the call that refers to it."""

    @classmethod
    def to(cls, leg: Leg, call: CallPort) -> "LegReference":
        """Refer to a leg from ``call``."""
        owner = leg.call
        call_id = "" if owner is call else owner.arrival.call_id
        if owner.callee is not None and leg is owner.callee.leg:
            return cls("callee", call_id)
        return cls("caller" if leg is owner.caller.leg else "newcomer", call_id)


CALLER = LegReference("caller")
CALLEE = LegReference("callee")


class RestoredCalls:
    """The calls of one restoration, of which some are joined by transfers."""

    def __init__(self, restoration: Restoration) -> None:
        self.restoration = restoration
        self.calls: dict[str, Call] = {}
        self.newcomers: dict[str, Caller] = {}
        """Callers that are about to replace the caller of a call (RFC 3891), by the id of the call."""
        self.given_up: dict[str, list[RouteChoice | None]] = {}
        """Routes of attempts that were given up, by the id of the call."""
        self.bridges: dict[tuple[int, int], Bridge] = {}
        """By both legs."""
        self.transfers: dict[str, CallTransfer] = {}
        """By the id of the first call."""

    def leg(self, reference: LegReference, call: CallPort) -> Leg:
        """Return the leg that ``call`` refers to; raises KeyError where it is of a call that was not described."""
        if reference.name != "callee":
            return self.caller(reference, call).leg
        callee = self._owner(reference, call).callee
        if callee is None:
            raise KeyError(f"{call!r} refers to a callee that is not there")
        return callee.leg

    def caller(self, reference: LegReference, call: CallPort) -> Caller:
        """Return the caller, or the newcomer, that ``call`` refers to; raises KeyError."""
        owner = self._owner(reference, call)
        if reference.name == "newcomer":
            return self.newcomers[owner.arrival.call_id]
        if owner.caller.inviter is None:
            raise KeyError(f"{call!r} refers to a caller that has left")
        return owner.caller.inviter

    def _owner(self, reference: LegReference, call: CallPort) -> CallPort:
        return self.calls[reference.call_id] if reference.call_id else call


def newcomer_of(call: CallPort) -> Caller | None:
    """Return the caller that is about to replace a side of a call, if there is one."""
    proposal = None if call.conversation.bridge is None else call.conversation.bridge.proposal
    if not isinstance(proposal, Takeover) or proposal.replaced_in is not call or proposal.newcomer is call.caller:
        return None
    return proposal.newcomer


def is_present(leg: Leg) -> bool:
    """Return whether a leg is part of its call still: it may have been replaced, or the call be over."""
    call = leg.call
    if call.state is CallState.OVER:
        return False
    callee, newcomer = call.callee, newcomer_of(call)
    if callee is not None and leg is callee.leg:
        return not callee.progress.has_left
    return leg is call.caller.leg or leg is (None if newcomer is None else newcomer.leg)
