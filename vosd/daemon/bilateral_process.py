"""Process that compares our calls with those of partners' switches, once: started for every five minutes.

``vosd.processes.entry vosd.daemon.bilateral_process CHANNEL``. A partner that does not answer concerns no other one.
"""

import asyncio

import msgspec

from vosd.admin.partner_totals import Partner, PartnerOutcome, compared_with
from vosd.daemon.daily import carry_out
from vosd.engine.host_names import HostNames
from vosd.storage.bilateral import SqlEndedCalls
from vosd.storage.database import Database


class BilateralOrder(msgspec.Struct, frozen=True):
    """Order to compare a span with each partner; UTC milliseconds."""

    database: str
    since: int
    until: int
    partners: tuple[Partner, ...]


class BilateralOutcome(msgspec.Struct, frozen=True):
    """Result of all partners."""

    partners: tuple[PartnerOutcome, ...]


def main() -> None:
    """Do what the switch orders."""
    carry_out(BilateralOrder, compare_all)


async def compare_all(order: BilateralOrder) -> BilateralOutcome:
    """Compare a span with every partner, all at the same time."""
    names = HostNames(len(order.partners), "names of partners")
    async with Database(order.database, was_used=lambda: True) as database:
        calls = SqlEndedCalls(database)
        compared = (compared_with(each, calls, names, order.since, order.until) for each in order.partners)
        return BilateralOutcome(tuple(await asyncio.gather(*compared)))
