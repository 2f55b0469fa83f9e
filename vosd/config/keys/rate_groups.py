"""``rate_groups[]`` without the rates, which are rows of their own (``rates.py``)."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, ClassVar, Final

from vosd.base.money import Rounding
from vosd.catalogue.source import DEFAULT_CURRENCY
from vosd.config.keys import names_of_vos3000
from vosd.config.keys.rates import PricePer
from vosd.config.reader.amounts import currency_code, step
from vosd.config.reader.fields import choice, object_name, switch, whole
from vosd.config.reader.model import Keys
from vosd.config.reader.renamed import Renamed, renamed

RATES_INLINE_MAX: Final = 1_000


class RateGroupKeys(Keys):
    """A named set of rates in one currency."""

    name: Annotated[str, object_name()]
    """Unique among the rate groups."""
    currency: Annotated[str, currency_code()] = DEFAULT_CURRENCY
    """ISO 4217 code of its prices."""
    price_per: Annotated[PricePer, choice(PricePer)] = PricePer.MINUTE
    """Unit of ``billing_rate``: a minute, charged pro rata, or one billing cycle."""
    billing_unit: Annotated[int | None, whole(1, 3_600)] = None
    """Seconds of one increment for rates without ``billing_cycle``. Default: SS_BILLINGUNIT."""
    free_time: Annotated[int | None, whole(0, 3_600)] = None
    """Seconds subtracted before rating. Default: SERVER_BILLING_FREE_TIME."""
    hold_time_precision: Annotated[int | None, whole(0, 999, "ms")] = None
    """A fraction of a second of at least this much is one more second. Default: SERVER_BILLING_HOLD_TIME_PRECISION."""
    fee_precision: Annotated[int | None, whole(0, 8)] = None
    """Decimals of fee and tax; it sets their unit too, where ``fee_unit`` does not. Default: the parameters."""
    fee_unit: Annotated[Decimal | None, step()] = None
    """Smallest step of fee and tax, such as 0.05; not finer than the decimals. Default: as ``fee_precision`` says."""
    fee_rounding: Annotated[Rounding, choice(Rounding)] = Rounding.HALF_UP
    """How fee and tax are rounded."""
    fee_nonzero_floor: Annotated[bool, switch()] = False
    """``yes`` charges one unit for a positive fee that would round to zero."""
    section_cap: Annotated[bool, switch()] = True
    """``no`` lets a call that ends within a section cost more than that section as a whole."""

    period_rates: Annotated[str | None, object_name()] = None
    """Period rates of accounts that have this as their rate group and name none of their own."""

    names_elsewhere: ClassVar[Renamed] = renamed(names_of_vos3000.RATE_GROUP)
    not_built: ClassVar[frozenset[str]] = frozenset({"equivalent_time", "template"})
    apart: ClassVar[Mapping[str, str]] = {
        "rates": f"The rates, up to {RATES_INLINE_MAX} rows.",
        "rates_file": "Instead of ``rates``: a CSV file, relative to the file that names it.",
        "deck": "Instead of ``rates``: ``true`` takes the rates from the deck of this name in the database.",
    }
