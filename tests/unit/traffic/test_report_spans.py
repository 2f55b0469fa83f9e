"""Spans of reports in zones, and the pieces that they are made of."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, strategies as st

from vosd.traffic.counted import FIVE_MS, SLOT_MS, SLOTS_OF_DAY, band_of, step_of
from vosd.traffic.spans import (
    SPANS_MAX,
    EmptySpan,
    Grouping,
    ReportSpan,
    TooManySpans,
    begin_of,
    days_of,
    pieces_of,
    spans_of,
)

HOUR = 3_600_000
SUMMER_ENDS = 1_792_890_000_000  # 25 October 2026 in Europe
ZONES = ("UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe")


@given(
    st.integers(0, 4_000), st.integers(1, 400), st.sampled_from(sorted({*Grouping} - {Grouping.FIVE_MINUTES})),
    st.sampled_from(ZONES), st.integers(0, 60),
)  # fmt: skip
def test_pieces_are_exactly_the_quarters_of_each_span(first, length, grouping, zone, closed_days):
    begin = SUMMER_ENDS // SLOT_MS + first
    spans = spans_of(begin * SLOT_MS, (begin + length) * SLOT_MS, grouping, ZoneInfo(zone))
    assert [span.since for span in spans[1:]] == [span.until for span in spans[:-1]]
    days_until = (begin // SLOTS_OF_DAY + closed_days - 20) * SLOTS_OF_DAY
    known = zoneinfo_days(zone, begin, begin + length) if closed_days % 2 else set()
    pieces = pieces_of(spans, days_until, known)
    for piece in pieces.zone_days:
        assert piece.first in known
        assert piece.end == piece.first + 1, "a day is kept at its first slot"
    for piece in pieces.days:
        assert piece.first % SLOTS_OF_DAY == piece.end % SLOTS_OF_DAY == 0
        assert piece.end <= days_until
    for number, span in enumerate(spans):
        counted = {}
        whole = [piece._replace(end=piece.first + SLOTS_OF_DAY) for piece in pieces.zone_days]
        for piece in (*pieces.days, *pieces.quarters, *whole):
            for slot in range(piece.first, piece.end):
                counted[slot] = counted.get(slot, 0) + dict(piece.signs).get(number, 0)
        wanted = range(span.since // SLOT_MS, span.until // SLOT_MS)
        assert {slot for slot, count in counted.items() if count} == {*wanted}
        assert {*counted.values()} <= {0, 1}


def zoneinfo_days(zone, first, end):
    return {*days_of(ZoneInfo(zone), first * SLOT_MS, end * SLOT_MS)}


def test_days_of_a_zone_are_those_of_24_hours_that_do_not_begin_as_those_of_utc():
    begin = SUMMER_ENDS // SLOT_MS // SLOTS_OF_DAY * SLOTS_OF_DAY - 2 * SLOTS_OF_DAY
    summer, winter = begin + 88, begin + 92
    found = zoneinfo_days("Europe/Berlin", begin, begin + 6 * SLOTS_OF_DAY)
    assert found == {summer, winter + 2 * SLOTS_OF_DAY, winter + 3 * SLOTS_OF_DAY, winter + 4 * SLOTS_OF_DAY}, (
        "the day of 25 hours is left out"
    )
    assert zoneinfo_days("UTC", begin, begin + 6 * SLOTS_OF_DAY) == set()


@pytest.mark.parametrize(("zone", "now", "begins"), [
    ("Atlantic/Azores", "2026-10-25T01:30Z", {"day": "2026-10-25T00:00Z", "month": "2026-10-01T00:00Z"}),
    ("America/Havana", "2024-11-03T05:30Z", {"day": "2024-11-03T04:00Z", "month": "2024-11-01T04:00Z"}),
])  # fmt: skip
def test_a_day_begins_with_the_first_of_two_hours_after_midnight(zone, now, begins):
    def ms(text):
        return round(datetime.fromisoformat(text).timestamp() * 1_000)

    found = {each: begin_of(Grouping(each), ms(now), ZoneInfo(zone)) for each in begins}
    assert found == {each: ms(begin) for each, begin in begins.items()}


@pytest.mark.parametrize(("since", "begins"), [
    ("2026-10-03T13:30Z", {"00:00+1030": "13:30", "01:00+1030": "14:30", "02:30+1100": "15:30", "03:00+1100": "16:00"}),
    ("2026-04-04T13:00Z", {"00:00+1100": "13:00", "01:00+1100": "14:00", "01:30+1030": "15:00", "02:00+1030": "15:30"}),
])  # fmt: skip
def test_hours_begin_at_a_change_of_the_clock_by_half_an_hour_and_never_before_it(since, begins):
    begin = round(datetime.fromisoformat(since).timestamp() * 1_000)
    spans = spans_of(begin, begin + 3 * HOUR, Grouping.HOUR, ZoneInfo("Australia/Lord_Howe"))
    found = {each.label[11:]: datetime.fromtimestamp(each.since / 1_000, UTC).strftime("%H:%M") for each in spans[:4]}
    assert found == begins


def test_a_month_by_the_day_of_a_zone_is_made_of_its_days_alone():
    zone, since = ZoneInfo("Asia/Kolkata"), 1_790_793_000_000
    spans = spans_of(since, since + 31 * 24 * HOUR, Grouping.DAY, zone)
    pieces = pieces_of(spans, 10**9, {*days_of(zone, since, since + 31 * 24 * HOUR)})
    assert (len(pieces.zone_days), len(pieces.days), len(pieces.quarters)) == (31, 0, 0)


def test_a_day_of_25_hours_is_one_day():
    zone = ZoneInfo("Europe/Berlin")
    begin = spans_of(SUMMER_ENDS - 48 * HOUR, SUMMER_ENDS + 72 * HOUR, Grouping.DAY, zone)
    assert {(span.until - span.since) // HOUR for span in begin[1:-1]} == {24, 25}


def test_a_month_by_the_day_is_made_of_days_and_a_few_quarters():
    zone = ZoneInfo("Europe/Berlin")
    since = 1_790_805_600_000  # 1 October 2026 in Berlin
    spans = spans_of(since, since + 31 * 24 * HOUR + HOUR, Grouping.DAY, zone)
    pieces = pieces_of(spans, 10**9)
    assert len(spans) == len(pieces.days) == 31
    assert sum(piece.end - piece.first for piece in pieces.quarters) <= 32 * 2 * 4, "each hour that moves is read once"


@given(st.integers(0, 400), st.integers(1, 300), st.sampled_from(ZONES))
def test_five_minutes_divide_each_quarter_of_an_hour(first, length, zone):
    begin, end = (SUMMER_ENDS // SLOT_MS + first) * SLOT_MS, (SUMMER_ENDS // SLOT_MS + first + length) * SLOT_MS
    spans = spans_of(begin + 1, end, Grouping.FIVE_MINUTES, ZoneInfo(zone))
    assert [span.since for span in spans] == [*range(begin, end, FIVE_MS)]
    assert {span.until - span.since for span in spans} == {FIVE_MS}
    assert len({span.label for span in spans}) == len(spans)


@pytest.mark.parametrize(
    ("grouping", "labels"),
    [
        (Grouping.HOUR, ["2026-09-30T10:30+0530", "2026-09-30T11:00+0530", "2026-09-30T12:00+0530"]),
        (Grouping.WEEK, ["2026-09-30", "2026-10-05", "2026-10-12"]),
        (Grouping.MONTH, ["2026-09-30", "2026-10", "2026-11"]),
    ],
)
def test_spans_behind_the_first_begin_with_hours_mondays_and_months_of_the_zone(grouping, labels):
    since = round(datetime.fromisoformat("2026-09-30T10:30+05:30").timestamp() * 1_000)
    spans = spans_of(since, since + 60 * 24 * HOUR, grouping, ZoneInfo("Asia/Kolkata"))
    assert [each.label for each in spans[:3]] == [labels[0][: len(spans[0].label)], *labels[1:]]


def test_spans_that_make_no_sense_are_refused():
    with pytest.raises(EmptySpan):
        spans_of(HOUR, HOUR, Grouping.DAY, ZoneInfo("UTC"))
    with pytest.raises(TooManySpans):
        spans_of(0, (SPANS_MAX + 2) * HOUR, Grouping.HOUR, ZoneInfo("UTC"))


def test_quarters_in_which_a_report_begins_and_ends_are_whole():
    assert spans_of(SLOT_MS + 1, 2 * SLOT_MS + 1, Grouping.WHOLE, ZoneInfo("UTC")) == [
        ReportSpan(SLOT_MS, 3 * SLOT_MS, "")
    ]


@pytest.mark.parametrize(
    ("hold_time_s", "band"), [(0, 0), (1, 1), (6, 1), (7, 2), (30, 2), (60, 3), (180, 4), (600, 5), (601, 6)]
)
def test_an_answered_call_is_in_one_band(hold_time_s, band):
    assert band_of(hold_time_s) == band


@pytest.mark.parametrize(
    ("wait_ms", "step"), [(0, 0), (949, 900), (999, 950), (2_999, 2_900), (3_400, 3_000), (99_000, 60_000)]
)
def test_a_wait_is_kept_by_its_step(wait_ms, step):
    assert step_of(wait_ms) == step
