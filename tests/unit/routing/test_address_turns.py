"""The addresses of a gateway in turn."""

from vosd.routing.weights import AddressTurns


def test_each_address_is_first_in_turn_and_the_others_follow():
    turns = AddressTurns()
    assert ["".join(turns.rotated("carrier", "abc")) for _ in range(4)] == ["abc", "bca", "cab", "abc"]


def test_every_gateway_has_turns_of_its_own_and_may_get_fewer_addresses():
    turns = AddressTurns()
    for _ in range(2):
        turns.rotated("carrier", "abc")
    assert "".join(turns.rotated("other", "xy")) == "xy"
    assert "".join(turns.rotated("carrier", "ab")) == "ab"


def test_gateways_that_a_reload_removes_are_forgotten():
    turns = AddressTurns()
    turns.rotated("carrier", "ab")
    turns.rotated("other", "ab")
    turns.keep({"other"})
    assert "".join(turns.rotated("carrier", "ab")) == "ab"
    assert "".join(turns.rotated("other", "ab")) == "ba"
