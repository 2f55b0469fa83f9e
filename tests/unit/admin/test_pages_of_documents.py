"""Which page of a closed month has an invoice or a credit note."""

import pytest

from vosd.admin.month_archive import ClosedMonth, _has

SEPTEMBER, OCTOBER, NOVEMBER = ClosedMonth("2026-09", 10), ClosedMonth("2026-10", 20), ClosedMonth("2026-11", 30)


@pytest.mark.parametrize(
    ("page", "before", "month", "issued_at", "is_on_it"),
    [
        (NOVEMBER, (), "2026-11", 30, True),
        (NOVEMBER, (), "2026-11", 31, False),
        (NOVEMBER, (), "2026-10", 30, False),
        (NOVEMBER, (SEPTEMBER, OCTOBER), "2026-11", 5, True),
        # late documents of closed months, since the last close
        (NOVEMBER, (SEPTEMBER, OCTOBER), "2026-09", 21, True),
        (NOVEMBER, (SEPTEMBER, OCTOBER), "2026-09", 20, False),
        (NOVEMBER, (SEPTEMBER, OCTOBER), "2026-09", 15, False),
        # months before the first closed one, which may never be closed
        (NOVEMBER, (SEPTEMBER, OCTOBER), "2026-08", 21, True),
        (NOVEMBER, (SEPTEMBER, OCTOBER), "2026-08", 15, False),
        # months that are closed later have their documents themselves
        (NOVEMBER, (SEPTEMBER,), "2026-10", 21, False),
        (NOVEMBER, (SEPTEMBER, OCTOBER), "2026-12", 21, False),
        (ClosedMonth("2026-09", 30), (OCTOBER,), "2026-08", 25, False),
    ],
)
def test_a_document_is_on_the_page_of_its_month_or_a_late_one_on_the_next(
    page: ClosedMonth, before: tuple[ClosedMonth, ...], month: str, issued_at: int, is_on_it: bool
) -> None:
    assert _has(page, before, month, issued_at) == is_on_it
