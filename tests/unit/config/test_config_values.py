"""What a right configuration means: settings and objects with the values that were written."""

import inspect
from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import permutations
from pathlib import Path

import aiomysql
import pytest

from vosd.billing.accounts import AccountType
from vosd.config.assembly.trunk_headers import trunk_causes, trunk_headers
from vosd.config.keys.trunk_headers import CauseKeys, HeaderKeys
from vosd.config.reader.addresses import destination, network
from vosd.config.reader.fields import ExpectedError
from vosd.engine.settings import CdrSettings, DnsSettings, LogLevel, NameServer, OnSigterm, SipListener
from vosd.sip.settings import Limits, Timers
from vosd.trunks.gateways import Address, HostPattern


def test_every_setting_of_the_installation_arrives(site):
    settings = site.load(
        """
        node: fra1
        sip:
          listen: ["udp:[::ffff:192.0.2.1]:5070", "UDP:[2001:db8::1]:5061", "udp:localhost"]
          advertise: 198.51.100.1
          unknown_source: reject
          timers: {t1: 0.05, t2: 0.4, t4: 0.5}
          limits: {max_message_bytes: 4000, max_headers: 64, max_line: 1000}
          server: carrier switch
        database: {url: "mysql+aiomysql://vosd:secret@db:3306/vosd"}
        state_dir: /var/lib/vosd
        control_socket: /run/vosd.sock
        shutdown_grace: 30
        on_sigterm: end
        cdr: {batch_rows: 100, batch_ms: 50}
        log: {level: warning}
        """
    ).settings

    assert settings.node == "fra1"
    assert settings.listen == (
        SipListener("udp", "192.0.2.1", 5070),
        SipListener("udp", "2001:db8::1", 5061),
        SipListener("udp", "127.0.0.1", 5060),
    )
    assert str(settings.listen[1]) == "udp:[2001:db8::1]:5061"
    assert settings.advertise == ("198.51.100.1", None, "198.51.100.1")
    assert settings.sip.answers_unknown_sources
    assert settings.sip.timers == Timers(50, 400, 500)
    assert settings.sip.limits == Limits(4000, 64, 1000)
    assert settings.sip.product == "carrier switch"
    assert settings.database_url.reveal() == "mysql+aiomysql://vosd:secret@db:3306/vosd"
    assert settings.state_dir == Path("/var/lib/vosd")
    assert settings.control_socket == Path("/run/vosd.sock")
    assert settings.shutdown_grace_s == 30
    assert settings.on_sigterm is OnSigterm.END
    assert settings.cdr == CdrSettings(100, 50)
    assert settings.log_level is LogLevel.WARNING


def test_the_database_url_is_masked_wherever_settings_are_printed(site):
    settings = site.load("database: {url: 'mysql+aiomysql://vosd:hunter2@db/vosd'}").settings

    assert "hunter2" not in f"{settings!r} {settings.database_url} {settings.database_url!r}"


@pytest.mark.parametrize(
    "url",
    ["sqlite:///x", "sqlite+aiosqlite://", "sqlite+aiosqlite:///", "sqlite+aiosqlite:///:memory:",
     "mysql+aiomysql:///x", "mysql+aiomysql://h", "mysql://h/x", "mysql+aiomysql://h:x/y", "mysql+aiomysql://[::/y"],
)  # fmt: skip
def test_a_database_that_cannot_be_meant_is_an_error(site, url):
    assert site.errors(f"database: {{url: '{url}'}}") == [
        "vosd.yaml:1: database.url: expected sqlite+aiosqlite:///FILE or mysql+aiomysql://USER:PASSWORD@HOST:PORT/NAME"
    ]


@pytest.mark.parametrize(
    "url",
    ["mysql+aiomysql://h/x?foo=1", "mysql+aiomysql://h/x?charset=utf8&read_timeout=5", "mysql+aiomysql://h/x?ssl-ca=",
     "mysql+aiomysql://h/x?host=other", "mysql+aiomysql://h/x?ssl_ca=a&ssl_ca=b", "sqlite+aiosqlite:///x?timeout=a"],
)  # fmt: skip
def test_a_parameter_that_the_driver_of_the_database_does_not_take_is_an_error(site, url):
    (error,) = site.errors(f"database: {{url: '{url}'}}")
    assert error.startswith("vosd.yaml:1: database.url: expected sqlite+aiosqlite:///FILE or mysql+aiomysql://")
    assert ("no parameters behind FILE" if url.startswith("sqlite") else "use_unicode once at most") in error


def test_parameters_that_the_driver_of_the_database_takes_are_none(site):
    of_address = {"host", "user", "password", "db", "port", "ssl"}
    of_programs = {"conv", "cursorclass", "loop"}
    names = inspect.signature(aiomysql.connect).parameters.keys() - of_address - of_programs
    url = f"mysql+aiomysql://h/x?ssl_check_hostname=true&{'&'.join(f'{name}=1' for name in sorted(names))}"
    assert site.load(f"database: {{url: '{url}'}}").settings.database_url.reveal() == url


@pytest.mark.parametrize("sign", ["@", "/", "?", "#", *map("".join, permutations("@/?#", 2)), "@/?", "@x/charset?"])
def test_signs_of_a_password_that_end_a_part_of_the_url_are_named(site, sign):
    (error,) = site.errors(f"database: {{url: 'mysql+aiomysql://vosd:hun{sign}ter@127.0.0.1:3306/vosd'}}")
    assert error.endswith("; in the password write %40 for @, %2F for /, %3F for ?, %23 for # and %25 for %")
    assert "hun" not in error


@pytest.mark.parametrize("key", ["url", "replica"])
def test_a_file_for_tls_to_the_database_that_cannot_be_used_is_an_error(site, key):
    (error,) = site.errors(f"database: {{{key}: 'mysql+aiomysql://h/x?ssl_ca=/nope.pem'}}")
    assert error.startswith(f"vosd.yaml:1: database.{key}: expected usable parameters of TLS: ssl_ca: /nope.pem cannot")


def test_an_account_arrives_with_every_key(site):
    catalogue = site.load(
        """
        rate_groups: [{name: sell, currency: EUR, rates: []}]
        accounts:
          - id: acme
            type: clearing
            rate_group: sell
            overdraft_limit: "12.50"
            enabled: off
            expires_at: 2026-12-31T23:59:59.5+01:00
            max_concurrent: 5
            max_cps: 2
            max_call_seconds: 600
            advance_minutes: 3
          - {id: "0044", overdraft_limit: Unlimited}
        """
    ).catalogue

    acme, plain = catalogue.accounts["acme"], catalogue.accounts["0044"]
    assert acme.type is AccountType.CLEARING
    assert acme.overdraft_limit == Decimal("12.50")
    assert acme.currency == "EUR"
    assert not acme.enabled
    assert acme.expires_at == datetime(2026, 12, 31, 22, 59, 59, 500_000, UTC).timestamp() * 1000
    assert (acme.max_concurrent, acme.max_cps, acme.max_call_seconds, acme.advance_s) == (5, 2, 600, 180)
    assert (plain.type, plain.overdraft_limit, plain.currency) == (AccountType.DIRECT, None, "USD")
    assert (plain.max_concurrent, plain.max_cps, plain.advance_s) == (None, None, 60)


@pytest.mark.parametrize(
    ("host", "pattern"),
    [
        ("192.0.2.1", HostPattern(ip_network("192.0.2.1/32"), None)),
        ("192.0.2.0/24", HostPattern(ip_network("192.0.2.0/24"), None)),
        ("192.0.2.1:5062", HostPattern(ip_network("192.0.2.1/32"), 5062)),
        ("2001:db8::1", HostPattern(ip_network("2001:db8::1/128"), None)),
        ("2001:db8::/32", HostPattern(ip_network("2001:db8::/32"), None)),
        ("[2001:db8::1]:5062", HostPattern(ip_network("2001:db8::1/128"), 5062)),
        ("LOCALHOST:5062", HostPattern(ip_network("127.0.0.1/32"), 5062)),
    ],
)
def test_a_source_is_an_address_a_network_or_an_address_with_port(site, host, pattern):
    catalogue = site.load(
        f"accounts: [{{id: a}}]\nmapping_gateways: [{{name: m, account: a, hosts: ['{host}']}}]"
    ).catalogue

    assert catalogue.mapping_gateways["m"].hosts == (pattern,)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("192.0.2.9", Address("192.0.2.9", 5060)),
        ("192.0.2.9:5080", Address("192.0.2.9", 5080)),
        ("192.0.2.9;transport=UDP", Address("192.0.2.9", 5060, "udp")),
        ("[2001:db8::9]:5080;Transport=udp", Address("2001:db8::9", 5080, "udp")),
        ("2001:db8::9", Address("2001:db8::9", 5060)),
        ("[::ffff:192.0.2.9]:5080", Address("192.0.2.9", 5080)),
        ("localhost:5080", Address("127.0.0.1", 5080)),
        ("SIP.Example.net.", Address("sip.example.net", None)),
        ("sip.example.net:5080", Address("sip.example.net", 5080)),
        ("carrier-1", Address("carrier-1", None)),
    ],
)
def test_a_destination_is_an_address_with_a_port_or_a_name_that_dns_may_give_one(site, written, address):
    catalogue = site.load(
        f"accounts: [{{id: a}}]\nrouting_gateways: [{{name: r, account: a, address: '{written}', allow_unrated: yes}}]"
    ).catalogue

    assert catalogue.routing_gateways["r"].addresses == (address,)


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("192.0.2.9;transport=TCP", Address("192.0.2.9", 5060, "tcp")),
        ("192.0.2.9;transport=tls", Address("192.0.2.9", 5061, "tls")),
        ("192.0.2.9:5060;transport=tls", Address("192.0.2.9", 5060, "tls")),
        ("sip.example.net;transport=tls", Address("sip.example.net", None, "tls")),
    ],
)
def test_a_destination_may_fix_its_transport_which_then_has_its_own_port(written, address):
    assert destination().read(written) == address


def test_a_destination_that_no_socket_reaches_is_a_warning(site):
    vendor = "{name: r, account: a, address: 2001:db8::9, allow_unrated: yes, prefixes: 44}"
    text = f"accounts: [{{id: a}}]\nrouting_gateways: [{vendor}]"
    (warning,) = site.warnings(text)
    assert warning == (
        "vosd.yaml:2: warning: routing_gateways[r].address: value '2001:db8::9': "
        "expected a socket with an IPv6 address in sip.listen"
    )
    assert site.warnings(f"sip: {{listen: ['udp:[::1]:5060']}}\n{text}") == []


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_destination_needs_a_socket_of_its_transport_and_family_together(site, transport):
    files = "tls: {certificate: a.pem, private_key: a.key}"
    vendor = (
        f"{{name: r, account: a, address: '[2001:db8::9];transport={transport}', allow_unrated: yes, prefixes: 44}}"
    )
    listen = f"'{transport}:127.0.0.1:5061', 'udp:[::1]:5060'"
    text = f"sip: {{listen: [{listen}], {files}}}\naccounts: [{{id: a}}]\nrouting_gateways: [{vendor}]"
    expected = f"expected a {transport} socket with an IPv6 address in sip.listen: no other one can send there"
    assert any(each.endswith(expected) for each in site.errors(text))


def test_name_servers_and_how_they_are_asked_arrive_in_the_settings(site):
    assert site.load("node: a").settings.dns == DnsSettings()
    text = (
        "sip: {dns: {servers: [192.0.2.53, '[2001:db8::53]:5353'], timeout: 0.5, attempts: 3, min_ttl: 1, "
        "max_ttl: 60, stale: 0}}"
    )
    assert site.load(text).settings.dns == DnsSettings(
        (NameServer("192.0.2.53", 53), NameServer("2001:db8::53", 5353)), 500, 3, 1, 60, 0
    )


@pytest.mark.parametrize(
    "written",
    ["192.0.2.256", "192.0.2.9:", "192.0.2.9:66000", "[192.0.2.9", "0.0.0.0", "192.0.2.9;maddr=x", "fe80::1%eth0",
     "192.0.2.9;transport=sctp", "", "sip:192.0.2.9", "[::]:5060", "a_.example.net:0", "-a.example.net",
     "192.0.2.9;transport=udp;transport=tcp"],
)  # fmt: skip
def test_what_is_no_destination_is_an_error(site, written):
    (error,) = site.errors(
        f"accounts: [{{id: a}}]\nrouting_gateways: [{{name: r, account: a, address: '{written}', allow_unrated: yes}}]"
    )

    assert error.startswith(f"vosd.yaml:2: routing_gateways[r].address: value {written!r}: expected a")


def test_a_mapping_gateway_arrives_with_every_key(site):
    gateway = site.load(
        site.minimal.replace(
            "hosts: 192.0.2.1",
            "hosts: 192.0.2.1, tech_prefix: '7001#', rate_group: buy, max_call_seconds: 60, max_concurrent: 3, "
            "max_cps: 2, enabled: no",
        )
    ).catalogue.mapping_gateways["acme-pbx"]

    assert (gateway.account, gateway.tech_prefix, gateway.rate_group) == ("acme", "7001#", "buy")
    assert (gateway.max_call_seconds, gateway.max_concurrent, gateway.max_cps) == (60, 3, 2)
    assert not gateway.enabled


def test_a_routing_gateway_arrives_with_every_key(site):
    gateway = site.load(
        site.minimal.replace(
            "address: 192.0.2.9",
            "address: [192.0.2.9, 192.0.2.10], prefixes: ['44', '0044', '44'], priority: 3, max_concurrent: 3, "
            "max_cps: 2, response_timeout: 0.25, progress_timeout: 4, ring_timeout: 30, max_call_seconds: 90, "
            "failover_codes: [486, '503'], "
            "failover_after_ringing: true, allow_unrated: on, enabled: no",
        )
    ).catalogue.routing_gateways["carrier"]

    assert gateway.addresses == (Address("192.0.2.9", 5060), Address("192.0.2.10", 5060))
    assert gateway.prefixes == ("44", "0044")
    assert (gateway.priority, gateway.max_concurrent, gateway.max_cps) == (3, 3, 2)
    assert (gateway.response_timeout_ms, gateway.progress_timeout_ms, gateway.ring_timeout_ms) == (250, 4_000, 30_000)
    assert gateway.max_call_seconds == 90
    assert gateway.failover_codes == {486, 503}
    assert gateway.failover_after_ringing
    assert gateway.allow_unrated
    assert not gateway.enabled


def test_what_a_gateway_leaves_out_has_the_documented_default(site):
    catalogue = site.load(site.minimal).catalogue

    vendor, customer = catalogue.routing_gateways["carrier"], catalogue.mapping_gateways["acme-pbx"]
    assert (vendor.priority, vendor.prefixes, vendor.failover_codes) == (1, ("*",), None)
    assert (vendor.response_timeout_ms, vendor.progress_timeout_ms, vendor.ring_timeout_ms) == (5_000, 6_000, 60_000)
    assert (vendor.max_concurrent, vendor.max_cps, vendor.allow_unrated, vendor.enabled) == (None, None, False, True)
    assert (customer.max_concurrent, customer.max_cps, customer.rate_group, customer.enabled) == (
        None,
        None,
        None,
        True,
    )


def test_prefixes_are_taken_from_the_buy_rates_where_asked(site):
    catalogue = site.load(
        site.minimal.replace("address: 192.0.2.9", "address: 192.0.2.9, prefixes: from_rates")
    ).catalogue

    (found,) = catalogue.routes.candidates("4420")
    assert (found.gateway.name, found.prefix) == ("carrier", "44")
    assert catalogue.routes.candidates("49") == ()


def network_of(text: str) -> IPv4Network | IPv6Network | None:
    """Return a network without host bits as Python reads it; None = there is none."""
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        return None
    return found if found.network_address == ip_address(text.partition("/")[0]) else None


HOSTS = [
    "10.0.0.0",
    "10.0.0.1",
    "0.0.0.0",
    "10.0",
    "010.0.0.0",
    "256.0.0.0",
    "10.0.0.0 ",
    "\u0661.0.0.0",
    "::",
    "2001:db8::",
    "",
]
LENGTHS = [
    "0",
    "8",
    "08",
    "32",
    "33",
    "-1",
    "+8",
    " 8",
    "8 ",
    "8_0",
    "\u0668",
    "",
    "255.0.0.0",
    "0.0.0.255",
    "8/8",
    "128",
]


@pytest.mark.parametrize("host", HOSTS)
def test_a_network_is_what_python_reads(host):
    for length in LENGTHS:
        text = f"{host}/{length}"
        try:
            found = network().read(text)
        except (ValueError, ExpectedError):
            found = None
        assert found == network_of(text), text


def test_a_trunk_without_header_rules_and_causes_has_none():
    assert trunk_headers(HeaderKeys()) is trunk_headers(HeaderKeys.model_validate({"responses": {}})) is None
    assert trunk_causes(CauseKeys()) is trunk_causes(CauseKeys.model_validate({"sent": {}})) is None
