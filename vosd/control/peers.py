"""Orders about the other side of the wire: gateways, registrations, and sources and callers that are refused."""

import msgspec

from vosd.control.order import Order


class GatewayRow(msgspec.Struct, frozen=True):
    """One gateway; figures are of the last hour, or since the start if that is later."""

    gateway: str
    kind: str
    """``routing`` or ``mapping``."""
    state: str
    blocked: str | None
    """The operator who has blocked it, until when, and why; None = none has."""
    since_s: int | None
    """Seconds since it went down."""
    rest_s: int | None
    """Remaining seconds of its Retry-After pause."""
    calls: int
    max_concurrent: int | None
    attempts: int
    answered: int
    asr: float | None
    """Answered calls per hundred attempts."""
    acd_s: float | None
    """Average length of the answered calls."""
    pdd_ms: int | None
    """Average time from INVITE to ringing or answer."""
    cost: str | None
    """Average cost of a minute that a routing gateway charged for, without tax; None where it charged for none."""
    currency: str | None
    """ISO 4217, of ``cost``."""
    cps: int = 0
    """Calls that it took in the last second."""
    ner: float | None = None
    """Attempts per hundred that reached the called terminal, over the span of the order by quality; routing only."""


class ListGateways(Order[list[GatewayRow]], frozen=True, tag="gateways"):
    """List every gateway with its state, its calls and its figures of the last hour."""


class InboundRow(msgspec.Struct, frozen=True, tag_field="direction", tag="inbound"):
    """A phone or gateway that is registered with the switch."""

    name: str
    kind: str
    state: str
    contact: str
    received: str
    """Address and port that its messages come from."""
    transport: str
    path: list[str]
    q: float
    user_agent: str | None
    registered_at: str
    expires_at: str


class OutboundRow(msgspec.Struct, frozen=True, tag_field="direction", tag="outbound"):
    """A registration of the switch at a vendor."""

    name: str
    kind: str
    state: str
    server: str
    username: str
    contact: str | None
    registered_at: str | None
    expires_at: str | None
    next_attempt_at: str | None
    failures: int
    last_status: int | None


class ListRegistrations(Order[list[InboundRow | OutboundRow]], frozen=True, tag="registrations"):
    """List registrations in both directions."""


class ForgottenRegistrations(msgspec.Struct, frozen=True):
    """Number of bindings of a phone or gateway that were removed."""

    name: str
    bindings: int


class ForgetRegistration(Order[ForgottenRegistrations], frozen=True, tag="forget_registration"):
    """Remove the bindings of a phone or gateway that is registered with the switch; it may register again."""

    name: str


class SilencedSource(msgspec.Struct, frozen=True):
    """A source whose messages are dropped, or whose passwords are not looked at."""

    source: str
    cause: str
    remaining_s: int
    until: str
    failures: int | None
    username: str | None


class ListLockedOut(Order[list[SilencedSource]], frozen=True, tag="locked_out"):
    """List the locked-out and blocked sources with cause and remaining time."""


class UnblockOutcome(msgspec.Struct, frozen=True):
    """Whether an address was locked out or blocked."""

    address: str
    unblocked: bool


class Unblock(Order[UnblockOutcome], frozen=True, tag="unblock"):
    """Unblock an IP address."""

    address: str


class BlacklistedCaller(msgspec.Struct, frozen=True):
    """A caller on the dynamic blacklist."""

    caller: str
    mapping_gateway: str
    cause: str
    limit: int
    since: str
    until: str
    remaining_s: int


class ListBlacklist(Order[list[BlacklistedCaller]], frozen=True, tag="blacklist"):
    """List the callers on the dynamic blacklist."""


class ClearedCallers(msgspec.Struct, frozen=True):
    """Number of callers that were taken off the list, and the number that was named."""

    number: str | None
    cleared: int


class ClearBlacklist(Order[ClearedCallers], frozen=True, tag="clear_blacklist"):
    """Take a calling number off the dynamic blacklist; None = all."""

    number: str | None = None
