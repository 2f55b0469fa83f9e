"""Side of a call that may transfer it: a customer's trunk or phone, whichever side of the call it is (ADR 180).

A vendor is none: its transfers would spend the money of another customer.
"""

from typing import TYPE_CHECKING, NamedTuple

from vosd.b2bua.attempt import leg_of
from vosd.b2bua.attempt_progress import AttemptProgress
from vosd.b2bua.identity import PLAIN, CallerIdentity
from vosd.b2bua.invite_progress import InviteProgress
from vosd.b2bua.leg import Leg
from vosd.b2bua.substitute import Substitute
from vosd.trunks.dialect import CallerDialect, CallerPrivacy, TransferKeys, Transfers

if TYPE_CHECKING:
    from vosd.b2bua.call import Call


class Transferor(NamedTuple):
    """Side of a call that may transfer it, and the terms of its trunk."""

    leg: Leg
    progress: InviteProgress | AttemptProgress
    trunk: str | None
    """Name of its mapping gateway, or its number as a phone."""
    dialect: CallerDialect
    caller_identity: CallerIdentity
    """Identity in the call to a target."""
    named: str
    """Address in the dialog."""
    is_called: bool
    """Whether the call was made to it."""

    @property
    def may_transfer(self) -> bool:
        """Whether the operator lets it transfer calls."""
        return self.dialect.transfers is Transfers.ACCEPT

    @property
    def keys(self) -> TransferKeys | None:
        """The keys by which it transfers; None = none do."""
        return self.dialect.transfer_keys if self.may_transfer else None

    def substitute(self, offer: bytes) -> Substitute:
        """Return the calling side of the call to a target, which is made in its name."""
        return Substitute(offer=offer, caller_identity=self.caller_identity, dialect=self.dialect, named=self.named)


def transferor_in(call: "Call", leg: Leg) -> Transferor | None:
    """Return the side of a call that a leg is of, as one that may transfer; None for a vendor and for other legs.

    The terms of a called phone or trunk are those of its calling half now, as if it dialled the target.
    """
    caller, callee = call.caller.inviter, call.callee
    if caller is not None and leg is caller.leg:
        return Transferor(
            leg, caller.progress, caller.trunk, caller.dialect, caller.caller_identity, caller.named, is_called=False
        )
    if callee is None or leg is not leg_of(call.callee) or leg.dialog is None or not callee.trunk:
        return None
    identity = PLAIN.withheld_as(CallerPrivacy.WITHHELD) if leg.facts.is_anonymous else PLAIN
    dialect = call.board.dialect_of(callee.trunk)
    return Transferor(leg, callee.progress, callee.trunk, dialect, identity, leg.dialog.remote, is_called=True)
