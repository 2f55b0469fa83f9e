"""Mapping gateways (customers' trunks) and routing gateways (vendors' trunks) as the catalogue defines them."""

from enum import Enum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Final, NamedTuple

import msgspec

from vosd.base.calendar_use import CalendarUse
from vosd.base.credentials import Credentials, Login
from vosd.base.host import is_address
from vosd.base.margin import LossGuard
from vosd.base.number import for_matching
from vosd.trunks.announcements import PLAYED_HERE, GatewaySound
from vosd.trunks.dialect import CalleeDialect, CallerDialect
from vosd.trunks.keys import limit, seconds, switch, whole, word
from vosd.trunks.media import DEFAULT_MEDIA, MediaSettings
from vosd.trunks.number_rules import IncomingNumbers, OutgoingNumbers
from vosd.trunks.ringing import RingGroup
from vosd.trunks.scope import LimitScope, SharedLimit
from vosd.trunks.stir import CallerSignatures


class HepCopies(Enum):
    """Messages of a trunk's calls that a capture server gets."""

    USUAL = "usual"
    YES = "yes"
    NO = "no"


class CallerLimits(msgspec.Struct, frozen=True):
    """Limits of one caller of a customer before the dynamic blacklist takes its number; None = none."""

    enabled: bool = True
    concurrent_limit: int | None = None
    frequency_limit: int | None = None
    no_answer_limit: int | None = None
    target_limit: int | None = None
    window_s: int = 60
    expire_s: int = 3_600


class Address(NamedTuple):
    """An address to which packets of one gateway go."""

    host: str
    """An IP address in text, or a name that the directory finds addresses for."""
    port: int | None
    """None for names only: then it comes from DNS (RFC 3263 section 4)."""
    transport: str | None = None
    """In lower case; None = not fixed: UDP, and TCP for what is too large for it."""
    name: str = ""
    """The domain that a found address stands for, which a TLS certificate must name."""
    written: str = ""
    """The domain with port and transport as far as they are configured: URIs keep it (RFC 3263 section 4)."""
    uri: str = ""
    """The request URI to use there: the contact of a registered phone; empty = made of the called number."""
    path: tuple[str, ...] = ()
    """The proxies on the way, as Route values (RFC 3327)."""
    flow: int | None = None
    """The socket or connection that reaches it; None = any that fits."""
    device: str = ""
    """The device that has several addresses, its flows (RFC 5626); empty = another address is another device."""
    is_redirected: bool = False
    """It was named by a 3xx (RFC 3261 section 8.1.3.4): hosts and routes of the gateway lead to another place."""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{host}{port}" if self.transport is None else f"{host}{port};transport={self.transport}"


class HostPattern(NamedTuple):
    """A source of a mapping gateway's packets: a network, and a port where one was given."""

    network: IPv4Network | IPv6Network
    port: int | None


NAMES_MAX: Final = 16
"""Most names of the sources of one mapping gateway or address group."""


class HostName(NamedTuple):
    """A domain name whose addresses a mapping gateway's packets come from, and their port where one was given."""

    name: str
    port: int | None

    def __str__(self) -> str:
        return self.name if self.port is None else f"{self.name}:{self.port}"


class CallerNumbers(msgspec.Struct, frozen=True):
    """The calling numbers that a customer may show: its own, and others that it was given."""

    own: str
    others: frozenset[str] = frozenset()
    """Without leading ``+``."""

    def permitted(self, shown: str) -> str:
        """Return the calling number that goes out: ``shown`` where it is permitted, else the own one."""
        return shown if self.permits(shown) else self.own

    def permits(self, shown: str) -> bool:
        """Return whether it may show a number."""
        bare = for_matching(shown)
        return bare == for_matching(self.own) or bare in self.others


class MappingGateway(msgspec.Struct, frozen=True, dict=True):
    """A customer's trunk: where calls come from and who pays for them. The calling half of a phone is one, too."""

    name: str
    account: str
    hosts: tuple[HostPattern, ...]
    """The sources of its packets; with none, and without names, they may come from anywhere, with credentials."""
    named_hosts: tuple[HostName, ...] = ()
    """Names of further sources; their addresses follow DNS (ADR 173)."""
    address_groups: tuple[str, ...] = ()
    """Names of groups whose sources are among the others, in the catalogue."""
    groups: frozenset[str] = frozenset()
    """Names of the gateway groups that it is in."""
    shared_limits: tuple[SharedLimit, ...] = ()
    """The limits of its groups, which all gateways of these share."""
    tech_prefix: str = ""
    rate_group: str | None = None
    """Overrides the account's rate group."""
    max_call_seconds: Annotated[int | None, whole(1, 604_800, "Longest call, where less than the account's.")] = None
    max_concurrent: Annotated[int | None, limit("Calls at the same time.")] = None
    max_cps: Annotated[int | None, limit("INVITEs accepted in the preceding 1000 ms.")] = None
    max_requests: Annotated[
        int | None,
        limit(
            "Requests per second outside calls (INVITE, REGISTER, OPTIONS) from all its `hosts` together; further "
            "requests get 503 with Retry-After. Gateways that share an address share the sum of their limits. "
            "`sip.shield` limits each address in addition."
        ),
    ] = None
    messages_per_minute: Annotated[
        int,
        whole(
            0,
            60_000,
            "MESSAGE requests (RFC 3428) that it may send in a minute, 10 of them at once; 0 = none. A trunk that "
            "registers is also sent those for its numbers.",
        ),
    ] = 0
    enabled: Annotated[bool, switch("`no` refuses its calls.")] = True
    dialect: CallerDialect = CallerDialect()
    credentials: Credentials | None = None
    """The credentials that each INVITE and REGISTER must prove; None = its address is proof enough."""
    caller_numbers: CallerNumbers | None = None
    """The calling numbers that it may show; None = any."""
    countries: frozenset[str] = frozenset()
    """The only countries that its calls and registrations may come from; empty = those of its account."""
    dynamic_blacklist: CallerLimits | None = None
    """Limits of each of its callers; None = those of the installation."""
    numbers: IncomingNumbers | None = None
    """The numbers that its calls may have, and their changes; None = any, and none."""
    accept_routing_number: Annotated[
        bool,
        switch(
            "`yes` routes a call by the `rn` of its Request-URI, where `npdi` says that the number was looked up. Only "
            "for customers that may choose the route of their calls."
        ),
    ] = False
    ask_number_portability: Annotated[bool, switch("`no`: the numbers of its calls are not looked up.")] = True
    ask_redirect_server: Annotated[bool, switch("`no`: its calls are routed without `redirect_server`.")] = True
    billing_strip_digits: Annotated[
        int | None,
        whole(
            0,
            15,
            "How many digits at the beginning of its called numbers are for routing alone: rates are found without "
            "them. Default: SERVER_BILLING_GATEWAY_ROUTE_PREFIX.",
        ),
    ] = None
    routing_plan: str | None = None
    """Name of the routing plan of its calls; None = the account's."""
    loss_guard: LossGuard | None = None
    """The margin that its calls must leave; None = the account's, else that of the plan."""
    gateways_allow: frozenset[str] = frozenset()
    """Names of the routing gateways, and of groups of them, that its calls may use; none = all."""
    gateways_deny: frozenset[str] = frozenset()
    """Names of routing gateways and of groups that its calls do not use."""
    private_rate_group: str | None = None
    """Rates of its own beside the others; None = it has none."""
    certificate_names: frozenset[str] = frozenset()
    """Names of which its client certificate must bear one, in lower case; none = it shows no certificate."""
    media: MediaSettings = DEFAULT_MEDIA
    hep: Annotated[
        HepCopies,
        word("Messages of its calls that are copied to `hep.server`: as `hep.only` says (`usual`), all, or none."),
    ] = HepCopies.USUAL
    stir: CallerSignatures | None = None
    """Signatures of its calls; None = none is verified, and its callers are those of other networks."""

    @cached_property
    def proves_itself(self) -> bool:
        """Whether its address is not enough: it has a password, or shows a certificate."""
        return self.credentials is not None or bool(self.certificate_names)

    @cached_property
    def limits(self) -> tuple[SharedLimit, ...]:
        """Limits of its calls: its own, and those of its groups."""
        own = SharedLimit(LimitScope.MAPPING, self.name, self.max_concurrent, self.max_cps)
        return own, *self.shared_limits

    @cached_property
    def may_be_anywhere(self) -> bool:
        """Whether it may call from any address, with its password or certificate."""
        return not (self.hosts or self.named_hosts or self.address_groups)

    @property
    def drops_caller(self) -> bool:
        """Whether its calling numbers are not passed on."""
        return self.numbers is not None and self.numbers.caller_drop

    @cached_property
    def is_phone(self) -> bool:
        """Whether this is the calling half of a phone: only a phone has numbers of its own."""
        return self.caller_numbers is not None

    @cached_property
    def places(self) -> tuple[Address, ...]:
        """The names of its sources, as places to look up."""
        return tuple(Address(*each) for each in self.named_hosts)

    @cached_property
    def is_selective(self) -> bool:
        """Whether some routing gateways are not for its calls."""
        return bool(self.gateways_allow or self.gateways_deny)


class Registration(msgspec.Struct, frozen=True):
    """Our registration with a vendor."""

    server: Address
    domain: str
    """Domain of the address that is registered."""
    user: str
    """The account there."""
    contact_user: str
    """User part of our contact, under which the vendor calls us."""
    login: Login
    expires_s: int = 3_600
    """The interval that we ask for; the vendor decides."""


class Ping(NamedTuple):
    """The rules by which OPTIONS decide whether a vendor is up."""

    interval_ms: int
    timeout_ms: int
    """An OPTIONS without a response for this long has failed."""
    down_after: int
    up_after: int


THEN_THE_PHONE: Final = frozenset(range(300, 700)) - {486, 600, 603}
"""Answers of a redirect server after which the phone is called all the same: all but refusals of the user."""


class PrefixMode(Enum):
    """Whether gateways with a shorter prefix are tried as well."""

    CONTINUE = "continue"
    STOP = "stop"


class RoutingGateway(msgspec.Struct, frozen=True, dict=True):
    """A vendor's trunk: where calls go and who is paid for it. The called half of a phone is one, too.

    What follows from the fields is computed once, because every call asks for it.
    """

    name: str
    account: str | None
    """None = it is a phone of ours, and no vendor is paid."""
    addresses: tuple[Address, ...]
    prefixes: tuple[str, ...]
    """Called prefixes, ``*`` for any number; ``from_rates`` alone = those of the buy rates."""
    prefix_mode: Annotated[
        PrefixMode,
        word(
            "`stop`: a number that it takes by a prefix goes to no gateway with a shorter prefix. `continue`: those "
            "are tried after it."
        ),
    ] = PrefixMode.CONTINUE
    denied_prefixes: tuple[str, ...] = ()
    """Called prefixes that it does not take, whatever ``prefixes`` say; of an emergency number the whole one alone."""
    valid_from: int | None = None
    """UTC milliseconds; None = always."""
    valid_to: int | None = None
    """UTC milliseconds of the first instant at which it is over; None = never."""
    partner: str | None = None
    """Calls that came from this partner never go to it; None = its account's partner, if that has one."""
    earns: bool = False
    """The account is a partner's: what its calls cost is added to the balance, and nothing is held for it (ADR 65)."""
    shared_limits: tuple[SharedLimit, ...] = ()
    """The limits of its account and of its groups, which all gateways of these share."""
    groups: frozenset[str] = frozenset()
    """Names of the gateway groups that it is in."""
    priority: Annotated[
        int, whole(1, 1_000_000, "Lower is tried first among gateways whose prefix fits equally well.")
    ] = 1
    weight: Annotated[
        int,
        whole(
            0,
            1_000_000,
            "Its share of the calls among gateways whose prefix fits equally well and whose priority is the same; with "
            "0 it is tried only after the others.",
        ),
    ] = 100
    max_concurrent: Annotated[int | None, limit("Calls at the same time.")] = None
    max_cps: Annotated[int | None, limit("Attempts in the preceding 1000 ms.")] = None
    max_requests: Annotated[
        int | None,
        limit(
            "Requests per second outside calls that it may send us from all its addresses together; further requests "
            "get 503 with Retry-After. Gateways that share an address, also by their names, share the sum of their "
            "limits; where a mapping gateway has the same address, that one's limit holds."
        ),
    ] = None
    max_call_seconds: Annotated[
        int | None,
        whole(1, 604_800, "Longest call through it, where less than what account and mapping gateway allow."),
    ] = None
    response_timeout_ms: Annotated[
        int, seconds(50, 64_000, "Without any response to INVITE within this time the next gateway is tried.")
    ] = 5_000
    progress_timeout_ms: int | None = None
    """From a 100 to a 18x or final response, while another gateway can be tried; None = ``ring_timeout_ms``."""
    ring_timeout_ms: Annotated[int, seconds(50, 600_000, "From INVITE to the final response.")] = 60_000
    failover_codes: frozenset[int] | None = None
    """Final codes after which the next gateway is tried; None = the default of ``routing.failover``."""
    failover_causes: frozenset[int] = frozenset()
    """Q.850 causes after which the next gateway is tried, whatever the code is."""
    stop_causes: frozenset[int] = frozenset()
    """Q.850 causes after which no other is tried, whatever the code is."""
    failover_after_ringing: bool = False
    """Whether the next gateway is tried when this one rings and does not answer within ``ring_timeout_ms``."""
    stop_after_ringing: Annotated[
        bool, switch("`yes` tries no other gateway once this one has sent a 18x, whatever it answers then.")
    ] = False
    stop_after_early_media: bool = False
    """Whether no other gateway is tried once the caller was sent a session of this one."""
    allow_unrated: Annotated[
        bool, switch("`yes` uses the gateway for numbers without a buy rate; their cost is zero.")
    ] = False
    enabled: Annotated[bool, switch("`no`: no call uses it.")] = True
    spread: bool = False
    """Whether calls go to its addresses in turn, and not all to the first that works."""
    protect_ms: int | None = None
    """It is tried behind all others, or once no gateway has sent a 18x for so long since the INVITE arrived.

    None = it is tried in its place in the order.
    """
    calendar: str | None = None
    """Name of the calendar that must fit; None = it takes calls at any time."""
    calendar_use: CalendarUse | None = None
    """Reading of the calendar; None = while a working entry decides, or any where it has none that is working."""
    dialect: CalleeDialect = CalleeDialect()
    login: Login | None = None
    """The login that answers its challenges; None = they count as refusals."""
    registration: Registration | None = None
    """It takes calls only while we are registered with it; None = it requires no registration."""
    credentials: Credentials | None = None
    """The credentials that it must prove when it registers with us: it is called where it is registered; None = it does
    not."""
    ping: Ping | None = None
    """None = it counts as up."""
    numbers: OutgoingNumbers | None = None
    """The callers that it takes, and the changes of the numbers that it is sent; None = any, and none."""
    rate_group: str | None = None
    """Overrides the rate group of its account."""
    private_rate_group: str | None = None
    """Buy rates of its own beside the others; None = it has none."""
    media: MediaSettings = DEFAULT_MEDIA
    sound: GatewaySound | None = None
    """The sound that its callers are played, in place of a call; None = it is a trunk."""
    tls: str = ""
    """Identity of ``sip.tls`` with which it is connected to; empty = the common one."""
    ring_group: RingGroup | None = None
    """The phones of a number that it is called with; None = it is called alone."""
    rings_with: str = ""
    """Name of the telephones that ring at the same time: its own, with all its places, or the number of its group.

    Empty = its places ring one after the other.
    """
    caller_numbers: CallerNumbers | None = None
    """The numbers that a phone may say it has; None = any."""
    serves_numbers: bool = False
    """Whether it has several numbers where it is registered, so that it has to be sent the one that is called."""
    hep: Annotated[
        HepCopies,
        word("Messages of its calls that are copied to `hep.server`: as `hep.only` says (`usual`), all, or none."),
    ] = HepCopies.USUAL

    @cached_property
    def places(self) -> tuple[Address, ...]:
        """The addresses of its packets: its own, and that of the server that we register with."""
        registration = self.registration
        return self.addresses if registration is None else (*self.addresses, registration.server)

    @cached_property
    def fixed_addresses(self) -> tuple[Address, ...]:
        """The addresses where they never change; empty where a call has to ask for the present ones.

        They change with names to resolve, with its registration with us, and with the service route of ours with it.
        """
        if self.sound is not None:
            return (Address(PLAYED_HERE, None),)
        return () if self.has_names or self.registers or self.registration is not None else self.addresses

    @cached_property
    def in_groups(self) -> dict[RingGroup, "RoutingGateway"]:
        """The phone as it is called in groups, as ``routing.ring_groups`` has made it."""
        return {}

    @cached_property
    def before_phone(self) -> "RoutingGateway":
        """The gateway as the redirect server of a phone, which is called after it; always the same object."""
        return msgspec.structs.replace(self, failover_codes=THEN_THE_PHONE, stop_causes=frozenset[int]())

    @cached_property
    def keeps_transport(self) -> bool:
        """Whether large requests within its calls stay on UDP: its transport, or our socket, is configured."""
        return self.dialect.interface is not None or any(each.transport is not None for each in self.addresses)

    @cached_property
    def has_names(self) -> bool:
        """Whether any of its addresses is a name to resolve."""
        return not all(is_address(address.host) for address in self.addresses)

    @cached_property
    def is_phone(self) -> bool:
        """Whether this is the called half of a phone: it is called where it is registered, and no vendor is paid."""
        return self.account is None

    @cached_property
    def registers(self) -> bool:
        """Whether it is called where it is registered with us: a phone, or a vendor on a changing address."""
        return self.account is None or self.credentials is not None

    @cached_property
    def limits(self) -> tuple[SharedLimit, ...]:
        """Limits of its calls: its own, and those that it shares."""
        return SharedLimit(self.scope, self.name, self.max_concurrent, self.max_cps), *self.shared_limits

    @cached_property
    def is_limited(self) -> bool:
        """Whether it has a limit of calls or of calls a second."""
        return self.max_concurrent is not None or self.max_cps is not None

    @cached_property
    def is_conditional(self) -> bool:
        """Whether it takes some calls and not others, beyond its prefixes."""
        is_dated = self.valid_from is not None or self.valid_to is not None
        is_wary = self.dialect.stir is not None and self.dialect.stir.only_verified
        return bool(self.denied_prefixes) or is_dated or is_wary or self.partner is not None

    @cached_property
    def scope(self) -> LimitScope:
        """The object by which its calls are counted: those to a phone together with those from it."""
        return LimitScope.MAPPING if self.account is None else LimitScope.ROUTING


def registering_half(vendor: RoutingGateway) -> MappingGateway:
    """Return the half of a vendor that registers with us; it makes no calls as a customer."""
    return MappingGateway(
        vendor.name,
        account=vendor.account or "",
        hosts=(),
        enabled=vendor.enabled,
        dialect=CallerDialect(nat=vendor.dialect.nat),
        credentials=vendor.credentials,
    )


def is_reached_from(interface: str | None, host: str) -> bool:
    """Return whether the ``interface`` of a gateway, None = any, is of the family of an address."""
    return interface is None or ("[" in interface) is (":" in host)
