"""``reports``: what is made when, and where it goes."""

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest

from vosd.catalogue.problems import ConfigError, Severity
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.load import load
from vosd.config.stored import Stored, Wanted
from vosd.engine.settings import ReportForm
from vosd.traffic.schedule import ReportRhythm

BASE = """
sip: {listen: ["udp:127.0.0.1:5060"]}
database: {url: "sqlite+aiosqlite:///vosd.db"}
"""
MAIL = "alarms: {mail: {server: mx.example.com, sender: switch@example.com, recipients: noc@example.com}}\n"


def loaded(directory: Path, text: str):
    (directory / "vosd.yaml").write_text(BASE + text)
    return load(directory / "vosd.yaml", {}).settings.reports


def test_every_key_is_in_force(tmp_path: Path) -> None:
    keys = (
        "name: m, report: profit, every: month, at: '07:30', timezone: Europe/Berlin, group: day, account: acme, "
        "gateway: pbx, area: London, form: pdf, directory: out, mail: [a@example.com, b@example.com]"
    )
    (found,) = loaded(tmp_path, f"{MAIL}reports: [{{{keys}}}]\n")
    assert asdict(found) == {
        "name": "m", "report": "profit", "every": ReportRhythm.MONTH, "at_s": 27_000, "zone": "Europe/Berlin",
        "group": "day", "account": "acme", "gateway": "pbx", "area": "London", "form": ReportForm.PDF,
        "directory": Path("out"), "mail": ("a@example.com", "b@example.com"), "source": f"{tmp_path / 'vosd.yaml'}:5",
        **dict.fromkeys(("below", "vendor", "reason", "answered", "callee", "caller")),
        **dict.fromkeys(("callee_digits", "caller_digits")),
    }  # fmt: skip


def test_calls_are_chosen_as_the_report_knows(tmp_path: Path) -> None:
    keys = "vendor: telco, reason: Busy, answered: no, callee: '44', caller: '1', callee_digits: 4, caller_digits: 2"
    (found,) = loaded(tmp_path, f"reports: [{{name: m, report: durations, directory: out, {keys}}}]\n")
    assert found.chosen() == {
        "vendor": "telco", "reason": "Busy", "answered": False, "callee": "44", "caller": "1", "callee_digits": 4,
        "caller_digits": 2,
    }  # fmt: skip
    (found,) = loaded(tmp_path, "reports: [{name: m, report: daily, directory: o, account: acme, below: yes}]\n")
    assert found.chosen() == {"account": "acme", "below": True}


def test_numbers_begin_as_the_report_takes_them(tmp_path: Path) -> None:
    keys = "report: durations, directory: out, callee: '+44', caller: '*7'"
    (found,) = loaded(tmp_path, f"reports: [{{name: m, {keys}}}]\n")
    assert found.chosen() == {"callee": "+44", "caller": "*7"}


def test_names_that_are_not_defined_are_warnings(tmp_path: Path) -> None:
    objects = """
accounts: [{id: acme, name: Acme, rate_group: retail, currency: USD}]
rate_groups: [{name: retail, currency: USD, rates: [{prefix: "44", billing_rate: "0.10"}]}]
mapping_gateways: [{name: pbx, account: acme, hosts: 192.0.2.1}]
"""
    keys = ("account: acme, gateway: pbx", "account: missing, gateway: nothing", "vendor: missing")
    reports = [f"{{name: m{number}, report: durations, directory: o, {each}}}" for number, each in enumerate(keys)]
    (tmp_path / "vosd.yaml").write_text(f"{BASE}{objects}reports: [{', '.join(reports)}]\n")
    found = load(tmp_path / "vosd.yaml", {}).problems
    assert [(each.key, each.value, each.severity) for each in found if each.key.startswith("reports")] == [
        ("reports[m1].account", "missing", Severity.WARNING),
        ("reports[m1].gateway", "nothing", Severity.WARNING),
        ("reports[m2].vendor", "missing", Severity.WARNING),
    ]


def test_the_least_is_a_name_a_report_and_a_place(tmp_path: Path) -> None:
    (found,) = loaded(tmp_path, "reports: [{name: m, report: daily, directory: out}]\n")
    assert (found.every, found.at_s, found.zone, found.group, found.form) == (
        ReportRhythm.DAY, 21_600, "UTC", None, ReportForm.XLSX,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[{name: m, report: daily}]", "this key, or mail, or both"),
        ("[{name: m, report: nothing, directory: out}]", "one of revenue"),
        ("[{name: m, report: daily, directory: out, group: 5min}]", "one of whole, hour"),
        ("[{name: m, report: daily, directory: out, callee: '44'}]", "no callee: daily knows account"),
        ("[{name: m, report: daily, directory: out, reason: busy}]", "one of Normal"),
        ("[{name: m, report: daily, directory: out, below: yes}]", "account beside it"),
        ("[{name: m, report: daily, mail: a@example.com}]", "alarms.mail as well, whose server sends it"),
        (
            "[{name: m, report: daily, directory: o}, {name: m, report: daily, directory: o}]",
            "each name once; it also stands at",
        ),
    ],
)
def test_what_goes_nowhere_or_twice_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"reports: {text}\n")
    assert said in str(refused.value)


def stored(_wanted: Wanted, **bodies: dict[str, object]) -> Stored:
    """Return reports that the database defines."""
    found = {
        name: ObjectVersion(
            kind="reports", name=name, version=3, body=json.dumps(keys), begins_at=0, made_at=0, operator="ann"
        )
        for name, keys in bodies.items()
    }
    return Stored(version=1, objects={"reports": found})


def test_the_database_defines_them_beside_the_files(tmp_path: Path) -> None:
    (tmp_path / "vosd.yaml").write_text(f"{BASE}\nreports: [{{name: m, report: daily, directory: out}}]\n")
    keys = {"report": "revenue", "every": "week", "at": "07:30", "directory": "out", "group": "day"}
    found = load(tmp_path / "vosd.yaml", {}, definitions=partial(stored, weekly=keys)).settings.reports
    assert [(each.name, each.report, each.every, each.at_s, each.source) for each in found] == [
        ("m", "daily", ReportRhythm.DAY, 21_600, f"{tmp_path / 'vosd.yaml'}:5"),
        ("weekly", "revenue", ReportRhythm.WEEK, 27_000, "database"),
    ]


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("n", {"report": "daily"}, "reports n (version 3) in the database: reports[n].directory: expected this key"),
        ("n", {"report": "daily", "mail": "a@example.com"}, "reports[n].mail: expected alarms.mail as well"),
        ("m", {"report": "daily", "directory": "o"}, "reports[m].name: value 'm': expected each name once"),
    ],
)
def test_a_mistake_in_the_database_is_named_with_its_object(
    tmp_path: Path, name: str, keys: dict[str, object], said: str
) -> None:
    (tmp_path / "vosd.yaml").write_text(f"{BASE}\nreports: [{{name: m, report: daily, directory: out}}]\n")
    with pytest.raises(ConfigError) as refused:
        load(tmp_path / "vosd.yaml", {}, definitions=partial(stored, **{name: keys}))
    assert said in str(refused.value)
