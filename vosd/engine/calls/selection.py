"""What people are shown of running calls, and which of them a command selects; without the calls themselves."""

from typing import Annotated

import msgspec

from vosd.base.ids import BEGINNING_DIGITS_MIN
from vosd.base.number import for_matching


class CallSnapshot(msgspec.Struct, frozen=True):
    """One running call; times are UTC milliseconds, durations whole seconds."""

    call_id: str
    state: str
    mapping_gateway: str | None
    routing_gateway: str | None
    """The gateway that is tried or has answered."""
    customer_account: str | None
    vendor_account: str | None
    caller: str
    callee: str
    started_at: int
    answered_at: int | None
    age_s: int
    """Since the INVITE arrived."""
    talk_s: int | None
    """Since the answer."""


class CallSelection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Live calls that a command selects: those that match every field given; an empty selection matches none."""

    call_id: Annotated[str, msgspec.Meta(min_length=BEGINNING_DIGITS_MIN)] | None = None
    """The whole id or its beginning."""
    account: str | None = None
    """Of the customer or of the vendor."""
    gateway: str | None = None
    """Mapping or routing."""
    prefix: str | None = None
    """Of the called number as it is rated; a leading plus sign is dropped from both."""
    older_than_s: int | None = None
    """Seconds since the INVITE arrived."""

    def fits(self, call: CallSnapshot) -> bool:
        """Return whether ``call`` is meant."""
        if self == _NOTHING_GIVEN:
            return False
        return (
            (self.call_id is None or call.call_id.startswith(self.call_id))
            and (self.account is None or self.account in {call.customer_account, call.vendor_account})
            and (self.gateway is None or self.gateway in {call.mapping_gateway, call.routing_gateway})
            and (self.prefix is None or call.callee.startswith(for_matching(self.prefix)))
            and (self.older_than_s is None or call.age_s > self.older_than_s)
        )


_NOTHING_GIVEN = CallSelection()
