"""Orders about the other side of the wire: gateways, registrations, and sources and callers that are refused."""

import msgspec

from vosd.base.money import AmountText
from vosd.control.order import Order


class GatewayRow(msgspec.Struct, frozen=True):
    """One gateway; figures are of the last hour, or since the start if that is later."""

    gateway: str
    kind: str
    """``routing``, ``mapping``, or ``group`` for the gateways of a gateway group together, which has no figures."""
    state: str
    """``disabled``, ``blocked``, ``unregistered``, ``not located``, ``down``, ``resting``, ``registered`` or ``up``."""
    blocked: str | None
    """The operator who has blocked it, until when, and why; None = none has."""
    since_s: int | None
    """Seconds since it went down."""
    rest_s: int | None
    """Remaining seconds of its rest: a Retry-After pause, or one because calls failed in a row."""
    calls: int
    """Calls that run now."""
    max_concurrent: int | None
    """Limit of calls at once; None = no limit."""
    attempts: int
    """Calls that were tried."""
    answered: int
    """Calls that were answered."""
    asr: float | None
    """Answered calls per hundred attempts."""
    acd_s: float | None
    """Average length of the answered calls."""
    pdd_ms: int | None
    """Average time from INVITE to ringing or answer."""
    cost: AmountText | None
    """Average cost of a minute that a routing gateway charged for, without tax; None = it charged for none."""
    currency: str | None
    """ISO 4217, of ``cost``."""
    cps: int = 0
    """Calls that it took in the last second."""
    ner: float | None = None
    """Attempts per hundred that reached the called terminal, over the span of the order by quality; routing only."""
    addresses: list[str] = []
    """Addresses of its names in DNS now, which its calls come from; mapping only: empty says nothing of a vendor's."""
    groups: list[str] = []
    """Gateway groups that it is in."""
    rest: str | None = None
    """Why it rests, for ``rest_s``, or which of its addresses rest, and for whose calls; None = it does not."""
    account: str | None = None
    """Account of the vendor, or of the customer; None = it has none, as a group."""
    max_cps: int | None = None
    """Limit of calls a second; None = no limit."""


class ListGateways(Order[list[GatewayRow]], frozen=True, tag="gateways"):
    """List every gateway with its state, its calls and its figures of the last hour."""

    containing: str = ""
    """Only those with this in their names, whether letters are capital or small."""


class InboundRow(msgspec.Struct, frozen=True, tag_field="direction", tag="inbound"):
    """A phone or gateway that is registered with the switch."""

    name: str
    kind: str
    """``phone``, ``mapping_gateway`` or ``routing_gateway``."""
    state: str
    """State of the registration."""
    contact: str
    received: str
    """Address and port that its messages come from."""
    transport: str
    """``udp``, ``tcp`` or ``tls``."""
    path: list[str]
    """Addresses of the Path header (RFC 3327)."""
    q: float
    """Preference of the contact, 0 to 1."""
    user_agent: str | None
    """Text of the User-Agent header."""
    registered_at: str
    """Time of the last REGISTER, RFC 3339."""
    expires_at: str


class OutboundRow(msgspec.Struct, frozen=True, tag_field="direction", tag="outbound"):
    """A registration of the switch at a vendor."""

    name: str
    kind: str
    """Always ``routing_gateway``: the switch registers for no other."""
    state: str
    """State of the registration."""
    server: str
    """Server that the switch registers with."""
    username: str
    """Name that it registers."""
    contact: str | None
    registered_at: str | None
    """Time of the last success, RFC 3339; null = none."""
    expires_at: str | None
    next_attempt_at: str | None
    """Time of the next REGISTER, RFC 3339."""
    failures: int
    """Failures since the last success."""
    last_status: int | None
    """Code of the last response; null = none came."""


class RetryRegistration(Order[OutboundRow | None], frozen=True, tag="retry_registration"):
    """Have our registration with a vendor asked for at once, whatever it waits for; null = there is none."""

    is_change = True

    name: str
    """Name of the routing gateway."""


class ListRegistrations(Order[list[InboundRow | OutboundRow]], frozen=True, tag="registrations"):
    """List registrations in both directions."""

    containing: str = ""
    """Only those with this in name, contact, address or User-Agent, whether letters are capital or small."""


class ListRegistrationsOf(Order[list[InboundRow]], frozen=True, tag="registrations_of"):
    """List registrations of some phones and gateways with the switch."""

    names: frozenset[str]
    """Names of the phones and gateways."""
    containing: str = ""
    """Only those with this in their texts, as ``ListRegistrations`` has it."""


class ForgottenRegistrations(msgspec.Struct, frozen=True):
    """Number of bindings of a phone or gateway that were removed."""

    name: str
    """Name of the phone or gateway."""
    bindings: int
    """Number of bindings that were removed."""


class ForgetRegistration(Order[ForgottenRegistrations], frozen=True, tag="forget_registration"):
    """Remove the bindings of a phone or gateway that is registered with the switch; it may register again."""

    is_change = True

    name: str
    """Name of the phone or gateway."""


class SilencedSource(msgspec.Struct, frozen=True):
    """A source whose messages are dropped, or whose passwords are not looked at."""

    source: str
    """Address or network."""
    cause: str
    """``wrong credentials``, ``wrong credentials, its calls go on``, or ``flood``."""
    remaining_s: int
    """Seconds until it is taken again."""
    until: str
    failures: int | None
    """Number of wrong passwords; None = it floods."""
    username: str | None
    """Last name whose password was wrong; None = it floods."""


class ListLockedOut(Order[list[SilencedSource]], frozen=True, tag="locked_out"):
    """List the locked-out and blocked sources with cause and remaining time."""


class UnblockOutcome(msgspec.Struct, frozen=True):
    """Whether an address was locked out or blocked."""

    address: str
    """Address that was named."""
    unblocked: bool
    """Whether it was locked out or blocked."""


class Unblock(Order[UnblockOutcome], frozen=True, tag="unblock"):
    """Unblock an IP address."""

    is_change = True

    address: str
    """IP address."""


class BlacklistedCaller(msgspec.Struct, frozen=True):
    """A caller on the dynamic blacklist."""

    caller: str
    mapping_gateway: str
    cause: str
    """Rule that was broken: ``concurrent``, ``frequency`` and so on."""
    limit: int
    """Limit of the rule."""
    since: str
    until: str
    remaining_s: int
    """Seconds until the caller is taken off the list."""


class ListBlacklist(Order[list[BlacklistedCaller]], frozen=True, tag="blacklist"):
    """List the callers on the dynamic blacklist."""


class ClearedCallers(msgspec.Struct, frozen=True):
    """Number of callers that were taken off the list, and the number that was named."""

    number: str | None
    """Calling number that was named; None = all."""
    cleared: int
    """Number of callers that were taken off."""


class ClearBlacklist(Order[ClearedCallers], frozen=True, tag="clear_blacklist"):
    """Take a calling number off the dynamic blacklist; None = all."""

    is_change = True

    number: str | None = None
    """Calling number; None = all."""
