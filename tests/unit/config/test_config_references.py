"""What objects say of each other: references, currencies, sources, versions."""

import pytest


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("id: acme, rate_group: sell", "id: acme, rate_group: sel",
         "5: accounts[acme].rate_group: value 'sel': expected the name of a rate group; did you mean 'sell'?"),
        ("account: acme", "account: acm",
         ("8: mapping_gateways[acme-pbx].account: value 'acm': "
         "expected the name of an account; did you mean 'acme'?")),
        ("hosts: 192.0.2.1", "hosts: 192.0.2.1, rate_group: x",
         ("8: mapping_gateways[acme-pbx].rate_group: value 'x': "
         "expected the name of a rate group; one of buy, sell")),
        ("account: carrier, address", "account: carriers, address",
         ("10: routing_gateways[carrier].account: value 'carriers': "
         "expected the name of an account; did you mean 'carrier'?")),
        ("id: acme, rate_group: sell", "id: acme, rate_group: sell, currency: EUR",
         ("5: accounts[acme].currency: value 'EUR': expected USD, the currency of rate group 'sell', "
         "or exchange_rates with base: USD and quote: EUR")),
    ],
)  # fmt: skip
def test_a_reference_to_nothing_is_named_where_it_stands(site, old, new, error):
    assert site.errors(site.minimal.replace(old, new)) == [f"vosd.yaml:{error}"]


def test_a_gateways_rate_group_has_its_accounts_currency(site):
    text = site.minimal.replace("accounts:", "  - {name: euro, currency: EUR, rates: []}\naccounts:")

    assert site.errors(text.replace("hosts: 192.0.2.1", "hosts: 192.0.2.1, rate_group: euro")) == [
        (
            "vosd.yaml:9: mapping_gateways[acme-pbx].rate_group: value 'euro': "
            "expected a rate group in USD, the currency of account 'acme', or exchange_rates with base: EUR "
            "and quote: USD; rate group 'euro' (vosd.yaml:4) is in EUR"
        )
    ]


def test_gateways_that_claim_the_same_source_are_all_named_with_both_places(site):
    errors = site.errors(
        """
        accounts: [{id: acme, rate_group: sell}]
        rate_groups: [{name: sell, rates: []}]
        mapping_gateways:
          - {name: a, account: acme, hosts: [192.0.2.1, 192.0.2.0/24]}
          - {name: b, account: acme, hosts: [192.0.2.1/32]}
          - {name: c, account: acme, hosts: [192.0.2.0/24], tech_prefix: "1"}
          - {name: d, account: acme, hosts: [192.0.2.0/24]}
        """
    )

    assert [error.partition(": mapping gateways")[0] for error in errors] == [
        "vosd.yaml:5: mapping_gateways[b].hosts: expected hosts or a tech_prefix that differ from 'a' at vosd.yaml:4",
        "vosd.yaml:7: mapping_gateways[d].hosts: expected hosts or a tech_prefix that differ from 'a' at vosd.yaml:4",
    ]


def test_gateways_may_share_a_source_and_differ_in_the_tech_prefix(site):
    catalogue = site.load(
        """
        accounts: [{id: acme, rate_group: sell}]
        rate_groups: [{name: sell, rates: []}]
        mapping_gateways:
          - {name: a, account: acme, hosts: 192.0.2.1, tech_prefix: "7001"}
          - {name: b, account: acme, hosts: 192.0.2.1}
        """
    ).catalogue

    assert catalogue.sources.identify("192.0.2.1", 5060, lambda _: "700144").gateway.name == "a"
    assert catalogue.sources.identify("192.0.2.1", 5060, lambda _: "44").gateway.name == "b"


def test_a_vendor_without_rates_is_a_warning_unless_that_is_meant(site):
    text = "accounts: [{id: v}]\nrouting_gateways: [{name: r, account: v, address: 192.0.2.1}]"

    assert site.warnings(text) == [
        (
            "vosd.yaml:2: warning: routing_gateways[r]: expected a rate_group on account 'v', or allow_unrated: yes; "
            "without a buy rate the gateway takes no call"
        )
    ]
    assert site.warnings(text.replace("address:", "allow_unrated: yes, prefixes: 44, address:")) == []


def test_prefixes_from_rates_need_rates(site):
    assert site.errors(
        "accounts: [{id: v}]\n"
        "routing_gateways: [{name: r, account: v, address: 192.0.2.1, prefixes: from_rates, allow_unrated: yes}]"
    ) == [
        (
            "vosd.yaml:2: routing_gateways[r].prefixes: value 'from_rates': "
            "expected a rate_group on account 'v' to take prefixes from"
        )
    ]


def test_a_customer_without_rates_is_a_warning(site):
    assert site.warnings("accounts: [{id: c}]\nmapping_gateways: [{name: m, account: c, hosts: 192.0.2.1}]") == [
        (
            "vosd.yaml:2: warning: mapping_gateways[m]: "
            "expected a rate_group here or on account 'c': without one every call is refused"
        )
    ]


def test_listening_everywhere_without_an_address_to_advertise_is_a_warning(site):
    text = "sip: {listen: ['udp:0.0.0.0:5060']}"

    assert site.warnings(text) == [
        (
            "vosd.yaml:1: warning: sip.listen: value 'udp:0.0.0.0:5060': "
            "expected sip.advertise as well: peers cannot send to an address of all zeros"
        )
    ]
    assert site.warnings("sip: {listen: ['udp:0.0.0.0:5060'], advertise: 192.0.2.1}") == []


def test_equal_content_has_an_equal_version_whatever_the_text_looks_like(site):
    version = site.load(site.minimal).catalogue.version

    assert site.load(f"# a comment\n{site.minimal}").catalogue.version == version
    assert site.load("node: other\n" + site.minimal).catalogue.version == version


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"0.012"', '"0.013"'),
        ("id: acme,", "id: acme, max_cps: 1,"),
        ("hosts: 192.0.2.1", "hosts: 192.0.2.2"),
        ("address: 192.0.2.9", "address: 192.0.2.9, failover_codes: [503, 486]"),
        ("rate_groups:", "limits: {max_call_seconds: 60}\nrate_groups:"),
        ("rate_groups:", "parameters: {SERVER_BILLING_FREE_TIME: 6}\nrate_groups:"),
    ],
)
def test_every_change_of_what_a_call_is_decided_by_changes_the_version(site, old, new):
    version = site.load(site.minimal).catalogue.version

    assert site.load(site.minimal.replace(old, new, 1)).catalogue.version != version
