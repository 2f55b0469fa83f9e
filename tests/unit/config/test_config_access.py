"""``access`` in the configuration: what does not fit together, and what denies trunks of the installation."""

import pytest
from doubles.countries import write_countries

from vosd.routing.access import AccessAction, AccessScope


def test_the_rules_are_read_with_their_file_beside_them(site):
    write_countries(site.directory / "geo.mmdb")
    loaded = site.load(
        site.minimal
        + """
access:
  allow: [192.0.2.0/24, "2001:db8::/32"]
  deny: 203.0.113.7
  countries: [de, AT]
  database: geo.mmdb
  rules:
    - {scope: sdp, networks: 10.0.0.0/8, action: ignore}
    - {countries: [KP], action: block}
"""
    )
    access = loaded.catalogue.parameters.access
    assert [str(each) for each in (*access.allow, *access.deny)] == ["192.0.2.0/24", "2001:db8::/32", "203.0.113.7/32"]
    assert access.countries == {"DE", "AT"}
    assert [(each.scope, each.action) for each in access.rules] == [
        (AccessScope.SDP, AccessAction.IGNORE),
        (AccessScope.SIGNALLING, AccessAction.BLOCK),
    ]
    assert loaded.settings.country_file == site.directory / "geo.mmdb"
    assert any("media.engine relay as well" in str(problem) for problem in loaded.problems)


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ("access: {countries: [DE]}", "access.database: expected a file that has the countries of addresses"),
        ("access: {countries: [UK], database: g.mmdb}", "expected a country by ISO 3166: did you mean GB?"),
        ("access: {countries: [ZZ], database: g.mmdb}", "a country by the two letters of ISO 3166"),
        ("access: {deny: [203.0.113.7/24]}", "without host bits"),
        ("access: {rules: [{action: ignore}]}", "access.rules[0].networks: expected networks or countries"),
        ("access: {database: missing.mmdb}", "access.database: expected a file that can be read"),
        ("access: {database: vosd.yaml}", "access.database: expected a file in the format of MaxMind"),
    ],
)
def test_what_does_not_fit_together_is_said(site, written, error):
    write_countries(site.directory / "g.mmdb")
    found = site.errors(f"{site.minimal}\n{written}\n")
    assert len(found) == 1, found
    assert error in found[0]


@pytest.mark.parametrize(
    "written",
    [
        "accounts: [{id: acme, countries: DE}]",
        "accounts: [{id: acme}]\nphones: [{number: 1001, account: acme, password: secret, countries: [DE, FR]}]",
        "accounts: [{id: acme}]\nmapping_gateways: [{name: pbx, account: acme, hosts: 192.0.2.1, countries: DE}]",
    ],
)
def test_countries_of_users_need_the_file(site, written):
    (error,) = site.errors(f"{written}\n")
    assert error.endswith(".countries: expected access.database as well: it has the countries of addresses")


def test_a_trunk_that_is_denied_is_warned_of(site):
    text = """
accounts: [{id: acme}]
mapping_gateways: [{name: acme, account: acme, hosts: [192.0.2.1, 198.51.100.1]}]
access: {deny: 198.51.100.0/24}
"""
    (warning,) = [each for each in site.warnings(text) if "mapping_gateways" in each and "access" in each]
    assert "mapping_gateways[acme].hosts: value '198.51.100.1/32': expected addresses that may call" in warning
    assert "access.deny has 198.51.100.0/24" in warning
