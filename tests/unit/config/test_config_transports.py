"""Sockets as operators write them: transports, connections, marks, and the files of TLS."""

import time
from pathlib import Path

import pytest
from doubles.certificates import Authority, Certificate

from vosd.config.assembly.remembered import Remembered
from vosd.config.load import load
from vosd.config.reload import reload
from vosd.engine.settings import SipListener
from vosd.net.marking import SIGNALLING, TrafficClass
from vosd.net.settings import ConnectionLimits, TlsSettings, TlsVersion, VerifyClient


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def switch(authority: Authority) -> Certificate:
    return authority.issue("switch", "192.0.2.1")


def tls(authority: Authority, switch: Certificate, **others: str) -> str:
    keys = {"certificate": switch.file, "private_key": switch.key, "ca": authority.root.file, **others}
    lines = "".join(f"    {key}: {value}\n" for key, value in keys.items() if value)
    return f"sip:\n  listen: tls:192.0.2.1\n  tls:\n{lines}"


def test_every_transport_can_be_listened_on_each_with_the_port_that_is_its_own(site, authority, switch):
    text = tls(authority, switch).replace("tls:192.0.2.1", "[udp:192.0.2.1, 'TCP:[2001:db8::1]', tls:192.0.2.1]")
    assert site.load(text).settings.listen == (
        SipListener("udp", "192.0.2.1", 5060),
        SipListener("tcp", "2001:db8::1", 5060),
        SipListener("tls", "192.0.2.1", 5061),
    )


def test_udp_and_tcp_share_a_port_but_tcp_and_tls_cannot(site, authority, switch):
    assert len(site.load("sip: {listen: [udp:192.0.2.1, tcp:192.0.2.1]}").settings.listen) == 2
    both = tls(authority, switch).replace("tls:192.0.2.1", "[tcp:192.0.2.1:5061, tls:192.0.2.1]")
    assert site.errors(both) == ["vosd.yaml:2: sip.listen: expected another port for each of TCP, TLS and WebSocket"]


def test_without_a_word_about_it_connections_are_bounded_and_tls_is_not_spoken(site):
    loaded = site.load("node: a")
    assert loaded.transports.connections == ConnectionLimits(10_000, 1_000, 200, 3_600_000)
    assert loaded.transports.marking == SIGNALLING
    assert (loaded.transports.tls, loaded.tls) == (None, None)


def test_every_limit_of_connections_arrives(site):
    loaded = site.load(
        "sip: {connections: {max: 50, max_per_source: 5, max_unknown: 0, max_unknown_per_source: 3, idle_timeout: 1.5}}"
    )
    assert loaded.transports.connections == ConnectionLimits(50, 5, 0, 1_500, most_unknown_per_source=3)


def test_keep_alives_of_connections_are_set_and_are_no_flood(site):
    limits = site.load("sip: {connections: {keepalive: 30, keepalive_timeout: 2.5}}").transports.connections
    assert (limits.ping_ms, limits.pong_ms) == (30_000, 2_500)
    assert site.load("sip: {connections: {keepalive: 0}}").transports.connections.ping_ms == 0
    assert site.errors("sip: {connections: {keepalive: 0.5}}") == [
        "vosd.yaml:1: sip.connections.keepalive: value '0.5': expected 0, or at least a second"
    ]


def test_every_setting_of_tls_arrives(site, authority, switch):
    text = tls(
        authority, switch, verify_client="required", verify_server="no", min_version="1.3", forward_secrecy="yes"
    )
    loaded = site.load(text)
    assert loaded.transports.tls == TlsSettings(
        switch.file, switch.key, authority.root.file, VerifyClient.REQUIRED, False, TlsVersion.TLS_1_3, True
    )
    assert loaded.tls is not None


def test_files_of_tls_are_relative_to_the_file_that_names_them(site, authority, switch):
    site.write("edge/tls.yaml", "sip: {tls: {certificate: switch.pem, private_key: switch.key}}")
    for path in switch:
        site.write(f"edge/{path.name}", path.read_text())
    loaded = site.load("include: [edge/tls.yaml]")
    assert loaded.transports.tls is not None
    assert loaded.transports.tls.certificate == site.directory / "edge" / "switch.pem"


@pytest.mark.parametrize(
    ("days_later", "left"), [(0, ""), (17, "has 12 days left"), (31, "ended 1 days ago"), (300, "ended 270 days ago")]
)
def test_a_certificate_that_ends_or_has_ended_is_a_warning_and_its_end_is_known(
    site, authority, switch, monkeypatch, days_later, left
):
    other = authority.issue("vendor", "vendor.example")
    own = f"{{certificate: {other.file}, key: {other.key}}}"
    trunk = f"{{name: own, account: vendor, address: sip.vendor.example;transport=tls, tls: {own}}}"
    text = tls(authority, switch) + f"accounts:\n- {{id: vendor}}\nrouting_gateways:\n- {trunk}\n"
    now_ms = time.time_ns() // 1_000_000
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000 * (now_ms + days_later * 86_400_000))
    warnings = [each for each in site.warnings(text) if "certificates that last" in each]
    named = [("4: warning: sip.tls.certificate", switch), ("10: warning: routing_gateways[own].tls", other)]
    assert warnings == [
        f"vosd.yaml:{key}: expected certificates that last: one of {each.file} {left}" for key, each in named if left
    ]
    ends = site.load(text).certificate_ends
    assert ends.keys() == {str(switch.file), str(other.file)}
    assert all(abs(end - now_ms - 30 * 86_400_000) < 3_600_000 for end in ends.values())


@pytest.mark.parametrize(
    ("others", "mistake"),
    [
        ({"certificate": "gone.pem"}, "4: sip.tls.certificate: value '{}/gone.pem': expected a file that can be read"),
        ({"private_key": "vosd.yaml"}, "5: sip.tls.private_key: value '{}/vosd.yaml': expected the key of the cert"),
        ({"ca": "vosd.yaml"}, "6: sip.tls.ca: value '{}/vosd.yaml': expected certificates in PEM form"),
        ({"private_key": ""}, "3: sip.tls.private_key: expected the key of the certificate"),
        ({"ca": "", "verify_client": "optional"}, "3: sip.tls.ca: expected root certificates for clients"),
        ({"verify_client": "maybe"}, "7: sip.tls.verify_client: value 'maybe': expected one of no, optional, required"),
        ({"min_version": "1.1"}, "7: sip.tls.min_version: value '1.1': expected one of 1.2, 1.3"),
    ],
)
def test_a_mistake_about_tls_is_named_with_its_line(site, authority, switch, others, mistake):
    (error,) = site.errors(tls(authority, switch, **others))
    assert error.startswith("vosd.yaml:" + mistake.format(site.directory).replace(f"{site.directory}/", ""))


def test_a_tls_listener_needs_a_certificate(site):
    (error,) = site.errors("sip: {listen: tls:192.0.2.1}")
    assert error.endswith("expected sip.tls with certificate and private_key, which tls: and wss: need")


@pytest.mark.parametrize(
    ("written", "byte"), [("0xa0", 0xA0), ("0XB8", 0xB8), ("184", 0xB8), ("0", 0), ("0x00", 0), ("252", 0xFC)]
)
def test_the_class_of_signalling_is_a_byte_in_either_notation(site, written, byte):
    loaded = site.load(f"parameters: {{SS_QOS_SIGNAL: '{written}'}}")
    assert loaded.transports.marking == TrafficClass(byte)


@pytest.mark.parametrize("written", ["0xa1", "0xff", "256", "-4", "CS5", "0x", "1_6", "0x100"])
def test_a_byte_with_bits_of_ecn_or_none_at_all_is_a_mistake(site, written):
    (error,) = site.errors(f"parameters: {{SS_QOS_SIGNAL: '{written}'}}")
    assert error == (
        f"vosd.yaml:1: parameters.SS_QOS_SIGNAL: value {written!r}: "
        "expected a byte from 0x00 to 0xfc, hexadecimal or decimal, whose two lowest bits are zero"
    )


def test_a_reload_reads_the_files_of_tls_again(site, authority, switch, tmp_path: Path):
    for path in switch:
        site.write(path.name, path.read_text())
    running = site.load(tls(authority, Certificate(Path("switch.pem"), Path("switch.key"))))
    taken = reload(site.directory / "vosd.yaml", running)
    assert taken.problems == ()
    assert taken.in_force.tls is not running.tls
    site.write("switch.key", "rubbish")
    refused = reload(site.directory / "vosd.yaml", taken.in_force)
    assert not refused.is_accepted
    assert refused.in_force.tls is taken.in_force.tls
    assert [problem.key for problem in refused.problems] == ["sip.tls.private_key"]


def test_sockets_for_browsers_have_the_ports_of_the_web_and_want_to_know_the_pages(site, authority, switch):
    loaded = site.load("sip: {listen: [ws:192.0.2.1, udp:192.0.2.1], websocket: {origins: HTTPS://Phone.example.org}}")
    assert loaded.settings.listen[0] == SipListener("ws", "192.0.2.1", 80)
    assert loaded.transports.websocket_origins == ("https://phone.example.org",)
    secure = tls(authority, switch).replace("tls:192.0.2.1", "wss:192.0.2.1") + "  websocket: {origins: ['*']}\n"
    assert site.load(secure).settings.listen == (SipListener("wss", "192.0.2.1", 443),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{listen: ws:192.0.2.1}", "sip.websocket.origins, which ws: and wss: need"),
        (
            "{websocket: {origins: phone.example.org/}}",
            "scheme and host of a page, such as https://phone.example.org, or *",
        ),
        (
            "{listen: wss:192.0.2.1, websocket: {origins: '*'}}",
            "sip.tls with certificate and private_key, which tls: and wss: need",
        ),
    ],
)
def test_what_sockets_for_browsers_lack_is_said(site, text, expected):
    [error] = site.errors(f"sip: {text}")
    assert error.endswith(f"expected {expected}")


def test_identities_of_trunks_are_read_with_their_files_and_named_by_gateways(site, authority, switch):
    other = authority.issue("other", "other.example")
    identity = f"{{name: vendor, certificate: {other.file}, private_key: {other.key}, server_name: SIP.vendor.example}}"
    gateway = "routing_gateways: [{name: v, account: a, address: '192.0.2.9;transport=tls', tls: vendor}]\n"
    rest = "rate_groups: [{name: g, rates: [{prefix: '4', billing_rate: '1'}]}]\naccounts: [{id: a, rate_group: g}]\n"
    loaded = site.load(tls(authority, switch) + f"    identities: [{identity}]\n{rest}{gateway}")
    assert loaded.transports.tls is not None
    [found] = loaded.transports.tls.identities
    assert (found.certificate, found.ca, found.server_name) == (other.file, None, "sip.vendor.example")
    assert loaded.tls is not None
    assert [*loaded.tls.identities] == ["vendor"]
    assert loaded.catalogue.routing_gateways["v"].tls == "vendor"


@pytest.mark.parametrize(
    ("identities", "expected"),
    [
        ("[{name: a, certificate: missing.pem, private_key: missing.key}]", "a file that can be read"),
        ("[{name: a, certificate: missing.pem}]", "the key of the certificate"),
        ("[{name: a, private_key: missing.key}]", "the certificate of the private key"),
        ("[{name: a, host_names: a.example}]", "a certificate for them"),
        ("[{name: a}, {name: a}]", "each name, and each of host_names, once"),
    ],
)
def test_an_identity_that_is_not_whole_is_an_error(site, authority, switch, identities, expected):
    [error] = site.errors(tls(authority, switch) + f"    identities: {identities}\n")
    assert expected in error


def test_a_gateway_names_an_identity_that_there_is_and_that_of_its_neighbour(site, authority, switch):
    def gateways(first: str, second: str) -> str:
        rest = (
            "rate_groups: [{name: g, rates: [{prefix: '4', billing_rate: '1'}]}]\naccounts: [{id: a, rate_group: g}]\n"
        )
        at = "account: a, address: '192.0.2.9;transport=tls'"
        return f"{rest}routing_gateways: [{{name: v, {at}, tls: {first}}}, {{name: w, {at}, tls: {second}}}]\n"

    known = tls(authority, switch) + "    identities: [{name: one}, {name: two}]\n"
    assert site.load(known + gateways("one", "one")).tls is not None
    assert any("one of sip.tls.identities: one, two" in each for each in site.errors(known + gateways("one", "three")))
    assert any("both share its connection" in each for each in site.errors(known + gateways("one", "two")))


def test_a_customer_whose_certificate_is_not_asked_for_is_a_warning(site, authority, switch):
    rest = (
        "rate_groups: [{name: g, rates: [{prefix: '4', billing_rate: '1'}]}]\naccounts: [{id: a, rate_group: g}]\n"
        "mapping_gateways: [{name: pbx, account: a, certificate_names: PBX.example}]\n"
    )
    more = [f"{{name: z{number}, account: a, certificate_names: z{number}.example}}" for number in range(1, 9)]

    def warnings(text: str) -> list[str]:
        loaded = site.load(text + rest)
        assert loaded.catalogue.mapping_gateways["pbx"].certificate_names == {"pbx.example"}
        return [str(each) for each in loaded.problems if "certificate_names" in str(each)]

    [warning] = warnings(tls(authority, switch))
    assert "no caller is asked for a certificate, and those of mapping_gateways[pbx] are not known" in warning
    assert warnings(tls(authority, switch, verify_client="optional")) == []
    rest = rest.replace("PBX.example}", f"PBX.example}}, {', '.join(more)}")
    [warning] = warnings(tls(authority, switch))
    assert "mapping_gateways[z4] and 4 others are not known by theirs" in warning


REST = "rate_groups: [{name: g, rates: [{prefix: '4', billing_rate: '1'}]}]\naccounts: [{id: a, rate_group: g}]\n"
AT = "account: a, address: '192.0.2.9;transport=tls'"


@pytest.fixture
def other(site, authority) -> None:
    for path in authority.issue("other", "other.example"):
        site.write(f"partners/other{path.suffix}", path.read_text())


def own(*written: str) -> str:
    """Return vendors at one address, each with that in its ``tls``."""
    lines = "".join(f"  - {{name: v{number}, {AT}, tls: {keys}}}\n" for number, keys in enumerate(written))
    return f"{REST}routing_gateways:\n{lines}"


def test_a_vendor_may_have_its_certificate_and_name_in_its_own_tls(site, authority, switch, other):
    keys = "{certificate: other.pem, key: other.key, name: SIP.Vendor.example}"
    site.write("partners/vendors.yaml", own(keys, keys))
    loaded = site.load(tls(authority, switch) + "include: [partners/vendors.yaml]\n")
    one, two = (loaded.catalogue.routing_gateways[name].tls for name in ("v0", "v1"))
    assert one == two, "vendors with the same share a connection"
    assert loaded.transports.tls is not None
    [identity] = loaded.transports.tls.identities
    directory = site.directory / "partners"
    assert (identity.certificate, identity.private_key) == (directory / "other.pem", directory / "other.key")
    assert loaded.tls is not None
    client = loaded.tls.towards(one)
    assert client is not None
    assert client.server_name == "sip.vendor.example"
    assert client.context is not loaded.tls.client


def test_a_name_alone_is_demanded_of_a_vendor_that_is_shown_the_common_certificate(site, authority, switch):
    loaded = site.load(tls(authority, switch) + own("{name: sip.vendor.example}"))
    assert loaded.transports.tls is not None
    [identity] = loaded.transports.tls.identities
    assert (identity.certificate, identity.private_key, identity.server_name) == (None, None, "sip.vendor.example")


@pytest.mark.parametrize(
    ("keys", "key", "expected"),
    [
        ("{certificate: other.pem}", ".key", "the key beside the certificate, each in a PEM file"),
        ("{key: other.key}", ".certificate", "the certificate beside the key, each in a PEM file"),
        ("{name: 'not a name'}", ".name", "a host name, such as sip.example.net"),
        ("{ca: root.pem}", ".ca", "one of certificate, key, name: sip.tls.identities has others"),
        ("[one]", "", "a name of sip.tls.identities, or keys such as"),
        ("{certificate: gone.pem, key: other.key}", "", "a file that can be read"),
        ("{certificate: partners/other.pem, key: vosd.yaml}", "", "the key of the certificate, in PEM form"),
    ],
)
def test_a_mistake_in_the_tls_of_a_vendor_is_named_where_it_stands(site, authority, switch, other, keys, key, expected):
    [error] = site.errors(tls(authority, switch) + own(keys))
    assert error.startswith(f"vosd.yaml:10: routing_gateways[v0].tls{key}: ")
    assert f"expected {expected}" in error


def test_vendors_at_one_address_have_the_same_own_tls_and_a_switch_without_tls_has_none(site, authority, switch):
    [error] = site.errors(tls(authority, switch) + own("{name: one.example}", "{name: two.example}"))
    assert "both share its connection" in error
    assert any(
        "sip.tls with certificate and private_key" in each and "v0].tls" in each
        for each in site.errors(own("{name: one.example}"))
    )


def test_a_reload_reads_the_files_of_a_vendor_again_also_where_other_objects_have_changed(
    site, authority, switch, other
):
    path, remembered = site.directory / "vosd.yaml", Remembered()
    text = tls(authority, switch) + own("{certificate: partners/other.pem, key: partners/other.key}")
    site.write("vosd.yaml", text)
    running = load(path, {}, remembered=remembered)
    site.write("vosd.yaml", text.replace("{id: a, ", "{id: b}, {id: a, "))
    taken = reload(path, running, {}, remembered=remembered)
    assert taken.in_force.transports.tls == running.transports.tls
    assert taken.in_force.tls is not None
    assert taken.in_force.tls is not running.tls
    site.write("partners/other.key", "rubbish")
    refused = reload(path, taken.in_force, {}, remembered=remembered)
    assert not refused.is_accepted
    assert [problem.key for problem in refused.problems] == ["routing_gateways[v0].tls"]


def test_files_of_lists_are_beside_the_file_that_names_them(site, authority, switch):
    for name, address in (("one", "192.0.2.3"), ("two", "192.0.2.4")):
        (site.directory / name).mkdir()
        (site.directory / name / "secret").write_text(f"secret {name}\n")
        (site.directory / name / "secret").chmod(0o600)
        Authority(site.directory / name).issue("vendor", f"{name}.example")
        identity = f"{{name: {name}, certificate: vendor.pem, private_key: vendor.key}}"
        site.write(
            f"{name}/part.yaml",
            f"""
            sip: {{tls: {{identities: [{identity}]}}}}
            radius: {{servers: [{{address: {address}, secret_file: secret}}]}}
            stir: {{verify: {{roots: [authority.pem]}}}}
            """,
        )
    loaded = site.load(f"{tls(authority, switch)}include: [one/part.yaml, two/part.yaml]\n")
    assert [each.certificate.parent.name for each in loaded.transports.tls.identities] == ["one", "two"]
    assert [each.secret.reveal() for each in loaded.settings.radius.servers] == ["secret one", "secret two"]
    roots = loaded.settings.lookups.certificates.roots
    assert [each.encode() for each in roots] == [
        (site.directory / name / "authority.pem").read_bytes() for name in ("one", "two")
    ]
