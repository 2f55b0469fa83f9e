"""``mapping_gateways[]``: customers' trunks, where calls come from.

A model checks one object by itself; references to other objects are checked when the catalogue is put together.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from msgspec import Struct
from pydantic import BeforeValidator, model_validator

from vosd.base.margin import LossGuard
from vosd.base.nat import Nat
from vosd.config.keys import names_of_vos3000
from vosd.config.keys.declared import DeclaredKeys
from vosd.config.keys.dynamic_blacklist import DynamicBlacklistKeys
from vosd.config.keys.media import TrunkMediaKeys
from vosd.config.keys.number_rules import IncomingNumberKeys
from vosd.config.keys.proofs import AuthKeys
from vosd.config.keys.session_timers import SessionTimerKeys
from vosd.config.keys.stir import CallerStirKeys
from vosd.config.keys.templates import TEMPLATE_KEY
from vosd.config.keys.transfers import ShownNumber, TransferKeyKeys, shown_number
from vosd.config.keys.trunk_headers import BodyKeys, CallerFormatKeys, CauseKeys, HeaderKeys
from vosd.config.keys.trunk_presets import TrunkPreset
from vosd.config.reader.addresses import dns_name, source
from vosd.config.reader.codes import sent_instead
from vosd.config.reader.countries import Countries
from vosd.config.reader.fields import KeyProblemError, choice, milliseconds, object_name, one_or_many
from vosd.config.reader.margins import wanted_margin
from vosd.config.reader.model import Keys
from vosd.config.reader.numbers import dialled_prefix
from vosd.config.reader.renamed import Renamed, renamed
from vosd.config.reader.sounds import sounds_by_reason
from vosd.config.reader.trunk_headers import product, uri_host, uri_user
from vosd.trunks.dialect import CallerDialect, CallerSource, ReasonForm, Reliability, Transfers
from vosd.trunks.gateways import NAMES_MAX, HostName, HostPattern, MappingGateway
from vosd.trunks.number_rules import IncomingNumbers


class MappingGatewayKeys(DeclaredKeys):
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
    countries: Countries = frozenset()
    """The only countries that its calls and registrations may come from, by ``access.database``; one or a list, such as
    ``[DE, AT]``. Private addresses pass. Default: those of its account."""
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
    rate_group: Annotated[str | None, object_name("rate_groups")] = None
    """Instead of the account's."""
    private_rate_group: Annotated[str | None, object_name("rate_groups")] = None
    """Rates of its own beside those of its rate group, before those of the account."""
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
    reason: Annotated[ReasonForm, choice(ReasonForm)] = ReasonForm.Q850
    """The Reason headers that it is sent when a call ends: the Q.850 cause, a SIP code, both or none."""
    reliable_provisionals: Annotated[Reliability, choice(Reliability)] = Reliability.SUPPORTED
    """Whether ringing and early media are sent to it reliably (100rel): never, if it supports that, or always."""
    transfer: Annotated[Transfers, choice(Transfers)] = Transfers.ACCEPT
    """Whether it may transfer calls with REFER."""
    transfer_timeout: Annotated[int, milliseconds(5_000, 180_000)] = 30_000
    """Time that the target of a transfer may take to answer, and its number to be dialled by keys."""
    transfer_display: Annotated[ShownNumber, shown_number()] = ShownNumber()
    """The calling number that the target of a transfer is shown: that of the transferred call (``caller``), that in
    From of the transferring party (``phone``), or a fixed one."""
    transfer_keys: TransferKeyKeys = TransferKeyKeys()
    nat: Annotated[Nat, choice(Nat)] = Nat.AUTO
    """For a trunk behind NAT, responses and requests go to the source address of its packets, and private addresses in
    its SDP are replaced by that address. ``auto``: where its Contact is private, and its packets come from a public
    address or from another one than its Via says.
    """
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
    contact_user: Annotated[str, uri_user()] = ""
    """User part of our Contact. Default: none."""
    contact_host: Annotated[str, uri_host(with_port=True)] = ""
    """Host of our Contact, for peers that want a name there: requests within a call come to that name. Default: the
    address of our socket."""
    user_agent: Annotated[str, product()] = ""
    """Our product in User-Agent and Server. Default: ``sip.server``."""
    headers: HeaderKeys = HeaderKeys()
    bodies: BodyKeys = BodyKeys()
    causes: CauseKeys = CauseKeys()
    stir: CallerStirKeys = CallerStirKeys()
    caller_format: CallerFormatKeys = CallerFormatKeys()
    announcements: Annotated[Mapping[str, str] | None, sounds_by_reason()] = None
    """Sounds of `media.sounds` that are played to its callers when a call fails without an answer, by end reason, as in
    `{Busy: busy}`; `none` = silence. Default: `media.announcements`."""
    end_warning: Annotated[int, milliseconds(0, 600_000)] = 0
    """Time before the end of a call, by its credit or its longest duration, at which its caller is warned by a tone
    (`media.end_warning_sound`), where its media are relayed; 0 = it is not."""
    session_timer: SessionTimerKeys = SessionTimerKeys()
    dynamic_blacklist: DynamicBlacklistKeys = DynamicBlacklistKeys()

    declared_by: ClassVar[tuple[type[Struct], ...]] = (MappingGateway, CallerDialect, IncomingNumbers)
    shared: ClassVar[tuple[type[Keys], ...]] = (IncomingNumberKeys, TrunkMediaKeys)
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
