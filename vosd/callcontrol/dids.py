"""Calls to numbers that were given to customers: what rings, in which order, and what a free number means."""

from collections.abc import Sequence

from vosd.base.cause import EndReason
from vosd.base.errors import Refusal
from vosd.base.number import for_matching, without_end_signs
from vosd.callcontrol.admission import Admission
from vosd.callcontrol.call_request import CallRequest
from vosd.routing.lookups import RedirectTarget
from vosd.trunks.dids import Did, DidTable
from vosd.trunks.ringing import RingGroup, RingOrder


def ring_did(table: DidTable, admission: Admission, call: CallRequest) -> Refusal | None:
    """Name what a call to a number of the inventory rings; a number that no one has is refused with 404."""
    number = without_end_signs(for_matching(call.callee))
    did = table.find(number)
    if did is None:
        return None
    call.did = number
    if did.account is None:
        return Refusal(EndReason.NO_AVAILABLE_ROUTE, 404, f"{number} is assigned to no account")
    block = admission.live.blocks.not_called.get(did.account)
    if block is not None:
        return Refusal(
            EndReason.NO_AVAILABLE_ROUTE, 480, f"account {did.account} of {number} is {block.setting.value} {block}"
        )
    phones, trunk = _rung(did, admission, call)
    if did.ring is RingOrder.TOGETHER:
        phones = tuple(dict.fromkeys(phones))
    group = _group_of(did, number, phones, admission)
    targets = [RedirectTarget(each, call.callee, group) for each in phones]
    if trunk is not None:
        targets.append(RedirectTarget(trunk, call.callee))
    if not targets:
        return Refusal(EndReason.NO_AVAILABLE_ROUTE, 480, f"{number} rings nothing at this time")
    call.targets = tuple(targets)
    return None


def _group_of(did: Did, number: str, phones: Sequence[str], admission: Admission) -> RingGroup | None:
    """Return on which terms the phones of a number ring; None = as each of them is called by its own number.

    A single phone rings as long as by its own number, at once at all its places where the number says so.
    """
    if len(phones) > 1:
        return RingGroup(number, did.ring_timeout_ms, did.ring)
    phone = admission.catalogue.phones.get(phones[0]) if phones else None
    if phone is None or did.ring is RingOrder.IN_TURN:
        return None
    return RingGroup(number, phone.ring_timeout_ms, did.ring)


def _rung(did: Did, admission: Admission, call: CallRequest) -> tuple[tuple[str, ...], str | None]:
    """Return the phones and the trunk that a number rings now."""
    calendar = None if did.calendar is None else admission.catalogue.calendars.get(did.calendar)
    if calendar is not None and not calendar.is_working(call.at.wall):
        return did.otherwise, None
    return did.phones, did.trunk
