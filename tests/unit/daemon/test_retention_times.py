"""When old records are dropped: once a day at the time of a zone, in summer and in winter."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from vosd.daemon.daily import next_run

BERLIN = ZoneInfo("Europe/Berlin")
HALF_PAST_TWO = 2 * 3_600 + 1_800


def at(text):
    return round(datetime.fromisoformat(text).timestamp() * 1_000)


@pytest.mark.parametrize(
    ("after", "zone", "expected"),
    [
        ("2026-11-21T00:00:00Z", UTC, "2026-11-21T02:30:00Z"),
        ("2026-11-21T02:30:00Z", UTC, "2026-11-22T02:30:00Z"),
        ("2026-11-21T02:29:59Z", UTC, "2026-11-21T02:30:00Z"),
        ("2026-07-01T00:00:00Z", BERLIN, "2026-07-01T00:30:00Z"),
        ("2026-12-31T23:30:00Z", BERLIN, "2027-01-01T01:30:00Z"),
        ("2026-03-28T12:00:00Z", BERLIN, "2026-03-29T01:30:00Z"),  # that day has no half past two
        ("2026-10-24T12:00:00Z", BERLIN, "2026-10-25T00:30:00Z"),  # that day has two
        ("2026-10-25T00:30:00Z", BERLIN, "2026-10-26T01:30:00Z"),
    ],
)
def test_the_next_run_is_at_the_time_of_the_zone(after, zone, expected):
    assert next_run(at(after), HALF_PAST_TWO, zone) == at(expected)
