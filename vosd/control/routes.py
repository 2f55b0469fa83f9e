"""Order about the route of an imaginary call, and the explanation that ``vosd route explain`` prints."""

import msgspec

from vosd.control.order import Order


class RateSheet(msgspec.Struct, frozen=True, omit_defaults=True):
    """A sell rate: which it is, and the others that may price the call."""

    rate_group: str
    rate_prefix: str
    price_per_minute: str
    effective_price: str
    """Price of a minute in a call of typical length, as text."""
    currency: str
    source: str = ""
    """Place that says which rate group it is."""
    candidates: tuple["RateSheet", ...] = ()
    """Rate groups that may price the call."""


class MediaStepSheet(msgspec.Struct, frozen=True):
    """A step of the decision whether media are relayed that goes by addresses: 6, 7 or 8."""

    step: int
    """Number of the step (docs/media.md)."""
    relayed: bool | None
    """Whether this step has media relayed; None = it is known in the call alone."""
    reason: str
    """Reason for the answer, or the facts that are not known before the call."""


class CandidateSheet(msgspec.Struct, frozen=True):
    """A gateway that would be tried; ``position`` counts from 1."""

    routing_gateway: str
    position: int
    """Place in the order of attempts, from 1."""
    callee_out: str
    caller_out: str
    reason: str
    """Reason for its place."""
    prefix: str
    """By which the number fits; ``*`` = any number."""
    priority: int
    """Priority of the gateway; the lowest number comes first."""
    weight: int
    """Share of calls among gateways of one priority."""
    cost: str | msgspec.UnsetType | None = msgspec.UNSET
    """The buy rate of a minute, in the vendor's currency; None = the gateway has none. Absent without the permission
    rates.see, as the next two."""
    currency: str | msgspec.UnsetType | None = msgspec.UNSET
    """The vendor's."""
    effective_cost: str | msgspec.UnsetType | None = msgspec.UNSET
    """The cost of a minute in a call of typical length, which is what costs are compared by."""
    margin: str | msgspec.UnsetType | None = msgspec.UNSET
    """The rest of the sell price of a minute, in the customer's currency, as the loss guard compares it. Absent without
    books.see."""
    relayed: bool | msgspec.UnsetType | None = msgspec.UNSET
    """Whether the media of the call would be relayed; None = networks and NAT decide it in the call. Absent without a
    ``media.engine``, as the next one."""
    media_step: int | msgspec.UnsetType | None = msgspec.UNSET
    """Step of that decision, 1 to 8; 0 = SS_MEDIAPROXYMODE."""
    media_steps: list[MediaStepSheet] | msgspec.UnsetType = msgspec.UNSET
    """Steps 6 to 8 up to the one that decides, with their answers. Absent where a step before decides."""
    encryption: str | msgspec.UnsetType = msgspec.UNSET
    """Encryption that each side is to have by its trunk, with its ICE. Absent where neither has any."""
    attestation: str | msgspec.UnsetType = msgspec.UNSET
    """Attestation of a call that has no signature of its own. Absent where it would not be signed."""
    asr: float | msgspec.UnsetType | None = msgspec.UNSET
    """Absent where no switch was asked, as the following three; all four are null where the plan compares quality and
    the gateway has too few attempts for that."""
    acd_s: float | msgspec.UnsetType | None = msgspec.UNSET
    ner: float | msgspec.UnsetType | None = msgspec.UNSET
    """Attempts per hundred that reached the called terminal."""
    pdd_ms: float | msgspec.UnsetType | None = msgspec.UNSET


class LeftOutSheet(msgspec.Struct, frozen=True):
    """A gateway that would not be tried, and why."""

    routing_gateway: str
    reason: str
    """Reason for which it would not be tried."""


class LevelSheet(msgspec.Struct, frozen=True):
    """An agent above the customer, and its rate."""

    account: str
    level: int
    """1 = the customer's agent, 2 = the agent of that one, and so on."""
    rate_group: str | msgspec.UnsetType = msgspec.UNSET
    """Absent without the permission rates.see, as the next two."""
    rate_prefix: str | msgspec.UnsetType = msgspec.UNSET
    price_per_minute: str | msgspec.UnsetType = msgspec.UNSET


class StepSheet(msgspec.Struct, frozen=True):
    """A step of the set-up of a call."""

    step: str
    """Step, such as ``check_account``."""
    outcome: str
    """``passed``, ``refused``, or ``not_reached`` behind a refusal."""


class RouteSheet(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of an imaginary call, as ``vosd route explain --json`` prints it; keys that do not apply are absent."""

    result: str
    """``ok``, or the end reason of the refusal."""
    detail: str
    """Object and figure that led to the refusal; empty for an accepted call, and of one without money where
    accounts.see or rates.see is missing."""
    steps: list[StepSheet] = []
    """Steps of the set-up in their order."""
    callee_billed: str
    """The called number that is charged."""
    caller_routed: str
    """The calling number behind the rules of the mapping gateway."""
    rate: RateSheet | msgspec.UnsetType | None = msgspec.UNSET
    """The sell rate; of several that may price the call the one that is cheapest at admission. Absent without the
    permission rates.see."""
    plan: str | msgspec.UnsetType | None = msgspec.UNSET
    """Name of the routing plan."""
    order: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Rules by which candidates are ordered."""
    typical_seconds: int | msgspec.UnsetType = msgspec.UNSET
    """Length of the call that costs are compared of."""
    typical_seconds_measured: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether calls to the prefix lasted so long lately; else it is what the configuration says."""
    candidates: list[CandidateSheet]
    """Gateways that would be tried, in their order."""
    left: list[LeftOutSheet]
    """Gateways that would not be tried."""
    unfit: int
    """Gateways that the number does not fit; they are not named."""
    agents: list[LevelSheet] | msgspec.UnsetType = msgspec.UNSET
    """The agents that the call is charged to as well, from the nearest up."""
    unasked: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Sections of the configuration whose servers a real call would ask; here they count as silent."""
    addresses: dict[str, list[str]] | msgspec.UnsetType = msgspec.UNSET
    """Addresses of each candidate, which the running switch alone resolves."""
    not_known: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Facts that are not kept of a moment of the past."""


class ExplainRoute(Order[RouteSheet], frozen=True, tag="explain_route"):
    """Return the outcome of an imaginary call with the current live calls."""

    gateway: str
    caller: str
    callee: str
    at_ms: int | None = None
    """UTC milliseconds; None = now."""
    is_forwarded: bool = False
    """The INVITE has a Diversion."""
    source: str = ""
    """Address that it comes from; empty = one that may call."""
    agent: str | None = None
    """User-Agent of the INVITE; None = one that is allowed."""
    is_withheld: bool = False
    """The caller withholds its number."""
    is_anonymous: bool = False
    """From is anonymous: the number is in another header."""
