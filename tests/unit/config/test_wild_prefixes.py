"""Prefixes in which a digit is left open: where they may stand, and what they may be."""

import pytest

CONFIGURATION = """
accounts: [{{id: carrier, type: clearing}}]
routing_gateways:
  - {{name: carrier, account: carrier, address: 192.0.2.9, allow_unrated: true, prefixes: ["{prefix}"]}}
"""


@pytest.mark.parametrize("prefix", ["44?", "?4", "4??1", "??9"])
def test_a_prefix_of_a_routing_gateway_may_leave_digits_open(site, prefix):
    loaded = site.load(CONFIGURATION.format(prefix=prefix))
    assert [each.gateway.name for each in loaded.catalogue.routes.candidates(prefix.replace("?", "4"))] == ["carrier"]


@pytest.mark.parametrize("prefix", ["?", "??", "4*", "4x", "+4?"])
def test_it_needs_a_digit_and_knows_no_other_wildcard(site, prefix):
    errors = site.errors(CONFIGURATION.format(prefix=prefix))
    assert any("(? for any digit)" in error for error in errors)
