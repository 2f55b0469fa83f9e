"""``mapping_gateways[]`` and ``phones[]``: customers' trunks, and telephones, where calls come from.

A model checks one object by itself; references to other objects are checked when the catalogue is put together. The
number of a phone is its name: it registers under it, and calls from it are limited, priced and recorded like those of a
mapping gateway of that name.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Struct
from pydantic import BeforeValidator, model_validator

from vosd.base.margin import LossGuard
from vosd.base.nat import Nat
from vosd.base.number import for_matching
from vosd.config.keys import names_of_vos3000
from vosd.config.keys.declared import DeclaredKeys
from vosd.config.keys.dynamic_blacklist import DynamicBlacklistKeys
from vosd.config.keys.media import TrunkMediaKeys
from vosd.config.keys.number_rules import IncomingNumberKeys
from vosd.config.keys.proofs import AuthKeys, ProofKeys
from vosd.config.keys.session_timers import SessionTimerKeys
from vosd.config.keys.stir import CallerStirKeys
from vosd.config.keys.templates import TEMPLATE_KEY
from vosd.config.keys.transfers import ShownNumber, TransferKeyKeys, shown_number
from vosd.config.keys.trunk_headers import SpokenToKeys
from vosd.config.keys.trunk_presets import TrunkPreset
from vosd.config.reader.addresses import dns_name, source
from vosd.config.reader.codes import sent_instead
from vosd.config.reader.countries import Countries
from vosd.config.reader.fields import (
    KeyProblemError,
    choice,
    limit,
    milliseconds,
    object_name,
    one_or_many,
    switch,
    whole,
)
from vosd.config.reader.margins import wanted_margin
from vosd.config.reader.numbers import dialled_prefix, telephone_number
from vosd.config.reader.renamed import Renamed, renamed
from vosd.config.reader.sounds import sounds_by_reason
from vosd.config.reader.trunk_headers import uri_user
from vosd.trunks.dialect import CallerDialect, CallerSource, Reliability, Transfers
from vosd.trunks.gateways import NAMES_MAX, HostName, HostPattern, MappingGateway
from vosd.trunks.number_rules import IncomingNumbers
from vosd.trunks.ringing import RingOrder


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
    gateways_allow: Annotated[
        frozenset[Annotated[str, object_name("routing_gateways")]], BeforeValidator(one_or_many)
    ] = frozenset()
    """The routing gateways, or groups of ``gateway_groups``, that its calls may use, of those of its plan. Default:
    all."""
    gateways_deny: Annotated[
        frozenset[Annotated[str, object_name("routing_gateways")]], BeforeValidator(one_or_many)
    ] = frozenset()
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
    hosts: Annotated[tuple[Annotated[HostPattern | HostName, source()], ...], BeforeValidator(one_or_many)] = ()
    """Source addresses of its packets. A pattern with a port comes before one without, then the longest mask; the same
    pattern or name on two gateways is an error. A name stands for its addresses in DNS (RFC 3263), which are followed;
    an address that another gateway is configured with, or with a network around it, stays with that one. Can be left
    out beside ``auth``: then it may call and register from any address.
    """
    address_groups: Annotated[
        tuple[Annotated[str, object_name("address_groups")], ...], BeforeValidator(one_or_many)
    ] = ()
    """Groups of ``address_groups`` whose hosts are its own, too."""
    groups: Annotated[tuple[Annotated[str, object_name("gateway_groups")], ...], BeforeValidator(one_or_many)] = ()
    """Groups of ``gateway_groups`` whose limits its calls share with those of all other gateways in them."""
    certificate_names: Annotated[frozenset[Annotated[str, dns_name()]], BeforeValidator(one_or_many)] = frozenset()
    """Names of which the certificate that it shows must bear one: DNS names or SIP domains. Its calls then come over
    TLS alone, from its ``hosts``, or without any from everywhere. Needs ``sip.tls.verify_client``."""
    auth: AuthKeys = AuthKeys()
    tech_prefix: Annotated[str, dialled_prefix()] = ""
    """Digits that it dials before the number, by which gateways with the same hosts are distinguished. Removed before
    all other processing."""
    preset: Annotated[TrunkPreset | None, choice(TrunkPreset)] = None
    """The kind of peer that it is: other defaults, by pages of docs/trunks. Default: the installation's ``preset``."""
    caller_from: Annotated[tuple[Annotated[CallerSource, choice(CallerSource)], ...], BeforeValidator(one_or_many)] = (
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

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> "MappingGatewayKeys":
        if len(self.hosts) > NAMES_MAX and sum(isinstance(each, HostName) for each in self.hosts) > NAMES_MAX:
            raise KeyProblemError("hosts", f"at most {NAMES_MAX} names: each is looked up again and again")
        if not (self.hosts or self.address_groups or self.auth.is_given or self.certificate_names):
            raise KeyProblemError("hosts", "at least one address or network, auth, or certificate_names")
        if not self.caller_from or len(set(self.caller_from)) < len(self.caller_from):
            raise KeyProblemError("caller_from", "at least one header, each once")
        return self


class PhoneKeys(ProofKeys, CallerKeys):
    """A telephone: it registers with a password, calls, and is called.

    Servers of RADIUS may have the password instead (``radius.authenticate``).
    """

    number: Annotated[str, telephone_number()]
    """Unique among the phones: it registers and is called under it, and shows it when it calls."""
    account: Annotated[str, object_name("accounts")]
    """The account that pays for its calls."""
    hosts: Annotated[tuple[Annotated[HostPattern, source()], ...], BeforeValidator(one_or_many)] = ()
    """Source addresses from which it may register and call. Default: any."""
    caller_numbers: Annotated[tuple[Annotated[str, telephone_number()], ...], BeforeValidator(one_or_many)] = ()
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

    @model_validator(mode="after")
    def _shows_a_number_of_its_own(self) -> "PhoneKeys":
        shown = self.transfer_display.number
        if shown and shown not in map(for_matching, (self.number, *self.caller_numbers)):
            raise KeyProblemError("transfer_display", "caller, phone, or one of its caller_numbers")
        return self
