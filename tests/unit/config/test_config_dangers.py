"""Configurations that are valid key by key and dangerous, or do nothing: each is named with its remedy."""

from ipaddress import ip_network

import pytest

from vosd.catalogue.problems import ConfigError

MAPPED, QUARTER = ip_network("::ffff:0:0/96"), ip_network("::ffff:4000:0/103")
"""Texts of both are others from Python 3.13 on."""


def said(site, text):
    """Return all problems of a configuration, errors or warnings."""
    try:
        return site.warnings(text)
    except ConfigError as error:
        return [site.shown(str(problem)) for problem in error.problems]


@pytest.mark.parametrize(
    ("old", "new", "begins"),
    [
        ("hosts: 192.0.2.1", "hosts: 0.0.0.0/0",
         ":8: mapping_gateways[acme-pbx].hosts: value '0.0.0.0/0': expected addresses of the customer, or"),
        ("hosts: 192.0.2.1", "hosts: '::/0'",
         ":8: mapping_gateways[acme-pbx].hosts: value '::/0': expected addresses of the customer, or"),
        ("hosts: 192.0.2.1", "hosts: '::ffff:0:0/96'",
         f":8: mapping_gateways[acme-pbx].hosts: value '{MAPPED}': expected addresses of the customer, or"),
        ("hosts: 192.0.2.1", "hosts: '::ffff:64.0.0.0/103'",
         f":8: warning: mapping_gateways[acme-pbx].hosts: value '{QUARTER}': expected narrower hosts, or"),
        ("hosts: 192.0.2.1", "hosts: '2000::/3'",
         ":8: warning: mapping_gateways[acme-pbx].hosts: value '2000::/3': expected narrower hosts, or"),
        ("hosts: 192.0.2.1", "hosts: 128.0.0.0/1",
         ":8: warning: mapping_gateways[acme-pbx].hosts: value '128.0.0.0/1': expected narrower hosts, or"),
        ("account: acme", "account: carrier",
         ":8: warning: mapping_gateways[acme-pbx].account: value 'carrier': expected an account of type"),
        ("address: 192.0.2.9", "address: '127.0.0.1:5060'",
         ":10: routing_gateways[carrier].address: value '127.0.0.1:5060': expected the address of the vendor"),
        ("0.012", "0.001", ":2: warning: rate_groups[sell]: expected prices above what vendors cost"),
        ("address: 192.0.2.9", "address: 192.0.2.9, allow_unrated: yes",
         ":10: warning: routing_gateways[carrier]: expected prefixes, which may be \"*\""),
        ("address: 192.0.2.9", "address: 192.0.2.9, prefixes: []",
         ":10: routing_gateways[carrier].prefixes: expected at least one prefix"),
        ("hosts: 192.0.2.1", "hosts: 192.0.2.1, callee_deny: ['4470']",
         ":8: warning: mapping_gateways[acme-pbx].callee_deny: value '4470': expected 4470* for all numbers"),
        ("hosts: 192.0.2.1", "hosts: 192.0.2.1, callee_deny: ['1-900*']",
         ":8: warning: mapping_gateways[acme-pbx].callee_deny: value '1-900*': expected 1900*: numbers are compared"),
        ("address: 192.0.2.9", "address: 192.0.2.9, caller_deny: ['1.205.555.1234']",
         ":10: warning: routing_gateways[carrier].caller_deny: value '1.205.555.1234': expected 12055551234: numbers"),
        ("routing_gateways:", "number_lists: [{name: bad, patterns: [1900, 1-900-555-1234]}]\nrouting_gateways:",
         ":9: warning: number_lists[bad]: value '1-900-555-1234': expected 19005551234: numbers are compared"),
        ("id: acme, ", "id: acme, rate_types: local, ",
         ":5: warning: accounts[acme].rate_types: value 'local': expected a rate_type that rates of"),
        ("routing_gateways:", "routing_plans: [{name: p, gateways: []}]\nrouting_gateways:",
         ":9: routing_plans[p].gateways: expected at least one routing gateway; leave the key out"),
    ],
)  # fmt: skip
def test_a_dangerous_configuration_names_its_remedy(site, old, new, begins):
    assert old in site.minimal

    (problem,) = said(site, site.minimal.replace(old, new))

    assert problem.startswith(f"vosd.yaml{begins}")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("hosts: 192.0.2.1", "hosts: 0.0.0.0/0, auth: {username: acme, password: a-long-secret-7}"),
        ("hosts: 192.0.2.1", "hosts: 10.0.0.0/8"),
        ("hosts: 192.0.2.1", "hosts: '::ffff:10.0.0.0/104'"),
        ("hosts: 192.0.2.1", "hosts: 192.0.2.1, callee_deny: ['4470*', '112', '442079460000']"),
        ("hosts: 192.0.2.1", "hosts: 192.0.2.1, caller_deny: ['anne-smith', 'a.b', '1-alice', 'fax-7*']"),
        ("account: acme", "account: carrier2"),
        ("address: 192.0.2.9", "address: '127.0.0.1:5070'"),
        ("address: 192.0.2.9", "address: '127.0.0.1:5060;transport=tcp'"),
        ("address: 192.0.2.9", "address: 192.0.2.9, allow_unrated: yes, prefixes: '*'"),
        ("id: acme, ", "id: acme, rate_types: local, private_rate_group: buy, "),
    ],
)
def test_what_is_meant_is_no_warning(site, old, new):
    partner = "accounts:\n  - {id: carrier2, type: partner, rate_group: sell, overdraft_limit: unlimited}"
    text = site.minimal.replace(old, new).replace("accounts:", partner)

    assert [each for each in said(site, text) if "a tcp socket" not in each] == []


def test_a_plan_whose_file_has_no_route_is_named(site):
    site.write("routes.csv", "prefix,gateway\n")

    (warning,) = site.warnings(f"{site.minimal}routing_plans: [{{name: p, routes_file: routes.csv}}]")

    assert "routing_plans[p].routes_file: expected a file with at least one route" in warning


def test_a_rate_of_exchange_is_compared_with_its_inverse(site):
    text = "exchange_rates: [{base: EUR, quote: USD, rate: '1.1'}, {base: USD, quote: EUR, rate: 'RATE'}]"

    (warning,) = site.warnings(text.replace("RATE", "91"))

    assert "value '1.1': expected about the inverse of USD to EUR, 91 at vosd.yaml:1" in warning
    assert site.warnings(text.replace("RATE", "0.89")) == []


def test_a_file_in_place_of_the_state_directory_is_an_error(site):
    file = site.write("state", "x")

    assert site.errors(f"state_dir: {file}") == [
        "vosd.yaml:1: state_dir: value 'state': expected a directory; state is a file"
    ]
    assert "above it is a file" in site.errors(f"state_dir: {file}/below")[0]
    assert site.warnings(f"state_dir: {site.directory}/new") == []


def test_the_heading_rate_is_a_price_and_no_tax(site):
    errors = site.errors("rate_groups: [{name: sell, rates: [{prefix: '44', rate: '0.01'}]}]")

    assert "expected a known key; did you mean 'billing_rate'?" in errors[1]


def test_a_template_that_does_not_exist_is_expected_under_templates(site):
    (error,) = site.errors("accounts: [{id: a, template: x}]")

    assert error.endswith("accounts[a].template: value 'x': expected a name under templates, of which there is none")


def test_a_currency_that_does_not_exist_is_named_where_it_stands(site):
    text = "rate_groups: [{name: sell, currency: USX, rates: []}]"

    assert site.errors(text) == [
        (
            "vosd.yaml:1: rate_groups[sell].currency: value 'USX': "
            "expected a code of ISO 4217 such as USD, or one that stands in currencies"
        )
    ]
    assert site.warnings(f"{text}\ncurrencies: [{{code: USX, fee_precision: 2}}]") == []


def test_a_tab_is_called_a_tab(site):
    (error,) = site.errors("accounts:\n\t- {id: a}\n")

    assert "expected blanks instead of the tab at the beginning of the line" in error


SHADOW = "root:$6$salt$hash:20228:0:99999:7:::\ndaemon:*:20228:0:99999:7:::\ndaemon:*:20228:0:99999:7:::\n"


@pytest.mark.parametrize(
    "key", ["include: [shadow]", "number_lists: [{name: l, file: shadow}]",
            "rate_groups: [{name: g, rates_file: shadow}]", "routing_plans: [{name: p, routes_file: shadow}]"],
)  # fmt: skip
def test_no_line_of_another_kind_of_file_is_repeated(site, key):
    site.write("shadow", SHADOW)

    errors = site.errors(key)

    assert errors
    assert not any("salt" in each or "daemon" in each or "root" in each for each in errors)


def test_webhooks_that_nothing_is_sent_to_are_a_warning(site):
    urls = "https://crm.example.com/x", "http://198.51.100.7/x", "http://10.0.0.7:8080/x", "http://[::1]/x"
    hooks = "".join(f"- {{name: n{number}, url: '{url}'}}\n" for number, url in enumerate(urls))
    hooks += "- {name: own, url: 'http://10.0.0.7/x', allow_private: yes}\n"
    found = [str(each) for each in site.load(f"webhooks:\n{hooks}").problems]
    assert [each.split(": warning: ")[1].split(":")[0] for each in found] == [
        "webhooks[1].url", "webhooks[2].url", "webhooks[3].url",
    ]  # fmt: skip
    assert all("allow_private: yes as well" in each for each in found)
