"""Key exchanges of TLS: those that stop all calls are left out, certificates of any curve are still taken."""

import ssl

import pytest
from doubles.certificates import Authority, Certificate, agree

from vosd.processes import key_exchange
from vosd.processes.key_exchange import leave_out_slow_ones, use_groups

SLOW = "ffdhe8192"
"""A finite field, by which both sides took 150 ms."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def shown(authority: Authority) -> Certificate:
    return authority.issue("server", "localhost")


def test_no_side_agrees_on_a_finite_field(authority, shown):
    for ours_is_server in (True, False):
        server, client = authority.server_context(shown), authority.client_context()
        ours, theirs = (server, client) if ours_is_server else (client, server)
        leave_out_slow_ones(ours)
        assert use_groups(theirs, SLOW)
        with pytest.raises(ssl.SSLError):
            agree(server, client)


@pytest.mark.parametrize("group", ["X25519", "P-256", "X448", "P-521", "P-384"])
def test_each_side_agrees_on_any_curve(authority, shown, group):
    for ours_is_server in (True, False):
        server, client = authority.server_context(shown), authority.client_context()
        ours, theirs = (server, client) if ours_is_server else (client, server)
        leave_out_slow_ones(ours)
        assert use_groups(theirs, group)
        assert agree(server, client).version() == "TLSv1.3"


def test_certificates_of_other_curves_are_taken_over_tls_1_2(authority):
    other = authority.issue("p384", "localhost", curve="secp384r1")
    server, client = authority.server_context(other, asks=True), authority.client_context(other)
    for each in (server, client):
        leave_out_slow_ones(each)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert agree(server, client).version() == "TLSv1.2"


def test_a_client_offers_no_field_that_a_server_chooses_and_all_other_suites(authority):
    before, after = authority.client_context(), authority.client_context()
    leave_out_slow_ones(after)
    kept = [each["name"] for each in before.get_ciphers() if not each["kea"].startswith("kx-dhe")]
    assert [each["name"] for each in after.get_ciphers()] == kept
    assert len(kept) < len(before.get_ciphers())
    assert after.security_level == before.security_level


def test_a_python_that_sets_no_list_of_groups_agrees_by_the_common_curve_alone(authority, shown, monkeypatch):
    monkeypatch.setattr(key_exchange, "use_groups", lambda *_: False)
    monkeypatch.setattr(key_exchange, "_QUICK", (9, 0))
    for group, fits in (("P-256", True), (SLOW, False)):
        server, client = authority.server_context(shown), authority.client_context()
        leave_out_slow_ones(server)
        assert use_groups(client, group)
        if fits:
            assert agree(server, client).version() == "TLSv1.3"
        else:
            with pytest.raises(ssl.SSLError):
                agree(server, client)


def test_an_unknown_group_changes_nothing(authority, shown):
    server, client = authority.server_context(shown), authority.client_context()
    assert not use_groups(client, "nonsense")
    assert agree(server, client).version() == "TLSv1.3"
