"""``period_rates[]``: other rates while a calendar says so."""

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from vosd.base.calendar_use import CalendarUse
from vosd.billing.period_rates import When
from vosd.config.keys import names_of_vos3000
from vosd.config.reader.amounts import factor_up_to
from vosd.config.reader.fields import KeyProblemError, Keys, choice, object_name
from vosd.config.reader.renamed import Renamed, renamed


class PeriodKeys(Keys):
    """One period. Of those that fit, the one by the closest entry of its calendar holds, of the same the first."""

    name: Annotated[str, object_name()]
    """Name in records; unique among the periods."""
    calendar: Annotated[str | None, object_name("calendars")] = None
    """Calendar that says when it is. Default: none, at all times that are in no other period."""
    when: Annotated[When, choice(When)] = When.WORKING
    """``working``: the working time of the calendar; ``rest``: all other times."""
    calendar_use: Annotated[CalendarUse | None, choice(CalendarUse)] = Field(default=None, alias="while")
    """In place of ``when``: ``listed``, while an entry of the calendar or a holiday fits; ``working``, ``not_working``.
    Default: as ``when`` says."""
    rate_group: Annotated[str | None, object_name("rate_groups")] = None
    """Rates of the period; a number that it does not price is priced as in no period."""
    multiplier: Annotated[Decimal | None, factor_up_to()] = None
    """Instead of ``rate_group``: what the prices of the account's rate group are multiplied by."""

    def _judge(self) -> None:
        if (self.rate_group is None) is (self.multiplier is None):
            raise KeyProblemError("rate_group", "either rate_group or multiplier")
        if self.calendar is None and self.when is When.REST:
            raise KeyProblemError("when", "a calendar as well: rest is what is not its working time")
        if self.calendar_use is not None and (self.calendar is None or self.when is When.REST):
            raise KeyProblemError("while", "a calendar as well, and no when")


class PeriodRatesKeys(Keys):
    """Named period rates; accounts and rate groups name them. See docs/billing.md."""

    name: Annotated[str, object_name()]
    """Unique among the period rates."""
    periods: tuple[PeriodKeys, ...] = ()
    """The periods, any number."""

    names_elsewhere: ClassVar[Renamed] = renamed(names_of_vos3000.PERIOD_RATES)

    def _judge(self) -> None:
        names = [each.name for each in self.periods]
        if not names:
            raise KeyProblemError("periods", "at least one period")
        if len(set(names)) < len(names):
            raise KeyProblemError("periods", "each name once")
