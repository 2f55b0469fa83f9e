"""The keys of what a call is decided by: rate groups, accounts, mapping and routing gateways.

A model checks one object by itself; what refers to another object is checked in ``build.py``.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Final

from pydantic import BeforeValidator, Field, model_validator

from vosd.base.money import ZERO, Rounding
from vosd.base.nat import Nat
from vosd.billing.accounts import AccountType
from vosd.config.keys import later
from vosd.config.keys.model import Keys
from vosd.config.keys.proofs import AuthKeys, DynamicKeys
from vosd.config.keys.rates import PricePer
from vosd.config.keys.schema import Preset
from vosd.config.keys.session_timers import SessionTimerKeys
from vosd.config.keys.transfers import Shown, TransferKeyKeys, shown_number
from vosd.config.keys.vendors import LoginKeys, PingKeys, RegisterKeys
from vosd.config.reader.addresses import destination, listener, source
from vosd.config.reader.codes import counted_as, sent_instead
from vosd.config.reader.fields import (
    FROM_RATES,
    KeyProblemError,
    choice,
    currency_code,
    dialled_prefix,
    limit,
    milliseconds,
    moment,
    object_name,
    one_or_many,
    overdraft,
    price,
    route_prefix,
    switch,
    whole,
)
from vosd.engine.settings import Listener
from vosd.trunks.dialect import (
    CalleeSource,
    CallerSource,
    IdentityHeader,
    Passing,
    Privacy,
    ReasonForm,
    Redirects,
    Reliability,
    Transfers,
)
from vosd.trunks.gateways import Address, HostPattern

DEFAULT_CURRENCY: Final = "USD"
RATES_INLINE_MAX: Final = 1_000

_TEMPLATE: Final = {"template": "Name of a template; the object's own keys win."}


class RateGroupKeys(Keys):
    """A named set of rates in one currency."""

    name: Annotated[str, object_name()]
    """Unique among the rate groups."""
    currency: Annotated[str, currency_code()] = DEFAULT_CURRENCY
    """ISO 4217 code of its prices."""
    price_per: Annotated[PricePer, choice(PricePer)] = PricePer.MINUTE
    """What ``billing_rate`` is the price of: a minute, pro rata, or one billing cycle."""
    billing_unit: Annotated[int | None, whole(1, 3_600)] = None
    """Seconds of one increment for rates without ``billing_cycle``. Default: SS_BILLINGUNIT."""
    free_time: Annotated[int | None, whole(0, 3_600)] = None
    """Seconds taken off before rating. Default: SERVER_BILLING_FREE_TIME."""
    fee_precision: Annotated[int | None, whole(0, 8)] = None
    """Decimals of fee and tax; it sets their unit too. Default: the parameters."""
    fee_rounding: Annotated[Rounding, choice(Rounding)] = Rounding.HALF_UP
    """How fee and tax are rounded."""
    fee_nonzero_floor: Annotated[bool, switch()] = False
    """A positive fee that would round to zero becomes one unit (FEE-16)."""

    not_built: ClassVar[frozenset[str]] = frozenset({"deck", "equivalent_time", "sections", "template"})
    apart: ClassVar[Mapping[str, str]] = {
        "rates": f"The rates, up to {RATES_INLINE_MAX} rows.",
        "rates_file": "Instead of ``rates``: a CSV file, relative to the file that names it.",
    }


class AccountKeys(Keys):
    """Who pays, or is paid, for calls."""

    id: Annotated[str, object_name()]
    """Unique among the accounts, and never changed: the ledger knows the account by it."""
    type: Annotated[AccountType, choice(AccountType, later=frozenset({"agent", "card"}))] = AccountType.DIRECT
    """``direct`` for customers, ``clearing`` for vendors."""
    rate_group: Annotated[str | None, object_name()] = None
    """What its calls are priced by. Without one, only gateways that name a group have prices."""
    overdraft_limit: Annotated[Decimal | None, overdraft()] = ZERO
    """How far below zero calls may take the balance; ``unlimited`` sets no bound."""
    balance_low: Annotated[Decimal | None, price()] = None
    """With less than this left, the log says ``balance_low``, once until money came: balance and overdraft limit
    (nothing where that is ``unlimited``), less what running calls reserve."""
    currency: Annotated[str | None, currency_code()] = None
    """ISO 4217 code. Default: the rate group's."""
    enabled: Annotated[bool, switch()] = True
    """``no`` refuses its calls."""
    expires_at: Annotated[int | None, moment()] = None
    """From this time on calls are refused."""
    max_concurrent: Annotated[int | None, limit()] = None
    """Calls at the same time."""
    max_cps: Annotated[int | None, limit()] = None
    """Calls accepted in the preceding 1000 ms."""
    max_call_seconds: Annotated[int | None, whole(1, 604_800)] = None
    """Longest call, where less than ``limits.max_call_seconds``."""
    advance_minutes: Annotated[int | None, whole(1, 15)] = None
    """Minutes reserved at a time. Default: SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME."""

    not_built: ClassVar[frozenset[str]] = later.ACCOUNT
    apart: ClassVar[Mapping[str, str]] = _TEMPLATE


class MappingGatewayKeys(Keys):
    """A customer's trunk: where calls come from."""

    name: Annotated[str, object_name()]
    """Unique among the mapping gateways."""
    account: Annotated[str, object_name()]
    """The account that pays."""
    hosts: Annotated[tuple[Annotated[HostPattern, source()], ...], BeforeValidator(one_or_many)] = ()
    """Where its packets come from. A port beats the longest mask; two gateways with the same are an error.

    Can be left out beside ``auth``: then it may call and register from anywhere.
    """
    auth: AuthKeys = AuthKeys()
    tech_prefix: Annotated[str, dialled_prefix()] = ""
    """What it dials before the number; gateways that share hosts differ in it. Stripped before all else."""
    rate_group: Annotated[str | None, object_name()] = None
    """Instead of the account's."""
    max_call_seconds: Annotated[int | None, whole(1, 604_800)] = None
    """Longest call, where less than the account's."""
    max_concurrent: Annotated[int | None, limit()] = None
    """Calls at the same time."""
    max_cps: Annotated[int | None, limit()] = None
    """INVITEs accepted in the preceding 1000 ms."""
    max_requests: Annotated[int | None, limit()] = None
    """Requests a second outside calls (INVITE, REGISTER, OPTIONS) from all its ``hosts`` together; more get 503 with
    Retry-After. Gateways that share an address share the sum of theirs. Besides, ``sip.shield`` limits each address.
    """
    enabled: Annotated[bool, switch()] = True
    """``no`` refuses its calls."""
    preset: Annotated[Preset | None, choice(Preset)] = None
    """``vos3000``: the numbers stand in To and From. Default: the installation's ``preset``."""
    callee_from: Annotated[CalleeSource, choice(CalleeSource)] = CalleeSource.REQUEST_URI
    """Where its INVITEs have the called number."""
    caller_from: Annotated[tuple[Annotated[CallerSource, choice(CallerSource)], ...], BeforeValidator(one_or_many)] = (
        CallerSource.ASSERTED,
        CallerSource.FROM,
    )
    """Where its INVITEs have the calling number, in order: the first header that names somebody holds."""
    reject_codes: Annotated[Mapping[str, int] | None, sent_instead()] = None
    """What it is sent in place of a final code; a class stands for each of its codes that is not named itself."""
    reason: Annotated[ReasonForm, choice(ReasonForm)] = ReasonForm.Q850
    """Which Reason headers it is sent when a call ends: the Q.850 cause, a SIP code, both or none."""
    reliable_provisionals: Annotated[Reliability, choice(Reliability)] = Reliability.SUPPORTED
    """Whether ringing and early media are sent to it reliably (100rel): never, if it can, or always."""
    transfer: Annotated[Transfers, choice(Transfers)] = Transfers.ACCEPT
    """Whether it may transfer calls with REFER."""
    transfer_timeout: Annotated[int, milliseconds(5_000, 180_000)] = 30_000
    """How long the target of a transfer may take to answer, and its number to be dialled by keys."""
    transfer_display: Annotated[Shown, shown_number()] = Shown()
    """The calling number that the target of a transfer is shown: that of the transferred call (``caller``), that in
    From of who transfers (``phone``), or a fixed one."""
    transfer_keys: TransferKeyKeys = TransferKeyKeys()
    nat: Annotated[Nat, choice(Nat)] = Nat.AUTO
    """Behind NAT, it is answered and asked where its packets come from, and private addresses in its SDP become that.

    ``auto``: where its Contact is private, and it is seen at a public address or at another than its Via says.
    """
    session_timer: SessionTimerKeys = SessionTimerKeys()

    not_built: ClassVar[frozenset[str]] = later.MAPPING_GATEWAY
    apart: ClassVar[Mapping[str, str]] = _TEMPLATE

    @model_validator(mode="after")
    def _comes_from_somewhere(self) -> "MappingGatewayKeys":
        if not self.hosts and not self.auth.is_given:
            raise KeyProblemError("hosts", "at least one address or network, or auth")
        if not self.caller_from or len(set(self.caller_from)) < len(self.caller_from):
            raise KeyProblemError("caller_from", "at least one header, each once")
        return self


class RoutingGatewayKeys(Keys):
    """A vendor's trunk: where calls go."""

    name: Annotated[str, object_name()]
    """Unique among the routing gateways."""
    account: Annotated[str, object_name()]
    """The vendor's account: its buy rates book here."""
    address: Annotated[tuple[Annotated[Address, destination()], ...], BeforeValidator(one_or_many)] = ()
    """Where its packets go: one or a list, of which the next is tried where one is silent or says 503.

    Port 5060, 5061 for tls. A name without port is looked up by RFC 3263 (NAPTR, SRV, addresses), one with a port by
    its addresses. Can be left out beside ``register``: then calls go where the registration goes; and beside
    ``dynamic``.
    """
    dynamic: DynamicKeys = DynamicKeys()
    auth: LoginKeys = LoginKeys()
    registration: RegisterKeys = Field(default=RegisterKeys(), alias="register")
    options_ping: PingKeys = PingKeys()
    prefixes: Annotated[tuple[Annotated[str, route_prefix()], ...], BeforeValidator(one_or_many)] = ("*",)
    """Called prefixes that it takes; ``*`` takes any, ``from_rates`` those of its buy rates."""
    priority: Annotated[int, whole(1, 1_000_000)] = 1
    """Lower is tried first among gateways whose prefix fits equally well."""
    max_concurrent: Annotated[int | None, limit()] = None
    """Calls at the same time."""
    max_cps: Annotated[int | None, limit()] = None
    """Attempts in the preceding 1000 ms."""
    max_call_seconds: Annotated[int | None, whole(1, 604_800)] = None
    """Longest call through it, where less than what account and mapping gateway allow."""
    max_requests: Annotated[int | None, limit()] = None
    """Requests a second outside calls that it may send us from all its addresses together; more get 503 with
    Retry-After. Where a mapping gateway has the address, that one's counts."""
    response_timeout: Annotated[int, milliseconds(50, 64_000)] = 5_000
    """Without any response to INVITE for so long, the next gateway is tried."""
    progress_timeout: Annotated[int, milliseconds(50, 600_000)] = 6_000
    """After a 100, without ringing or a final response for so long, the next is tried, where there is one to try."""
    ring_timeout: Annotated[int, milliseconds(50, 600_000)] = 60_000
    """From INVITE to the final response."""
    failover_codes: Annotated[tuple[Annotated[int, whole(300, 699)], ...] | None, BeforeValidator(one_or_many)] = None
    """Final codes after which the next gateway is tried. Default: 401-404, 407, 408, 480, 488 and all 5xx."""
    failover_after_ringing: Annotated[bool, switch()] = False
    """``yes`` tries the next gateway when a ringing one does not answer within ``ring_timeout``."""
    allow_unrated: Annotated[bool, switch()] = False
    """``yes`` uses the gateway for numbers without a buy rate; their cost is zero."""
    enabled: Annotated[bool, switch()] = True
    """``no`` leaves it out."""
    interface: Annotated[Listener | None, listener()] = None
    """Which socket of ``sip.listen`` its calls leave from. Default: the first that can reach its address."""
    identity: Annotated[tuple[Annotated[IdentityHeader, choice(IdentityHeader)], ...], BeforeValidator(one_or_many)] = (
        IdentityHeader.FROM,
    )
    """Which headers tell it the calling number. From always does, unless the caller stays unknown."""
    privacy: Annotated[Privacy, choice(Privacy)] = Privacy.HONOUR
    """A caller's wish to stay unknown: fulfilled here, passed on, taken for granted, or ignored (``strip``)."""
    display_name: Annotated[Passing, choice(Passing)] = Passing.STRIP
    """Whether it is told the caller's name."""
    diversion: Annotated[Passing, choice(Passing)] = Passing.STRIP
    """Whether it is told who diverted the call, in Diversion headers."""
    history_info: Annotated[Passing, choice(Passing)] = Passing.STRIP
    """Whether it is told where the call was before, in History-Info headers."""
    reject_codes: Annotated[Mapping[str, int] | None, counted_as()] = None
    """What its final codes count as, before failover and all else; a class stands for its codes not named."""
    redirects: Annotated[Redirects, choice(Redirects)] = Redirects.REFUSE
    """Whether its 3xx are followed."""
    reason: Annotated[ReasonForm, choice(ReasonForm)] = ReasonForm.Q850
    """Which Reason headers it is sent when a call ends: the Q.850 cause, a SIP code, both or none."""
    reliable_provisionals: Annotated[Reliability, choice(Reliability)] = Reliability.SUPPORTED
    """Whether it may, must, or must not send ringing and early media reliably (100rel)."""
    nat: Annotated[Nat, choice(Nat)] = Nat.NO
    """Behind NAT, its calls go on where their INVITE went, whatever Contact it says; private addresses in SDP too.

    ``auto``: where its Contact is private and its ``address`` is not; the default beside ``dynamic``.
    """
    session_timer: SessionTimerKeys = SessionTimerKeys()

    not_built: ClassVar[frozenset[str]] = later.ROUTING_GATEWAY
    apart: ClassVar[Mapping[str, str]] = _TEMPLATE

    @model_validator(mode="after")
    def _goes_somewhere(self) -> "RoutingGatewayKeys":
        wanted = self.registration
        if not self.address and not wanted.is_given and not self.dynamic.is_given:
            raise KeyProblemError("address", "at least one address, or register, or dynamic")
        if self.dynamic.is_given and (self.address or wanted.is_given):
            raise KeyProblemError("dynamic", "no address and no register beside it: calls go where it is registered")
        if wanted.is_given and not self.auth.is_given and not (wanted.username and wanted.has_password):
            raise KeyProblemError("register", "username and password in it, or auth beside it")
        if FROM_RATES in self.prefixes and len(self.prefixes) > 1:
            raise KeyProblemError("prefixes", f"either {FROM_RATES} or a list of prefixes")
        return self
