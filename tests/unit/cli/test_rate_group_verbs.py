"""``vosd rates groups`` and ``areas``, on a configuration with a deck and its database; no switch runs."""

import asyncio
from typing import Any

import pytest
from doubles.deck_site import Site
from doubles.office import operator

from vosd.admin.office.decks import FindRates, FoundPrice, find_rates
from vosd.api.offices import Offices
from vosd.config.excerpt import Excerpt

SHEET = """prefix,area,billing_rate,effective_from
44,United Kingdom,0.0120,
4420,United Kingdom,0.010,
4479,United Kingdom,,
4478,United Kingdom,9,2090-01-01T00:00:00Z
878,Personal,,
49,,0.005,
"""

OTHERS = """
  - {name: resale, derive: {from: acme, factor: "2"}, rates: [{prefix: "44", billing_rate: "1", area: Own}]}
  - name: cycles
    currency: EUR
    price_per: cycle
    memo: by contract 17
    rates: [{prefix: "*", billing_rate: "0.01", billing_cycle: 7, area: Rest}]
  - {name: filed, rates_file: filed.csv}
accounts:
  - {id: north, rate_group: plain, private_rate_group: plain}
  - {id: south, rate_group: cycles, private_rate_group: resale}
  - {id: vendor}
routing_gateways:
  - {name: carrier, account: vendor, address: 192.0.2.9, rate_group: plain}
phones:
  - {number: "7001", account: north, password: secret, private_rate_group: plain}
"""


@pytest.fixture(autouse=True)
def priority(monkeypatch):
    """Keep the priority of the tests."""
    monkeypatch.setattr("os.setpriority", lambda *_: None)


@pytest.fixture
def site(tmp_path) -> Site:
    made = Site(tmp_path)
    made.config.write_text(made.config.read_text() + OTHERS)
    made.write("prefix,billing_rate\n1,0.1\n2,0.1\n", "filed.csv")
    made.run("import", "acme", made.write(SHEET))
    return made


def test_rate_groups_are_listed_with_counts_and_memo(site):
    names = ("name", "rates", "rates_from", "base", "accounts", "gateways", "memo")
    assert [tuple(each[name] for name in names) for each in site.ask("groups")] == [
        ("acme", 6, "deck", None, 0, 0, None),
        ("plain", 1, "rates", None, 1, 2, None),
        ("resale", 7, "derive", "acme", 1, 0, None),
        ("cycles", 1, "rates", None, 1, 0, "by contract 17"),
        ("filed", 2, "rates_file", None, 0, 0, None),
    ]
    units = {each["name"]: (each["currency"], each["price_per"]) for each in site.ask("groups")}
    assert (units["cycles"], units["plain"][1]) == (("EUR", "cycle"), "minute")
    assert "by contract 17" in site.run("groups")


def test_a_rate_group_whose_deck_is_empty_is_listed_without_rates(tmp_path):
    assert [each["rates"] for each in Site(tmp_path).ask("groups")] == [0, 1]


def test_areas_have_their_prefixes_and_the_range_of_the_prices_in_force(site):
    assert site.ask("areas", "acme")["areas"] == [
        {"area": "", "rates": 1, "closed": 0, "lowest": "0.005", "highest": "0.005", "prefixes": ["49"]},
        {"area": "Personal", "rates": 0, "closed": 1, "lowest": None, "highest": None, "prefixes": ["878"]},
        {
            "area": "United Kingdom",
            "rates": 2,
            "closed": 1,
            "lowest": "0.01",
            "highest": "0.012",
            "prefixes": ["44", "4420", "4479"],
        },
    ]
    assert "United Kingdom" in site.run("areas", "acme")


def test_areas_of_a_derived_group_have_its_own_rates_before_those_of_its_base(site):
    prices = {each["area"]: (each["lowest"], each["prefixes"]) for each in site.ask("areas", "resale")["areas"]}
    assert prices["Own"] == ("1.00", ["44"])
    assert prices["United Kingdom"] == ("0.02", ["4420", "4479"])


def test_rates_without_area_stand_among_the_areas_of_the_deck_that_names_them(site):
    config = site.config.read_text().replace("rates_file: filed.csv}", "rates_file: filed.csv, area_names: acme}")
    site.config.write_text(config)
    site.write("prefix,billing_rate\n44,0.1\n44208,0.1\n878,0.1\n1,0.1\n", "filed.csv")
    shown = {each["area"]: each["prefixes"] for each in site.ask("areas", "filed")["areas"]}
    assert shown == {"": ["1"], "Personal": ["878"], "United Kingdom": ["44", "44208"]}
    assert [each["rates"] for each in site.ask("groups") if each["name"] == "filed"] == [4]
    site.run("import", "acme", site.write("prefix,area,billing_rate\n44208,London,0.01\n"), "--mode", "delta")
    assert {each["area"] for each in site.ask("areas", "filed")["areas"]} == {
        "",
        "Personal",
        "United Kingdom",
        "London",
    }


def test_the_price_of_an_area_is_of_a_minute_where_rates_are_of_a_cycle(site):
    (rest,) = site.ask("areas", "cycles")["areas"]
    assert (rest["lowest"], rest["prefixes"]) == ("0.08571429", ["*"])


def test_areas_of_a_group_that_is_not_configured_are_refused_with_the_verb_that_lists_groups(site):
    assert "vosd rates groups" in site.run("areas", "acmee", code=1)


def named_site(site: Site, names: str, sheet: str) -> Site:
    """Return the site with a deck ``vendor`` whose rates without area have those of another group."""
    line = f"  - {{name: vendor, deck: true, area_names: {names}}}"
    text = site.config.read_text().replace("accounts:", f"{line}\n  - {{name: own, deck: true}}\naccounts:", 1)
    site.config.write_text(text)
    site.run("import", "vendor", site.write(sheet, "vendor.csv"))
    return site


VENDORS = "prefix,area,area_prefix,billing_rate\n44,,,0.01\n4420,Ours,,0.01\n49,,,0.01\n7,,878,0.01\n1,,4420,0.01\n"


@pytest.mark.parametrize(
    ("number", "area"),
    [
        ("447912", "United Kingdom"),  # a closed prefix names, too
        ("442079", "Ours"),
        ("+4412", "United Kingdom"),
        ("4930", None),
        ("7495", "Personal"),  # by the digits of the area_prefix, which the deck has not
        ("1212", "Ours"),  # by the area_prefix, which it has
    ],
)
def test_a_rate_of_a_deck_is_looked_up_with_the_area_that_a_call_has(site, number, area):
    named_site(site, "acme", VENDORS)
    assert site.ask("lookup", "vendor", number)["rate"].get("area") == area


def test_a_rate_is_looked_up_with_the_area_of_the_moment(site):
    named_site(site, "acme", VENDORS)
    made_at = site.ask("versions", "vendor")[0]["made_at"]
    site.run("import", "acme", site.write("prefix,area,billing_rate\n44,Britain,0.01\n"), "--mode", "delta")
    areas = [site.ask("lookup", "vendor", "441", *at)["rate"]["area"] for at in ((), ("--at", made_at))]
    assert areas == ["Britain", "United Kingdom"]
    assert "Britain" in site.run("lookup", "vendor", "441")


@pytest.mark.parametrize(
    ("names", "area"), [("filed", "Of a file"), ("own", None), ("vendor", "Ours"), ("plain", None)]
)
def test_areas_of_a_deck_are_looked_up_in_files_and_in_decks_that_have_none_yet(site, names, area):
    site.write("prefix,area,billing_rate\n4,Of a file,0.1\n4420,,0.1\n", "filed.csv")
    named_site(site, names, "prefix,area,billing_rate\n44,Ours,0.01\n442,,0.01\n")
    assert site.ask("lookup", "vendor", "44207")["rate"].get("area") == area


def test_a_closed_prefix_is_looked_up_with_its_area(site):
    named_site(site, "acme", "prefix,area,billing_rate\n44,,\n")
    found = site.ask("lookup", "vendor", "441", code=1)
    assert (found["closed"], found["neighbours"][0]["area"]) == (True, "United Kingdom")


def test_a_number_is_looked_up_in_decks_of_which_one_table_names_the_areas_by_reading_it_once(site, monkeypatch):
    """A price list of a million rates takes a second to read, and has the names for the sheets of all vendors."""
    site.write("prefix,area,billing_rate\n4,Of a file,0.1\n", "filed.csv")
    named_site(site, "filed", "prefix,billing_rate\n44,0.01\n")
    site.config.write_text(
        site.config.read_text().replace("name: own, deck: true", "name: own, deck: true, area_names: filed")
    )
    site.run("import", "own", site.write("prefix,billing_rate\n44,0.02\n"))
    read, with_own_areas = [], Excerpt._with_own_areas

    def noted(self: Excerpt, names: Any, *more: Any) -> Any:
        read.append(names)
        return with_own_areas(self, names, *more)

    async def found() -> list[FoundPrice]:
        async with Offices(site.config) as offices:
            office = await offices.open(needs_database=True)
            monkeypatch.setattr(Excerpt, "_with_own_areas", noted)
            return await find_rates(office, operator(), FindRates(number="44207"))

    areas = {each.rate_group: each.area for each in asyncio.run(found())}
    assert (areas["vendor"], areas["own"]) == ("Of a file", "Of a file")
    assert read.count(["filed"]) == 2, "for its own rate and for the areas of both decks"
