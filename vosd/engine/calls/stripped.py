"""Strip a saved call to the parts that hold after a crash: requests that were under way then are given up.

A snapshot that was written minutes before the crash says nothing of the requests that came since, and what it says of
those of its own moment is no longer true. Peers repeat what they have no answer to, but for a re-INVITE with a 100.
"""

from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from vosd.b2bua.snapshot.call import CallPartsSnapshot
from vosd.b2bua.snapshot.leg import CallerLegSnapshot, LegSnapshot
from vosd.b2bua.snapshot.references import CALLEE, CALLER, LegReference, NoSnapshotError
from vosd.b2bua.snapshot.requests import ProposalSnapshot
from vosd.b2bua.snapshot.session import NO_SESSION
from vosd.b2bua.snapshot.transfer import BridgeSnapshot, TransferSnapshot
from vosd.b2bua.states import CallState
from vosd.b2bua.transfer import Stage
from vosd.base.clock import Instant
from vosd.engine.calls.saved import SavedCall
from vosd.media.leg_media import MusicOnHold
from vosd.sip.transaction.server_snapshot import InviteServerSnapshot

Thing = TypeVar("Thing")


def stripped(saved: SavedCall) -> SavedCall:
    """Return an answered call without the requests that were under way.

    A 200 to its first INVITE that has no ACK stays, for the peer repeats its ACK when it is sent again.

    Raises:
        NoSnapshotError: the call is not one of two parties: it was being connected to the target of a transfer.
    """
    parts = saved.parts
    if parts.state is not CallState.TALKING or parts.callee is None:
        raise NoSnapshotError("the call was not answered")
    transfer = _lasting(parts)
    if (parts.caller is None or parts.callee.has_left) and transfer is None and not parts.joined:
        raise NoSnapshotError("a side has left, and the target of the transfer had not answered")
    bridge = None if parts.bridge is None else replace(parts.bridge, proposal=_left(parts.bridge))
    offer = None if parts.bridge is None else _given_up(parts.bridge)
    parts = replace(
        parts,
        newcomer=None,
        informations=(),
        given_up=(),
        transfer=transfer,
        bridge=bridge,
        caller=None if parts.caller is None else _caller(parts.caller, offer),
        callee=replace(parts.callee, leg=_leg(parts.callee.leg, CALLEE, offer), early=None, keypad=None),
    )
    return replace(saved, parts=parts, deadline=None, setup=None)


def named_calls(parts: CallPartsSnapshot) -> set[str]:
    """Return the other calls whose legs a call refers to: they go on together or not at all."""
    named = {parts.joined}
    if parts.bridge is not None:
        named.update((parts.bridge.one.call_id, parts.bridge.other.call_id))
    if parts.transfer is not None:
        named.update((parts.transfer.first, parts.transfer.second or ""))
    return named - {"", parts.arrival.call_id}


def moved_in_time(thing: Thing, ms: int) -> Thing:
    """Return a struct or tuple with every instant in it moved on the monotonic clock."""
    moved: Thing = _moved(thing, ms)
    return moved


def _lasting(parts: CallPartsSnapshot) -> TransferSnapshot | None:
    """Return a transfer whose target has answered, or of whose failure the transferor has to be notified.

    A REFER to a target that has not answered is void, and the call goes on.
    """
    transfer = parts.transfer
    if transfer is None:
        return None
    has_target = transfer.second is not None and transfer.stage is Stage.CONSULTING
    if has_target:
        return replace(transfer, alarm=None, hold=None, wanted=None)
    is_there = bool(parts.joined) or (parts.caller is not None and (parts.callee is None or not parts.callee.has_left))
    if is_there and transfer.first == parts.arrival.call_id and transfer.notifies and transfer.stage is Stage.CALLING:
        return replace(transfer, second=None, alarm=None, hold=None, wanted=None)
    return None


def _left(bridge: BridgeSnapshot) -> ProposalSnapshot | None:
    """Return an offer that a side has made and that had no answer, without its requests; None for every other one.

    The far side is described as if it had taken the offer, so the next process takes it back. That of a newcomer, who
    is not described, is as if the side that stays had made it.
    """
    proposal = bridge.proposal
    if proposal is None or proposal.kind not in {"renegotiation", "takeover"} or proposal.server is None:
        return None
    origin = bridge.other if proposal.far == bridge.one else bridge.one
    return replace(
        proposal, kind="renegotiation", origin=origin, asked=None, alarm=None, server=None, answers_in_ack=None
    )


def _given_up(bridge: BridgeSnapshot) -> ProposalSnapshot | None:
    """Return an offer of the switch itself: each side is offered the session of the other again, if it has another."""
    proposal = bridge.proposal
    return None if proposal is None or proposal.kind not in {"introduction", "changed answer"} else proposal


def _caller(caller: CallerLegSnapshot, offer: ProposalSnapshot | None) -> CallerLegSnapshot:
    return replace(
        caller,
        leg=_leg(caller.leg, CALLER, offer),
        invite=None,
        keypad=None,
        unacknowledged=None,
        last_tag=None,
        resumed_sequence=None,
        waiting_rings=(),
        waiting_forwarded=(),
        waiting_answer=None,
        proposing=None,
        expiry=None,
    )


def _leg(leg: LegSnapshot, own: LegReference, offer: ProposalSnapshot | None) -> LegSnapshot:
    """Return a leg without its requests; ``offer`` is one of the switch that was open, and ``own`` the leg's name."""
    supervision = leg.supervision
    if supervision is not None:
        supervision = replace(supervision, refresh=None, options=None, tried_at=None, failures=0)
        if offer is not None:
            supervision = replace(supervision, owed_ms=0)
    if offer is not None and offer.far == own and offer.offer != NO_SESSION:
        leg = replace(leg, given_up=leg.said)
    acceptance = None if leg.is_confirmed else leg.acceptance
    moving = leg.moving  # a re-INVITE is refused by the next process: its peer has a 100, and repeats it no more
    if moving is not None and not isinstance(moving.transaction, InviteServerSnapshot):
        moving = None
    return replace(leg, moving=moving, acceptance=acceptance, supervision=supervision)


def _moved(value: Any, ms: int) -> Any:
    if isinstance(value, Instant):
        return replace(value, mono=value.mono + ms)
    if isinstance(value, MusicOnHold):
        return replace(value, began_ms=value.began_ms + ms)
    if isinstance(value, msgspec.Struct):
        fields = {name: getattr(value, name) for name in value.__struct_fields__}
        changes = {name: _moved(each, ms) for name, each in fields.items()}
        return replace(value, **{name: each for name, each in changes.items() if each is not fields[name]})
    if isinstance(value, tuple):
        items = [_moved(each, ms) for each in value]
        return type(value)._make(items) if hasattr(value, "_make") else tuple(items)
    return value
