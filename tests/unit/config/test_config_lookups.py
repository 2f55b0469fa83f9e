"""``number_portability`` and ``redirect_server``: what they make, and mistakes in them."""

import json

import pytest

from vosd.admin.differences import describe
from vosd.base.secret import Secret
from vosd.catalogue.problems import ConfigError
from vosd.config.load import load
from vosd.engine.settings import LookupSettings, PortabilitySettings
from vosd.routing.lookups import PortabilityTerms, RedirectTerms
from vosd.trunks.gateways import Address

URL = "http://192.0.2.5:8080/lrn/{number}"


def loaded(directory, **top):
    path = directory / "vosd.yaml"
    path.write_text(json.dumps(top))
    return load(path)


def test_nothing_is_asked_by_default(tmp_path):
    found = loaded(tmp_path, node="sw1")
    assert found.settings.lookups == LookupSettings()
    assert found.catalogue.parameters.number_portability is None
    assert found.catalogue.parameters.redirect_server is None


def test_a_lookup_by_http(tmp_path):
    section = {"url": URL, "field": "result.lrn", "authorization": "Bearer x", "timeout": "0.5", "cache_ttl": "60"}
    found = loaded(tmp_path, number_portability=section)
    assert found.settings.lookups.portability == PortabilitySettings(
        URL, "result.lrn", Secret("Bearer x"), None, timeout_ms=500, cache_ttl_s=60
    )
    assert found.catalogue.parameters.number_portability == PortabilityTerms(asks=True, timeout_ms=500)
    assert "Bearer x" not in json.dumps(describe(found.settings, found.transports, found.catalogue), default=str)


def test_a_lookup_by_sip(tmp_path):
    section = {"server": "192.0.2.5;transport=tcp", "fail_open": "no", "prefixes": ["1", "44"]}
    listen = ["udp:192.0.2.1:5060", "tcp:192.0.2.1:5060"]
    found = loaded(tmp_path, number_portability=section, sip={"listen": listen})
    assert found.settings.lookups.portability == PortabilitySettings(server=Address("192.0.2.5", 5060, "tcp"))
    assert found.catalogue.parameters.number_portability == PortabilityTerms(
        asks=True, fail_open=False, prefixes=("1", "44")
    )


def test_rates_may_follow_routing_numbers_that_customers_send(tmp_path):
    found = loaded(tmp_path, number_portability={"rate_by_routing_number": "yes"})
    assert found.settings.lookups.portability is None
    assert found.catalogue.parameters.number_portability == PortabilityTerms(rate_by_routing_number=True)


def test_a_redirect_server(tmp_path):
    found = loaded(
        tmp_path,
        sip={"listen": "udp:[2001:db8::1]:5060"},
        redirect_server={"address": "[2001:db8::5]:5070", "timeout": "1.5", "fail_open": "no"},
    )
    assert found.settings.lookups == LookupSettings(redirect_server=Address("2001:db8::5", 5070))
    assert found.catalogue.parameters.redirect_server == RedirectTerms(timeout_ms=1_500, fail_open=False)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"url": "ftp://h/{number}"}, "url: .*expected an http or https URL with {number} once"),
        ({"url": "http://h/"}, "url: .*expected an http or https URL"),
        ({"url": "http://h/{number}/{number}"}, "url: .*expected an http or https URL"),
        ({"url": "http://{number}/"}, "url: .*expected an http or https URL"),
        ({"url": "http://u:p@h/{number}"}, "url: .*expected an http or https URL"),
        ({"url": "http://h:99999/{number}"}, "url: .*expected an http or https URL"),
        ({"url": "http://h/{number} x"}, "url: .*expected an http or https URL"),
        ({"url": "/{number}"}, "url: .*expected an http or https URL"),
        ({"url": URL, "server": "192.0.2.5"}, "server: .*expected either url or server"),
        ({"server": "lrn.example.net"}, "server: .*expected an IP address"),
        ({"server": "192.0.2.5", "field": "lrn"}, "url: expected the URL that is asked"),
        ({"fail_open": "no", "prefixes": ["1"]}, "url: expected the URL that is asked, or server"),
        ({"url": URL, "field": "a..b"}, "field: .*expected the name of a field"),
        ({"url": URL, "timeout": "11"}, "timeout: .*expected seconds from 0.05 to 10"),
        ({"url": URL, "cache_ttl": "0"}, "cache_ttl: .*expected a whole number of seconds from 1"),
    ],
)
def test_mistakes_in_number_portability_are_named(tmp_path, section, said):
    with pytest.raises(ConfigError, match=f"number_portability.{said}"):
        loaded(tmp_path, number_portability=section)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"timeout": "1"}, "address: expected where the server is asked"),
        ({"address": "redirect.example.net"}, "address: .*expected an IP address"),
        ({"address": "0.0.0.0"}, "address: .*expected an address or name"),
        ({"address": "192.0.2.5", "fail_open": "maybe"}, "fail_open: .*expected yes or no"),
    ],
)
def test_mistakes_in_the_redirect_server_are_named(tmp_path, section, said):
    with pytest.raises(ConfigError, match=f"redirect_server.{said}"):
        loaded(tmp_path, redirect_server=section)


def test_a_server_must_be_in_reach_of_a_socket(tmp_path):
    with pytest.raises(ConfigError, match=r"redirect_server.address: .*expected a tls socket in sip.listen"):
        loaded(tmp_path, redirect_server={"address": "192.0.2.5;transport=tls"})
    found = loaded(tmp_path, number_portability={"server": "[2001:db8::5]"})
    (warning,) = found.problems
    assert (warning.key, warning.expected) == (
        "number_portability.server",
        "a socket with an IPv6 address in sip.listen",
    )
