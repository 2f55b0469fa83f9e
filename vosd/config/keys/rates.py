"""One row of a rate group, from YAML or CSV, to the rate that calls are charged by (REQ_BILLING section 2)."""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Annotated, ClassVar, Final

from pydantic import model_validator

from vosd.base.money import ZERO
from vosd.billing.rates import Rate
from vosd.config.keys.model import Keys
from vosd.config.reader.fields import (
    FromText,
    KeyProblemError,
    choice,
    line_of_text,
    percent,
    price,
    rate_prefix,
    whole,
)

_INTERVAL: Final = re.compile(r"(\d{1,4})/(\d{1,4})\Z", re.ASCII)
_CYCLE_SECONDS_MAX: Final = 3_600


class PricePer(Enum):
    """What ``billing_rate`` is the price of."""

    MINUTE = "minute"
    CYCLE = "cycle"


class RateType(Enum):
    """Kind of destination (RATE-08)."""

    NET = "net"
    LOCAL = "local"
    DOMESTIC = "domestic"
    INTERNATIONAL = "international"


def _interval() -> FromText:
    def read(text: str) -> tuple[int, int]:
        match = _INTERVAL.match(text)
        if not match:
            raise ValueError
        first, cycle = int(match[1]), int(match[2])
        if not (1 <= first <= _CYCLE_SECONDS_MAX and 1 <= cycle <= _CYCLE_SECONDS_MAX):
            raise ValueError
        return first, cycle

    return FromText(f"first/following seconds, each 1 to {_CYCLE_SECONDS_MAX}, such as 30/6", read)


class RateKeys(Keys):
    """One rate. RATE-36's column names are accepted as well."""

    prefix: Annotated[str, rate_prefix()]
    """Digits that the called number begins with; the longest match wins. ``*`` fits any number."""
    area: Annotated[str, line_of_text(0, 200)] = ""
    """Name of the destination in CDRs and reports."""
    rate_type: Annotated[RateType | None, choice(RateType)] = None
    """net, local, domestic or international."""
    billing_rate: Annotated[Decimal, price()]
    """Price of a minute, or of one cycle where the group says ``price_per: cycle``."""
    billing_cycle: Annotated[int | None, whole(1, _CYCLE_SECONDS_MAX)] = None
    """Seconds of one increment; each begun one is paid. Default: the group's unit, else SS_BILLINGUNIT."""
    interval: Annotated[tuple[int, int] | None, _interval()] = None
    """``30/6``: first 30 s, then every 6 s, pro rata of the minute's price; instead of ``billing_cycle``."""
    first_rate: Annotated[Decimal | None, price()] = None
    """Price of the whole first period (RATE-44)."""
    first_duration: Annotated[int | None, whole(0, 86_400)] = None
    """Seconds of the first period; 0 = none."""
    tax_rate: Annotated[Decimal, percent()] = ZERO
    """Percent on the rounded fee."""
    memo: Annotated[str, line_of_text(0, 1_000)] = ""
    """For people; not kept."""

    not_built: ClassVar[frozenset[str]] = frozenset(
        {
            "area_prefix", "connection_fee", "minimum_charge", "sections", "effective_from", "effective_to",
            "locked",
        }
    )  # fmt: skip
    aliases: ClassVar[Mapping[str, str]] = {
        "rate_prefix": "prefix",
        "area_name": "area",
        "first_time_rate": "first_rate",
        "first_time_duration": "first_duration",
        "section_rates": "sections",
        "effective_time": "effective_from",
        "expire_time": "effective_to",
    }

    @model_validator(mode="after")
    def _increments_agree(self) -> "RateKeys":
        if self.interval is not None and self.billing_cycle is not None:
            raise KeyProblemError("billing_cycle", "either interval or billing_cycle: an interval holds both")
        if self.interval is not None and (self.first_duration is not None or self.first_rate is not None):
            raise KeyProblemError("interval", "either interval or first_rate with first_duration")
        if self.first_rate and not self.first_duration:
            raise KeyProblemError("first_rate", "first_duration beside first_rate, which is its price")
        if self.first_duration and self.first_rate is None:
            raise KeyProblemError("first_duration", "first_rate beside first_duration, or interval instead")
        return self


def compile_rate(row: RateKeys, price_per: PricePer, billing_unit: int) -> Rate:
    """Turn a row into a rate; ``billing_unit`` is what holds where the row has no cycle of its own."""
    first_duration, billing_cycle = row.interval or (row.first_duration or 0, row.billing_cycle or billing_unit)
    return Rate(
        prefix=row.prefix,
        billing_rate=row.billing_rate,
        billing_cycle=billing_cycle,
        per_cycle=price_per is PricePer.CYCLE,
        first_rate=row.first_rate if first_duration else None,
        first_duration=first_duration,
        tax_rate=row.tax_rate,
        area=row.area,
        rate_type=row.rate_type.value if row.rate_type else "",
    )
