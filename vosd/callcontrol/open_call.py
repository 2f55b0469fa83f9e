"""A call that is charged, as the journal keeps it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, NamedTuple

import msgspec

from vosd.billing.parties import Party
from vosd.billing.rates import AppliedRate
from vosd.cdr.record import CallRecord
from vosd.sip.dialog.snapshot import DialogSnapshot

Legs = tuple[DialogSnapshot, ...]
"""The dialogs of an answered call, for a BYE to both sides after a crash."""


class Description(msgspec.Struct, frozen=True, gc=False):
    """An answered call as it is now, for the switch that goes on with it after a crash (ADR 67)."""

    legs: Legs = ()
    established: bytes = b""
    """``engine.calls.established.Established``: a call whose two sides are those that were connected first."""
    saved: bytes = b""
    """``engine.calls.saved.SavedCall``: a call that was transferred, held or changed. At most one of both is there."""


UNDESCRIBED: Final = Description()
"""Description of a call that no other switch goes on with: it is ended after a crash."""


class OpenCall(msgspec.Struct, frozen=True, gc=False, tag="answered", omit_defaults=True):
    """A call that is charged, as kept in the journal: the record that it would leave now.

    That is one that a vendor has answered, or with ``charged_mono`` one that has been sent to a vendor.
    """

    record: CallRecord
    """Without charges, ended as ``Lost`` at the instant of its answer; without ``answered_at`` no 200 was sent yet."""
    customer_rate: AppliedRate | None
    vendor_rate: AppliedRate | None
    answered_mono: int
    """When the caller was sent a 200, or else when the vendor answered, or else when the INVITE came."""
    vendor_answered_mono: int | None = None
    """When the vendor answered; None in journals of an earlier version, which had one answer for both."""
    legs: Legs = ()
    """Only in the files of the journal: a call that runs is described when that is needed."""
    agents: tuple[Party, ...] = ()
    """The agents above the customer, from level 1 on; an earlier version does not read them."""
    leaves_no_cdr: bool = False
    """The called number is among SERVER_BILLING_NO_CDR_E164S: there are no rates, and no record at the end."""
    charged_mono: tuple[int, int] | None = None
    """From when customer and vendor are charged, answered or not (SS_STARTBILLINGTIME 1); None = each from its answer.

    An earlier version does not read it: it bills such a call from its answer, and without one the vendor alone.
    """

    vendor_earns: bool = False
    """The vendor's account is a partner's: its cost is added to the balance (ADR 65)."""
    established: bytes = b""
    """As in ``Description``, and only in the files of the journal; an earlier version does not read it."""
    saved: bytes = b""
    cost_rate: Decimal | None = None
    """Price of one unit of the vendor's currency in the customer's; None = the same, or no rate is in force."""
    seen_mono: int = 0
    """The latest proof of life of a peer that a start knew of (ADR 67); 0 = no start has gone on with the call."""
    ended_mono: int | None = None
    """Until when a call without answer is charged whose end is announced to its caller; None = it goes on.

    An earlier version does not read it, and charges the announcement too.
    """

    vendor_left_mono: int | None = None
    """Until when the vendor of a call without answer is charged if it was left and the next INVITE waits to be sent;
    None = to the end. An earlier version does not read it, and charges that wait too.
    """

    @property
    def is_answered(self) -> bool:
        """Whether a vendor has answered it: it is not only ringing."""
        return self.charged_mono is None or self.record.vendor_answered_at is not None

    def charged_until(self, last_mono: int) -> int:
        """Return when the charge ends of a call that a kill has cut off; ``last_mono`` = the switch ran until then."""
        return last_mono if self.ended_mono is None else min(self.ended_mono, last_mono)

    def vendor_ms(self, until_mono: int) -> int:
        """Return for how long the vendor is charged of a call that is charged from its INVITE until that instant."""
        if self.charged_mono is None:
            return 0
        until = until_mono if self.vendor_left_mono is None else min(self.vendor_left_mono, until_mono)
        return max(0, until - self.charged_mono[1])

    def described(self, by: Description) -> "OpenCall":
        """Return the call as the journal keeps it."""
        return msgspec.structs.replace(self, legs=by.legs, established=by.established, saved=by.saved)

    @property
    def alone(self) -> "OpenCall":
        """The call without its description."""
        return self.described(UNDESCRIBED)


class ClosedCalls(NamedTuple):
    """Calls of an earlier run that were closed."""

    lost: Sequence[CallRecord]
    """Records of lost calls that were charged."""
    unanswered: Sequence[str]
    """The ids of the others, as far as a gateway had their INVITE; they leave no record."""


def end_of(call: OpenCall, record: CallRecord) -> int:
    """Return when an answered call ended, on the monotonic clock of the process that answered it."""
    return call.answered_mono + max(0, record.ended_at - call.record.ended_at)
