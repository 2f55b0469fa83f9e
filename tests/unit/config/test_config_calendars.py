"""The section ``calendars``: forms of entries, holidays, zones, and what is refused."""

import subprocess
import sys
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from vosd.config.excerpt import Excerpt
from vosd.config.reader.times import machine_zone
from vosd.routing.calendar import DAY_S, CalendarEntry

BUSINESS = """
    - name: business
      timezone: Europe/Berlin
      holidays: {country: DE, subdivision: BE, dates: ["2026-12-24"]}
      entries:
        - {working: true, weekdays: [mon, tue, wed, thu, fri], from: "09:00", to: "18:00"}
        - {working: false, date: "2026-12-31"}
        - {dates: "2026-08-01..2026-08-14", from: 22:00:30, to: 06:00}
"""


def calendars_of(site, text):
    return site.load(f"{site.minimal}calendars:{text}").catalogue.calendars


def errors(site, text):
    return site.errors(f"{site.minimal}calendars:\n  {text}\n")


def test_a_calendar_is_read(site):
    business = calendars_of(site, BUSINESS)["business"]
    assert str(business.zone) == "Europe/Berlin"
    assert business.entries == (
        CalendarEntry(True, (0, 1, 2, 3, 4), 9 * 3_600, 18 * 3_600),
        CalendarEntry(False, first=date(2026, 12, 31), last=date(2026, 12, 31)),
        CalendarEntry(True, (), 22 * 3_600 + 30, 6 * 3_600, date(2026, 8, 1), date(2026, 8, 14)),
    )
    assert {date(2026, 12, 24), date(2026, 3, 8), date(2060, 12, 25)} <= business.holidays, "8 March: in Berlin"
    assert date(2026, 6, 17) not in business.holidays


@pytest.mark.parametrize(("written", "until_s"), [("23:59:59", DAY_S), ("24:00", DAY_S), ("23:59", DAY_S - 60)])
def test_hours_may_end_with_the_day(site, written, until_s):
    night = calendars_of(site, f'\n  - {{name: night, entries: [{{from: "22:00", to: "{written}"}}]}}\n')["night"]
    assert night.entries[0].until_s == until_s


def test_a_calendar_without_zone_has_that_of_the_machine(site):
    text = "\n  - {name: here, entries: [{weekdays: mon}]}\n"
    site.environ = {"TZ": "America/New_York"}
    assert str(calendars_of(site, text)["here"].zone) == "America/New_York"
    site.environ = {"TZ": "EST5EDT4"}
    assert errors(site, "- {name: here, entries: [{weekdays: mon}]}") == [
        (
            "vosd.yaml:12: calendars[here].timezone: "
            "expected this key: the zone of the machine, TZ=EST5EDT4, is not in the zone database"
        )
    ]


def test_the_zone_of_the_machine_is_that_of_its_file(tmp_path):
    link, copy = tmp_path / "link", tmp_path / "copy"
    zone = Path("/usr/share/zoneinfo/Asia/Dhaka")
    link.symlink_to(zone)
    copy.write_bytes(zone.read_bytes())
    assert machine_zone("", link) is ZoneInfo("Asia/Dhaka")
    assert machine_zone(":Asia/Dhaka", link) is ZoneInfo("Asia/Dhaka")
    found = machine_zone("", copy)
    assert found is not None
    assert found.utcoffset(None) == ZoneInfo("Asia/Dhaka").utcoffset(None)
    assert machine_zone("", tmp_path / "none") is ZoneInfo("UTC")


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ("- {name: a}", "12: calendars[a].entries: expected at least one entry or holiday"),
        (
            "- {name: a, entries: [{weekdays: [mon, sunday]}]}",
            (
                "12: calendars[a].entries[0].weekdays[1]: value 'sunday': "
                "expected one of mon, tue, wed, thu, fri, sat, sun"
            ),
        ),
        (
            "- {name: a, entries: [{from: '9', to: '18:00'}]}",
            "12: calendars[a].entries[0].from: value '9': expected a time such as 09:00 or 09:00:30",
        ),
        (
            "- {name: a, entries: [{from: '09:00'}]}",
            "12: calendars[a].entries[0].from: value '09:00': expected to as well",
        ),
        (
            "- {name: a, entries: [{from: '09:00', to: '09:00'}]}",
            (
                "12: calendars[a].entries[0].to: value '09:00': "
                "expected another time than from; the whole day is 00:00 to 24:00"
            ),
        ),
        (
            "- {name: a, entries: [{date: 2026-02-29}]}",
            "12: calendars[a].entries[0].date: value '2026-02-29': expected a date such as 2026-12-31",
        ),
        (
            "- {name: a, entries: [{dates: 2026-02-03..2026-02-01}]}",
            (
                "12: calendars[a].entries[0].dates: value '2026-02-03..2026-02-01': "
                "expected two dates, the earlier first, such as 2026-08-01..2026-08-14"
            ),
        ),
        (
            "- {name: a, entries: [{date: 2026-02-03, dates: 2026-02-01..2026-02-03}]}",
            "12: calendars[a].entries[0].dates: value '2026-02-01..2026-02-03': expected either date or dates",
        ),
        (
            "- {name: a, entries: [{working: no}]}",
            "12: calendars[a].entries[0].working: value 'no': expected weekdays, from and to, date or dates beside it",
        ),
        (
            "- {name: a, entries: [{weekday: mon}]}",
            "12: calendars[a].entries[0].weekday: expected a known key; did you mean 'weekdays'?",
        ),
        (
            "- {name: a, timezone: Europe/Berlinn, entries: [{weekdays: mon}]}",
            (
                "12: calendars[a].timezone: value 'Europe/Berlinn': "
                "expected the name of a time zone, such as Europe/Berlin; did you mean 'Europe/Berlin'?"
            ),
        ),
        (
            "- {name: a, timezone: GMT+8, entries: [{weekdays: mon}]}",
            (
                "12: calendars[a].timezone: value 'GMT+8': "
                "expected the name of a time zone, such as Europe/Berlin, and no offset"
            ),
        ),
        (
            "- {name: a, holidays: {subdivision: BE}}",
            "12: calendars[a].holidays.subdivision: value 'BE': expected the country as well",
        ),
        (
            "- {name: a, holidays: {country: DE, subdivision: BEE}}",
            "12: calendars[a].holidays.subdivision: value 'BEE': expected a part of DE; did you mean 'BE'?",
        ),
    ],
)
def test_mistakes_are_named(site, item, expected):
    assert errors(site, item) == [f"vosd.yaml:{expected}"]


@pytest.mark.parametrize(
    ("name", "other", "means"),
    [("Etc/GMT+8", "Etc/GMT-8", "8 h behind UTC"), ("Etc/GMT-9", "Etc/GMT+9", "9 h ahead of UTC")],
)
def test_a_zone_whose_sign_is_inverse_is_a_warning(site, name, other, means):
    text = (
        f"invoices: {{timezone: {name}}}\n"
        f"calendars: [{{name: a, timezone: {name}, entries: [{{weekdays: mon}}]}}]\n"
        f"accounts: [{{id: b, timezone: {name}, spend_limits: [{{per: day, amount: 5}}]}}]\n"
    )
    found = [each for each in site.warnings(text) if f"value '{name}': expected the zone of a place" in each]
    assert [each.split(": ")[2] for each in found] == [
        "invoices.timezone", "calendars[a].timezone", "accounts[b].timezone",
    ]  # fmt: skip
    assert all(f"or {other}: " in each and each.endswith(f"this one is {means}") for each in found)


def test_an_unknown_country_is_an_error(site):
    (problem,) = errors(site, "- {name: a, holidays: {country: XX}}")
    assert problem.startswith(
        "vosd.yaml:12: calendars[a].holidays.country: value 'XX': "
        "expected the ISO 3166 code of a country with known holidays; "
    )


def test_a_country_whose_holidays_are_not_known_for_all_years_gets_a_warning(site):
    (problem,) = site.warnings(f"{site.minimal}calendars:\n  - {{name: a, holidays: {{country: IN}}}}\n")
    assert problem.startswith("vosd.yaml:12: warning: calendars[a].holidays.country: value 'IN': expected dates of")


def test_a_gateway_names_a_calendar_that_exists(site):
    text = site.minimal.replace("address: 192.0.2.9}", "address: 192.0.2.9, calendar: busines}")
    assert site.errors(f"{text}calendars:{BUSINESS}") == [
        (
            "vosd.yaml:10: routing_gateways[carrier].calendar: value 'busines': "
            "expected the name of a calendar; did you mean 'business'?"
        )
    ]


def test_calendars_can_be_switched_off(site):
    text = f"{site.minimal}calendars:{BUSINESS}parameters: {{SERVER_WORK_CALENDAR_ENABLED: 0}}\n"
    assert site.load(text).catalogue.calendars == {}


def test_a_change_of_an_entry_is_a_change_of_the_catalogue(site):
    versions = set()
    for hour in ("18:00", "19:00"):
        versions.add(site.load(f"{site.minimal}calendars:{BUSINESS.replace('18:00', hour)}").catalogue.version)
    assert len(versions) == 2


def test_an_account_may_have_one_under_either_name(site):
    for key in ("calendar", "work_calendar"):
        text = site.minimal.replace("id: acme,", f"id: acme, {key}: business,")
        assert site.load(f"{text}calendars:{BUSINESS}").catalogue.accounts["acme"].calendar == "business"
    text = site.minimal.replace("id: acme,", "id: acme, calendar: busy,")
    (problem,) = site.errors(f"{text}calendars:{BUSINESS}")
    assert problem.startswith("vosd.yaml:5: accounts[acme].calendar: value 'busy': expected the name of a calendar; ")


def test_a_command_reads_the_calendars_without_the_rest(site):
    path = site.write("vosd.yaml", f"calendars:{BUSINESS}    - {{name: broken}}\nrate_groups: [{{nonsense: 1}}]\n")
    assert [*Excerpt(path, {}).calendars()] == ["business"]
    off = site.write("off.yaml", f"calendars:{BUSINESS}parameters: {{SERVER_WORK_CALENDAR_ENABLED: 0}}\n")
    assert Excerpt(off, {}).calendars() == {}


def test_the_library_of_holidays_is_imported_where_a_country_is_named(site):
    path = site.write("vosd.yaml", "calendars: [{name: a, holidays: {dates: 2026-12-24}}]\n")
    named = site.write("named.yaml", "calendars: [{name: a, holidays: {country: DE}}]\n")
    program = (
        "import sys; from pathlib import Path; from vosd.config.load import load\n"
        "for each in sys.argv[1:]: load(Path(each)); print('holidays' in sys.modules)"
    )
    words = [sys.executable, "-c", program, str(path), str(named)]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    assert printed == ["False", "True"]
