"""``mapping_gateways[]``, ``routing_gateways[]`` and ``phones[]``: trunks of customers and vendors, and telephones.

A model checks one object by itself; references to other objects are checked when the catalogue is put together. The
number of a phone is its name: it registers under it, and calls from it are limited, priced and recorded like those of a
mapping gateway of that name.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Struct
from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.fields import FieldInfo

from vosd.base.calendar_use import CalendarUse
from vosd.base.host import is_address
from vosd.base.margin import LossGuard
from vosd.base.nat import Nat
from vosd.base.number import for_matching
from vosd.config.keys import later, names_of_vos3000
from vosd.config.keys.dynamic_blacklist import DynamicBlacklistKeys
from vosd.config.keys.media import TrunkMediaKeys
from vosd.config.keys.proofs import AuthKeys, DynamicKeys, ProofKeys
from vosd.config.keys.session_timers import SessionTimerKeys
from vosd.config.keys.stir import CallerStirKeys, VendorStirKeys
from vosd.config.keys.templates import TEMPLATE_KEY
from vosd.config.keys.transfers import ShownNumber, TransferKeyKeys, shown_number
from vosd.config.keys.trunk_headers import NumberFormatKeys, SpokenToKeys
from vosd.config.keys.trunk_presets import TrunkPreset
from vosd.config.keys.vendors import LoginKeys, PingKeys, RegisterKeys
from vosd.config.reader.addresses import destination, dns_name, listener, source
from vosd.config.reader.codes import counted_as, q850, sent_instead
from vosd.config.reader.countries import Countries
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    FromText,
    KeyProblemError,
    Keys,
    choice,
    end_after_begin,
    end_of_validity,
    first_instant,
    limit,
    milliseconds,
    milliseconds_of,
    object_name,
    switch,
    whole,
)
from vosd.config.reader.margins import wanted_margin
from vosd.config.reader.number_rules import (
    COMMA_SEPARATED,
    each_left_once,
    length_range,
    one_or_many_rules,
    pattern_or_list,
    rewrite_rule,
)
from vosd.config.reader.numbers import FROM_RATES, dialled_prefix, plain_prefix, route_prefix, telephone_number
from vosd.config.reader.own_tls import OwnTls, identity_or_own_tls
from vosd.config.reader.renamed import Renamed, renamed
from vosd.config.reader.sounds import named_sound, sounds_by_reason
from vosd.config.reader.trunk_headers import route_value, uri_host, uri_user
from vosd.engine.settings import SipListener
from vosd.trunks.announcements import GatewayKind
from vosd.trunks.dialect import CalleeDialect, CallerDialect, CallerSource, IdentityHeader, Reliability, Transfers
from vosd.trunks.gateways import NAMES_MAX, Address, HostName, HostPattern, MappingGateway, RoutingGateway
from vosd.trunks.keys import DeclaredKey, KeyForm, keys_of
from vosd.trunks.number_rules import IncomingNumbers, LengthRange
from vosd.trunks.ringing import RingOrder

Patterns = Annotated[tuple[Annotated[str, pattern_or_list()], ...], COMMA_SEPARATED]
Rules = Annotated[
    tuple[Annotated[tuple[str, str], rewrite_rule()], ...],
    BeforeValidator(one_or_many_rules),
    AfterValidator(each_left_once),
]


class IncomingNumberKeys(Keys):
    """Number rules of mapping gateways and phones. Numbers are compared without a leading ``+``."""

    callee_allow: Patterns = ()
    """Called numbers that it may call, as it dials them behind the tech prefix; without any, all. Else the call ends
    with 403, ``Number Not Allowed``."""
    callee_deny: Patterns = ()
    """Called numbers that it may not call, even if ``callee_allow`` has them."""
    caller_allow: Patterns = ()
    """Calling numbers that its calls may have; without any, all. A call without a number has ``anonymous``."""
    caller_deny: Patterns = ()
    """Calling numbers that its calls may not have, even if ``caller_allow`` has them."""
    callee_length: Annotated[LengthRange | None, length_range()] = None
    """Number of digits that it may dial behind the tech prefix. Default: any."""
    callee_rewrite: Rules = ()
    """Changes of the called number before the call is rated and routed: the rule with the longest fitting prefix
    is applied once, see [routing.md](routing.md#rewriting-numbers)."""
    caller_rewrite: Rules = ()
    """Changes of the calling number, by rules of the same form."""
    caller_pool: Annotated[str | None, object_name("number_pools")] = None
    """A pool of ``number_pools``, whose number takes the place of the calling number."""


class OutgoingNumberKeys(Keys):
    """Number rules of routing gateways. Numbers are compared without a leading ``+``."""

    caller_allow: Patterns = ()
    """Calling numbers that it takes calls of, as the mapping gateway has changed them; without any, all."""
    caller_deny: Patterns = ()
    """Calling numbers that it takes no calls of, even if ``caller_allow`` has them."""
    callee_rewrite: Rules = ()
    """Changes of the called number that is sent to it. The call is rated and routed by the number before."""
    tech_prefix: Annotated[str, dialled_prefix()] = ""
    """Digits before the called number that is sent to it, in front of the result of ``callee_rewrite`` makes."""
    caller_rewrite: Rules = ()
    """Changes of the calling number that is sent to it."""
    caller_pool: Annotated[str | None, object_name("number_pools")] = None
    """A pool of ``number_pools``, whose number is sent in place of the calling number."""


class DeclaredKeys(Keys):
    """A model that has, behind its own keys, those that the fields of structs declare, then those of its bases."""

    declared_by: ClassVar[tuple[type[msgspec.Struct], ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Add the declared keys; raises TypeError where the model and a struct declare the same key."""
        fields = dict(cls.model_fields)
        declared = {each.name: _field(each) for each in keys_of(*cls.declared_by)}
        if twice := fields.keys() & declared.keys():
            raise TypeError(f"key {min(twice)!r} of {cls.__name__} is declared twice")
        models = (each for each in cls.__mro__ if issubclass(each, Keys))
        own, *bases = ({name: fields[name] for name in each.__annotations__ if name in fields} for each in models)
        cls.model_fields.clear()
        for part in (own, declared, *bases):
            cls.model_fields.update(part)


def _field(declared: DeclaredKey) -> FieldInfo:
    annotation: Any = Annotated[declared.kind, _reading(declared)]
    default: Any = ... if declared.default is msgspec.NODEFAULT else declared.default
    return FieldInfo.from_annotated_attribute(annotation, Field(default, description=declared.key.meaning))


def _reading(declared: DeclaredKey) -> FromText:
    key = declared.key
    match key.form:
        case KeyForm.SWITCH:
            return switch()
        case KeyForm.WORD:
            return choice(declared.kind)
        case KeyForm.WHOLE:
            return whole(key.lowest, key.highest)
        case KeyForm.SECONDS:
            return milliseconds(key.lowest, key.highest)
        case KeyForm.LIMIT:
            return limit()


class CallerKeys(IncomingNumberKeys, TrunkMediaKeys, DeclaredKeys):
    """Keys that trunks and telephones have alike."""

    countries: Countries = frozenset()
    """The only countries that its calls and registrations may come from, by ``access.database``; one or a list, such as
    ``[DE, AT]``. Private addresses pass. Default: those of its account."""
    rate_group: Annotated[str | None, object_name("rate_groups")] = None
    """Instead of the account's."""
    private_rate_group: Annotated[str | None, object_name("rate_groups")] = None
    """Rates of its own beside those of its rate group, before those of the account."""
    transfer_timeout: Annotated[int, milliseconds(5_000, 180_000)] = 30_000
    """Time that the target of a transfer may take to answer, and its number to be dialled by keys."""
    transfer_keys: TransferKeyKeys = TransferKeyKeys()
    routing_plan: Annotated[str | None, object_name("routing_plans")] = None
    """Routing plan of its calls. Default: the account's."""
    loss_guard: Annotated[LossGuard | None, wanted_margin()] = None
    """The margin that routing gateways must leave for its calls. Default: that of the account, else of the plan."""
    gateways_allow: Annotated[frozenset[Annotated[str, object_name("routing_gateways")]], ONE_OR_MANY] = frozenset()
    """The routing gateways, or groups of ``gateway_groups``, that its calls may use, of those of its plan. Default:
    all."""
    gateways_deny: Annotated[frozenset[Annotated[str, object_name("routing_gateways")]], ONE_OR_MANY] = frozenset()
    """Routing gateways, or groups, that its calls do not use."""
    announcements: Annotated[Mapping[str, str] | None, sounds_by_reason()] = None
    """Sounds of `media.sounds` that are played to its callers when a call fails without an answer, by end reason, as in
    `{Busy: busy}`; `none` = silence. Default: `media.announcements`."""
    end_warning: Annotated[int, milliseconds(0, 600_000)] = 0
    """Time before the end of a call, by its credit or its longest duration, at which its caller is warned by a tone
    (`media.end_warning_sound`), where its media are relayed; 0 = it is not."""
    session_timer: SessionTimerKeys = SessionTimerKeys()
    dynamic_blacklist: DynamicBlacklistKeys = DynamicBlacklistKeys()


class MappingGatewayKeys(SpokenToKeys, CallerKeys):
    """A customer's trunk: where calls come from."""

    name: Annotated[str, object_name()]
    """Unique among the mapping gateways."""
    account: Annotated[str, object_name("accounts")]
    """The account that pays."""
    hosts: Annotated[tuple[Annotated[HostPattern | HostName, source(may_be_name=True)], ...], ONE_OR_MANY] = ()
    """Source addresses of its packets. A pattern with a port comes before one without, then the longest mask; the same
    pattern or name on two gateways is an error. A name stands for its addresses in DNS (RFC 3263), which are followed;
    an address that another gateway is configured with, or with a network around it, stays with that one. Can be left
    out beside ``auth``: then it may call and register from any address.
    """
    address_groups: Annotated[tuple[Annotated[str, object_name("address_groups")], ...], ONE_OR_MANY] = ()
    """Groups of ``address_groups`` whose hosts are its own, too."""
    groups: Annotated[tuple[Annotated[str, object_name("gateway_groups")], ...], ONE_OR_MANY] = ()
    """Groups of ``gateway_groups`` whose limits its calls share with those of all other gateways in them."""
    certificate_names: Annotated[frozenset[Annotated[str, dns_name()]], ONE_OR_MANY] = frozenset()
    """Names of which the certificate that it shows must bear one: DNS names or SIP domains. Its calls then come over
    TLS alone, from its ``hosts``, or without any from everywhere. Needs ``sip.tls.verify_client``."""
    auth: AuthKeys = AuthKeys()
    tech_prefix: Annotated[str, dialled_prefix()] = ""
    """Digits that it dials before the number, by which gateways with the same hosts are distinguished. Removed before
    all other processing."""
    preset: Annotated[TrunkPreset | None, choice(TrunkPreset)] = None
    """The kind of peer that it is: other defaults, by pages of docs/trunks. Default: the installation's ``preset``."""
    caller_from: Annotated[tuple[Annotated[CallerSource, choice(CallerSource)], ...], ONE_OR_MANY] = (
        CallerSource.ASSERTED,
        CallerSource.FROM,
    )
    """Headers of its INVITEs that have the calling number: the first that is present is used. By default the number for
    which its network answers (RFC 3325) comes before From, in which a user may write any; VOS3000 reads From alone."""
    reject_codes: Annotated[Mapping[str, int] | None, sent_instead()] = None
    """Codes that it is sent in place of a final code; a class stands for each of its codes that is not named itself."""
    reliable_provisionals: Annotated[Reliability, choice(Reliability)] = Reliability.SUPPORTED
    """Whether ringing and early media are sent to it reliably (100rel): never, if it supports that, or always."""
    transfer: Annotated[Transfers, choice(Transfers)] = Transfers.ACCEPT
    """Whether it may transfer calls with REFER."""
    transfer_display: Annotated[ShownNumber, shown_number()] = ShownNumber()
    """The calling number that the target of a transfer is shown: that of the transferred call (``caller``), that in
    From of the transferring party (``phone``), or a fixed one."""
    nat: Annotated[Nat, choice(Nat)] = Nat.AUTO
    """For a trunk behind NAT, responses and requests go to the source address of its packets, and private addresses in
    its SDP are replaced by that address. ``auto``: where its Contact is private, and its packets come from a public
    address or from another one than its Via says.
    """
    stir: CallerStirKeys = CallerStirKeys()

    declared_by: ClassVar[tuple[type[Struct], ...]] = (MappingGateway, CallerDialect, IncomingNumbers)
    names_elsewhere: ClassVar[Renamed] = {
        **renamed(names_of_vos3000.MAPPING_GATEWAY),
        "prefixes": ("callee_allow",),
        "tls": ("certificate_names",),  # customers connect to us
    }
    apart: ClassVar[Mapping[str, str]] = TEMPLATE_KEY

    def _judge(self) -> None:
        if len(self.hosts) > NAMES_MAX and sum(isinstance(each, HostName) for each in self.hosts) > NAMES_MAX:
            raise KeyProblemError("hosts", f"at most {NAMES_MAX} names: each is looked up again and again")
        if not (self.hosts or self.address_groups or self.auth.is_given or self.certificate_names):
            raise KeyProblemError("hosts", "at least one address or network, auth, or certificate_names")
        if not self.caller_from or len(set(self.caller_from)) < len(self.caller_from):
            raise KeyProblemError("caller_from", "at least one header, each once")


class PhoneKeys(ProofKeys, CallerKeys):
    """A telephone: it registers with a password, calls, and is called.

    Servers of RADIUS may have the password instead (``radius.authenticate``).
    """

    number: Annotated[str, telephone_number()]
    """Unique among the phones: it registers and is called under it, and shows it when it calls."""
    account: Annotated[str, object_name("accounts")]
    """The account that pays for its calls."""
    hosts: Annotated[tuple[Annotated[HostPattern, source(may_be_name=False)], ...], ONE_OR_MANY] = ()
    """Source addresses from which it may register and call. Default: any."""
    caller_numbers: Annotated[tuple[Annotated[str, telephone_number()], ...], ONE_OR_MANY] = ()
    """Numbers that it may show besides its own; any other number is replaced by its own."""
    max_call_seconds: Annotated[int | None, whole(1, 604_800)] = None
    """Longest call, where less than the account's."""
    max_concurrent: Annotated[int | None, limit()] = None
    """Calls at the same time, those that it makes and those to it."""
    max_cps: Annotated[int | None, limit()] = None
    """Calls that began in the preceding 1000 ms, those that it makes and those to it."""
    ring_timeout: Annotated[int, milliseconds(50, 600_000)] = 60_000
    """From INVITE to the final response, when it is called."""
    ring: Annotated[RingOrder, choice(RingOrder)] = RingOrder.IN_TURN
    """Whether several places where it is registered ring one after the other or at the same time (``together``)."""
    offline_gateway: Annotated[str | None, object_name("routing_gateways")] = None
    """The routing gateway that takes its calls while it is not registered. Default: the installation's
    ``offline_gateway``, else 480 to the caller."""
    redirect_server: Annotated[str | None, object_name("routing_gateways")] = None
    """A routing gateway with ``redirects: follow``, which is tried first and may redirect calls to this phone.
    Default: none."""
    ask_redirect_server: Annotated[bool, switch()] = True
    """``no``: its calls are routed without the ``redirect_server`` of the installation."""
    nat: Annotated[Nat, choice(Nat)] = Nat.AUTO
    """For a phone behind NAT, responses and requests go to the source address of its packets, and private addresses in
    its SDP are replaced by that address. ``auto``: where its Contact is private, and its packets come from a public
    address or from another one than its Via says.
    """
    messages_per_minute: Annotated[int, whole(0, 60_000)] = 0
    """MESSAGE requests (RFC 3428) that it may send in a minute, 10 of them at once; it is sent those for its number,
    too. 0 = neither."""
    voicemail: Annotated[str | None, object_name("routing_gateways")] = None
    """The routing gateway that its subscriptions to its mailbox go to, and whose notifications of waiting messages it
    is sent (RFC 3842). Default: none."""
    mailbox: Annotated[str, uri_user()] = ""
    """Name of its mailbox at ``voicemail``. Default: its number."""
    enabled: Annotated[bool, switch()] = True
    """``no`` refuses its calls and registrations, and the calls to it."""

    transfer: Annotated[Transfers, choice(Transfers)] = Transfers.ACCEPT
    """Whether it may transfer the calls that it makes and those that it is called by, with REFER or by keys."""
    transfer_display: Annotated[ShownNumber, shown_number()] = ShownNumber()
    """The calling number that the target of a transfer is shown: that of the transferred call (``caller``), the
    phone's own ``number`` (``phone``), or one of its ``caller_numbers``."""

    declared_by: ClassVar[tuple[type[Struct], ...]] = (IncomingNumbers,)
    names_elsewhere: ClassVar[Renamed] = renamed(names_of_vos3000.PHONE)
    apart: ClassVar[Mapping[str, str]] = {"template": "Name of a template; the phone's own keys win."}

    def _judge(self) -> None:
        super()._judge()
        shown = self.transfer_display.number
        if shown and shown not in map(for_matching, (self.number, *self.caller_numbers)):
            raise KeyProblemError("transfer_display", "caller, phone, or one of its caller_numbers")


PROTECT_MS: Final = 10_000
"""Time for which ``yes`` stands."""


def protection() -> FromText:
    """Read no, yes, or seconds, as milliseconds; None = no."""

    def read(text: str) -> int | None:
        word = switch().read
        if not text[:1].isdecimal():
            return PROTECT_MS if word(text) else None
        return milliseconds_of(text, 50, 600_000)

    return FromText("no, yes, or seconds from 0.05 to 600, with at most 3 decimals", read)


class RoutingGatewayKeys(SpokenToKeys, OutgoingNumberKeys, TrunkMediaKeys, DeclaredKeys):
    """A vendor's trunk: where calls go."""

    name: Annotated[str, object_name()]
    """Unique among the routing gateways."""
    account: Annotated[str, object_name("accounts")]
    """The vendor's account: its calls are bought by the rates of this account."""
    kind: Annotated[GatewayKind, choice(GatewayKind)] = Field(default=GatewayKind.TRUNK, alias="type")
    """`trunk`, or `announcement`: its callers are played `sound` instead, and its calls are neither answered nor
    charged; it has no `address`."""
    sound: Annotated[str | None, named_sound()] = None
    """Sound of `media.sounds` that callers of an announcement are played, before an answer: at most 3 minutes."""
    repeat: Annotated[int, whole(1, 100)] = 1
    """Times that the sound is played."""
    end_code: Annotated[int, whole(400, 699)] = 480
    """Final code after the sound: by `failover_codes` the next gateway is tried, else the caller gets it."""
    preset: Annotated[TrunkPreset | None, choice(TrunkPreset)] = None
    """The kind of peer that it is: other defaults, by pages of docs/trunks."""
    rate_group: Annotated[str | None, object_name("rate_groups")] = None
    """Buy rates instead of the account's."""
    private_rate_group: Annotated[str | None, object_name("rate_groups")] = None
    """Buy rates of its own beside those of its rate group, before those of the account."""
    address: Annotated[tuple[Annotated[Address, destination()], ...], ONE_OR_MANY] = ()
    """Address to which its packets go: one or a list; the next is tried after a timeout or a 503.

    Port 5060, 5061 for tls. A name without port is looked up by RFC 3263 (NAPTR, SRV, addresses), a name with a port
    by its addresses only. Can be left out beside ``register``: then calls go to the registrar; and beside ``dynamic``.
    """
    tls: Annotated[str | OwnTls, identity_or_own_tls()] = ""
    """An identity of ``sip.tls.identities``: our certificate for its TLS connections, and what its own must be. Or
    these by themselves, as in ``{certificate: F, key: F, name: N}``: our certificate and its key, PEM, and the name
    that it is asked for (SNI) and must bear. Default: those of ``sip.tls``."""
    spread: Annotated[bool, switch()] = False
    """``yes`` calls several addresses in turn, call by call, and the others after a failure; they must not be names.
    ``no`` calls the first as long as it works.
    """
    dynamic: DynamicKeys = DynamicKeys()
    auth: LoginKeys = LoginKeys()
    registration: RegisterKeys = Field(default=RegisterKeys(), alias="register")
    options_ping: PingKeys = PingKeys()
    prefixes: Annotated[tuple[Annotated[str, route_prefix()], ...], ONE_OR_MANY] = ("*",)
    """Called prefixes that it takes, in which ``?`` is any digit; ``*`` takes any number, ``from_rates`` those of its
    buy rates."""
    calendar: Annotated[str | None, object_name("calendars")] = None
    """Calendar that must fit for it to take calls. Default: none; then gateways whose calendar fits come first."""
    calendar_use: Annotated[CalendarUse | None, choice(CalendarUse)] = Field(default=None, alias="while")
    """Time when the calendar fits: ``listed``, while an entry of it or a holiday fits; ``working``, in its working
    time; ``not_working``, in all other time. Default: while a working entry decides, or, where no entry is working,
    while any does."""
    protect: Annotated[int | None, protection()] = None
    """The others are tried first. It joins when all have failed, or when none has sent a 18x or an answer within so
    many seconds since the INVITE arrived; ``yes`` is 10 seconds.
    """
    denied_prefixes: Annotated[tuple[Annotated[str, plain_prefix()], ...], ONE_OR_MANY] = ()
    """Called prefixes that it does not take, whatever ``prefixes`` say. One of ``emergency_numbers`` is refused by the
    whole number alone; by a shorter prefix the gateway is tried for it after all others."""
    valid_from: Annotated[int | None, first_instant()] = None
    """Before it no call uses the gateway."""
    valid_to: Annotated[int | None, end_of_validity()] = None
    """After it no call uses the gateway; of a day, after its end."""
    groups: Annotated[tuple[Annotated[str, object_name("gateway_groups")], ...], ONE_OR_MANY] = ()
    """Groups of ``gateway_groups`` that it is in, beside those that name it."""
    partner: Annotated[str | None, object_name()] = None
    """Calls that came from an account of the same ``partner`` never go to it. Default: the account's."""
    progress_timeout: Annotated[int, milliseconds(50, 600_000)] = 6_000
    """Without ringing or a final response within this time after a 100 the next gateway is tried, if there is one."""
    failover_codes: Annotated[tuple[Annotated[int, whole(300, 699)], ...] | None, ONE_OR_MANY] = None
    """Final codes after which the next gateway is tried. Default: those of ``routing``."""
    failover_causes: Annotated[tuple[Annotated[int, q850()], ...] | None, ONE_OR_MANY] = None
    """Q.850 causes after which the next gateway is tried, whatever the code is. Default: those of ``routing``."""
    stop_causes: Annotated[tuple[Annotated[int, q850()], ...] | None, ONE_OR_MANY] = None
    """Q.850 causes after which no other is tried, whatever the code is. Default: those of ``routing``."""
    failover_after_ringing: Annotated[bool | None, switch()] = None
    """``yes`` tries the next gateway when this one rings and does not answer within ``ring_timeout``. Default: no, and
    yes with SS_GATEWAY_SWITCH_UNTIL_CONNECT.
    """
    stop_after_early_media: Annotated[bool | None, switch()] = None
    """``yes`` tries no other gateway once this one has sent early media. Default:
    SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START.
    """
    interface: Annotated[SipListener | None, listener()] = None
    """Socket of ``sip.listen`` from which its calls are sent. Default: the first that can reach its address."""
    identity: Annotated[tuple[Annotated[IdentityHeader, choice(IdentityHeader)], ...], ONE_OR_MANY] = (
        IdentityHeader.FROM,
    )
    """Headers with the calling number. From always has it, unless the caller withholds it."""
    reject_codes: Annotated[Mapping[str, int] | None, counted_as()] = None
    """Codes as which its final codes count, before failover and all else; a class stands for its codes not named."""
    reliable_provisionals: Annotated[Reliability, choice(Reliability)] = Reliability.SUPPORTED
    """Whether it may, must, or must not send ringing and early media reliably (100rel)."""
    nat: Annotated[Nat, choice(Nat)] = Nat.NO
    """For a vendor behind NAT, requests within a call go where the INVITE went, whatever its Contact says, and private
    addresses in its SDP are replaced. ``auto``: where its Contact is private and its ``address`` is not; the default
    beside ``dynamic``.
    """
    session_timer: SessionTimerKeys = SessionTimerKeys()
    request_host: Annotated[str, uri_host(with_port=True)] = ""
    """Host of the Request-URI, and of To without ``to_host``. Default: the gateway's ``address``."""
    from_host: Annotated[str, uri_host(with_port=False)] = ""
    """Host of From and of the headers of ``identity``. Default: the address of our socket."""
    to_host: Annotated[str, uri_host(with_port=False)] = ""
    """Host of To. Default: as in the Request-URI."""
    outbound_proxy: Annotated[Address | None, destination()] = None
    """The proxy that its calls, and OPTIONS to it, are sent to, with Route; ``address`` stays in the Request-URI."""
    strict_proxy: Annotated[bool, switch()] = False
    """``yes``: the outbound proxy is a strict router of RFC 2543, which stands in the request line itself."""
    route: Annotated[tuple[Annotated[str, route_value()], ...], ONE_OR_MANY] = ()
    """Route values of its INVITE, behind that of the outbound proxy. Packets go to the outbound proxy, else to
    ``address``."""
    stir: VendorStirKeys = VendorStirKeys()
    number_format: NumberFormatKeys = NumberFormatKeys()

    declared_by: ClassVar[tuple[type[Struct], ...]] = (RoutingGateway, CalleeDialect)
    names_elsewhere: ClassVar[Renamed] = renamed(names_of_vos3000.ROUTING_GATEWAY)
    not_built: ClassVar[frozenset[str]] = later.ROUTING_GATEWAY
    apart: ClassVar[Mapping[str, str]] = TEMPLATE_KEY

    def _judge(self) -> None:
        wanted = self.registration
        if self.kind is GatewayKind.ANNOUNCEMENT:
            self._is_played_here()
            return
        if self.sound is not None:
            raise KeyProblemError("sound", "type announcement as well")
        if not self.address and not wanted.is_given and not self.dynamic.is_given:
            raise KeyProblemError("address", "at least one address, or register, or dynamic")
        if self.preset is TrunkPreset.MICROSOFT_TEAMS and not self.contact_host:
            raise KeyProblemError("contact_host", "the name of our certificate: Teams finds its tenant by it")
        if self.outbound_proxy is not None and len(self.address) != 1:
            raise KeyProblemError("outbound_proxy", "beside one address, which stands in the Request-URI")
        if self.dynamic.is_given and self.request_host:
            raise KeyProblemError("request_host", "no dynamic: calls go to the registered contact")
        if self.strict_proxy and self.outbound_proxy is None:
            raise KeyProblemError("strict_proxy", "beside outbound_proxy")
        if self.dynamic.is_given and (self.address or wanted.is_given):
            raise KeyProblemError("dynamic", "neither address nor register: calls go where the gateway is registered")
        if wanted.is_given and not self.auth.is_given and not (wanted.username and wanted.has_password):
            raise KeyProblemError("register", "username and password in it, or auth of the gateway")
        if self.spread and not all(is_address(each.host) for each in self.address):
            raise KeyProblemError("spread", "addresses instead of names: the order of what a name has is that of DNS")
        end_after_begin(self.valid_from, self.valid_to)
        if not self.prefixes:
            raise KeyProblemError("prefixes", 'at least one prefix, or "*" for any number: with none it takes no call')
        if FROM_RATES in self.prefixes and len(self.prefixes) > 1:
            raise KeyProblemError("prefixes", f"either {FROM_RATES} or a list of prefixes")

    def _is_played_here(self) -> None:
        if self.sound is None:
            raise KeyProblemError("sound", "the sound of an announcement")
        if self.address or self.registration.is_given or self.dynamic.is_given or self.options_ping.interval:
            raise KeyProblemError("type", "trunk: an announcement has no address, register, dynamic or options_ping")
        end_after_begin(self.valid_from, self.valid_to)
