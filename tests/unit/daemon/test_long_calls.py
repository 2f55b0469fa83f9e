"""The calls that last longer than the limit of the alarm: by the length of the talk, and by what the account wants."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from doubles.data.builders import account, catalogue, mapping_gateway
from doubles.virtual.customer import Intent
from doubles.virtual.scene import CUSTOMER, Scene, vendor_gateway

from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.billing.accounts import LongCallAlarm
from vosd.daemon.alarms import SwitchMeasures
from vosd.routing.calendar import Calendar, CalendarEntry

OFFICE = Calendar("office", UTC, (CalendarEntry(True, (), 9 * 3_600, 18 * 3_600),))
BY_DAY, BY_NIGHT = "2026-06-01T10:00", "2026-06-01T22:00"


def measured(at: str, **terms):
    """Return the measures of a switch at a moment, with a call that was answered 60 s before."""
    acme = account("acme", overdraft_limit=None, **terms)
    gateways = [mapping_gateway("acme", f"{CUSTOMER.host}/32"), vendor_gateway(0)]
    scene = Scene(catalogue(gateways, accounts=[acme], calendars=[OFFICE]))
    scene.talk(Intent(hang_up_after_ms=3_600_000))
    switch = scene.exchange.switch
    (call,) = switch.calls()
    answered_at = call.call.journey.answered_at
    wall_ms = round(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1_000)
    clock = SimpleNamespace(now=lambda: Instant(answered_at.mono + 60_000, wall_ms))
    return SwitchMeasures(SimpleNamespace(switch=switch), clock, dict, dict, ())


@pytest.mark.parametrize(("limit_s", "count"), [(59, 1), (60, 1), (61, 0)])
def test_a_call_is_long_by_its_talk(limit_s, count):
    assert len([*measured(BY_DAY).long_calls(limit_s)]) == count


@pytest.mark.parametrize(
    ("alarm", "calendar", "by_day", "by_night"),
    [
        (LongCallAlarm.YES, "office", 1, 1),
        (LongCallAlarm.NO, "office", 0, 0),
        (LongCallAlarm.OUTSIDE_WORKING_HOURS, "office", 0, 1),
        (LongCallAlarm.OUTSIDE_WORKING_HOURS, None, 1, 1),
    ],
)
def test_long_calls_of_an_account_are_reported_when_it_wants_that(alarm, calendar, by_day, by_night):
    terms = {"long_call_alarm": alarm, "calendar": calendar}
    found = [len([*measured(at, **terms).long_calls(30)]) for at in (BY_DAY, BY_NIGHT)]
    assert found == [by_day, by_night]


def test_a_reload_says_whether_a_call_that_lasts_for_long_already_is_reported():
    measures = measured(BY_DAY)
    assert len([*measures.long_calls(30)]) == 1
    acme = account("acme", overdraft_limit=None, long_call_alarm=LongCallAlarm.NO)
    measures._service.switch.terms.swap(catalogue([], accounts=[acme]))
    assert [*measures.long_calls(30)] == []
    measures._service.switch.terms.swap(catalogue([], accounts=[]))
    assert len([*measures.long_calls(30)]) == 1, "as the account was that is gone"


def test_a_call_that_ends_while_others_are_looked_at_is_left_out():
    scene = Scene(balance="1000")
    for _ in range(3):
        scene.talk(Intent(hang_up_after_ms=3_600_000))
    switch, now = scene.exchange.switch, scene.exchange.clock.now()
    first, second, third = switch.calls()
    later = SimpleNamespace(now=lambda: Instant(now.mono + 60_000, now.wall + 60_000))
    found = SwitchMeasures(SimpleNamespace(switch=switch), later, dict, dict, ()).long_calls(30)
    assert next(found).call_id == first.call_id
    switch.end_calls([second], EndReason.ADMINISTRATIVE, now)
    assert [each.call_id for each in found] == [third.call_id]
