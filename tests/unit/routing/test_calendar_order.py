"""Gateways that are bound to calendars: which of them take a call, and what is said of the others."""

from datetime import UTC, date, datetime

import msgspec
import pytest

from vosd.base.clock import Instant
from vosd.callcontrol.explain import PassedOver, explain_routes
from vosd.callcontrol.live_state import LiveState
from vosd.callcontrol.vendor_terms import LiveVendors
from vosd.routing.calendar import Calendar, Entry
from vosd.routing.pipeline import RouteRequest
from vosd.testing.data.builders import catalogue, phone, routing_gateway

WORK = Entry(True, (0, 1, 2, 3, 4), 9 * 3_600, 18 * 3_600)
CHRISTMAS = date(2026, 12, 25)
CALENDARS = (
    Calendar("office", UTC, (WORK,), frozenset({CHRISTMAS})),
    Calendar("christmas", UTC, (Entry(first=CHRISTMAS, last=CHRISTMAS),)),
    Calendar("daytime", UTC, (Entry(from_s=8 * 3_600, until_s=20 * 3_600),)),
)


def explained(at, *gateways, phones=(), callee="442079460000", blocked=None, **parameters):
    made = catalogue(gateways, phones=phones, calendars=CALENDARS, **parameters)
    live = LiveState(addresses_of=lambda gateway: gateway.addresses)
    live.blocks.called.update(blocked or {})
    wall_ms = round(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1_000)
    request = RouteRequest(callee, "", Instant(60_000, wall_ms))
    return explain_routes(request, made.routes, live.occupancy, live.rests, LiveVendors(made, live))


def tried(*args, **options):
    return [each.routing_gateway for each in explained(*args, **options).candidates]


OFFICE, FESTIVE, DAILY, PLAIN = (
    routing_gateway(name, "44", calendar=name) for name in ("office", "christmas", "daytime", "")
)
PLAIN = msgspec.structs.replace(PLAIN, name="plain", account="plain", calendar=None)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-06-01T10:00", ["office", "plain"]),
        ("2026-06-01T08:30", ["daytime", "plain"]),
        ("2026-06-06T10:00", ["daytime", "plain"]),
        ("2026-06-06T22:00", ["plain"]),
        ("2026-12-25T10:00", ["christmas", "plain"]),
    ],
)
def test_the_closest_calendar_takes_the_calls(at, expected):
    assert tried(at, PLAIN, DAILY, FESTIVE, OFFICE) == expected


def test_each_of_the_others_is_left_with_the_word_and_the_reason():
    left = explained("2026-12-25T10:00", PLAIN, DAILY, FESTIVE, OFFICE).left
    assert {*left} == {
        PassedOver("daytime", "calendar: the calendar of another gateway fits more closely"),
        PassedOver("office", "calendar: office, Friday 2026-12-25 10:00 (UTC): not working by its date"),
    }


def test_the_calendar_comes_before_the_length_of_the_prefix():
    """An order of criteria that begins with the prefix is a plan's."""
    narrow = routing_gateway("narrow", "442079")
    assert tried("2026-06-01T10:00", narrow, OFFICE) == ["office", "narrow"]


def test_with_the_strict_rule_gateways_without_calendar_are_out_while_a_calendar_fits():
    assert tried("2026-06-01T10:00", PLAIN, OFFICE, calendar_strict=True) == ["office"]
    assert tried("2026-06-06T10:00", PLAIN, OFFICE, calendar_strict=True) == ["plain"]
    assert tried("2026-06-06T10:00", PLAIN, calendar_strict=True) == ["plain"]


def test_a_disabled_gateway_takes_the_calls_from_no_other():
    off = msgspec.structs.replace(FESTIVE, enabled=False)
    assert tried("2026-12-25T10:00", DAILY, off, PLAIN) == ["daytime", "plain"]


def test_a_blocked_gateway_takes_the_calls_from_no_other():
    assert tried("2026-12-25T10:00", DAILY, FESTIVE, PLAIN, blocked={"christmas": "by ann"}) == ["daytime", "plain"]


def test_without_calendars_gateways_are_bound_to_none():
    assert tried("2026-06-06T22:00", OFFICE, PLAIN, uses_calendars=False) == ["office", "plain"]


def test_the_offline_gateway_of_a_phone_is_left_out_when_its_calendar_does_not_fit():
    desk = phone("7001", offline_gateway="office")
    any_number = msgspec.structs.replace(OFFICE, allow_unrated=True)
    assert tried("2026-06-01T10:00", any_number, phones=[desk], callee="7001") == ["office"]
    assert tried("2026-06-06T10:00", any_number, phones=[desk], callee="7001") == []
