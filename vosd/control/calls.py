"""Orders about running calls: list them, end them, make a test call."""

from enum import Enum
from typing import Annotated, Final

import msgspec

from vosd.base.ids import BEGINNING_DIGITS_MIN
from vosd.base.money import AmountText
from vosd.base.number import for_matching
from vosd.cdr.record import CallRecord
from vosd.control.order import Following, Order

TALK_S_MAX: Final = 60
"""Longest test call after its answer."""


class CallSnapshot(msgspec.Struct, frozen=True):
    """One running call as ``vosd calls`` lists it; durations are whole seconds."""

    call_id: str
    state: str
    """State of the call: ``setup``, ``hunting``, ``ringing``, ``answered``, ``talking`` or ``announcing``."""
    mapping_gateway: str | None
    routing_gateway: str | None
    """The gateway that is tried or has answered; of several telephones the one whose media the caller is sent."""
    customer_account: str | None
    vendor_account: str | None
    caller: str
    callee: str
    started_at: str
    answered_at: str | None
    """Time of the answer, RFC 3339; None = not answered yet."""
    age_s: int
    """Since the INVITE arrived."""
    talk_s: int | None
    """Since the answer."""
    rings_beside: list[str] = []
    """Telephones that ring at the same time as that gateway, by their numbers."""
    codec: str | None = None
    """First audio codec of the answer on the caller's leg, as rtpmap names it; None = none yet."""
    price_per_minute: AmountText | None = None
    """Price of a minute for the customer, without tax, after the first period of the rate; None = none yet."""
    currency: str | None = None
    """Currency of that price."""

    @property
    def gateways(self) -> tuple[str | None, ...]:
        """The gateways and telephones of the call."""
        return self.mapping_gateway, self.routing_gateway, *self.rings_beside


class ListCalls(Order[list[CallSnapshot]], frozen=True, tag="calls"):
    """List the running calls, the oldest first."""

    customers: frozenset[str] | None = None
    """Only those that these accounts pay for; None = all."""


class AccountCalls(msgspec.Struct, frozen=True):
    """Numbers of running calls of one account."""

    as_customer: int = 0
    """Calls that it pays for."""
    as_vendor: int = 0
    """Calls of other customers for which its gateway is tried, or has answered."""


class CountCalls(Order[dict[str, AccountCalls]], frozen=True, tag="count_calls"):
    """Return how many calls run of each account that has any."""

    accounts: frozenset[str] | None = None
    """Only of these; None = of all."""


class LegRow(msgspec.Struct, frozen=True):
    """One side of a running call."""

    side: str
    """``caller`` or ``callee``."""
    gateway: str | None
    sip_call_id: str | None
    address: str | None
    """Address that its INVITE came from, or went to."""
    codec: str | None
    """Codec of the answer; None = there is none yet."""
    session_interval_s: int | None
    """Session timer (RFC 4028) as it was agreed; None = there is none."""
    refreshed_by_us: bool | None


class CallDescription(msgspec.Struct, frozen=True):
    """One running call with all that is known of it."""

    call: CallSnapshot
    legs: list[LegRow]
    record: CallRecord
    """Record that it would leave if it ended now, with its charges so far."""
    granted_s: int | None
    """Seconds of talk that are paid for; None = nothing is held."""
    ceiling_s: int | None
    """Seconds of talk after which it is ended at the latest."""
    deadline_s: int | None
    """Seconds until the next look at its money, its session or its limits."""


class FoundCall(msgspec.Struct, frozen=True):
    """Result of a search for a running call by the beginning of its id."""

    fitting: list[str]
    """Ids of the matching running calls, a few at most."""
    description: CallDescription | None
    """The call, if only one matches."""


class DescribeCall(Order[FoundCall], frozen=True, tag="describe_call"):
    """Return everything about a running call, by the beginning of its id."""

    beginning: str


class CallSelection(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Live calls that a command selects: those that match every field given.

    None match an empty selection, an age of 0 alone or a prefix without a digit: all calls would.
    """

    call_id: Annotated[str, msgspec.Meta(min_length=BEGINNING_DIGITS_MIN)] | None = None
    """The whole id or its beginning."""
    account: str | None = None
    """Account of the customer or of the vendor."""
    gateway: str | None = None
    """Mapping or routing."""
    prefix: str | None = None
    """Beginning of the called number as it is rated; a leading plus sign is dropped from both."""
    older_than_s: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Seconds since the INVITE arrived."""

    def fits(self, call: CallSnapshot) -> bool:
        """Return whether ``call`` is meant."""
        prefix = None if self.prefix is None else for_matching(self.prefix)
        if prefix == "" or not any((self.call_id, self.account, self.gateway, prefix, self.older_than_s)):
            return False
        return (
            (self.call_id is None or call.call_id.startswith(self.call_id))
            and (self.account is None or self.account in {call.customer_account, call.vendor_account})
            and (self.gateway is None or self.gateway in call.gateways)
            and (prefix is None or call.callee.startswith(prefix))
            and (self.older_than_s is None or call.age_s > self.older_than_s)
        )


class HangupOutcome(msgspec.Struct, frozen=True):
    """Number of calls that matched, and that were ended."""

    fitting: int
    """Number of calls that matched."""
    ended: int
    """Number of calls that were ended."""


class Hangup(Order[HangupOutcome], frozen=True, tag="hangup"):
    """End calls; if more than ``at_most`` match, none is ended."""

    is_change = True

    selection: CallSelection
    at_most: int | None = None


class TrialStep(msgspec.Struct, frozen=True):
    """Something that happened in a test call; ``ms`` is the time since the INVITE."""

    ms: int
    """Milliseconds since the INVITE."""
    what: str
    """The event, in words."""


class TrialResult(Enum):
    """Outcome of a test call."""

    ANSWERED = "answered"
    RANG = "rang"
    """It was to ring only."""
    REFUSED = "refused"
    NO_ANSWER = "no answer"
    NO_RESPONSE = "no response"
    UNREACHABLE = "unreachable"
    """The INVITE could not be delivered: nothing listens there, or no connection came about."""


class TrialReport(msgspec.Struct, frozen=True):
    """Outcome of a test call; money as text."""

    result: TrialResult
    """Result of the call."""
    routing_gateway: str
    address: str | None
    """Address that was called; None = none was found."""
    caller_out: str
    callee_out: str
    code: int | None
    """Code of the final response."""
    reason: str | None
    """Text of the vendor's refusal or BYE."""
    pdd_ms: int | None
    codec: str | None
    talk_ms: int | None
    """Milliseconds from the answer to the end."""
    call_id: str | None
    """Id of its record; None = the call was not answered."""
    vendor_account: str | None
    vendor_billed_seconds: int
    cost: str
    cost_tax: str
    vendor_currency: str | None
    steps: list[TrialStep]


class TrialUpdate(msgspec.Struct, frozen=True):
    """Further steps of a test call, and at last its outcome."""

    steps: list[TrialStep]
    report: TrialReport | None = None


class MakeTestCall(Following[TrialUpdate], frozen=True, tag="test_call"):
    """Call a number through one gateway, without a customer."""

    is_change = True

    via: str
    """Routing gateway to call through."""
    callee: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    caller: Annotated[str, msgspec.Meta(max_length=64)] = ""
    is_ring_only: bool = False
    """Whether to end the call as soon as it rings."""
    talk_s: Annotated[int, msgspec.Meta(ge=1, le=TALK_S_MAX)] = 5
    """Seconds after the answer until the call is ended."""
