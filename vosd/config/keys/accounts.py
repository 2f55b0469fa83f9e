"""``accounts[]``: who pays, or is paid, for calls."""

from collections.abc import Mapping
from datetime import tzinfo
from decimal import Decimal
from typing import Annotated, ClassVar, Final

from pydantic import Field

from vosd.base.calendar_use import CalendarUse
from vosd.base.margin import LossGuard
from vosd.base.money import ZERO, Rounding, unit_of
from vosd.billing.accounts import OBJECTS_MAX, AccountType, LongCallAlarm, WhileAway
from vosd.billing.rate_choice import RateSelection
from vosd.billing.rates import RateType
from vosd.billing.rights import Right
from vosd.billing.spending import SpendAction, SpendPeriod
from vosd.config.keys import later, names_of_vos3000
from vosd.config.keys.destinations import DestinationLimitKeys
from vosd.config.keys.dids import number_or_range
from vosd.config.keys.invoices import InvoiceTermKeys
from vosd.config.keys.templates import TEMPLATE_KEY
from vosd.config.reader.amounts import currency_code, overdraft, price, step
from vosd.config.reader.countries import Countries, part_of_agent
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    KeyProblemError,
    Keys,
    choice,
    limit,
    line_of_text,
    mail_address,
    moment,
    object_name,
    switch,
    switch_or,
    whole,
)
from vosd.config.reader.margins import wanted_margin
from vosd.config.reader.media import recorded_share
from vosd.config.reader.number_rules import COMMA_SEPARATED
from vosd.config.reader.numbers import rate_prefix
from vosd.config.reader.renamed import Renamed, renamed
from vosd.config.reader.times import time_zone

SectionPrefixes = Annotated[tuple[Annotated[str, rate_prefix()], ...], COMMA_SEPARATED]

_UNIT_MAX: Final = 1_000


class SpendLimitKeys(Keys):
    """Limit of the cost of an account's calls in a time."""

    per: Annotated[SpendPeriod, choice(SpendPeriod)]
    """``hour`` or ``day``, by the clock of the account's ``timezone``."""
    amount: Annotated[Decimal, price()]
    """With tax: what calls cost in it, with what running calls hold."""
    action: Annotated[SpendAction, choice(SpendAction)] = SpendAction.BLOCK
    """``event`` logs ``spend_limit_reached``, ``block`` also refuses calls that would pass it, ``hang up`` also grants
    running calls no more, so that they end where it is reached."""


class AccountKeys(Keys):
    """Accounts that pay, or are paid, for calls."""

    id: Annotated[str, object_name()]
    """Unique among the accounts. Never change it: the ledger identifies the account by it."""
    type: Annotated[AccountType, choice(AccountType, later=frozenset({"card"}))] = AccountType.DIRECT
    """``direct`` for customers, also for agents, ``clearing`` for vendors, ``partner`` for a carrier that is both: its
    calls lower the balance, calls that its gateways carry raise it, ``overdraft_limit`` holds for the difference."""
    rate_group: Annotated[str | None, object_name("rate_groups")] = None
    """Prices of its calls. Without one, only gateways that name a group have prices. Routing gateways of a partner
    name the group of what it is paid themselves."""
    private_rate_group: Annotated[str | None, object_name("rate_groups")] = None
    """Rates of its own beside those of its rate group."""
    period_rates: Annotated[str | None, object_name()] = None
    """Period rates of its calls. Default: those of its rate group."""
    rate_selection: Annotated[RateSelection, choice(RateSelection)] = RateSelection.CHEAPEST
    """Choice between private rates, period rates and the rate group if several have a rate for a number: ``cheapest``
    charges the least that any of them gives for the call, ``priority`` the first of them, in this order. See
    docs/billing.md."""
    rate_types: Annotated[tuple[Annotated[RateType, choice(RateType)], ...], ONE_OR_MANY] = ()
    """Kinds of destinations that its calls may have: the ``rate_type`` of the rate, one or a list. Other calls, also
    those whose rate has no type, end with 403, ``Rate Type Not Allowed``. Default: all calls that have a rate."""
    overdraft_limit: Annotated[Decimal | None, overdraft()] = ZERO
    """Amount below zero to which calls may take the balance; ``unlimited`` sets no bound."""
    balance_low: Annotated[Decimal | None, price()] = None
    """With less than this available, ``balance_low`` is logged, once until money is added. Available is balance and
    overdraft limit (nothing where that is ``unlimited``), less what running calls reserve."""
    balance_low_hours: Annotated[int | None, whole(1, 8_760)] = None
    """``balance_low`` is also logged when less is available than so many hours of its average use cost: what its calls
    have cost with tax on the last seven days of UTC, from the first of them on that had any. Without calls then it
    says nothing."""
    alarm_mail: Annotated[tuple[Annotated[str, mail_address()], ...], ONE_OR_MANY] = ()
    """Addresses that are mailed when less than ``balance_low`` is left, and before it expires (``alarms.expiry_days``),
    by the server of ``alarms.mail``; one or a list. An agent gets these mails about the accounts directly below it,
    too. See docs/operations/alarms.md."""
    record: Annotated[int, recorded_share()] = 0
    """Percent of its relayed calls that are recorded, as capture files in `state_dir`/recordings; `off` = none: those
    that its trunks and phones make, and those to them. Trunks have the same key; the highest share holds."""
    long_call_alarm: Annotated[LongCallAlarm, switch_or(LongCallAlarm)] = LongCallAlarm.YES
    """``no``: its calls are no alarm ``call_too_long``, however long they last. ``outside_working_hours``: only while
    its ``calendar`` says that it is not working time."""
    currency: Annotated[str | None, currency_code()] = None
    """ISO 4217 code of its money. Default: the rate group's; another one needs ``exchange_rates``."""
    enabled: Annotated[bool, switch()] = True
    """``no`` refuses its calls."""
    expires_at: Annotated[int | None, moment()] = None
    """From this time on calls are refused, until a payment extends it (``payment_extends_days``) or ``vosd account set
    --expires-at`` sets another date: what those have set wins over this key."""
    payment_extends_days: Annotated[int | None, whole(0, 3_650)] = None
    """By how many days a payment extends ``expires_at``, from then or from the payment, whichever is later. Default:
    SERVER_PAY_DELAY_CUSTOMER_EXPIRE_DAY."""
    name: Annotated[str | None, line_of_text(1, 128)] = None
    """The owner of the account, in words; ``id`` stays the name by which everything else knows it."""
    contact: Annotated[str | None, line_of_text(1, 255)] = None
    """Person or desk to ask about it, such as a mail address and a telephone number."""
    memo: Annotated[str | None, line_of_text(1, 255)] = None
    """Notes for operators. ``vosd account show`` has name, contact and memo."""
    group: Annotated[str | None, object_name()] = None
    """A label: ``vosd account list --group`` lists the accounts that have it, ``vosd account groups`` adds them up."""
    minimum_consumption: Annotated[Decimal | None, price()] = None
    """Least cost of its calls in a month, without tax; ``vosd ledger minimum`` books what is missing. In a file it
    counts for the month before, too, until that is booked, and also where ``enabled`` is ``no``: set it when the
    contract begins."""
    invoice: InvoiceTermKeys = InvoiceTermKeys()
    max_concurrent: Annotated[int | None, limit()] = None
    """Calls at the same time."""
    max_cps: Annotated[int | None, limit()] = None
    """Calls accepted in the preceding 1000 ms."""
    max_call_seconds: Annotated[int | None, whole(1, 604_800)] = None
    """Longest call, where less than ``limits.max_call_seconds``."""
    countries: Countries = frozenset()
    """The only countries that its calls and registrations may come from, by ``access.database``; one or a list, such as
    ``[DE, AT]``. Private addresses pass. Default: all; trunks and phones may have ``countries`` of their own."""
    user_agents: Annotated[tuple[Annotated[str, part_of_agent()], ...], ONE_OR_MANY] = ()
    """Parts of User-Agents, one or a list: calls and registrations with another User-Agent get 403; case does not
    matter. Default: any. Anyone can write any User-Agent: a thief is kept out only while he does not know it."""
    allowed_prefixes: SectionPrefixes = ()
    """Number section: the called prefixes that its calls may have, after ``callee_rewrite``; without any, all. The
    longest prefix that fits decides, allowed or denied. Other calls end with 403, ``Number Not Allowed``."""
    denied_prefixes: SectionPrefixes = ()
    """Called prefixes that its calls may not have. The same prefix in both lists is denied."""
    database_away: Annotated[WhileAway, choice(WhileAway)] = WhileAway.CONTINUE
    """New calls while the database is away: ``continue`` takes them within the last known balance and the limit, and
    within ``database_away_cap``; ``refuse`` refuses them with 503. Running calls go on."""
    database_away_cap: Annotated[Decimal | None, price()] = None
    """Limit of the cost of its calls in one such outage, in its currency. Default: ``database.away_cap`` where it has
    an overdraft limit, nothing where that is ``unlimited``."""
    advance_minutes: Annotated[int | None, whole(1, 15)] = None
    """Minutes reserved at a time. Default: SERVER_BILLING_PREVENT_OVERDRAFT_ADVANCE_TIME."""

    hold_time_precision: Annotated[int | None, whole(0, 999, "ms")] = None
    """A fraction of a second of at least this much is one more second. Default, here and in the keys below: as the rate
    groups say by which it is charged."""
    billing_unit: Annotated[int | None, whole(1, 3_600)] = None
    """Seconds of one increment for rates without ``billing_cycle``, not for those priced by the cycle."""
    fee_precision: Annotated[int | None, whole(0, 8)] = None
    """Decimals of fee and tax; it sets their unit too, where ``fee_unit`` does not."""
    fee_unit: Annotated[Decimal | None, step()] = None
    """Smallest step of fee and tax, with ``fee_precision``; not finer than the decimals."""
    fee_rounding: Annotated[Rounding | None, choice(Rounding)] = None
    """Rounding of fee and tax."""
    tax_exempt: Annotated[bool, switch()] = False
    """``yes`` charges no tax, whatever ``tax_rate`` the rates have."""

    routing_plan: Annotated[str | None, object_name("routing_plans")] = None
    """Routing plan of its calls. Default: none, all gateways by prefix and priority."""
    loss_guard: Annotated[LossGuard | None, wanted_margin()] = None
    """The margin that routing gateways must leave for its calls. Default: that of its plan."""

    spend_limits: tuple[SpendLimitKeys, ...] = ()
    """Limits of the cost of its calls in an hour or a day. Default: no limit."""
    destination_limits: tuple[DestinationLimitKeys, ...] = ()
    """Limits of the use of a class of destinations by its calls in an hour, against its own past. Default: no limit."""
    new_destination_alarm: Annotated[bool, switch()] = False
    """``yes``: its first answered call to a class of ``destination_classes`` that it has not called in the days of
    ``alarms.past_days`` is the alarm ``destination_new``."""
    timezone: Annotated[tzinfo | None, time_zone()] = None
    """The zone in which its days begin, for ``spend_limits``. Default: UTC."""
    agent: Annotated[str | None, object_name("accounts")] = None
    """Id of the account above it, its agent. Every call is charged to the agent too, by the agent's own ``rate_group``,
    and to the agents above that one, at most 10 levels. An account is an agent as soon as another one names it."""
    rights: Annotated[tuple[Annotated[Right, choice(Right)], ...], ONE_OR_MANY] = ()
    """Rights of the account as an agent, one or a list; see docs/billing.md. None that its own agent has not."""
    sub_rate_groups: Annotated[tuple[Annotated[str, object_name("rate_groups")], ...], ONE_OR_MANY] = ()
    """Rate groups that it may give to the accounts below it and their gateways and phones, one or a list; it can read
    their prices then. ``any``: all but those by which vendors alone are paid. Default: its own ``rate_group`` and
    those that these accounts have already. None that an agent above it may not give."""
    phone_numbers: Annotated[tuple[Annotated[str, number_or_range()], ...] | None, ONE_OR_MANY] = None
    """Numbers that it may give to phones of accounts below it, one or a list of numbers and ranges such as
    4930123400-4930123499, beside those that these accounts have in ``dids``; an agent does not change the key itself.
    Default: those of the agent above it, else numbers of 4 to 6 digits that no one else has (docs/billing.md)."""
    max_objects: Annotated[int, whole(0, 10_000_000)] = OBJECTS_MAX
    """Most accounts, mapping gateways and phones below it, all together, that it makes as an agent; what operators make
    below it counts. Agents do not change the key."""
    partner: Annotated[str | None, object_name()] = None
    """Name of the company behind it; a call from one of its accounts never goes to a routing gateway of the same."""
    calendar: Annotated[str | None, object_name("calendars")] = None
    """Calendar of its working time, which ``vosd account show`` names; it refuses no calls."""
    calendar_use: Annotated[CalendarUse | None, choice(CalendarUse)] = Field(default=None, alias="while")
    """The part of ``calendar`` that is its working time: ``listed``, while an entry or a holiday fits; ``working``,
    ``not_working``. Default: ``working``."""

    aliases: ClassVar[Mapping[str, str]] = {"work_calendar": "calendar"}
    names_elsewhere: ClassVar[Renamed] = renamed(names_of_vos3000.ACCOUNT)
    not_built: ClassVar[frozenset[str]] = later.ACCOUNT
    apart: ClassVar[Mapping[str, str]] = TEMPLATE_KEY

    def _judge(self) -> None:
        names = [each.destination for each in self.destination_limits]
        if len(set(names)) != len(names):
            raise KeyProblemError("destination_limits", "each destination once")
        if self.fee_unit is None:
            return
        if self.fee_unit > _UNIT_MAX:
            raise KeyProblemError("fee_unit", f"at most {_UNIT_MAX}: a larger charge might fit no column")
        if self.fee_precision is None:
            raise KeyProblemError("fee_unit", "fee_precision with fee_unit: the decimals to which it rounds")
        if self.fee_unit < unit_of(self.fee_precision):
            expected = f"at least {unit_of(self.fee_precision):f}, as fees have {self.fee_precision} decimals"
            raise KeyProblemError("fee_unit", expected)
