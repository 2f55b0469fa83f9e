"""Who writes a key by the name that VOS3000 has for it is shown ours."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from vosd.config.keys import names_of_vos3000 as vos3000
from vosd.config.keys.accounts import AccountKeys
from vosd.config.keys.calendars import CalendarKeys, EntryKeys
from vosd.config.keys.installation import InstallationKeys
from vosd.config.keys.parameters import ParameterKeys
from vosd.config.keys.period_rates import PeriodRatesKeys
from vosd.config.keys.rate_groups import RateGroupKeys
from vosd.config.keys.rates import RateKeys
from vosd.config.keys.routing_plans import RoutingPlanKeys
from vosd.config.keys.trunks import MappingGatewayKeys, PhoneKeys, RoutingGatewayKeys
from vosd.config.reader.fields import Keys
from vosd.config.reader.reading import section_of
from vosd.config.reader.renamed import plain_name

ROUTING: Final = Path(__file__).parents[3] / "docs" / "routing.md"
LISTS: Final[Mapping[str, type[Keys]]] = {
    "accounts": AccountKeys,
    "routing_gateways": RoutingGatewayKeys,
    "routing_plans": RoutingPlanKeys,
}
"""Sections that a key may name with ``[]``."""

SECTIONS: Final[Mapping[str, tuple[Mapping[str, str], type[Keys], str, str]]] = {
    "Sections of the file": (vos3000.INSTALLATION, InstallationKeys, "{}", ""),
    "`parameters`": (vos3000.PARAMETERS, ParameterKeys, "parameters:\n  {}", "parameters."),
    "`accounts`": (vos3000.ACCOUNT, AccountKeys, "accounts:\n- id: a\n  {}", "accounts[a]."),
    "`mapping_gateways`": (
        vos3000.MAPPING_GATEWAY, MappingGatewayKeys, "mapping_gateways:\n- name: m\n  {}", "mapping_gateways[m].",
    ),
    "`phones`": (vos3000.PHONE, PhoneKeys, "phones:\n- number: 7\n  {}", "phones[7]."),
    "`routing_gateways`": (
        vos3000.ROUTING_GATEWAY, RoutingGatewayKeys, "routing_gateways:\n- name: r\n  {}", "routing_gateways[r].",
    ),
    "`rate_groups`": (
        vos3000.RATE_GROUP, RateGroupKeys, "rate_groups:\n- name: g\n  rates: []\n  {}", "rate_groups[g].",
    ),
    "`rates`": (
        vos3000.RATE, RateKeys, "rate_groups:\n- name: g\n  rates:\n  - {}", "rate_groups[g].rates[0].",
    ),
    "`calendars`": (vos3000.CALENDAR, CalendarKeys, "calendars:\n- name: c\n  {}", "calendars[c]."),
    "`calendars[].entries`": (
        vos3000.CALENDAR_ENTRY, EntryKeys, "calendars:\n- name: c\n  entries:\n  - {}", "calendars[c].entries[0].",
    ),
    "`period_rates`": (vos3000.PERIOD_RATES, PeriodRatesKeys, "period_rates:\n- name: p\n  {}", "period_rates[p]."),
    "`routing_plans`": (vos3000.ROUTING_PLAN, RoutingPlanKeys, "routing_plans:\n- name: p\n  {}", "routing_plans[p]."),
}  # fmt: skip
"""By the heading in the manual: rows, model, a file with place for one key, and what the key is called in messages."""


def words(theirs: str) -> list[str]:
    return theirs.split(", ")


def spellings(name: str) -> set[str]:
    """Return the name as it is, in small letters, in capitals, and with underscores instead of blanks."""
    return {name, name.lower(), name.upper(), name.replace(" ", "_")}


def exists(key: str, model: type[Keys]) -> bool:
    """Follow a key through the sections inside a model."""
    name, _, inner = key.partition(".")
    field = model.by_key().get(name)
    if not inner:
        return field is not None or name in model.apart
    section = None if field is None else section_of(field.annotation)
    return section is not None and exists(inner, section)


@pytest.mark.parametrize("heading", SECTIONS)
def test_check_names_our_key_for_every_name(site, heading):
    rows, model, file, label = SECTIONS[heading]
    own = {*model.by_key(), *model.aliases, *model.apart}
    for ours, theirs in rows.items():
        wanted = " or ".join(repr(key) for key in ours.split(" or "))
        keys = sorted({spelling for name in words(theirs) for spelling in spellings(name)} - own)
        before = file.partition("{}")[0]
        indent = " " * len(before.rpartition("\n")[2])
        text = before + f"\n{indent}".join(f"{written}: x" for written in keys) + "\n"

        errors = site.errors(text)

        for line, written in enumerate(keys, 1 + before.count("\n")):
            expected = f"vosd.yaml:{line}: {label}{written}: expected a known key; did you mean {wanted}?"
            assert expected in errors, errors


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_key_that_is_named_exists(heading):
    rows, model, *_ = SECTIONS[heading]
    for key in (key for ours in rows for key in ours.split(" or ")):
        section, from_the_top, inner = key.partition("[].")
        if from_the_top:
            assert exists(inner, LISTS[section]), key
        else:
            assert exists(key, InstallationKeys if model is ParameterKeys else model), key


@pytest.mark.parametrize("heading", SECTIONS)
def test_no_name_is_a_key_of_ours_or_stands_twice(heading):
    rows, model, *_ = SECTIONS[heading]
    names = [name for theirs in rows.values() for name in words(theirs)]

    assert len({plain_name(name) for name in names}) == len(names)
    assert {*names} & {*model.by_key(), *model.aliases, *model.apart, *model.not_built} == set()


def test_the_manual_has_the_same_rows():
    _, chapter = ROUTING.read_text().split("\n## Names of VOS3000\n")
    shown: dict[str, dict[str, str]] = {}
    for part in chapter.split("\n## ")[0].split("\n### ")[1:]:
        heading, _, table = part.partition("\n")
        cells = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
        shown[heading] = {
            " or ".join(re.findall("`([^`]+)`", ours)): ", ".join(re.findall("`([^`]+)`", theirs))
            for theirs, ours, *_ in cells
        }

    assert shown == {heading: dict(rows) for heading, (rows, *_) in SECTIONS.items()}


def test_a_template_with_a_name_of_several_sections_gets_the_keys_of_all(site):
    errors = site.errors("templates: {t: {lineLimit: 5, prefix: 44}}")

    assert errors == [
        "vosd.yaml:1: templates.t.lineLimit: expected a key of an account or a gateway; did you mean 'max_concurrent'?",
        (
            "vosd.yaml:1: templates.t.prefix: expected a key of an account or a gateway; "
            "did you mean 'callee_allow' or 'prefixes'?"
        ),
    ]


def test_a_column_of_a_rate_file_may_have_such_a_name(site):
    site.write("rates.csv", "prefix,fee\n44,0.01\n")

    errors = site.errors("rate_groups: [{name: g, rates_file: rates.csv}]")

    assert any("value 'fee': expected a known column; did you mean 'billing_rate'?" in error for error in errors), (
        errors
    )


def test_what_stands_behind_such_a_name_is_not_shown(site):
    errors = site.errors("phones: [{number: 7, account: a, e164: hunter2}]")

    assert not any("hunter2" in error for error in errors)
