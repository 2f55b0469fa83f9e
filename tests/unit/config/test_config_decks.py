"""Rate groups with a deck, and the same rates in the configuration and in the database."""

import hashlib
import json
from itertools import chain

import pytest

from vosd.base.money import Decimal
from vosd.catalogue.decks import DeckVersion
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.config.excerpt import Excerpt
from vosd.config.load import load
from vosd.config.stored import Stored

ROWS = b"prefix,billing_rate\n44,0.012\n4420,0.010\n"
DECK = DeckVersion("acme", 3, hashlib.sha256(ROWS).hexdigest(), 2)
GROUP = "rate_groups: [{name: acme, deck: true}]\n"


@pytest.fixture
def stored(site):
    file = site.write("rows", ROWS.decode())
    return lambda wanted: Stored(7, (DECK,), dict.fromkeys(wanted.decks & {"acme"}, file))


def loaded(site, stored, text):
    return load(site.write("vosd.yaml", text), {}, definitions=stored)


def errors(site, stored, text):
    with pytest.raises(Exception) as caught:
        loaded(site, stored, text)
    return site.shown(str(caught.value)).splitlines()


def test_a_group_with_a_deck_has_its_rates(site, stored):
    found = loaded(site, stored, GROUP)
    table = found.catalogue.rate_groups["acme"].table
    assert table.find("442012", 0).billing_rate == Decimal("0.010")
    assert (table.size, found.stored.version, found.problems) == (2, 7, ())


def test_rates_of_a_group_of_the_database_are_reported_by_its_name(site):
    """Prefixed by the directory of the configuration, it was the name of a file that is none."""
    keys = {"currency": "JPY", "rates": [{"prefix": "44", "billing_rate": "93.3"}], "fee_precision": "0"}
    group = ObjectVersion(
        kind="rate_groups", name="buy", version=1, body=json.dumps(keys), begins_at=0, made_at=0, operator="ann"
    )
    there = Stored(version=1, objects={"rate_groups": {"buy": group}})
    found = loaded(site, lambda _wanted: there, "node: one\n")
    (warning,) = chain.from_iterable(found.reports_by_group())
    assert str(warning) == (
        "rate_groups buy (version 1) in the database: warning: rate_groups[buy].rates[44].billing_rate: value '93.3': "
        "expected at most 0 decimals; VOS3000 would have stored 93.00"
    )


def test_a_single_group_is_read_with_its_deck(site, stored):
    file = site.write("vosd.yaml", GROUP)
    assert Excerpt(file, {}, definitions=stored).rate_group("acme").table.size == 2


def test_a_group_without_a_deck_yet_has_no_rates_and_says_so(site, stored):
    found = loaded(site, stored, "rate_groups: [{name: other, deck: yes}]\n")
    assert found.catalogue.rate_groups["other"].table.size == 0
    (warning,) = found.problems
    assert site.shown(str(warning)) == (
        "vosd.yaml:1: warning: rate_groups[other].deck: expected a deck, made by vosd rates import other FILE; until "
        "then calls with this group are refused"
    )


def test_another_deck_is_another_version_of_the_group(site, stored):
    before = loaded(site, stored, GROUP)
    site.write("rows", "prefix,billing_rate\n44,0.011\n")
    after = loaded(site, stored, GROUP)
    assert before.catalogue.version != after.catalogue.version


def test_rates_in_the_file_and_in_the_database_are_an_error_with_both_places(site, stored):
    text = "node: sw1\nrate_groups:\n  - name: acme\n    rates: [{prefix: 1, billing_rate: 1}]\n"
    (error,) = errors(site, stored, text)
    assert error == (
        "deck acme (version 3) in the database: rate_groups[acme].rates: value 'acme': expected each table of rates in "
        "one source only; the configuration files define it too, at vosd.yaml:4"
    )


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("deck: true, rates_file: a.csv", "rate_groups[acme].deck: expected either deck, rates or rates_file"),
        ("deck: maybe", "rate_groups[acme].deck: value 'maybe': expected yes or no"),
        ("deck: [true]", "rate_groups[acme].deck: expected yes or no"),
        ("deck: no", "rate_groups[acme]: expected rates, a rates_file, deck: true, or derive"),
    ],
)
def test_a_mistake_at_a_deck_is_reported_once(site, stored, group, expected):
    site.write("a.csv", "prefix,billing_rate\n1,1\n")
    found = errors(site, lambda _: stored(_)._replace(decks=()), f"rate_groups: [{{name: acme, {group}}}]\n")
    assert found == [f"vosd.yaml:1: {expected}"]
