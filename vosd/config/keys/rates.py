"""``rates`` of a rate group: the keys of one row, in YAML or CSV."""

import re
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Annotated, ClassVar, Final

from vosd.base.money import ZERO
from vosd.billing.rate_layout import ALWAYS
from vosd.billing.rates import RateType
from vosd.billing.sections import SECTION_SECONDS_MAX, SECTIONS_MAX, RateSection, format_sections, parse_sections
from vosd.config.keys import names_of_vos3000
from vosd.config.reader.amounts import percent, price
from vosd.config.reader.fields import (
    ExpectedError,
    FromText,
    KeyProblemError,
    Keys,
    choice,
    end_of_validity,
    first_instant,
    line_of_text,
    switch,
    whole,
)
from vosd.config.reader.numbers import plain_prefix, rate_prefix
from vosd.config.reader.renamed import Renamed, renamed

_INTERVAL: Final = re.compile(r"(\d{1,4})/(\d{1,4})\Z", re.ASCII)
_CYCLE_SECONDS_MAX: Final = 3_600
_WORDS_OF_SHEETS: Final = {
    "prefix": "code, dial code, destination code",
    "area": "destination, country, name",
    "billing_rate": "rate, price, cost, rate per minute, price per minute, amount",
    "connection_fee": "setup fee, connection charge",
}
"""Headings of vendors' sheets, for the hint beside an unknown key."""


class PricePer(Enum):
    """Unit of ``billing_rate``."""

    MINUTE = "minute"
    CYCLE = "cycle"


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


def _sections() -> FromText:
    def read(text: str) -> tuple[RateSection, ...]:
        try:
            return parse_sections(text)
        except ValueError as error:
            raise ExpectedError(str(error)) from None

    expected = f"at most {SECTIONS_MAX} prices of whole calls and seconds up to {SECTION_SECONDS_MAX}"
    return FromText(f"{expected}, such as 0.10@60;0.18@120", read, format_sections)


class RateKeys(Keys):
    """One rate."""

    prefix: Annotated[str, rate_prefix()]
    """Leading digits of the called number; the longest match wins. ``*`` matches any number."""
    area: Annotated[str, line_of_text(0, 200)] = ""
    """Name of the destination in CDRs and reports."""
    area_prefix: Annotated[str, plain_prefix()] = ""
    """The prefix whose row names the area, for rows without ``area``; where no such row has one, these digits are the
    name."""
    rate_type: Annotated[RateType | None, choice(RateType)] = None
    """net, local, domestic or international."""
    billing_rate: Annotated[Decimal, price()]
    """Price of a minute, or of one cycle where the group says ``price_per: cycle``."""
    billing_cycle: Annotated[int | None, whole(1, _CYCLE_SECONDS_MAX)] = None
    """Seconds of one increment; a started one is charged in full. Default: the group's unit, else SS_BILLINGUNIT."""
    interval: Annotated[tuple[int, int] | None, _interval()] = None
    """``30/6``: first 30 s, then every 6 s, pro rata of the price of a minute; instead of ``billing_cycle``."""
    first_rate: Annotated[Decimal | None, price()] = None
    """Price of the whole first period."""
    first_duration: Annotated[int | None, whole(0, 86_400)] = None
    """Seconds of the first period; 0 = none."""
    tax_rate: Annotated[Decimal, percent()] = ZERO
    """Percent on the rounded fee."""
    connection_fee: Annotated[Decimal, price()] = ZERO
    """Added once to the price of an answered call with billable seconds, before fee and tax are rounded."""
    minimum_charge: Annotated[Decimal, price()] = ZERO
    """The least that such a call costs before tax, connection fee included."""
    sections: Annotated[tuple[RateSection, ...], _sections()] = ()
    """``0.10@60;0.18@120``: a call of 60 s costs 0.10, one of 120 s 0.18 in all. Seconds after the last completed
    section are charged by ``billing_rate``. With sections there is no first period."""
    effective_from: Annotated[int | None, first_instant()] = None
    """When it comes into force; a prefix may have several rows, of which the latest one in force holds. Default: it has
    always been in force."""
    effective_to: Annotated[int | None, end_of_validity()] = None
    """When it ends; a day counts to its last instant."""
    locked: Annotated[bool, switch()] = False
    """``yes`` bars the prefix: calls end with 403, ``No Matching Rate``, and a vendor is not sent them."""
    memo: Annotated[str, line_of_text(0, 1_000)] = ""
    """A comment; not kept."""

    names_elsewhere: ClassVar[Renamed] = {**renamed(_WORDS_OF_SHEETS), **renamed(names_of_vos3000.RATE)}
    aliases: ClassVar[Mapping[str, str]] = {
        "rate_prefix": "prefix",
        "area_name": "area",
        "first_time_rate": "first_rate",
        "first_time_duration": "first_duration",
        "section_rates": "sections",
        "effective_time": "effective_from",
        "expire_time": "effective_to",
    }

    @property
    def window(self) -> tuple[int, int]:
        """From when and until before when it is in force, UTC milliseconds."""
        begins = ALWAYS[0] if self.effective_from is None else self.effective_from
        return begins, ALWAYS[1] if self.effective_to is None else self.effective_to

    def _judge(self) -> None:
        if self.interval is not None and self.billing_cycle is not None:
            raise KeyProblemError("billing_cycle", "either interval or billing_cycle: an interval holds both")
        if self.interval is not None and (self.first_duration is not None or self.first_rate is not None):
            raise KeyProblemError("interval", "either interval or first_rate with first_duration")
        if self.first_rate and self.first_duration is None:
            raise KeyProblemError("first_rate", "first_duration with first_rate, which is its price")
        if self.first_duration and self.first_rate is None:
            raise KeyProblemError("first_duration", "first_rate with first_duration, or interval instead")
        begins, ends = self.window
        if begins >= ends:
            raise KeyProblemError("effective_to", "a time after effective_from")
