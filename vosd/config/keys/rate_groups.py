"""``rate_groups[]`` without the rates, which are rows of their own (``rates.py``)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Final

from pydantic import Field

from vosd.base.money import PLACES, ZERO, Rounding
from vosd.billing.origin_rates import CallerKind
from vosd.catalogue.source import DEFAULT_CURRENCY
from vosd.config.keys import names_of_vos3000
from vosd.config.keys.rates import PricePer
from vosd.config.keys.templates import TEMPLATE_KEY
from vosd.config.reader.amounts import currency_code, factor_up_to, price, step
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    KeyProblemError,
    Keys,
    choice,
    line_of_text,
    object_name,
    switch,
    whole,
)
from vosd.config.reader.number_rules import COMMA_SEPARATED
from vosd.config.reader.numbers import plain_prefix, rate_prefix
from vosd.config.reader.renamed import Renamed, renamed

RATES_INLINE_MAX: Final = 1_000
DERIVED_FACTOR_MAX: Final = 10
DERIVED_OFFSET_MAX: Final = 1_000
"""With both no derived price of a rate that is not large itself is too large to be booked (``assembly.bookable``)."""


class DeriveKeys(Keys):
    """Rates made of those of another group, which follow it. ``rates`` beside it win for their prefixes."""

    base: Annotated[str | None, object_name("rate_groups")] = Field(default=None, alias="from")
    """The rate group; its rates are not derived themselves, and it has the same currency."""
    factor: Annotated[Decimal, factor_up_to(DERIVED_FACTOR_MAX)] = Decimal(1)
    """Factor of the prices, connection fee and minimum charge included."""
    offset: Annotated[Decimal, price()] = ZERO
    """Added to the price of a minute, or of a cycle where the rate group has prices of cycles; up to 1,000."""
    decimals: Annotated[int, whole(0, PLACES)] = PLACES
    """To which its prices are rounded then; one that is above zero stays so."""
    rounding: Annotated[Rounding, choice(Rounding)] = Rounding.HALF_UP
    """Rounding of the derived prices."""

    def _judge(self) -> None:
        if self.is_given and self.base is None:
            raise KeyProblemError("from", "the name of a rate group")
        if self.offset > DERIVED_OFFSET_MAX:
            raise KeyProblemError("offset", f"at most {DERIVED_OFFSET_MAX}")


class OriginKeys(Keys):
    """Calls of some callers, which another rate group prices as far as it has a rate for the called number."""

    name: Annotated[str, object_name()]
    """Name in breakdowns; unique among the origins of the group."""
    rate_group: Annotated[str, object_name("rate_groups")]
    """The group that prices them; its own ``origins`` do not count here."""
    prefixes: Annotated[tuple[Annotated[str, rate_prefix()], ...], ONE_OR_MANY] = ()
    """Prefixes of calling numbers; the longest that fits decides, ``*`` fits every valid number."""
    callers: Annotated[tuple[Annotated[CallerKind, choice(CallerKind)], ...], ONE_OR_MANY] = ()
    """``missing``: calls without calling number. ``invalid``: those whose calling number is no international one."""
    areas: tuple[Annotated[tuple[Annotated[str, plain_prefix()], ...], COMMA_SEPARATED], ...] = ()
    """Areas, such as the states of a country, each a list of prefixes: calls whose calling and called number are of the
    same area are of this origin, before all others."""

    def _judge(self) -> None:
        if not self.prefixes and not self.callers and not self.areas:
            raise KeyProblemError("prefixes", "prefixes, callers, or areas")
        found = [prefix for area in self.areas for prefix in area]
        if len(set(found)) < len(found):
            raise KeyProblemError("areas", "each prefix in one area")


class RateGroupKeys(Keys):
    """A named set of rates in one currency."""

    name: Annotated[str, object_name()]
    """Unique among the rate groups."""
    currency: Annotated[str, currency_code()] = DEFAULT_CURRENCY
    """ISO 4217 code of its prices. Fees are converted where an account has another one: ``exchange_rates``."""
    memo: Annotated[str | None, line_of_text(1, 255)] = None
    """Notes for operators; ``vosd rates groups`` shows them."""
    price_per: Annotated[PricePer, choice(PricePer)] = PricePer.MINUTE
    """Unit of ``billing_rate``: a minute, charged pro rata, or one billing cycle."""
    billing_unit: Annotated[int | None, whole(1, 3_600)] = None
    """Seconds of one increment for rates without ``billing_cycle``. Default: SS_BILLINGUNIT."""
    free_time: Annotated[int | None, whole(0, 3_600)] = None
    """Seconds subtracted before rating. Default: SERVER_BILLING_FREE_TIME."""
    hold_time_precision: Annotated[int | None, whole(0, 999, "ms")] = None
    """A fraction of a second of at least this much is one more second. Default: SERVER_BILLING_HOLD_TIME_PRECISION."""
    fee_precision: Annotated[int | None, whole(0, 8)] = None
    """Decimals of fee and tax; it sets their unit too, where ``fee_unit`` does not. Default: ``currencies``, else
    the parameters. Not for accounts of another currency."""
    fee_unit: Annotated[Decimal | None, step()] = None
    """Smallest step of fee and tax, such as 0.05; not finer than the decimals. Default: as ``fee_precision`` says."""
    fee_rounding: Annotated[Rounding, choice(Rounding)] = Rounding.HALF_UP
    """Rounding of fee and tax."""
    fee_nonzero_floor: Annotated[bool, switch()] = False
    """``yes`` charges one unit for a positive fee that would round to zero."""
    section_cap: Annotated[bool, switch()] = True
    """``no`` lets a call that ends within a section cost more than that section as a whole."""

    notice_days: Annotated[int | None, whole(1, 366)] = None
    """Number of days before an increase that the vendor sends it; imports list those that begin sooner. Default:
    none."""
    period_rates: Annotated[str | None, object_name()] = None
    """Period rates of calls whose trunk, else account, has this as rate group. Those of the account replace them."""
    area_names: Annotated[str | None, object_name("rate_groups")] = None
    """The rate group whose rates name the areas of calls where the rate of this group has none, such as a price list:
    the longest prefix of the called number that has one. Its prices do not matter."""
    derive: DeriveKeys = DeriveKeys()
    origins: tuple[OriginKeys, ...] = ()
    """Other rate groups for the calls of some callers. A caller without valid number, of a kind that no origin names,
    has the dearest rate of the group and all of its origins."""

    def _judge(self) -> None:
        for what, found in (
            ("name", [each.name for each in self.origins]),
            ("prefix", [prefix for each in self.origins for prefix in each.prefixes]),
            ("kind of callers", [kind for each in self.origins for kind in each.callers]),
        ):
            if len(set(found)) < len(found):
                raise KeyProblemError("origins", f"each {what} once")
        if sum(bool(each.areas) for each in self.origins) > 1:
            raise KeyProblemError("origins", "areas in one of them only")

    names_elsewhere: ClassVar[Renamed] = renamed(names_of_vos3000.RATE_GROUP)
    not_built: ClassVar[frozenset[str]] = frozenset({"equivalent_time"})
    apart: ClassVar[Mapping[str, str]] = {
        **TEMPLATE_KEY,
        "rates": f"The rates, up to {RATES_INLINE_MAX} rows.",
        "rates_file": "Instead of ``rates``: a CSV file, relative to the file that names it.",
        "deck": "Instead of ``rates``: ``true`` takes the rates from the deck of this name in the database.",
    }
