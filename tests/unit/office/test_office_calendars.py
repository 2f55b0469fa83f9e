"""Days of calendars in the office: what a form draws before it is saved."""

import threading
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from doubles.data import builders
from doubles.office import agent, office_on, operator

from vosd.admin.office.calendars import CalendarDays, DrawCalendar, draw_calendar
from vosd.admin.office.office import Office
from vosd.admin.office.principal import OperatorsOnlyError, OrderError
from vosd.catalogue.problems import ConfigError
from vosd.routing.calendar import Calendar
from vosd.storage.database import Database

OFFICE = {
    "timezone": "Europe/Berlin",
    "holidays": {"dates": ["2026-12-24"]},
    "entries": [
        {"weekdays": ["mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "18:00"},
        {"working": "no", "from": "22:00", "to": "06:00:30"},
        {"working": "no", "date": "2026-12-23", "from": "12:00", "to": "24:00"},
    ],
}


@pytest.fixture
def office(database: Database, tmp_path: Path):
    return office_on(
        database,
        builders.account("south"),
        builders.account("shop", agent="south"),
        now=0,
        socket=tmp_path / "vosd.sock",
    )


async def drawn(office: Office, keys: object, first: str = "2026-12-23", days: int = 2, who=None) -> CalendarDays:
    order = DrawCalendar(name="office", keys=keys, first=first, days=days)
    return await draw_calendar(office, who or operator(), order)


async def test_days_are_drawn_with_what_decides_in_them(office):
    found = await drawn(office, OFFICE)
    assert found.timezone == "Europe/Berlin"
    assert [(each.date, each.weekday, each.holiday) for each in found.days] == [
        ("2026-12-23", "wed", False),
        ("2026-12-24", "thu", True),
    ]
    wednesday, christmas = found.days
    assert [(each.begins, each.ends, each.working, each.decided_by) for each in wednesday.spans] == [
        ("00:00", "06:00:30", False, "time"),
        ("06:00:30", "09:00", False, "default"),
        ("09:00", "12:00", True, "weekday"),
        ("12:00", "24:00", False, "date"),
    ]
    assert [each.used for each in wednesday.spans] == [False, False, True, False]
    assert [(each.begins, each.ends, each.decided_by) for each in christmas.spans] == [("00:00", "24:00", "date")]


async def test_mistakes_are_at_their_keys_and_show_no_variable_of_the_environment(office, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SWITCH", "hunter-2")
    with pytest.raises(ConfigError) as refused:
        await drawn(office, {"timezone": "${SECRET_OF_THE_SWITCH}", "entries": [{"from": "09:00"}]})
    assert "hunter-2" not in str(refused.value)
    assert "calendars[office].entries[0]" in str(refused.value)
    with pytest.raises(ConfigError, match="entries"):
        await drawn(office, {"entries": [Decimal("1.5")]})
    with pytest.raises(OrderError, match="expected a day"):
        await drawn(office, OFFICE, first="tomorrow")
    with pytest.raises(OrderError, match="expected a day"):
        await drawn(office, OFFICE, first="9999-12-31")


async def test_agents_draw_none(office):
    with pytest.raises(OperatorsOnlyError):
        await drawn(office, OFFICE, who=agent("south"))


async def test_a_calendar_of_many_entries_is_not_drawn_and_no_other_request_waits_for_one(office, monkeypatch):
    threads = []
    spans = Calendar.spans

    def noted(calendar: Calendar, day: date):
        threads.append(threading.current_thread())
        return spans(calendar, day)

    monkeypatch.setattr(Calendar, "spans", noted)
    entry = {"from": "09:00", "to": "18:00"}
    with pytest.raises(OrderError, match="501 entries"):
        await drawn(office, {"entries": [entry] * 501})
    assert threads == []
    assert len((await drawn(office, {"entries": [entry] * 500})).days) == 2
    assert len(threads) == 2
    assert threading.main_thread() not in threads
