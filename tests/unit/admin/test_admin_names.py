"""Unknown names are errors that list similar names."""

import pytest
from doubles.data.builders import catalogue, mapping_gateway, routing_gateway

from vosd.admin.names import UnknownAccountError, UnknownNameError, check_gateway, check_selection, configured, near
from vosd.control.calls import CallSelection, CallSnapshot

CATALOGUE = catalogue(
    [mapping_gateway("acme-pbx", "198.51.100.10/32"), routing_gateway("carrier-a"), routing_gateway("carrier-b")]
)
REMOVED = CallSnapshot(
    call_id="01a0c450-6c01-7000-8000-000000000001",
    state="talking",
    mapping_gateway="old-pbx",
    routing_gateway=None,
    customer_account="old",
    vendor_account=None,
    caller="1000",
    callee="442012",
    started_at=1,
    answered_at=None,
    age_s=60,
    talk_s=None,
)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("carier-a", ["carrier-a", "carrier-b"]),
        ("CARRIER-B", ["carrier-b", "carrier-a"]),
        ("pbx", ["acme-pbx"]),
        ("zebra", []),
        ("", []),
    ],
)
def test_the_nearest_names_come_first_and_case_does_not_matter(typed, meant):
    assert near(typed, ["acme-pbx", "carrier-a", "carrier-b"]) == meant


def test_no_more_than_three_names_are_offered():
    assert len(near("carrier", [f"carrier-{number}" for number in range(20)])) == 3


def test_of_many_names_those_alone_are_near_that_contain_the_word():
    names = [f"carrier-{number}" for number in range(3_000)]
    assert near("RIER-2999", names) == ["carrier-2999"]
    assert near("carrier-x", names) == []  # 0.1 s, and 3 s for 100,000 names


def test_an_unknown_gateway_is_an_error_at_once():
    check_gateway("carrier-a", CATALOGUE)
    check_gateway("acme-pbx", CATALOGUE)
    check_gateway(None, CATALOGUE)
    with pytest.raises(UnknownNameError, match="'carrier-a'"):
        check_gateway("carier-a", CATALOGUE)
    with pytest.raises(UnknownNameError, match="vosd status --gateways"):
        check_gateway("zebra", CATALOGUE)


def test_a_selection_of_running_calls_may_name_who_is_configured_or_has_calls():
    check_selection(CallSelection(gateway="carrier-a", account="acme-pbx"), CATALOGUE, [])
    check_selection(CallSelection(gateway="old-pbx", account="old"), CATALOGUE, [REMOVED])
    check_selection(CallSelection(prefix="44"), CATALOGUE, [])
    with pytest.raises(UnknownNameError, match="no gateway 'old-pbx'"):
        check_selection(CallSelection(gateway="old-pbx"), CATALOGUE, [])
    with pytest.raises(UnknownNameError, match=r"no account 'acme-pb' .* 'acme-pbx'"):
        check_selection(CallSelection(account="acme-pb"), CATALOGUE, [])


def test_an_account_that_is_not_configured_is_an_error_that_names_the_nearest():
    with pytest.raises(UnknownAccountError, match="did you mean 'acme-pbx'"):
        configured(CATALOGUE.accounts, "acme-pb")
