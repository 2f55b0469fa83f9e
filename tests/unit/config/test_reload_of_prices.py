"""Other prices: of the catalogue, only what holds rates is made again."""

from decimal import Decimal
from pathlib import Path

import pytest

from vosd.billing.ports import Rates
from vosd.billing.rate_group import RateGroup
from vosd.catalogue.catalogue import Catalogue, Changes
from vosd.config.assembly.remembered import Remembered
from vosd.config.load import load

TEXT = """\
rate_groups:
  - {name: sell, rates: [{prefix: "44", billing_rate: "0.012"}]}
  - {name: other, rates: [{prefix: "44", billing_rate: "0.011"}]}
accounts:
  - {id: plain, rate_group: sell}
  - {id: choosing, rate_group: sell, private_rate_group: other}
mapping_gateways:
  - {name: t1, account: plain, hosts: 192.0.2.1}
  - {name: t2, account: choosing, hosts: 192.0.2.2}
"""


def price_of(rates: Rates) -> Decimal:
    found = rates.find("4420", 0)
    assert found is not None
    return found.rate.billing_rate


@pytest.fixture
def editions(tmp_path: Path) -> tuple[Catalogue, Catalogue]:
    """Return the catalogue before and after the change."""
    path, remembered = tmp_path / "vosd.yaml", Remembered()
    path.write_text(TEXT)
    before = load(path, {}, remembered=remembered).catalogue
    path.write_text(TEXT.replace("0.012", "0.002"))
    return before, load(path, {}, remembered=remembered).catalogue


def test_accounts_and_trunks_are_those_of_before(editions):
    before, after = editions
    assert after.changes == Changes(before.version, frozenset(), frozenset())
    assert after.version != before.version
    assert after.accounts is before.accounts
    assert after.mapping_gateways is before.mapping_gateways
    assert after.sources is before.sources
    assert after.rate_groups["other"] is before.rate_groups["other"]


def test_a_choice_of_rates_is_made_among_the_new_ones(editions):
    before, after = editions
    assert price_of(after.rate_groups["sell"]) == Decimal("0.002")
    for choices in ("account_rates", "customer_rates"):
        name = {"account_rates": "choosing", "customer_rates": "t2"}[choices]
        assert price_of(getattr(before, choices)[name]) == Decimal("0.011")
        assert price_of(getattr(after, choices)[name]) == Decimal("0.002")


def test_plans_keep_the_gateways_of_groups_when_prefixes_of_rates_are_read_again(tmp_path):
    vendors = """\
gateway_groups: [{name: pair, gateways: [v1, v2]}]
routing_plans: [{name: by-group, gateways: pair}, {name: by-line, routes_file: routes.csv}]
routing_gateways:
  - {name: v1, account: plain, address: 198.51.100.1}
  - {name: v2, account: plain, address: 198.51.100.2}
  - {name: v3, account: plain, address: 198.51.100.3, prefixes: from_rates}
"""
    path, remembered = tmp_path / "vosd.yaml", Remembered()
    path.with_name("routes.csv").write_text("prefix,gateway\n44,pair\n")
    for price in ("0.012", "0.002"):
        path.write_text(TEXT.replace("0.012", price) + vendors)
        catalogue = load(path, {}, remembered=remembered).catalogue
        used = [[each.gateway.name for each in plan.candidates("4420")] for plan in catalogue.plans.values()]
        assert used == [["v1", "v2"]] * 2
    assert catalogue.changes is not None
    assert "v3" in [each.gateway.name for each in catalogue.routes.candidates("4420")]


@pytest.mark.parametrize(
    "also",
    ["currency: EUR, ", "origins: [{name: none, callers: missing, rate_group: other}], ", "period_rates: tariff, "],
)
def test_what_a_rate_group_has_beside_its_rates_is_looked_at_as_a_whole(tmp_path, also):
    tariff = "period_rates:\n  - {name: tariff, periods: [{name: any, rate_group: other}]}\n"
    exchange = 'exchange_rates: [{base: USD, quote: EUR, rate: "0.9"}]\n'
    path, remembered = tmp_path / "vosd.yaml", Remembered()
    path.write_text(exchange + tariff + TEXT)
    load(path, {}, remembered=remembered)
    path.write_text(exchange + tariff + TEXT.replace("{name: sell, ", "{name: sell, " + also))
    after = load(path, {}, remembered=remembered).catalogue
    assert after.changes is None
    assert after.account_rates.keys() == load(path, {}).catalogue.account_rates.keys()


def test_the_same_rates_from_another_version_of_a_deck_are_others(editions):
    before, _ = editions
    group = before.rate_groups["other"]
    again = RateGroup(group.name, group.currency, group.policy, group.table, group.version)
    assert group.has_the_rates_of(again)
    again.name_deck(2)
    assert not group.has_the_rates_of(again)
