"""Periods of scheduled reports, and when each is due."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from vosd.traffic.schedule import ReportRhythm, first_period, period_at

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("moment", "rhythm", "since", "until", "due", "name"),
    [
        ("2026-10-24T22:30:00Z", "day", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", "2026-10-26T05:00:00Z",
         "2026-10-25"),  # the day on which summer time ends
        ("2026-03-29T12:00:00Z", "day", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", "2026-03-30T04:00:00Z",
         "2026-03-29"),
        ("2026-10-07T12:00:00Z", "week", "2026-10-04T22:00:00Z", "2026-10-11T22:00:00Z", "2026-10-12T04:00:00Z",
         "2026-W41"),
        ("2026-12-31T22:59:59Z", "month", "2026-11-30T23:00:00Z", "2026-12-31T23:00:00Z", "2027-01-01T05:00:00Z",
         "2026-12"),
    ],
)  # fmt: skip
def test_a_period_is_due_at_the_time_of_the_day_behind_it(
    moment: str, rhythm: str, since: str, until: str, due: str, name: str
) -> None:
    found = period_at(at(moment), ReportRhythm(rhythm), 6 * 3_600, BERLIN)
    assert found == (at(since), at(until), at(due), name)


@given(
    st.integers(946_684_800_000, 3_471_292_800_000), st.sampled_from(ReportRhythm),
    st.integers(0, 86_399), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]),
)  # fmt: skip
def test_periods_follow_each_other_and_have_the_moment(now: int, rhythm: ReportRhythm, at_s: int, name: str) -> None:
    zone = ZoneInfo(name)
    found = period_at(now, rhythm, at_s, zone)
    assert found.since <= now < found.until <= found.due_at
    following = period_at(found.until, rhythm, at_s, zone)
    assert following.since == found.until
    first = first_period(now, rhythm, at_s, zone)
    assert first.due_at > now
    assert first in {found, period_at(found.since - 1, rhythm, at_s, zone)}
