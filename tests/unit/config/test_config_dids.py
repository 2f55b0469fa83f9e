"""Keys of ``dids``: what an entry may say, and what it must name."""

import pytest

from vosd.trunks.ringing import RingOrder

PHONES = "phones: [{number: '7001', account: acme, password: secret}]\n"


def loaded(site, text: str):
    return site.load(PHONES + site.minimal + text).catalogue


def test_an_entry_arrives_with_what_it_rings(site):
    text = "dids: [{number: 4930100-4930199, account: acme, phones: '7001', ring_timeout: 12}, {number: '4930200'}]"
    table = loaded(site, text).dids
    assert (table.find("4930150").phones, table.find("4930150").ring_timeout_ms) == (("7001",), 12_000)
    assert table.find("4930200").account is None
    assert table.find("4930201") is None


def test_phones_ring_in_turn_unless_together_is_said(site):
    entries = (
        "{number: '1', account: acme, phones: '7001', ring: together}, {number: '2', account: acme, phones: '7001'}"
    )
    text = f"dids: [{entries}]"
    catalogue = loaded(site, text)
    assert [catalogue.dids.find(number).ring for number in "12"] == [RingOrder.TOGETHER, RingOrder.IN_TURN]
    assert catalogue.phones["7001"].ring is RingOrder.IN_TURN


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("number: 49x", "dids[49x].number: value '49x': expected a number in digits"),
        ("number: 200-100", "expected a number in digits such as"),
        ("number: '1', phones: '7001'", "dids[1].account: expected the account that has the number"),
        ("number: '1', account: acme", "dids[1].trunk: expected a trunk or phones that are called"),
        ("number: '1', account: acme, phones: '7001', trunk: carrier", "expected either trunk or phones"),
        ("number: '1', account: acme, phones: '7001', otherwise: '7001'", "expected beside calendar"),
        ("number: '1', account: acme, phones: '7999'", "expected the name of a phone"),
        ("number: '1', account: nowhere, phones: '7001'", "expected the name of an account"),
        ("number: '1', account: acme, trunk: nowhere", "expected the name of a trunk"),
        ("number: '1', account: acme, trunk: acme-pbx", "expected a mapping gateway with auth, which registers"),
        ("number: 100-199, account: acme, trunk: carrier}, {number: '150'", "expected no number of dids[100-199]"),
    ],
)
def test_mistakes_are_named(site, entry, expected):
    (problem,) = site.errors(PHONES + site.minimal + f"dids: [{{{entry}}}]")
    assert expected in problem


def test_numbers_that_ring_a_phone_of_another_account_are_a_warning(site):
    others = "{number: '7001', account: acme, password: secret}, {number: '7002', account: carrier, password: secret}"
    text = (
        f"phones: [{others}]\n{site.minimal}dids: [{{number: '1', account: acme, phones: '7001'}}, {{number: '2', "
        "account: acme, phones: ['7001', '7002']}, {number: '3', account: carrier, phones: '7001'}]"
    )
    (warning,) = [str(each) for each in site.load(text).problems if "numbers that ring" in str(each)]
    expected = (
        "a phone of account acme, this one is of carrier: numbers that ring phones of other accounts than theirs: 2"
    )
    assert f"dids[2].phones: value '7002': expected {expected}" in warning
