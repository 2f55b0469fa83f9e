"""Use cases of the sums that reports are made of: check them, make them anew, and add calls up."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import msgspec

from vosd.admin.office.office import Office, needs
from vosd.admin.office.principal import Permission, Principal
from vosd.cdr.columns import iso_utc
from vosd.traffic.counted import SLOT_MS


class CheckReports(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Count the calls of a time again, and compare them with the sums."""

    since: int
    until: int


class SumDifferenceSheet(msgspec.Struct, frozen=True):
    """A sum that is not that of its calls."""

    at: str
    """Begin of the quarter of an hour, RFC 3339."""
    of: dict[str, str | int]
    """Names and values that its calls have in common."""
    figure: str
    """The sum that differs."""
    stored: str
    counted: str


class RebuildReports(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Make the sums of a time anew from the calls."""

    since: int
    until: int


class AddUpCalls(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Add the calls up that are not in the sums yet."""


@needs(Permission.BOOKS_SEE)
async def check_reports(
    office: Office, who: Principal, order: CheckReports, report: Callable[[float, int], None] = lambda *_: None
) -> AsyncGenerator[SumDifferenceSheet, None]:
    """Yield each sum of a time that is not that of its calls; ``report`` receives a part of 1 and a count of hours.

    Raises:
        DroppedPeriod: calls of then were dropped.
    """
    traffic = office.stores.traffic
    until = await traffic.reach(order.until)
    async with aclosing(traffic.differences(order.since, until, report)) as differences:
        async for each in differences:
            common = {name: value for name, value in each.key._asdict().items() if value}
            at = iso_utc(each.slot * SLOT_MS)
            yield SumDifferenceSheet(at, common, each.measure, str(each.stored), str(each.counted))


@needs(Permission.BOOKS_SEE)
async def count_not_added(office: Office, who: Principal, order: CheckReports) -> int:
    """Return how many calls of a time are booked and in no sum yet: ``check_reports`` leaves them out."""
    return (await office.stores.traffic.missing(order.since, order.until)).calls


@needs(Permission.BOOKS_CHANGE)
async def rebuild_reports(office: Office, who: Principal, order: RebuildReports) -> AsyncGenerator[str, None]:
    """Make the sums of a time anew, hour by hour; yield the end of what is done, RFC 3339.

    Raises:
        DroppedPeriod: calls of then were dropped.
        StoreUnavailable: try again; what is done stays.
    """
    await office.stores.audit.add(office.audit_line(who, order, "reports"))
    traffic = office.stores.traffic
    async with aclosing(traffic.rebuild(order.since, await traffic.reach(order.until))) as ends:
        async for end in ends:
            yield iso_utc(end)


@needs(Permission.BOOKS_CHANGE)
async def add_up_calls(office: Office, who: Principal, order: AddUpCalls) -> AsyncGenerator[int, None]:
    """Add calls to the sums until all are in them; yield how many were added in all.

    The audit has a line of it where any were missing.

    Raises:
        StoreUnavailable: try again; what is added stays.
    """
    traffic, added = office.stores.traffic, 0
    while some := await traffic.advance():
        if not added:
            await office.noted(None, who, order, "reports")
        added += some
        yield added
    while await traffic.close_day(office.now()):
        yield added
