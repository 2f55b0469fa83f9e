"""Calendars: kinds of entries, precedence, edges, midnight, holidays, daylight saving in both directions."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from vosd.routing.calendar import DAY_S, Calendar, CalendarEntry, CalendarStanding, Tier

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
WORKDAYS = (0, 1, 2, 3, 4)


def hours(start, end, **more):
    """Make an entry of hours, given as 9 or 9.5."""
    return CalendarEntry(from_s=round(3_600 * start), until_s=round(3_600 * end), **more)


def on(text, **more):
    return CalendarEntry(first=date.fromisoformat(text), last=date.fromisoformat(text), **more)


def during(first, last, **more):
    return CalendarEntry(first=date.fromisoformat(first), last=date.fromisoformat(last), **more)


def calendar(*entries, zone=UTC, holidays=()):
    return Calendar("any", zone, entries, frozenset(map(date.fromisoformat, holidays)))


def ms(text, zone=UTC):
    return ms_of(datetime.fromisoformat(text).replace(tzinfo=zone))


def fits(each, text, zone=UTC):
    return each.standing(ms(text, zone)).fits


OFFICE = calendar(hours(9, 18, weekdays=WORKDAYS))


def test_hours_begin_at_their_first_second_and_end_before_their_last():
    assert not fits(OFFICE, "2026-06-01T08:59:59.999")
    assert fits(OFFICE, "2026-06-01T09:00:00")
    assert fits(OFFICE, "2026-06-01T17:59:59.999")
    assert not fits(OFFICE, "2026-06-01T18:00:00")
    assert not fits(OFFICE, "2026-06-06T10:00:00"), "a Saturday"


def test_behind_midnight_the_new_day_is_the_week_day():
    friday_night = calendar(hours(18, 9, weekdays=(4,)))
    assert fits(friday_night, "2026-06-05T08:00:00"), "early on Friday"
    assert fits(friday_night, "2026-06-05T23:59:59")
    assert not fits(friday_night, "2026-06-06T00:00:00"), "that is Saturday"


def test_hours_until_midnight_end_with_the_day():
    evening = calendar(hours(18, 0))
    assert fits(evening, "2026-06-05T23:59:59.999")
    assert not fits(evening, "2026-06-06T00:00:00")


def test_edges_may_have_seconds():
    precise = calendar(CalendarEntry(from_s=9 * 3_600 + 30, until_s=9 * 3_600 + 45))
    found = [fits(precise, f"2026-06-01T09:00:{second}") for second in ("29.999", "30.000", "44.999", "45.000")]
    assert found == [False, True, True, False]
    half = calendar(CalendarEntry(from_s=9 * 3_600 + 30, until_s=10 * 3_600))
    assert [fits(half, f"2026-06-01T09:00:{second}") for second in ("29.999", "30.000")] == [False, True]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-12-25T10:00", CalendarStanding(Tier.DATE, is_working=False, fits=False)),
        ("2026-12-22T10:00", CalendarStanding(Tier.DATES, is_working=True, fits=True)),
        ("2026-12-02T03:00", CalendarStanding(Tier.WEEKDAY, is_working=False, fits=False)),
        ("2026-12-01T03:00", CalendarStanding(Tier.TIME, is_working=True, fits=True)),
        ("2026-12-01T05:00", CalendarStanding(Tier.DEFAULT, is_working=False, fits=False)),
    ],
)
def test_the_closest_kind_of_entry_decides(at, expected):
    every_kind = calendar(
        hours(2, 4), hours(0, 24, weekdays=(2,), is_working=False), during("2026-12-20", "2026-12-31"),
        on("2026-12-25", is_working=False),
    )  # fmt: skip
    assert every_kind.standing(ms(at)) == expected


def test_of_two_entries_of_a_kind_the_one_that_is_not_working_wins():
    lunch = hours(12, 13, weekdays=WORKDAYS, is_working=False)
    work = hours(9, 18, weekdays=WORKDAYS)
    for entries in ((lunch, work), (work, lunch)):
        each = calendar(*entries)
        assert [fits(each, f"2026-06-01T{hour}:30") for hour in (11, 12, 13)] == [True, False, True]


def test_a_range_of_dates_may_have_hours_and_week_days():
    fair = calendar(during("2026-06-01", "2026-06-14", weekdays=(5,), from_s=0, until_s=DAY_S // 2))
    found = {at: fits(fair, at) for at in ("2026-06-06T11:59", "2026-06-06T12:00", "2026-06-07T11:59", "2026-06-20T11")}
    assert [*found.values()] == [True, False, False, False]


def test_a_calendar_of_times_that_are_not_working_is_used_at_these_times():
    """As one for nights and week-ends, to which the gateway for them is bound."""
    nights = calendar(hours(18, 9, is_working=False), holidays=["2026-06-02"])
    assert fits(nights, "2026-06-01T20:00")
    assert not fits(nights, "2026-06-01T12:00")
    assert nights.standing(ms("2026-06-01T12:00")).is_working, "what is not listed is the opposite"
    assert fits(nights, "2026-06-02T12:00"), "a holiday is one of these times"
    assert nights.tier(ms("2026-06-02T12:00")) is Tier.DATE


def test_holidays_are_whole_days_that_are_not_working():
    each = calendar(*OFFICE.entries, holidays=["2026-06-01"])
    assert each.standing(ms("2026-06-01T10:00")) == CalendarStanding(Tier.DATE, is_working=False, fits=False)
    assert fits(each, "2026-06-02T10:00")


def test_an_entry_for_a_date_wins_over_a_holiday():
    open_sunday = on("2026-10-04", from_s=13 * 3_600, until_s=18 * 3_600)
    each = calendar(*OFFICE.entries, open_sunday, holidays=["2026-10-04"])
    assert fits(each, "2026-10-04T13:00")
    assert not fits(each, "2026-10-04T12:59")


def test_a_holiday_wins_over_a_range_of_dates():
    each = calendar(during("2026-12-20", "2026-12-31"), holidays=["2026-12-25"])
    assert not fits(each, "2026-12-25T10:00")
    assert fits(each, "2026-12-26T10:00")


def test_a_calendar_of_holidays_alone_is_used_on_them():
    each = calendar(holidays=["2026-06-01"])
    assert each.tier(ms("2026-06-01T10:00")) is Tier.DATE
    assert each.tier(ms("2026-06-02T10:00")) is None


def test_a_date_is_that_of_the_zone():
    there = calendar(on("2026-06-01"), zone=NEW_YORK)
    assert not fits(there, "2026-06-01T03:59:59"), "still May in New York"
    assert fits(there, "2026-06-01T04:00:00")
    assert fits(there, "2026-06-02T03:59:59")


# -- daylight saving ------------------------------------------------------------------------------------------------


def used_minutes(each, first, days, zone):
    """Return the minutes (UTC) in which a calendar fits, of so many days of a zone."""
    day = date.fromisoformat(first)
    began, end = (datetime(each.year, each.month, each.day, tzinfo=zone) for each in (day, day + timedelta(days=days)))
    minutes = range(ms_of(began), ms_of(end), 60_000)
    return [datetime.fromtimestamp(at_ms / 1_000, UTC) for at_ms in minutes if each.standing(at_ms).fits]


def ms_of(moment):
    return round(moment.timestamp() * 1_000)


def runs_of(each, day, zone):
    """Return the first and last UTC minute of each run of minutes of a day in which a calendar fits."""
    runs = []
    for moment in used_minutes(each, day, 1, zone):
        if runs and moment - runs[-1][1] == timedelta(minutes=1):
            runs[-1][1] = moment
        else:
            runs.append([moment, moment])
    return [(f"{first:%H:%M}", f"{last:%H:%M}") for first, last in runs]


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        # 02:00 becomes 03:00: the window 01:30-04:30 has lost an hour, and is without a gap.
        (BERLIN, "2026-03-29", [("00:30", "02:29")]),
        (NEW_YORK, "2026-03-08", [("06:30", "08:29")]),
        # 03:00 becomes 02:00: an hour more. In New York 02:00 becomes 01:00, which is outside of the window again.
        (BERLIN, "2026-10-25", [("23:30", "03:29")]),
        (NEW_YORK, "2026-11-01", [("05:30", "05:59"), ("06:30", "09:29")]),
    ],
)
def test_a_window_around_the_change_is_an_hour_shorter_or_longer(zone, day, expected):
    assert runs_of(calendar(hours(1.5, 4.5, weekdays=(6,)), zone=zone), day, zone) == expected


@pytest.mark.parametrize(("zone", "day"), [(BERLIN, "2026-03-29"), (NEW_YORK, "2026-03-08")])
def test_a_window_within_the_missing_hour_does_not_come(zone, day):
    assert runs_of(calendar(hours(2, 3), zone=zone), day, zone) == []


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [(BERLIN, "2026-10-25", [("00:00", "01:59")]), (NEW_YORK, "2026-11-01", [("05:00", "06:59")])],
)
def test_a_window_of_the_doubled_hour_comes_for_both(zone, day, expected):
    start = 2 if zone is BERLIN else 1
    assert runs_of(calendar(hours(start, start + 1), zone=zone), day, zone) == expected


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        (BERLIN, "2026-10-25", [("23:00", "00:29"), ("01:00", "01:29")]),
        (NEW_YORK, "2026-11-01", [("04:00", "05:29"), ("06:00", "06:29")]),
    ],
)
def test_a_window_that_ends_in_the_doubled_hour_ends_twice(zone, day, expected):
    """The clock on the wall decides: at 02:30 it ends, and at the second 02:00 it is before 02:30 again."""
    start = 1 if zone is BERLIN else 0
    assert runs_of(calendar(hours(start, start + 1.5), zone=zone), day, zone) == expected


@pytest.mark.parametrize(
    ("zone", "day", "length"),
    [
        (BERLIN, "2026-03-29", 23),
        (BERLIN, "2026-10-25", 25),
        (NEW_YORK, "2026-03-08", 23),
        (NEW_YORK, "2026-11-01", 25),
    ],
)
def test_a_whole_day_has_the_hours_that_it_has(zone, day, length):
    before = (date.fromisoformat(day) - timedelta(days=1)).isoformat()
    assert len(used_minutes(calendar(on(day), zone=zone), before, 3, zone)) == 60 * length


# -- against a plain model ------------------------------------------------------------------------------------------

ENTRIES = st.builds(
    lambda working, days, start, end, span: CalendarEntry(
        working, tuple(sorted(days)), start, end if end != start else DAY_S, *span
    ),
    st.booleans(),
    st.frozensets(st.integers(0, 6), max_size=4),
    st.integers(0, 23).map(lambda hour: 3_600 * hour),
    st.sampled_from([0, 3_600, 7_200 + 1, 12 * 3_600, DAY_S]),
    st.one_of(
        st.just((None, None)),
        st.tuples(st.integers(1, 14), st.integers(0, 3)).map(
            lambda pair: (date(2026, 3, 20 + pair[0] // 2), date(2026, 3, 20 + pair[0] // 2 + pair[1]))
        ),
    ),
)


def expected_of(each, moment):
    """Look at every entry, as the rules say it in words."""
    second = moment.hour * 3_600 + moment.minute * 60 + moment.second
    found = []
    for entry in each.entries:
        inside = (
            entry.from_s <= second < entry.until_s
            if entry.until_s > entry.from_s
            else not entry.until_s <= second < entry.from_s
        )
        on_day = not entry.weekdays or moment.weekday() in entry.weekdays
        in_dates = entry.first is None or entry.first <= moment.date() <= entry.last
        if inside and on_day and in_dates:
            found.append((entry.tier, entry.is_working))
    if moment.date() in each.holidays and not any(tier is Tier.DATE for tier, _ in found):
        found.append((Tier.DATE, False))
    opens = any(entry.is_working for entry in each.entries)
    if not found:
        return CalendarStanding(Tier.DEFAULT, not opens, fits=False)
    tier, is_working = min(found)
    return CalendarStanding(tier, is_working, is_working or not opens)


@given(
    st.lists(ENTRIES, max_size=5),
    st.frozensets(st.integers(20, 31).map(lambda day: date(2026, 3, day)), max_size=2),
    st.lists(st.integers(0, 12 * DAY_S), min_size=1, max_size=20),
)
def test_the_answer_is_that_of_the_rules_whatever_was_asked_before(entries, holidays, seconds):
    each = Calendar("any", BERLIN, tuple(entries), holidays)
    began = ms("2026-03-20T00:00", BERLIN)
    for at_ms in (began + 1_000 * second for second in seconds):
        assert each.standing(at_ms) == expected_of(each, datetime.fromtimestamp(at_ms / 1_000, BERLIN))


@given(
    st.lists(ENTRIES, max_size=5),
    st.frozensets(st.integers(20, 31).map(lambda day: date(2026, 3, day)), max_size=2),
    st.integers(20, 31),
)
def test_the_parts_of_a_day_are_whole_and_say_what_holds_in_them(entries, holidays, number):
    each = Calendar("any", UTC, tuple(entries), holidays)
    spans = each.spans(date(2026, 3, number))
    assert [spans[0].from_s, *(span.until_s for span in spans)] == [*(span.from_s for span in spans), DAY_S]
    assert all(one.standing != other.standing for one, other in pairwise(spans))
    midnight = datetime(2026, 3, number, tzinfo=UTC)
    for span in spans:
        for second in (span.from_s, (span.from_s + span.until_s) // 2, span.until_s - 1):
            assert span.standing == expected_of(each, midnight + timedelta(seconds=second))


@pytest.mark.parametrize(
    ("today", "is_ahead"),
    [("2026-12-24", True), ("2026-12-25", True), ("2026-12-26", False), ("2025-12-25", True), ("2025-12-24", False)],
)
def test_holidays_are_known_ahead_for_twelve_months_however_they_are_written(today, is_ahead):
    past, day = "2024-12-25", "2026-12-25"
    off = {"is_working": False}
    for known in (
        calendar(hours(9, 18, weekdays=WORKDAYS), holidays=(past, day)),
        calendar(hours(9, 18, weekdays=WORKDAYS), on(past, **off), on(day, **off)),
        calendar(on(past, **off), holidays=(day,)),
        calendar(on(past, **off), during(day, day, **off)),
    ):
        assert known.has_holidays_ahead(ms(f"{today}T12:00")) is is_ahead


def test_a_range_of_days_off_is_ahead_until_its_last_one():
    closed = calendar(on("2024-12-25", is_working=False), during("2026-12-24", "2027-01-02", is_working=False))
    found = [
        closed.has_holidays_ahead(ms(f"{day}T12:00"))
        for day in ("2025-12-23", "2025-12-24", "2027-01-02", "2027-01-03")
    ]
    assert found == [False, True, True, False]


@pytest.mark.parametrize(
    "entries",
    [
        [on("2024-12-25")] * 2,
        [on("2024-12-25", is_working=False)],
        [on("2024-12-25", is_working=False, weekdays=(2,))] * 2,
        [hours(9, 12, is_working=False)] * 2,
        [hours(0, 24, is_working=False)] * 2,
        [hours(0, 12, is_working=False, first=date(2024, 1, 1))] * 2,
    ],
)
def test_entries_that_are_no_holidays_need_none_ahead(entries):
    """A single day is none by itself, two are."""
    assert calendar(*entries).has_holidays_ahead(ms("2026-12-26T12:00"))
