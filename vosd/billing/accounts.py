"""Accounts as the catalogue defines them; their balances live in ``holds``."""

from decimal import Decimal
from enum import Enum
from typing import Final

import msgspec

from vosd.base.calendar_use import CalendarUse
from vosd.base.margin import LossGuard
from vosd.base.money import ZERO, Rounding
from vosd.billing.account_rates import AccountRounding
from vosd.billing.destinations import DestinationLimit
from vosd.billing.invoice_terms import InvoiceTerms
from vosd.billing.rate_choice import RateSelection
from vosd.billing.rights import Rights
from vosd.billing.spending import SpendLimit

OBJECTS_MAX: Final = 50_000
"""Accounts, gateways and phones that an agent makes below it, where nothing else is said."""
ANY_GROUP: Final = "any"
"""In place of the names of rate groups that an agent may give."""


DAY_MS: Final = 86_400_000
NEVER: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, UTC: an account that expires then does not expire."""


def extended(expires_at: int | None, paid_at: int, days: int) -> int | None:
    """Return when an account expires that was paid at a time; UTC milliseconds, None = never.

    The days of 24 hours count from the present expiry, or from the payment where that is later. An account that does
    not expire stays so.
    """
    if expires_at is None or days <= 0:
        return expires_at
    return min(max(expires_at, paid_at) + days * DAY_MS, NEVER)


class AccountType(Enum):
    """Purpose of an account: a customer, a vendor to be settled with, or a carrier that is both (ADR 65)."""

    DIRECT = "direct"
    CLEARING = "clearing"
    PARTNER = "partner"


class WhileAway(Enum):
    """Treatment of an account's new calls while the database is away."""

    CONTINUE = "continue"
    REFUSE = "refuse"


class LongCallAlarm(Enum):
    """Whether long calls of an account are an alarm."""

    YES = "yes"
    NO = "no"
    OUTSIDE_WORKING_HOURS = "outside_working_hours"


class Account(msgspec.Struct, frozen=True):
    """One account of the catalogue."""

    id: str
    type: AccountType
    rate_group: str | None
    overdraft_limit: Decimal | None
    """Amount below zero to which calls may take the balance; None = unlimited."""
    currency: str
    enabled: bool = True
    expires_at: int | None = None
    """UTC milliseconds; calls from then on are refused."""
    name: str | None = None
    """The owner of the account, in words."""
    contact: str | None = None
    memo: str | None = None
    group: str | None = None
    """A label: ``vosd account groups`` adds up the accounts that have the same."""
    minimum_consumption: Decimal | None = None
    """Least cost of a month's calls, without tax; None = no minimum."""
    invoice: InvoiceTerms = InvoiceTerms()
    max_concurrent: int | None = None
    max_cps: int | None = None
    max_call_seconds: int | None = None
    balance_low: Decimal | None = None
    """The log reports it once when less than this is left for calls; None = never."""
    balance_low_hours: int | None = None
    """Hours of its average use, with less than whose cost it is reported, too; None = never."""
    alarm_mail: tuple[str, ...] = ()
    """Addresses of mails when little is left, and before it expires; also for the accounts directly below it."""
    record: int = 0
    """Percent of its relayed calls that are recorded."""
    long_call_alarm: LongCallAlarm = LongCallAlarm.YES
    """Whether its calls are reported that last longer than ``alarms.call_seconds``."""
    countries: frozenset[str] = frozenset()
    """The only countries that its calls and registrations may come from; empty = any."""
    user_agents: tuple[str, ...] = ()
    """Parts of the User-Agents that its calls and registrations may have, in lower case; none = any."""
    allowed_prefixes: tuple[str, ...] = ()
    """The number section: called prefixes that its calls may have; none = any."""
    denied_prefixes: tuple[str, ...] = ()
    calendar: str | None = None
    """Name of the calendar that says what is working time for it; None = it has no such times."""
    calendar_use: CalendarUse | None = None
    """The part of the calendar that is its working time; None = what the calendar calls working."""
    routing_plan: str | None = None
    """Name of the routing plan of its calls; None = no plan."""
    loss_guard: LossGuard | None = None
    """The margin that its calls must leave; None = that of the plan."""
    spend_limits: tuple[SpendLimit, ...] = ()
    """Limits of the cost of calls in an hour or a day, each with an action."""
    destination_limits: tuple[DestinationLimit, ...] = ()
    """Limits of the use of each class of destinations in an hour."""
    new_destination_alarm: bool = False
    """Whether the first call to a class is reported that it has not called for a while."""
    timezone: str = "UTC"
    """The zone in which its days begin."""
    agent: str | None = None
    """The account above it, which pays for its calls by its own rates as well; None = it is at the top."""
    rights: Rights = frozenset()
    """Rights of the account as an agent (``Authority``)."""
    sub_rate_groups: tuple[str, ...] = ()
    """Rate groups that accounts below it may have, or ``ANY_GROUP``; empty = its own and those that they have."""
    phone_numbers: tuple[str, ...] | None = None
    """Numbers and ranges that it may give to phones as an agent; None = as the agent above it, else short ones."""
    max_objects: int = OBJECTS_MAX
    """Most accounts, gateways and phones that it makes below it as an agent."""
    partner: str | None = None
    """The company behind it; a call from one of its accounts never goes to a routing gateway of the same."""
    payment_extends_days: int = 0
    """By how many days a payment extends the validity: its own, or SERVER_PAY_DELAY_CUSTOMER_EXPIRE_DAY."""
    database_away: WhileAway = WhileAway.CONTINUE
    """Treatment of new calls while the database is away."""
    database_away_cap: Decimal | None = None
    """Limit of the cost of calls in one such outage; None = as much as all accounts with a limit may."""
    advance_s: int = 60
    """Seconds reserved at a time: SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME, or the account's own."""
    private_rate_group: str | None = None
    """Rates of its own beside its rate group; None = it has none."""
    period_rates: str | None = None
    """Name of the period rates of its calls; None = those of its rate group, if that has some."""
    rate_selection: RateSelection = RateSelection.CHEAPEST
    """The rate that holds where several may."""
    rate_types: frozenset[str] = frozenset()
    """Kinds of destinations that its calls may have, as rates name them; none = any."""

    hold_time_precision_ms: int | None = None
    """A fraction of a second of at least this much is one more; None = as the rate group says, here and below."""
    fee_precision: int | None = None
    fee_unit: Decimal | None = None
    fee_rounding: Rounding | None = None
    billing_unit: int | None = None
    """Cycle of rates that have none of their own."""
    tax_exempt: bool = False
    """No tax is charged to it, whatever its rates say."""

    def rounding(self, *, without_free_time: bool) -> AccountRounding:
        """Return what it says of its charges that its rate groups may say otherwise."""
        return AccountRounding(
            self.hold_time_precision_ms,
            self.fee_precision,
            self.fee_unit,
            self.fee_rounding,
            self.billing_unit,
            self.tax_exempt,
            without_free_time,
        )

    @property
    def low_terms(self) -> tuple[Decimal | None, int | None]:
        """Amount, and hours of its average use, below which its money is low; of a disabled account none is."""
        return (self.balance_low, self.balance_low_hours) if self.enabled else (None, None)

    @property
    def names_rates(self) -> bool:
        """Whether any rates price its calls, whatever its gateways have."""
        return self.rate_group is not None or self.private_rate_group is not None or self.period_rates is not None


def shortfall(minimum: Decimal, consumed: Decimal) -> Decimal:
    """Return what a month lacks of a minimum consumption; not negative."""
    return max(minimum - consumed, ZERO)
