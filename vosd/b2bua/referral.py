"""Start of a transfer: by REFER (RFC 3515, RFC 5589) or by keys, to a number or to another call of the transferor.

The transfer itself is in ``transfer``, who may begin one in ``transferor``.
"""

from typing import TYPE_CHECKING, cast

from vosd.b2bua import states
from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.headers import of_referral
from vosd.b2bua.states import ACCEPTED
from vosd.b2bua.transfer import CallTransfer
from vosd.b2bua.transferor import Transferor, transferor_in
from vosd.base.clock import Instant
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import RequestArrived
from vosd.sip.headers.replaces import ReferTo, Replaces

if TYPE_CHECKING:
    from vosd.b2bua.call import Call


def refer_came(call: "Call", leg: Leg, event: RequestArrived) -> None:
    """Begin the transfer that a REFER asks for, or refuse it.

    Only a customer's trunk or phone may transfer, and only where the operator allows it: a transfer spends the money of
    its account. Vendors may not.
    """
    server, now, transferor = event.transaction, event.at, transferor_in(call, leg)
    if leg.route_choice is not None if transferor is None else not transferor.may_transfer:
        leg.respond(server, 403, now)
        return
    if transferor is None or not call.conversation.may_be_transferred:
        leg.respond(server, 491, now)
        return
    target = ReferTo.of(event.request)
    notifies = (event.request.header("refer-sub") or "").partition(";")[0].strip().lower() != "false"
    # From the second REFER of a dialog on, NOTIFYs carry its CSeq as id (RFC 3515 section 2.4.6). The first has none,
    # because old phones do not understand it.
    name = f"refer;id={event.request.cseq.number}" if transferor.progress.has_referred else "refer"
    transferor.progress.has_referred = True
    transfer = CallTransfer.to_be_called(
        call.endpoint, call, name, notifies=notifies, first_called=transferor.is_called
    )
    if target.replaces is None:
        _call_target(transfer, transferor, event, target.number)
        return
    second, named = leg_named_by(call.endpoint, target.replaces)
    other = None if second is None or named is None else transferor_in(second, named)
    if (
        second is None
        or other is None
        or second in (call, call.conversation.joined)
        or transferor.trunk != other.trunk
        or not _may_be_joined(second, early_only=target.replaces.early_only)
    ):
        # There is no such dialog here, or it is another one's. Not 481: that would end the dialog of the REFER.
        leg.respond(server, 603, now)
        return
    _accept(leg, event, notifies=notifies)
    call.conversation.transfer = transfer
    if second.search is None:
        transfer.attended(second, now, is_called=other.is_called)
    else:
        substitute = other.substitute(_offer_to_target(transfer))
        transfer.attended_early(second, substitute, transferor.dialect.transfer_timeout_ms, now)


def _may_be_joined(second: "Call", *, early_only: bool) -> bool:
    """Return whether a call of the transferor can be its second one: it was answered, or its callee still rings.

    The latter is a call that the transferor makes (RFC 5589 section 7.6): one that rings at the transferor has no
    answer to give. One without an offer waits for the transferor's answer.
    """
    if second.search is None:
        return second.conversation.may_be_transferred and not early_only  # RFC 3891 section 3
    return states.ANSWER in ACCEPTED[second.state] and bool(second.caller.offer)


def _call_target(transfer: CallTransfer, transferor: Transferor, event: RequestArrived, number: str) -> None:
    call, now = transfer.first, event.at
    placed = _place(transfer, transferor, number, now)
    if isinstance(placed, int):
        transferor.leg.respond(event.transaction, placed, now)
        return
    _accept(transferor.leg, event, notifies=transfer.facts.notifies)
    call.conversation.transfer = transfer
    placed.conversation.transfer = transfer
    transfer.begin(placed, transferor.dialect.transfer_timeout_ms, now)


def by_keys(call: "Call", transferor: Transferor, number: str, now: Instant, *, consults: bool) -> None:
    """Call the target that a phone has dialled; if the call is refused, it leaves only a record."""
    transfer = CallTransfer.to_be_called(
        call.endpoint, call, "", notifies=False, consults=consults, first_called=transferor.is_called
    )
    placed = _place(transfer, transferor, number, now)
    if not isinstance(placed, int):
        call.conversation.transfer = placed.conversation.transfer = transfer
        transfer.begin(placed, transferor.dialect.transfer_timeout_ms, now)


def _place(transfer: CallTransfer, transferor: Transferor, number: str, now: Instant) -> "Call | int":
    """Admit the call to a target; a status if it is refused."""
    substitute = transferor.substitute(_offer_to_target(transfer))
    return transfer.first.board.place_transfer(substitute, number, now, is_called=transferor.is_called)


def _offer_to_target(transfer: CallTransfer) -> bytes:
    """Return the session of the side that the target will talk to."""
    opposite = transfer.side_of_target
    if opposite is None:
        raise RuntimeError(f"{transfer.first!r} has no other side")
    return opposite.sessions.active_remote()


def _accept(leg: Leg, event: RequestArrived, *, notifies: bool) -> None:
    """Answer 202; a REFER refreshes the remote target, so both messages carry a Contact."""
    if leg.call.endpoint.dialogs.refresh(event.dialog, event.request):
        leg.moved()
    leg.respond(event.transaction, 202, event.at, of_referral(leg.call.endpoint, event.dialog, notifies=notifies))


def leg_named_by(endpoint: Endpoint, replaces: Replaces) -> "tuple[Call | None, Leg | None]":
    """Return the call of which a leg has the dialog of a Replaces, and that leg; None for both where there is none.

    It may be an early dialog of our own INVITE, of a phone that rings (RFC 3891 section 3).
    """
    leg = endpoint.dialogs.owners.get(replaces.to_tag)
    if isinstance(leg, Leg):
        call = cast("Call", leg.call)  # ``CallPort`` has no legs
        dialog = leg.dialog or leg.forks.get(replaces.from_tag)
        is_named = dialog is not None and (dialog.call_id, dialog.remote_tag) == (replaces.call_id, replaces.from_tag)
        if is_named and leg in call.conversation.all_legs:
            return call, leg
    return None, None
