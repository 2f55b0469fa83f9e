"""Snapshots of transfers and bridges, and of the calling side after the customer has left."""

import msgspec

from vosd.b2bua.bridge import Bridge
from vosd.b2bua.call import Call
from vosd.b2bua.caller_side import CallerSide
from vosd.b2bua.refresh import MediaHold, WantedOffer
from vosd.b2bua.snapshot.facts import facts_in, named
from vosd.b2bua.snapshot.references import CALLEE, CALLER, LegReference, RestoredCalls
from vosd.b2bua.snapshot.requests import ProposalSnapshot
from vosd.b2bua.snapshot.session import NO_SESSION, SessionSnapshot, identity_as_bytes, identity_of
from vosd.b2bua.substitute import Substitute
from vosd.b2bua.transfer import CallTransfer, TransferFacts
from vosd.media.leg_media import LegMedia
from vosd.sip.dialog.snapshot import text_of
from vosd.sip.transaction.timer_snapshot import TimerSnapshot
from vosd.sip.wire.compose import encode
from vosd.trunks.dialect import CallerDialect


class SubstituteSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Snapshot of the calling side of a call that the customer has left."""

    offer: SessionSnapshot = NO_SESSION
    identity: bytes = b""
    named: bytes = b""
    """The transferor; empty if the customer has left its own call."""
    left_media: LegMedia | None = None
    """The media of the leg that has left; None = this side never had one, or an earlier version has written it."""

    @classmethod
    def of(cls, side: CallerSide) -> "SubstituteSnapshot":
        """Describe a caller's side that has no leg."""
        offer, identity = SessionSnapshot.of(side.offer), identity_as_bytes(side.caller_identity)
        return cls(offer, identity, encode(side.named), side.left_media)

    def restored(self, dialect: CallerDialect) -> Substitute:
        """Return the substitute."""
        return Substitute(
            offer=self.offer.restored(),
            caller_identity=identity_of(self.identity),
            dialect=dialect if self.named else None,
            named=text_of(self.named),
            left_media=self.left_media,
        )


class TransferSnapshot(TransferFacts, kw_only=True, omit_defaults=True):
    """A transfer that is in progress; each of its two calls describes it."""

    first: str
    second: str | None
    event: bytes = b""
    alarm: TimerSnapshot | None = None
    hold: ProposalSnapshot | None = None
    wanted: ProposalSnapshot | None = None

    @classmethod
    def of(cls, transfer: CallTransfer) -> "TransferSnapshot":
        """Describe a transfer."""
        first, second, hold, wanted = transfer.first, transfer.second, transfer.hold, transfer.wanted
        return cls(
            first=first.arrival.call_id,
            second=None if second is None else second.arrival.call_id,
            event=encode(transfer.event),
            alarm=TimerSnapshot.of(transfer.alarm, first.endpoint.store),
            hold=None if hold is None else ProposalSnapshot.of(hold, first),
            wanted=None if wanted is None else ProposalSnapshot.of(wanted, first),
            **named(transfer.facts),
        )

    def restored(self, calls: RestoredCalls) -> CallTransfer:
        """Return the transfer, the same for both calls."""
        transfer = calls.transfers.get(self.first)
        if transfer is not None:
            return transfer
        first = calls.calls[self.first]
        transfer = CallTransfer(first.endpoint, first, text_of(self.event), facts_in(self, TransferFacts))
        hold = None if self.hold is None else self.hold.restored(first, None, calls)
        wanted = None if self.wanted is None else self.wanted.restored(first, None, calls)
        transfer.second = None if self.second is None else calls.calls[self.second]
        transfer.alarm = calls.restoration.alarm(self.alarm, transfer)
        transfer.hold = hold if isinstance(hold, MediaHold) else None
        if isinstance(wanted, WantedOffer):
            transfer.wanted, wanted.transfer = wanted, transfer
        calls.transfers[self.first] = transfer
        return transfer


class BridgeSnapshot(msgspec.Struct, frozen=True, omit_defaults=True):
    """Snapshot of a bridge between two legs; two calls that a transfer has joined have the same one."""

    one: LegReference = CALLER
    other: LegReference = CALLEE
    proposal: ProposalSnapshot | None = None

    @classmethod
    def of(cls, bridge: Bridge, call: Call) -> "BridgeSnapshot":
        """Describe a bridge."""
        one, other, proposal = bridge.one, bridge.other, bridge.proposal
        return cls(
            LegReference.to(one, call),
            LegReference.to(other, call),
            None if proposal is None else ProposalSnapshot.of(proposal, call),
        )

    def restored(self, call: Call, calls: RestoredCalls) -> Bridge:
        """Return the bridge, the same for both calls."""
        one, other = calls.leg(self.one, call), calls.leg(self.other, call)
        bridge = calls.bridges.get((id(one), id(other)))
        if bridge is None:
            bridge = calls.bridges[id(one), id(other)] = Bridge(calls.restoration.endpoint, one, other)
            if self.proposal is not None:
                bridge.proposal = self.proposal.restored(call, bridge, calls)
        return bridge
