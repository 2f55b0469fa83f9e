"""The map of a call record file of another switch: which column is what.

For ``vosd rate cdr-file --map`` and ``vosd reconcile import --map``.
"""

import re
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from vosd.admin.foreign_calls import DurationUnit, ForeignLayout, StartForm
from vosd.admin.shadow_rating import CdrMap, RatedSide
from vosd.catalogue.problems import ProblemList
from vosd.config.reader.fields import (
    ONE_OR_MANY,
    ExpectedError,
    FromText,
    KeyProblemError,
    Keys,
    choice,
    csv_delimiter,
    line_of_text,
    switch,
)
from vosd.config.reader.includes import read_alone
from vosd.config.reader.reading import read_section
from vosd.config.reader.times import time_zone

_COLUMN: Final = line_of_text(1, 200)
_WORD: Final = line_of_text(1, 64)
_SAMPLE: Final = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)


def _start_form() -> FromText:
    words = {form.value: form for form in StartForm}

    def read(text: str) -> StartForm | str:
        if text in words:
            return words[text]
        if "%" not in text:
            raise ValueError
        try:
            datetime.strptime(_SAMPLE.strftime(text), text)  # noqa: DTZ007 - only whether the format is one
        except re.error:
            raise ExpectedError(f"{expected}, with each directive once") from None
        return text

    expected = f"one of {', '.join(words)}, or a format such as %d.%m.%Y %H:%M:%S"
    return FromText(expected, read)


class ColumnKeys(Keys):
    """Columns by their header, or by their number from 1."""

    callee: Annotated[str, _COLUMN]
    """Called number, as it is rated."""
    start: Annotated[str, _COLUMN]
    """Begin of the call: the rate of that moment holds."""
    duration: Annotated[str, _COLUMN]
    """Answer to end."""
    account: Annotated[str | None, _COLUMN] = None
    gateway: Annotated[str | None, _COLUMN] = None
    """Mapping gateway or phone; with ``side: buy`` the routing gateway."""
    caller: Annotated[str | None, _COLUMN] = None
    price: Annotated[str | None, _COLUMN] = None
    """Column of the charge; ``--diff`` names another column."""
    billed: Annotated[str | None, _COLUMN] = None
    """Column of the billed seconds, in a vendor's file; ``billed_unit`` says another unit."""


class StartOf(Enum):
    """Moment that the start of a call is."""

    ANSWER = "answer"
    INVITE = "invite"


class StartKeys(Keys):
    """Format of times."""

    format: Annotated[StartForm | str, _start_form()] = StartForm.ISO
    zone: Annotated[ZoneInfo, time_zone()] = ZoneInfo("UTC")
    """Zone of times without a zone of their own."""
    of: Annotated[StartOf, choice(StartOf)] = StartOf.ANSWER
    """Moment that a vendor's file has; calls are matched by it."""


class NameKeys(Keys):
    """One name in the file, and ours."""

    theirs: Annotated[str, _COLUMN]
    ours: Annotated[str, _WORD]


class MapKeys(Keys):
    """The map of a file."""

    columns: ColumnKeys
    header: Annotated[bool, switch()] = True
    """``no``: the first line is a call, and columns have numbers."""
    delimiter: Annotated[str | None, csv_delimiter()] = None
    encoding: Annotated[str, _WORD] = "utf-8"
    start: StartKeys = StartKeys()
    duration_unit: Annotated[DurationUnit, choice(DurationUnit)] = DurationUnit.SECONDS
    billed_unit: Annotated[DurationUnit | None, choice(DurationUnit)] = None
    """Unit of the column ``billed``: seconds by default; times with colons are read by themselves."""
    decimal_comma: Annotated[bool, switch()] = False
    strip: Annotated[tuple[Annotated[str, _WORD], ...], ONE_OR_MANY] = ()
    """Beginnings of called numbers that are taken off: the first of the list that fits."""
    strip_ours: Annotated[tuple[Annotated[str, _WORD], ...], ONE_OR_MANY] = ()
    """Beginnings of numbers that were sent to the vendor, such as a routing prefix that its file has not."""
    account: Annotated[str | None, _WORD] = None
    """The account of all calls, where no column says it."""
    accounts: tuple[NameKeys, ...] = ()
    gateways: tuple[NameKeys, ...] = ()
    side: Annotated[RatedSide, choice(RatedSide)] = RatedSide.SELL
    price_includes_tax: Annotated[bool, switch()] = False

    def _judge(self) -> None:
        if self._lacks_payer():
            raise KeyProblemError("account", "an account of all calls, or a column with the account or the gateway")
        # files have either, and a wrong guess would put the whole bill in dispute
        is_open = self.duration_unit in {DurationUnit.MILLISECONDS, DurationUnit.MINUTES} and self.billed_unit is None
        if is_open and self.columns.billed is not None:
            raise KeyProblemError(
                "billed_unit", "the unit of the column billed, as that of the duration is not seconds"
            )

    def _lacks_payer(self) -> bool:
        return self.columns.account is None and self.columns.gateway is None and self.account is None


class BillKeys(MapKeys):
    """The map of a vendor's file, all of whose calls are of that vendor."""

    def _lacks_payer(self) -> bool:
        return False


def read_cdr_map(path: Path, price: str | None = None, vendor: str | None = None) -> CdrMap:
    """Read a map; ``price`` names the column to compare with, whatever the map says.

    With ``vendor`` it is of a file of that account's calls.

    Raises:
        ConfigError: with every mistake that was found.
    """
    problems = ProblemList()
    document = read_alone(path, problems)
    kind = MapKeys if vendor is None else BillKeys
    keys = problems.checked(None if document is None else read_section(kind, document, "", problems))
    columns = keys.columns
    layout = ForeignLayout(
        callee=columns.callee,
        start=columns.start,
        duration=columns.duration,
        account=columns.account if vendor is None else None,
        gateway=columns.gateway,
        caller=columns.caller,
        price=price or columns.price,
        billed=columns.billed,
        has_header=keys.header,
        delimiter=keys.delimiter,
        encoding=keys.encoding,
        start_form=keys.start.format,
        zone=keys.start.zone,
        duration_unit=keys.duration_unit,
        billed_unit=keys.billed_unit or DurationUnit.SECONDS,
        has_decimal_comma=keys.decimal_comma,
        strip=keys.strip,
        all_of=vendor or keys.account,
        accounts={each.theirs: each.ours for each in keys.accounts},
        gateways={each.theirs: each.ours for each in keys.gateways},
    )
    starts_at_invite = keys.start.of is StartOf.INVITE
    return CdrMap(layout, keys.side, keys.price_includes_tax, keys.strip_ours, starts_at_invite)
