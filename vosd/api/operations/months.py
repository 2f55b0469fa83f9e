"""Operation about the end of a month."""

import re
from http import HTTPStatus
from typing import Final

import msgspec

from vosd.admin.ledger import Month
from vosd.admin.office.jobs import JobKind
from vosd.admin.office.months import ClosedMonthSheet, CloseMonth, CloseTerms, close_month
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OrderError, Principal
from vosd.api.job import Long, Work
from vosd.api.operation import Operation
from vosd.api.operations.jobs import never

_MONTH: Final = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")


def month_of(text: str) -> Month:
    """Return a month of a path.

    Raises:
        OrderError: it is none.
    """
    found = _MONTH.fullmatch(text)
    if found is None or found[1] in {"0000", "9999"}:
        raise OrderError("month", f"{text!r} is no month", "write 2026-03")
    return Month(int(found[1]), int(found[2]))


class CloseOneMonth(CloseTerms, frozen=True, kw_only=True):
    """Order to close a month."""

    month: str
    """Such as ``2026-10``."""

    def __post_init__(self) -> None:
        self.order()

    def order(self) -> CloseMonth:
        """Return the order of the office."""
        return CloseMonth(**msgspec.structs.asdict(self) | {"month": month_of(self.month)})


async def close(office: Office, who: Principal, order: CloseOneMonth, work: Work) -> ClosedMonthSheet:
    """Close the month, or say what is missing."""
    return await close_month(office, who, order.order(), lambda part, _calls: work.progress(part))


OPERATIONS: Final = (
    Operation(
        "POST /months/{month}/close",
        "Job: close a month with a page for the auditor, once; `dry_run` says what is missing before.",
        never,
        use_case=close_month,
        takes=CloseOneMonth,
        status=HTTPStatus.ACCEPTED,
        long=Long(JobKind.MONTH_CLOSE, close, is_always=True, subject="month"),
    ),
)
