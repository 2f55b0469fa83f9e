"""What differs between two configurations, in the words of an operator."""

import json
from dataclasses import replace
from datetime import UTC, date
from decimal import Decimal
from pathlib import Path
from typing import Any

from doubles.data import builders

from vosd.admin.differences import Description, RunningDifference, compare, describe, differences_of
from vosd.base.secret import Secret
from vosd.catalogue.catalogue import Catalogue
from vosd.control.installation import OverrideRow
from vosd.engine.settings import Settings, SipListener
from vosd.net.settings import TransportSettings
from vosd.routing.calendar import Calendar, CalendarEntry
from vosd.routing.pools import NumberPool
from vosd.sip.settings import SipSettings
from vosd.trunks.gateways import MappingGateway
from vosd.trunks.number_rules import IncomingNumbers
from vosd.trunks.phone import Phone

SETTINGS = Settings(
    node="sw1",
    listen=(SipListener("udp", "127.0.0.1", 5060),),
    advertise=(None,),
    sip=SipSettings(),
    database_url=Secret("mysql+aiomysql://vosd:s3cret@127.0.0.1/vosd"),
    state_dir=Path("var"),
    control_socket=Path("var/vosd.sock"),
)


def catalogue(max_cps: int = 50, limit: str | None = "0", *, customers: tuple[str, ...] = ("acme",)) -> Catalogue:
    gateways = [
        builders.mapping_gateway(name, f"127.0.0.{place}/32", max_cps=max_cps)
        for place, name in enumerate(customers, start=1)
    ]
    overdraft = None if limit is None else Decimal(limit)
    accounts = [builders.account(name, overdraft_limit=overdraft) for name in customers]
    return builders.catalogue(gateways, accounts=accounts)


def test_equal_configurations_do_not_differ_even_after_the_control_socket() -> None:
    described = describe(SETTINGS, TransportSettings(), catalogue())
    assert compare(json.loads(json.dumps(described)), describe(SETTINGS, TransportSettings(), catalogue())) == []


def test_each_changed_key_is_named_with_both_values() -> None:
    running, file = (
        describe(SETTINGS, TransportSettings(), catalogue()),
        describe(SETTINGS, TransportSettings(), catalogue(60, None)),
    )
    assert compare(running, file) == [
        RunningDifference("account acme", "overdraft_limit", "0.00", "unlimited"),
        RunningDifference("mapping gateway acme", "max_cps", 50, 60),
    ]


def test_an_override_of_an_overdraft_limit_is_compared_as_it_is_written() -> None:
    def differing(limit: str | None, value: str) -> list[tuple[str, str]]:
        override = OverrideRow(
            "account", "acme", "overdraft_limit", value, None, "ann", None, "2026-11-30T15:00:00.000Z"
        )
        file = describe(SETTINGS, TransportSettings(), catalogue(limit=limit))
        return [(each.running, each.file) for each in differences_of([override], file)]

    assert differing("50", "50.00") == differing(None, "unlimited") == []
    assert differing(None, "50.00") == [("50.00", "unlimited")]


def test_objects_on_one_side_only_are_present_or_absent() -> None:
    running = describe(SETTINGS, TransportSettings(), catalogue(customers=("acme", "old")))
    file = describe(SETTINGS, TransportSettings(), catalogue(customers=("acme", "new")))
    assert [(each.object, each.running, each.file) for each in compare(running, file)] == [
        ("account new", "absent", "present"),
        ("mapping gateway new", "absent", "present"),
        ("account old", "present", "absent"),
        ("mapping gateway old", "present", "absent"),
    ]


def test_settings_are_compared_without_their_secrets() -> None:
    described = describe(SETTINGS, TransportSettings(), catalogue())
    assert "s3cret" not in json.dumps(described)
    moved = describe(replace(SETTINGS, node="sw2"), TransportSettings(), catalogue())
    assert compare(described, moved) == [RunningDifference("settings", "node", "sw1", "sw2")]


def test_phones_are_described_without_their_credentials() -> None:
    def described(password: str, **terms: object) -> Description:
        content = builders.catalogue([], phones=[builders.phone("1001", password=password, **terms)])
        return describe(SETTINGS, TransportSettings(), content)

    phone = described("secret")["phone 1001"]
    assert phone["credentials"] == "1001"
    fields = {*Phone.__struct_fields__, *MappingGateway.__struct_fields__}
    assert phone.keys() == fields - {"number", "gateway", "numbers"}
    (ha1,) = builders.credentials("1001", "secret").ha1.values()
    assert ha1 not in json.dumps(described("secret"))
    assert "mapping gateway 1001" not in described("secret")
    assert compare(described("secret", max_cps=1), described("secret", max_cps=2)) == [
        RunningDifference("phone 1001", "max_cps", 1, 2)
    ]


def test_rules_for_numbers_differ_key_by_key_and_lists_by_their_version() -> None:
    def described(prefix: str, *patterns: str) -> Description:
        rules = IncomingNumbers(callee_deny=("list:bad",), callee_rewrite=((prefix, ""),))
        content = builders.catalogue(
            [builders.mapping_gateway("acme", "127.0.0.1/32", numbers=rules)],
            number_lists={"bad": patterns},
            number_pools=[NumberPool("berlin", patterns)],
        )
        return describe(SETTINGS, TransportSettings(), content)

    running, file = described("00", "911"), described("0", "911", "912")
    assert [(each.object, each.key, each.running, each.file) for each in compare(running, file)] == [
        ("mapping gateway acme", "callee_rewrite", [["00", ""]], [["0", ""]]),
        ("number list bad", "patterns", 1, 2),
        ("number list bad", "version", "911", "911,912"),
        ("number pool berlin", "numbers", ["911"], ["911", "912"]),
    ]


def test_a_changed_entry_of_a_calendar_is_named_and_so_is_a_changed_holiday() -> None:
    def with_calendar(**fields: Any) -> Description:
        office = Calendar("office", UTC, **{"entries": (CalendarEntry(weekdays=(0, 1)),), **fields})
        return describe(SETTINGS, TransportSettings(), replace(catalogue(), calendars={"office": office}))

    running = with_calendar()
    (entries, _) = compare(running, with_calendar(entries=(CalendarEntry(weekdays=(0,)),)))
    assert (entries.object, entries.key) == ("calendar office", "entries")
    assert (entries.running[0]["weekdays"], entries.file[0]["weekdays"]) == ([0, 1], [0])
    found = compare(running, with_calendar(holidays=frozenset({date(2026, 12, 24)})))
    assert [(each.key, each.running, each.file) for each in found[:1]] == [("holidays", 0, 1)]
    assert {each.key for each in found} == {"holidays", "version"}
