"""Partners in the configuration: one account for both directions, with rates for each."""

from vosd.billing.accounts import AccountType


def text_of(site, gateway="rate_group: buy, ", account="type: partner, "):
    text = site.minimal.replace("type: clearing, ", account)
    return text.replace("account: carrier,", f"account: carrier, {gateway}")


def test_a_gateway_of_a_partner_earns_and_others_do_not(site):
    partner, vendor = site.load(text_of(site)).catalogue, site.load(site.minimal).catalogue
    assert partner.accounts["carrier"].type is AccountType.PARTNER
    assert [each.routing_gateways["carrier"].earns for each in (partner, vendor)] == [True, False]
    assert partner.version != vendor.version


def test_a_gateway_of_a_partner_names_what_the_partner_is_paid(site):
    (error,) = site.errors(text_of(site, gateway=""))
    assert "routing_gateways[carrier].rate_group: expected what partner 'carrier' is paid" in error
