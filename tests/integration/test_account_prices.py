"""``vosd account rates``: what calls of an account cost now, whatever its prices come from."""

from pathlib import Path

import pytest
from doubles.installation import Installation

RATES = """    rates:
      - {prefix: "44", area: "United Kingdom", billing_rate: "0.6", interval: "30/6", tax_rate: "19"}
      - {prefix: "4420", area: "London", billing_rate: "0.3", connection_fee: "0.05", minimum_charge: "0.1"}
      - {prefix: "447", billing_rate: "1", locked: yes}
      - {prefix: "49", billing_rate: "0.2", effective_from: "2020-01-01", effective_to: "2021-01-01"}
      - {prefix: "*", billing_rate: "1", first_rate: "0.4", first_duration: 20}
"""


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = Installation(tmp_path)
    head, _, rest = made.config.read_text().partition("    rates:\n")
    written = f"{head}{RATES}{rest[rest.index('accounts:') :]}"
    own = "{id: customer-1, type: direct, rate_group: sell, private_rate_group: own, currency: EUR}"
    written = written.replace("{id: customer-1, type: direct, rate_group: sell}", own)
    own = '  - {name: own, currency: USD, rates: [{prefix: "4420", area: "London", billing_rate: "0.1"}]}\n'
    written = written.replace("rate_groups:\n", f"rate_groups:\n{own}", 1)
    made.config.write_text(f"{written}\nexchange_rates: [{{base: USD, quote: EUR, rate: '0.5'}}]\n")
    return made


def test_each_prefix_has_the_price_of_its_calls(installation: Installation) -> None:
    found = {each["prefix"]: each for each in installation.document("account", "rates", "customer-1")}
    assert list(found) == ["*", "44", "4420", "447"], "that of 2020 is over"
    terms = ("price_per_minute", "billing_cycle", "first_duration", "first_rate", "tax_rate")
    assert [found["*"][each] for each in terms] == ["0.50", 1, 20, "0.20", "0"]
    assert [found["44"][each] for each in terms] == ["0.30", 6, 30, None, "19"]
    assert {each["currency"] for each in found.values() if not each["closed"]} == {"EUR"}
    assert (found["447"]["closed"], found["447"]["price_per_minute"]) == (True, None)


def test_the_price_is_that_of_the_rates_which_a_call_has(installation: Installation) -> None:
    (found,) = installation.document("account", "rates", "customer-1", "--prefix", "442")
    explained = installation.document(
        "rate", "explain", "--account", "customer-1", "--callee", "4420", "--duration", "60"
    )
    assert (found["price_per_minute"], found["connection_fee"]) == (explained["fee"], "0.00")


def test_a_price_says_that_calls_of_a_trunk_with_rates_of_its_own_may_cost_otherwise(
    installation: Installation,
) -> None:
    explain = ("rate", "explain", "--account", "customer-1", "--callee", "4420", "--duration", "60")
    assert "trunk_groups" not in installation.document(*explain)
    assert "may cost otherwise" not in installation.vosd(*explain).stdout
    written = installation.config.read_text()
    for key, group in (("private_rate_group", "own"), ("rate_group", "own"), ("rate_group", "sell")):
        trunk = f"  - {{name: dear, account: customer-1, hosts: [192.0.2.77], {key}: {group}}}\n"
        installation.config.write_text(written.replace("mapping_gateways:\n", f"mapping_gateways:\n{trunk}", 1))
        assert installation.config.read_text() != written
        others = [group] if group != "sell" else []
        assert installation.document(*explain).get("trunk_groups", []) == others
        said = f"gateways or phones of this account have rates of {group}: their calls may cost otherwise"
        for shown in (explain, ("account", "rates", "customer-1")):
            assert (said in installation.vosd(*shown).stdout) is bool(others)


def test_a_part_of_the_prices_is_listed_in_order(installation: Installation) -> None:
    first = installation.document("account", "rates", "customer-1", "--limit", "2")
    assert [each["prefix"] for each in first] == ["*", "44"]
    shown = installation.vosd("account", "rates", "customer-1", columns=80)
    assert [line.split()[0] for line in shown.stdout.splitlines()] == ["prefix", "*", "44", "4420", "447"]
    assert shown.stdout.splitlines()[-1].endswith("closed")


def test_an_account_without_tax_is_shown_none(installation: Installation) -> None:
    written = installation.config.read_text()
    installation.config.write_text(written.replace("currency: EUR}", "currency: EUR, tax_exempt: yes}", 1))
    (found,) = installation.document("account", "rates", "customer-1", "--prefix", "44", "--limit", "1")
    assert (found["prefix"], found["tax_rate"]) == ("44", "0")
