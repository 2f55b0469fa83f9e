"""Settings for every call of the switch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from vosd.b2bua.settings import DeadCallBilling
from vosd.base.margin import LossGuard
from vosd.billing.account_rates import FreeTimeScope
from vosd.billing.currencies import FeeDecimals
from vosd.billing.destinations import DestinationClass
from vosd.billing.rates import RatingPolicy
from vosd.media.sounds import Sound
from vosd.routing.access import NO_RULES, AccessRules
from vosd.routing.false_answers import NO_TERMS, ShortCallTerms
from vosd.routing.lookups import PortabilityTerms, RedirectTerms
from vosd.routing.quality import SLICE_MS, SLICES
from vosd.routing.special_numbers import SpecialNumbers
from vosd.sip.digest.settings import DigestSettings, LockOutSettings
from vosd.stir.settings import StirTerms
from vosd.trunks.gateways import CallerLimits
from vosd.trunks.media import MediaParameters


@dataclass(frozen=True, slots=True)
class CallParameters:
    """Settings for every call of the switch."""

    max_call_seconds: int = 43_200
    """``limits.max_call_seconds``: no call is longer."""
    record_server_hang_up: bool = True
    """SERVER_BILLING_RECORD_SERVER_HANG_UP: calls that the switch ended leave a CDR."""
    record_zero_hold_time: bool = True
    """SERVER_BILLING_RECORD_ZERO_HOLD_TIME: calls without a second of talk leave a CDR."""
    record_illegal_calls: bool = False
    """SERVER_BILLING_RECORD_ILLEGAL_CALL: calls of unknown sources leave a CDR."""
    special_numbers: SpecialNumbers = field(default_factory=SpecialNumbers)
    """Free numbers, those without CDR, and routing prefixes."""
    local_domains: frozenset[str] = frozenset()
    """``routing.local_domains``: in these, and in those of users, local numbers may be called."""
    free_policy: RatingPolicy = field(default_factory=lambda: RatingPolicy(50, 0, 6, Decimal("0.000001")))
    """Rounding of the seconds of calls to free numbers."""
    max_attempts: int = 10
    search_ms: int = 30_000
    """No attempt begins later than this after the arrival of the INVITE."""
    digest: DigestSettings = field(default_factory=DigestSettings)
    """Part of the catalogue because credentials are hashes for one realm."""
    lock_out: LockOutSettings = field(default_factory=LockOutSettings)
    challenges_max: int = 6
    """SS_SIP_AUTHENTICATION_RETRY: how many challenges to one request of ours are answered."""
    uses_calendars: bool = True
    """SERVER_WORK_CALENDAR_ENABLED: without it nothing is bound to a calendar."""
    uses_period_rates: bool = True
    """SERVER_PERIOD_RATE_ENABLED: without it there are no period rates; neither are there without calendars."""
    verdicts_one_in: int = 100
    """``routing.verdicts_one_in``: the records of so many answered calls say of one how its route was found."""
    calendar_strict: bool = False
    """``routing.calendar_strict``: gateways without a calendar are out where the calendar of another one fits."""
    dead_call_billing: DeadCallBilling = DeadCallBilling.DETECTION
    """``limits.dead_call_billing``: until when a call is billed whose peer vanished."""
    charges_ringing: bool = False
    """SS_STARTBILLINGTIME 1: calls are charged from their first INVITE to a gateway on, answered or not."""
    free_time_scope: FreeTimeScope = FreeTimeScope.ALL
    """``billing.free_time_scope``: whose charges free time is taken off."""
    fee_decimals: FeeDecimals = field(default_factory=lambda: FeeDecimals(6, Decimal("0.000001")))
    """To which step fees are rounded where nothing else says so."""
    destination_classes: tuple[DestinationClass, ...] = ()
    """Named sets of prefixes."""
    currency_decimals: Mapping[str, FeeDecimals] = field(default_factory=dict)
    """Decimals of fees by currency, of currencies that have a step of their own."""
    quality_slice_ms: int = SLICE_MS
    """SS_GATEWAY_QUALITY_RESERVE_TIME: length of a slice of the windows of quality."""
    quality_slices: int = SLICES
    """SS_GATEWAY_QUALITY_RESERVE_SEPARATE: slices in a window."""
    away_cap: Decimal | None = Decimal(1_000)
    """Limit of the cost of the calls of an account with a limit in one outage of the database; None = no such bound."""
    cdr_pending: int = 100_000
    """An event reports when 80 % of so many calls wait for the database."""
    dynamic_blacklist: CallerLimits | None = None
    """Limits of each caller of a mapping gateway that has none of its own; None = none."""
    number_portability: PortabilityTerms | None = None
    """Terms for ported numbers; None = they are routed as dialled."""
    redirect_server: RedirectTerms | None = None
    """Terms for the external redirect server; None = there is none."""
    loss_guard: LossGuard = field(default_factory=LossGuard)
    """Loss guard of calls without a routing plan."""
    typical_seconds: int = 60
    """``routing.typical_seconds``: the length of calls by which costs are compared where it is not known."""
    stir: StirTerms | None = None
    """``stir``: our key, and rules for callers' signatures; None = there is no such section."""
    media: MediaParameters = field(default_factory=MediaParameters)
    """``media`` and the parameters about media."""
    short_calls: ShortCallTerms = NO_TERMS
    """``alarms.short_calls``: from when on short calls of a gateway are too many."""
    access: AccessRules = NO_RULES
    """Networks and countries that requests and media may come from."""
    sounds: Mapping[str, Sound] = field(default_factory=dict)
    """``media.sounds`` by name, their files read."""
