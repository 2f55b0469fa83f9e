"""An outage is logged once, and its end once."""

from structlog.testing import capture_logs

from vosd.obs.alarms import KINDS
from vosd.obs.events import BACK, Event
from vosd.obs.outage import REASONS_MAX, Outage

BAD_NEWS = (
    "_AWAY",
    "_DOWN",
    "_OFFLINE",
    "_LOST",
    "_BEGINS",
    "_UNREGISTERED",
    "_OVERRUN",
    "_RESTING",
    "_DAMAGED",
    "_REGRESSED",
)


def told(logs):
    return [(line["log_level"], line["event"], line["part"], line.get("error")) for line in logs]


def test_an_outage_is_logged_at_its_start_change_of_reason_and_end():
    outage = Outage(Event.DATABASE_AWAY, part="booking")
    with capture_logs() as logs:
        outage.over()
        for why in ("no route", "no route", "access denied", "no route"):
            outage.found(why)
        outage.over()
        outage.over()
        outage.found("no route")
    assert told(logs) == [
        ("warning", "database_away", "booking", "no route"),
        ("warning", "database_away", "booking", "access denied"),
        ("info", "database_back", "booking", None),
        ("warning", "database_away", "booking", "no route"),
    ]


def test_reasons_that_are_new_each_time_do_not_fill_the_log():
    outage = Outage(Event.DATABASE_AWAY, part="booking")
    with capture_logs() as logs:
        for number in range(1_000):
            outage.found(f"error {number}")
    assert len(logs) == REASONS_MAX


def test_every_bad_state_has_an_event_for_its_end():
    standing = {event for event, kind in KINDS.items() if kind.stands}
    assert {event for event in Event if event.name.endswith(BAD_NEWS)} - standing <= BACK.keys()
    assert not BACK.keys() & set(BACK.values())
