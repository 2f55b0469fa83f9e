"""A network for each run of the tests: never one where a run that was killed has left its switches."""

from e2e.addresses import NETWORK, is_used


def test_a_network_is_used_where_a_socket_has_an_address_of_it() -> None:
    assert is_used(int(NETWORK.split(".")[1])), "the socket that claims it"
    assert not is_used(255), "one that no run takes"
