"""Use case of another switch's call records: rate them with our rates, and compare with what it has charged."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from vosd.admin.difference_sheets import AccountDifference, CallDifference, PrefixDifference, UnreadRow
from vosd.admin.foreign_calls import BadRowError, opened
from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import Permission, Principal
from vosd.admin.shadow_rating import RatedRow, ShadowRating

_REPORTED_EVERY: Final = 1_000
"""Rows between two reports, after which other work gets its turn."""


class RateForeignCalls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of call records and a map of its columns, on the machine of the switch."""

    file: str
    map: str
    price: str | None = None
    """Column with what was charged; None = the map's."""
    top: int = 20
    """Calls and prefixes that are listed."""


class RatedFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Differences between the prices of a file and ours; the sums are those of ``PriceDifferences``."""

    rows: int
    bad_rows: int
    first_bad_rows: list[UnreadRow]
    unpaid_rows: int
    """Rows without account, gateway and charge, such as our own test calls: they are in no sum."""
    compares: bool
    """Whether the file has prices."""
    charges: int
    differ: int
    accounts: list[AccountDifference]
    prefixes: list[PrefixDifference]
    prefixes_differ: int
    greatest: list[CallDifference]


@needs(Permission.BOOKS_SEE)
async def rate_foreign_calls(
    office: Office,
    who: Principal,
    order: RateForeignCalls,
    report: Callable[[float, int], None],
    each: Callable[[RatedRow], None] | None = None,
) -> RatedFile:
    """Rate the rows; nothing is booked. ``report`` receives a part of 1 and a count, ``each`` every row.

    Raises:
        ConfigError: the map or the configuration is invalid.
        ForeignFileError: the file cannot be read, or lacks a column.
    """
    wanted = office.definitions.cdr_map(Path(order.map), order.price)
    rating = ShadowRating(
        office.definitions.catalogue(),
        wanted.side,
        includes_tax=wanted.includes_tax,
        compares=wanted.layout.price is not None,
        most=order.top,
    )
    with opened(Path(order.file), wanted.layout) as calls:
        for line, call in calls.rows():
            if isinstance(call, BadRowError):
                rating.add_bad(line, call)
            else:
                rated = rating.add(line, call)
                if each is not None:
                    each(rated)
            if rating.rows % _REPORTED_EVERY == 0:
                report(calls.part, rating.rows)
                await asyncio.sleep(0)
    return msgspec.convert(rating.to_json(order.top), RatedFile)
