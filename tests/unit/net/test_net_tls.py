"""TLS listeners with real certificates: which are accepted, on both sides, and the reload of the files."""

import asyncio
import os
import re
import socket
import ssl
import subprocess
import sys
import sysconfig
from contextlib import suppress
from types import SimpleNamespace

import pytest
from doubles.certificates import Authority, Certificate
from doubles.data.builders import routing_gateway
from doubles.turns import until
from doubles.virtual.clock import ManualClock
from doubles.virtual.probe import request
from structlog.testing import capture_logs

from vosd.engine.peers.directory import NameDirectory
from vosd.engine.settings import DnsSettings
from vosd.net import connection as patience, stream_turns, tcp, tls_bytes
from vosd.net.connection import Connection, PeerEnd
from vosd.net.settings import ConnectionLimits, TlsIdentity, TlsSettings, TlsVersion, TransportSettings, VerifyClient
from vosd.net.shield import ShieldSettings
from vosd.net.tls import TlsContexts, TlsFileError, is_of, names_in
from vosd.processes.handshake_limits import CHAIN_MAX
from vosd.processes.key_exchange import use_groups
from vosd.sip.drops import Drop
from vosd.sip.flows import Hop
from vosd.sip.locate import DnsAnswer, DnsQuestion, RecordType, UsableTransports
from vosd.sip.wire.outgoing import OF_RESPONSES, Peer as Source
from vosd.sip.wire.stream import MESSAGES_AT_ONCE, PONG
from vosd.trunks.gateways import Address

from .conftest import PATIENCE_S, UNKNOWN_SOURCE

OPTIONS = request("OPTIONS")
TLS = ("tls", "127.0.0.1")


@pytest.fixture(scope="module")
def switch(authority: Authority) -> Certificate:
    return authority.issue("switch", "127.0.0.1", "sip.example.com")


@pytest.fixture(scope="module")
def impostor(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("impostor"), "impostor")


REVOKED = (
    "-----BEGIN X509 CRL-----\n"
    "MIGkMEwCAQEwCgYIKoZIzj0EAwIwDTELMAkGA1UEAwwCY2EXDTI2MTEzMDAxMjQ1\n"
    "N1oXDTI2MTIwMzAxMjQ1N1qgDjAMMAoGA1UdFAQDAgEBMAoGCCqGSM49BAMCA0gA\n"
    "MEUCIQD1db7k7TCVh9rGWyVDz+KOiuzBFXo+COE9/PSiFvaRXAIgLRRfQMh1XJBX\n"
    "OhxW2IB89xEdoRRzJ9qVr0TSmY2KGI0=\n"
    "-----END X509 CRL-----\n"
)
"""A list of revoked certificates, which has none itself."""


def settings(authority: Authority, switch: Certificate, **others) -> TlsSettings:
    return TlsSettings(**{"certificate": switch.file, "private_key": switch.key, "ca": authority.root.file, **others})


@pytest.fixture
def secured(opened, authority, switch):
    """Open a TLS listener."""

    async def open_listener(**others):
        return await opened(TLS, tls=TlsContexts.load(settings(authority, switch, **others)))

    return open_listener


# -- who connects to us -------------------------------------------------------------------------------------------


async def test_a_caller_over_tls_is_served(secured, connect, authority):
    node = await secured()
    peer = await connect(node.address(), ssl=authority.client_context())
    peer.writer.write(OPTIONS)
    assert await node.ear.message() == (0, OPTIONS, peer.address)
    node.send(b"answer", peer.address)
    assert await peer.read(6) == b"answer"


async def test_older_versions_of_tls_are_not_spoken(secured, connect, authority):
    node = await secured(min_version=TlsVersion.TLS_1_3)
    context = authority.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with capture_logs() as logs:
        with pytest.raises(OSError):
            await connect(node.address(), ssl=context)
        await until(lambda: bool(logs))
    assert "unsupported protocol" in logs[0]["why"]
    modern = await connect(node.address(), ssl=authority.client_context())
    assert modern.writer.get_extra_info("ssl_object").version() == "TLSv1.3"


OLD_SUITES = ("AES128-SHA", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA")
"""The one of RFC 3261 section 26.2.1, one without forward secrecy, and one by CBC."""


@pytest.fixture(scope="module")
def with_rsa(authority: Authority) -> Certificate:
    return authority.issue("rsa", "127.0.0.1", is_rsa=True)


def by(context: ssl.SSLContext, suites: str) -> ssl.SSLContext:
    """Return the context of a peer that speaks TLS 1.2 alone, by these suites."""
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(suites)
    return context


@pytest.mark.parametrize("suite", OLD_SUITES)
async def test_callers_without_forward_secrecy_are_served_until_a_reload_forbids_it(
    opened, connect, authority, with_rsa, suite
):
    any_suite, strict = (settings(authority, with_rsa, forward_secrecy=each) for each in (False, True))
    node = await opened(TLS, tls=TlsContexts.load(any_suite))
    old = await connect(node.address(), ssl=by(authority.client_context(), suite))
    assert old.writer.get_extra_info("cipher")[0] == suite
    modern = f"{suite}:ECDHE-RSA-AES128-GCM-SHA256"
    also = await connect(node.address(), ssl=by(authority.client_context(), modern))
    node.transports.adjust(TransportSettings(tls=strict), TlsContexts.load(strict))
    with capture_logs() as logs:
        with pytest.raises(OSError):
            await connect(node.address(), ssl=by(authority.client_context(), suite))
        await until(lambda: bool(logs))
    assert "no shared cipher" in logs[0]["why"]
    again = await connect(node.address(), ssl=by(authority.client_context(), modern))
    for peer in (also, again):
        assert peer.writer.get_extra_info("cipher")[0] == "ECDHE-RSA-AES128-GCM-SHA256"


@pytest.mark.parametrize("suite", OLD_SUITES)
async def test_vendors_without_forward_secrecy_are_reached_unless_it_is_wanted(
    secured, silent_vendor, authority, with_rsa, suite
):
    await silent_vendor.listen(by(authority.server_context(with_rsa), suite))
    node = await secured()
    node.send(OPTIONS, silent_vendor.address)
    assert (await silent_vendor.arrival()).writer.get_extra_info("cipher")[0] == suite
    strict = await secured(forward_secrecy=True)
    with capture_logs() as logs:
        strict.send(OPTIONS, silent_vendor.address)
        assert await strict.ear.failure() == (0, silent_vendor.address)
    assert "no connection" in logs[0]["why"]


@pytest.mark.skipif(
    "--with-ssl-default-suites=openssl" not in str(sysconfig.get_config_var("CONFIG_ARGS")),
    reason="this build of Python has a list of its own, whatever openssl.cnf says",
)
def test_suites_that_the_configuration_of_openssl_leaves_out_stay_so(tmp_path, authority, with_rsa):
    configured = tmp_path / "openssl.cnf"
    configured.write_text(
        "openssl_conf = all\n[all]\nssl_conf = of_tls\n[of_tls]\nsystem_default = list\n"
        "[list]\nCipherString = ECDHE+AESGCM\n"
    )
    program = (
        "import sys\nfrom pathlib import Path\nfrom vosd.net.settings import TlsSettings\n"
        "from vosd.net.tls import TlsContexts\n"
        "loaded = TlsContexts.load(TlsSettings(*map(Path, sys.argv[1:])))\n"
        "for each in (loaded.server, loaded.client):\n"
        "    print(*(suite['name'] for suite in each.get_ciphers() if suite['protocol'] == 'TLSv1.2'))"
    )
    said = subprocess.run(
        [sys.executable, "-c", program, with_rsa.file, with_rsa.key, authority.root.file],
        env={**os.environ, "OPENSSL_CONF": str(configured)}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for each in said.splitlines():
        assert all(re.fullmatch("ECDHE-.*-GCM-.*", name) for name in each.split()), each
    assert len(said.split()) >= 2


async def test_handshakes_over_finite_fields_are_refused_on_both_sides(
    secured, connect, silent_vendor, authority, switch
):
    theirs, server = authority.client_context(), authority.server_context(switch)
    for each in (theirs, server):
        assert use_groups(each, "ffdhe8192")
    await silent_vendor.listen(server)
    node = await secured()
    with capture_logs() as logs:
        with pytest.raises(OSError):
            await connect(node.address(), ssl=theirs)
        await until(lambda: bool(logs))
        node.send(OPTIONS, silent_vendor.address)
        assert await node.ear.failure() == (0, silent_vendor.address)
    assert "no suitable key share" in logs[0]["why"]
    assert "no connection" in logs[1]["why"]


async def test_long_chains_of_certificates_are_refused_on_both_sides(
    secured, connect, silent_vendor, authority, switch
):
    shown = authority.issue("long", "pbx.example.net")
    with shown.file.open("a") as file:
        file.write(authority.root.file.read_text() * CHAIN_MAX)
    await silent_vendor.listen(authority.server_context(shown))
    node = await secured(verify_client=VerifyClient.REQUIRED)
    with capture_logs() as logs:
        peer = await connect(node.address(), ssl=authority.client_context(shown))
        with suppress(OSError):
            await peer.reader.read()
        await until(lambda: bool(logs))
        node.send(OPTIONS, silent_vendor.address)
        assert await node.ear.failure() == (0, silent_vendor.address)
    assert "invalid context" in logs[0]["why"]
    assert "no connection" in logs[1]["why"]


def test_a_python_that_lets_no_handshake_be_limited_is_reported_once(authority, switch, monkeypatch):
    monkeypatch.setattr("vosd.net.tls.limit_handshakes", lambda _, *, until_end: until_end)
    with capture_logs() as logs:
        TlsContexts.load(settings(authority, switch))
    assert [each["event"] for each in logs] == ["handshakes_not_limited"]


async def test_a_caller_without_certificate_is_turned_away_where_one_is_required(secured, connect, authority):
    node = await secured(verify_client=VerifyClient.REQUIRED)
    customer = authority.issue("customer", "pbx.example.net")
    welcome = await connect(node.address(), ssl=authority.client_context(customer))
    welcome.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == welcome.address
    with capture_logs() as logs:
        peer = await connect(node.address(), ssl=authority.client_context())
        peer.writer.write(OPTIONS)
        assert await peer.is_broken()
        await until(lambda: bool(logs))
    assert "certificate" in logs[0]["why"]


async def test_a_caller_with_a_foreign_certificate_is_turned_away_where_one_is_optional(
    secured, connect, authority, impostor
):
    node = await secured(verify_client=VerifyClient.OPTIONAL)
    bare = await connect(node.address(), ssl=authority.client_context())
    bare.writer.write(OPTIONS)
    assert (await node.ear.message())[2] == bare.address
    foreign = await connect(node.address(), ssl=authority.client_context(impostor.issue("foreign", "127.0.0.1")))
    foreign.writer.write(OPTIONS)
    assert await foreign.is_broken()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_resumed_session_proves_nothing_after_the_certificate_has_expired(
    secured, connect, authority, monkeypatch, version
):
    """OpenSSL verifies no certificate again when a session is resumed, and each resumption gives a new ticket."""
    node = await secured(verify_client=VerifyClient.OPTIONAL)
    context = authority.client_context(authority.issue("expiring", "pbx.example.net", days=1))
    context.maximum_version = version

    def resumed(session: ssl.SSLSession | None) -> tuple[ssl.SSLSession | None, bool, bytes]:
        with (
            socket.create_connection(node.address(), PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as secure,
        ):
            secure.sendall(OPTIONS + PONG * 2)
            answer = secure.recv(2)  # TLS 1.3 sends its tickets before
            return secure.session, bool(secure.session_reused), answer

    session, _, _ = await asyncio.to_thread(resumed, None)
    await node.ear.message()
    session, *outcome = await asyncio.to_thread(resumed, session)
    await node.ear.message()
    assert outcome == [True, PONG]
    monkeypatch.setattr(tcp, "time", SimpleNamespace(time=lambda: 4e9))
    with capture_logs() as logs:
        _, *outcome = await asyncio.to_thread(resumed, session)
        await until(lambda: bool(logs))
    assert outcome == [True, b""]
    assert logs[0]["why"] == "its certificate has expired"
    assert node.ear.messages == 0


async def test_a_source_that_rests_goes_on_when_one_of_its_connections_is_just_lost(
    opened, connect, authority, switch, monkeypatch
):
    """The socket below TLS is gone a turn of the event loop before ``connection_lost`` is called."""
    monkeypatch.setattr(stream_turns, "REST_S", 2 * PATIENCE_S)
    flooded = TransportSettings(shield=ShieldSettings(gateway_rate=MESSAGES_AT_ONCE))
    node = await opened(TLS, settings=flooded, tls=TlsContexts.load(settings(authority, switch)))
    peers = [await connect(node.address(), ssl=authority.client_context()) for _ in range(2)]
    opened_to = node.transports._flows[0]._open
    await until(lambda: len(opened_to) == 2)
    lost, other = (opened_to[each.address] for each in peers)
    for connection in (lost, other):
        connection.data_received(OPTIONS * 4 * MESSAGES_AT_ONCE)
    resting = node.transports._turns._resting
    await until(lambda: lost._source in resting and len(resting[lost._source].connections) == 2)
    lost._transport.abort()
    await asyncio.sleep(0)
    assert lost._transport.get_extra_info("socket") is None
    dropped = node.ear.dropped[Drop.GATEWAY_RATE]
    monkeypatch.setattr(stream_turns, "REST_S", 0.0)
    node.transports._turns._wake(lost._source)
    assert await node.ear.parting() == (0, peers[0].address)
    await until(lambda: node.ear.dropped[Drop.GATEWAY_RATE] > dropped)
    assert [*opened_to.values()] == [other]


async def test_handshakes_of_a_known_source_are_limited_by_rate(opened, connect, authority, switch):
    limits = TransportSettings(connections=ConnectionLimits(tls_rate_per_source=1))
    node = await opened(TLS, settings=limits, tls=TlsContexts.load(settings(authority, switch)))
    for _ in range(2):
        await connect(node.address(), ssl=authority.client_context())
    assert await (await connect(node.address())).is_closed()


@pytest.mark.parametrize("is_trunk", [True, False])
async def test_all_phones_together_are_limited_by_rate_and_trunks_are_not(opened, connect, authority, switch, is_trunk):
    limits = TransportSettings(connections=ConnectionLimits(tls_rate=1))
    node = await opened(TLS, settings=limits, tls=TlsContexts.load(settings(authority, switch)))
    node.ear.gateways = {"127.0.0.1"} if is_trunk else set()
    for _ in range(2):
        await connect(node.address(), ssl=authority.client_context())
    if is_trunk:
        await connect(node.address(), ssl=authority.client_context())
    else:
        assert await (await connect(node.address())).is_closed()


async def test_an_unfinished_handshake_releases_its_slot(secured, connect, monkeypatch):
    monkeypatch.setattr(tcp, "HANDSHAKE_S", 0.05)
    node = await secured()
    peer = await connect(node.address())
    peer.writer.write(b"\x16\x03\x01")
    await until(lambda: node.transports.connections == 1)
    assert await peer.is_closed()
    await until(lambda: node.transports.connections == 0)


async def test_a_peer_that_does_not_say_that_it_closes_too_keeps_no_slot(secured, authority, monkeypatch):
    monkeypatch.setattr(patience, "CLOSE_S", 0.05)
    for other in ("MESSAGE_S", "LOOK_S"):  # nothing else shall end the connection
        monkeypatch.setattr(patience, other, 2 * PATIENCE_S)
    node = await secured()
    context, loop = authority.client_context(), asyncio.get_running_loop()

    def shake_hands() -> socket.socket:
        raw = socket.create_connection(node.address())
        return context.wrap_socket(raw, server_hostname="127.0.0.1")

    peer = await asyncio.to_thread(shake_hands)
    peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
    with socket.socket(fileno=peer.detach()) as mute:
        mute.setblocking(False)
        with suppress(ConnectionResetError):
            while await asyncio.wait_for(loop.sock_recv(mute, 4_096), PATIENCE_S / 2):
                pass
    await until(lambda: node.transports.connections == 0)
    assert node.ear.messages == 0


async def test_an_unknown_source_that_sends_tls_and_no_data_is_disconnected(
    opened, connect, authority, switch, monkeypatch
):
    """It may change its keys without end, each time at the cost of a message, and calls would wait for that."""
    monkeypatch.setattr(tls_bytes, "OF_UNKNOWN_MAX", -1)  # the standard library changes no keys: any number is too many
    node = await opened(TLS, tls=TlsContexts.load(settings(authority, switch)))
    gateway = await connect(node.address(), ssl=authority.client_context())
    with capture_logs() as logs:
        visitor = await connect(node.address(), UNKNOWN_SOURCE, ssl=authority.client_context())
        assert await visitor.is_closed()
        await until(lambda: node.transports.connections == 1)
    assert [line["why"] for line in logs] == ["more of TLS than of messages"]
    gateway.writer.write(OPTIONS)
    assert (await node.ear.message())[1] == OPTIONS


async def test_the_kernel_holds_little_of_an_unknown_source_over_tls_until_it_is_known(
    opened, connect, authority, switch
):
    node = await opened(TLS, tls=TlsContexts.load(settings(authority, switch)))
    sizes: list[int] = []
    made = Connection.connection_made

    def note(each: Connection, transport: asyncio.Transport) -> None:
        made(each, transport)
        held = transport.get_extra_info("socket")
        sizes.append(held.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2)
        each.hold_up_to(tcp.RECEIVE_BYTES)
        sizes.append(held.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "connection_made", note)
        for source in (UNKNOWN_SOURCE, "127.0.0.1"):
            peer = await connect(node.address(), source, ssl=authority.client_context())
            peer.writer.write(OPTIONS)
            await node.ear.message()
    assert sizes == [tcp.UNKNOWN_BYTES, *[tcp.RECEIVE_BYTES] * 3]


@pytest.mark.parametrize(("elsewhere", "size"), [((), tcp.RECEIVE_BYTES), (("127.0.0.1",), tcp.UNKNOWN_BYTES)])
async def test_the_kernel_holds_less_of_a_place_that_no_gateway_has(
    secured, silent_vendor, authority, switch, monkeypatch, elsewhere, size
):
    """Peers name such places, and may send there what has all calls wait: 1 MB of changed keys takes 0.6 s."""
    made: list[socket.socket] = []
    monkeypatch.setattr(
        Connection, "connection_made", lambda _, transport: made.append(transport.get_extra_info("socket"))
    )
    await silent_vendor.listen(authority.server_context(switch))
    node = await secured()
    node.ear.elsewhere.update(elsewhere)
    node.send(OPTIONS, silent_vendor.address)
    await until(lambda: bool(made))
    assert made[0].getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2 == size


class Kernel:
    """A socket that tells how many bytes came."""

    def __init__(self) -> None:
        self.came = 3_000
        self.number = 7

    def fileno(self) -> int:
        return self.number

    def getsockopt(self, _level: int, _option: int, size: int) -> bytes:
        return b"\0" * (size - 8) + self.came.to_bytes(8, sys.byteorder)


@pytest.mark.parametrize("is_unknown", [True, False])
def test_changes_of_keys_are_too_many_and_data_in_small_records_is_not(is_unknown):
    kernel = Kernel()
    tls = tls_bytes.TlsBytes(kernel)
    for _ in range(100_000):  # keep-alives of three years
        kernel.came += 4 + 22
        tls.data += 4
    assert not tls.has_too_many(is_unknown=is_unknown)
    kernel.came += 9 * 16_384  # the parts of long records that wait
    tls.data += 8 * 16_384
    assert not tls.has_too_many(is_unknown=is_unknown)
    kernel.came += 27 * 120_000
    assert tls.has_too_many(is_unknown=is_unknown)


def test_a_connection_that_is_just_lost_is_asked_nothing():
    kernel = Kernel()
    tls = tls_bytes.TlsBytes(kernel)
    kernel.came, kernel.number = 1_000_000, -1
    assert not tls.has_too_many(is_unknown=True)


def test_a_gateway_may_change_its_keys_now_and_then():
    kernel = Kernel()
    tls = tls_bytes.TlsBytes(kernel)
    for _ in range(100):
        kernel.came += 27 * 10_000
        assert not tls.has_too_many(is_unknown=False)


async def test_sip_in_clear_on_the_tls_port_is_not_answered(secured, connect):
    node = await secured()
    peer = await connect(node.address())
    peer.writer.write(OPTIONS)
    assert OPTIONS[:7] not in await asyncio.wait_for(peer.reader.read(-1), PATIENCE_S)
    await until(lambda: node.transports.connections == 0)


# -- connections of ours ------------------------------------------------------------------------------------------


async def test_a_vendor_named_by_its_certificate_is_accepted(secured, silent_vendor, authority):
    """RFC 5922 section 7: the name that led to the address is what must be certified."""
    await silent_vendor.listen(authority.server_context(authority.issue("vendor", "sip.vendor.example")))
    node = await secured()
    node.ear.names["127.0.0.1"] = "sip.vendor.example"
    node.send(OPTIONS, silent_vendor.address)
    assert await (await silent_vendor.arrival()).read(len(OPTIONS)) == OPTIONS


async def test_a_vendor_by_address_must_have_that_address_certified(secured, silent_vendor, authority):
    await silent_vendor.listen(authority.server_context(authority.issue("numbered", "127.0.0.1")))
    node = await secured()
    node.send(OPTIONS, silent_vendor.address)
    assert await (await silent_vendor.arrival()).read(len(OPTIONS)) == OPTIONS


class NamesOfPeers:
    """A name server where every name leads to the vendor."""

    async def ask(self, question: DnsQuestion) -> DnsAnswer:
        return DnsAnswer(("127.0.0.1",) if question.kind is RecordType.A else (), 60)


async def test_a_vendor_by_address_is_reached_whatever_names_peers_publish_for_it(secured, silent_vendor, authority):
    """The name in a Contact of any caller may lead to the vendor; its certificate still has to have the address."""
    await silent_vendor.listen(authority.server_context(authority.issue("named", "127.0.0.1")))
    host, port = silent_vendor.address
    directory = NameDirectory(NamesOfPeers(), ManualClock(), UsableTransports({"tls": (RecordType.A,)}), DnsSettings())
    await directory.adopt([routing_gateway("vendor", addresses=(Address(host, port, "tls"),))])
    for _ in range(2):
        found = directory.locate(Hop("evil.example", port, "tls"), Source(0, "192.0.2.66", 5061))
        await directory.settled()
    assert found == Hop(host, port, "tls")
    node = await secured()
    node.ear.directory = lambda host: next(iter(directory.names_to(host)), None)
    node.send(OPTIONS, silent_vendor.address)
    assert await (await silent_vendor.arrival()).read(len(OPTIONS)) == OPTIONS


@pytest.mark.parametrize(
    ("certified", "wanted", "why"),
    [
        ("other.example", "sip.vendor.example", "not valid for 'sip.vendor.example'"),
        ("sip.vendor.example", None, "not valid for '127.0.0.1'"),
        ("*.vendor.example", "deep.sip.vendor.example", "not valid"),
    ],
)
async def test_a_certificate_for_another_name_is_refused(secured, silent_vendor, authority, certified, wanted, why):
    await silent_vendor.listen(authority.server_context(authority.issue("vendor", certified)))
    node = await secured()
    if wanted:
        node.ear.names["127.0.0.1"] = wanted
    with capture_logs() as logs:
        node.send(OPTIONS, silent_vendor.address)
        assert await node.ear.failure() == (0, silent_vendor.address)
    assert why in logs[0]["why"]
    assert node.transports.connections == 0


@pytest.mark.parametrize("certified", ["one.example", "127.0.0.1", "other.example"])
@pytest.mark.parametrize("identity", [None, "of the vendor"])
async def test_a_customer_must_show_the_name_that_it_has_proven_or_the_address_of_its_contact(
    secured, silent_vendor, authority, certified, identity
):
    """Another customer may come from the same address. The terms of a vendor are those of its places alone."""
    await silent_vendor.listen(authority.server_context(authority.issue("customer", certified)))
    node = await secured()
    node.ear.elsewhere |= {"127.0.0.1", "one.example"}
    if identity is not None:
        node.ear.identities["127.0.0.1"] = identity
    node.ear.server_names[OF_ONE] = "one.example"
    node.send(OF_ONE, silent_vendor.address)
    if certified == "other.example":
        assert await node.ear.failure() == (0, silent_vendor.address)
        assert node.transports.connections == 0
    else:
        assert await (await silent_vendor.arrival()).read(len(OF_ONE)) == OF_ONE


@pytest.mark.parametrize("is_open", [True, False])
async def test_a_customer_who_is_a_vendor_too_shows_there_what_the_vendor_does(
    secured, silent_vendor, authority, is_open
):
    await silent_vendor.listen(authority.server_context(authority.issue("both", "sip.vendor.example")))
    node = await secured()
    node.ear.names["127.0.0.1"] = "sip.vendor.example"
    node.ear.elsewhere.add("one.example")
    node.ear.server_names[OF_ONE] = "one.example"
    if is_open:
        node.send(OPTIONS, silent_vendor.address)
    node.send(OF_ONE, silent_vendor.address)
    sent = OPTIONS + OF_ONE if is_open else OF_ONE
    assert await (await silent_vendor.arrival()).read(len(sent)) == sent
    assert node.transports.connections == 1


OF_ONE, OF_OTHER = request(branch="z9hG4bK-one"), request(branch="z9hG4bK-other")


@pytest.mark.parametrize("is_open", [True, False])
async def test_a_connection_is_not_used_for_another_vendor_whose_name_it_does_not_bear(
    secured, silent_vendor, authority, is_open
):
    """Two names may lead to one place: who controls one of them must not get the calls to the other."""
    await silent_vendor.listen(authority.server_context(authority.issue("one", "one.example")))
    node = await secured()
    node.ear.names["127.0.0.1"] = "one.example"
    node.ear.server_names |= {OF_ONE: "one.example", OF_OTHER: "other.example"}
    node.send(OF_ONE, silent_vendor.address)
    peer = await silent_vendor.arrival() if is_open else None
    with capture_logs() as logs:
        node.send(OF_OTHER, silent_vendor.address)
        await until(lambda: bool(node.ear.failed_names))
    assert node.ear.failed_names == [(silent_vendor.address, {"other.example"})]
    assert "certificate is not valid for 'other.example'" in logs[0]["why"]
    node.send(OPTIONS, silent_vendor.address)
    received = await (peer or await silent_vendor.arrival()).read(len(OF_ONE + OPTIONS))
    assert received == OF_ONE + OPTIONS
    assert (node.ear.failures, node.transports.connections) == (0, 1)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_name_that_no_certificate_bears_costs_the_right_one_at_its_place_nothing(
    secured, silent_vendor, authority, waits
):
    await silent_vendor.listen(authority.server_context(authority.issue("other", "other.example")))
    node = await secured()
    node.ear.names["127.0.0.1"] = "one.example"
    node.ear.server_names |= {OF_ONE: "one.example", OF_OTHER: "other.example"}
    node.send(OF_ONE, silent_vendor.address)
    if not waits:
        assert await node.ear.failure() == (0, silent_vendor.address)
    node.send(OF_OTHER, silent_vendor.address)
    assert await (await silent_vendor.arrival()).read(len(OF_OTHER)) == OF_OTHER
    failed = [(silent_vendor.address, {"one.example"})] if waits else []
    assert (node.ear.failed_names, node.ear.unsent, node.ear.failures) == (failed, [], 0)


@pytest.mark.parametrize("options", [{}, {"verify_server": False}])
async def test_names_that_one_certificate_bears_share_a_connection(secured, silent_vendor, authority, options):
    """A wildcard stands for one label; without verification any certificate does."""
    certified = "nowhere.example" if options else "*.vendor.example"
    await silent_vendor.listen(authority.server_context(authority.issue("wild", certified)))
    node = await secured(**options)
    node.ear.server_names |= {OF_ONE: "a.vendor.example", OF_OTHER: "B.vendor.example"}
    node.send(OF_ONE, silent_vendor.address)
    peer = await silent_vendor.arrival()
    node.send(OF_OTHER, silent_vendor.address)
    assert await peer.read(len(OF_ONE + OF_OTHER)) == OF_ONE + OF_OTHER
    assert node.transports.connections == 1


async def test_a_vendor_with_another_identity_does_not_share_the_connection_of_its_place(
    secured, silent_vendor, authority
):
    await silent_vendor.listen(authority.server_context(authority.issue("pair", "*.vendor.example")))
    node = await secured(identities=(TlsIdentity("own", verify_server=False),))
    node.ear.identities["b.vendor.example"] = "own"
    node.ear.server_names |= {OF_ONE: "a.vendor.example", OF_OTHER: "b.vendor.example"}
    node.send(OF_ONE, silent_vendor.address)
    await silent_vendor.arrival()
    for _ in range(2):
        node.send(OF_OTHER, silent_vendor.address)
    assert await (await silent_vendor.arrival()).read(2 * len(OF_OTHER)) == 2 * OF_OTHER
    assert node.transports.connections == 2


@pytest.fixture
async def one_of_two(secured, silent_vendor, authority):
    """Connect to one of two vendors at one place, which shows the certificate of the name that it is asked for."""
    others = authority.server_context(authority.issue("other", "other.example"))
    context = authority.server_context(authority.issue("one", "one.example"))

    def choose(connection, wanted, _context):
        if wanted == "other.example":
            connection.context = others

    context.sni_callback = choose
    await silent_vendor.listen(context)
    node = await secured()
    node.ear.server_names |= {OF_ONE: "one.example", OF_OTHER: "other.example"}
    node.send(OF_ONE, silent_vendor.address)
    one = await silent_vendor.arrival()
    assert await one.read(len(OF_ONE)) == OF_ONE
    return SimpleNamespace(node=node, ear=node.ear, one=one, other=None, place=silent_vendor.address)


@pytest.fixture
async def two_vendors(one_of_two, silent_vendor):
    """Connect to both vendors."""
    one_of_two.node.send(OF_OTHER, one_of_two.place)
    one_of_two.other = await silent_vendor.arrival()
    assert await one_of_two.other.read(len(OF_OTHER)) == OF_OTHER
    return one_of_two


@pytest.mark.parametrize("is_third", [False, True])
async def test_a_request_whose_own_connection_is_being_opened_does_not_fail_with_another_one_of_its_place(
    one_of_two, silent_vendor, is_third
):
    """It would be sent nevertheless, and two vendors ring for one call."""
    node, place = one_of_two.node, one_of_two.place
    flow = node.transports._flows[0]
    node.send(OF_OTHER, place)
    flow._open[place]._transport.abort()
    await until(lambda: place not in flow._open)
    names = [{"one.example"}]
    if is_third:
        node.ear.server_names[OPTIONS], node.ear.identities["third.example"] = "third.example", "not configured"
        node.send(OPTIONS, place)
        names.append({"", "third.example", OF_RESPONSES})
    other = await silent_vendor.arrival()
    assert await other.read(len(OF_OTHER)) == OF_OTHER
    assert (node.ear.failed_names, node.ear.failures) == ([(place, each) for each in names], 0)


def response_to(place: PeerEnd) -> bytes:
    """Write a response that goes to a place."""
    said = re.sub(rb"(Via: SIP/2.0/\w+ )[^;]+", rb"\g<1>127.0.0.1:%d" % place.port, OPTIONS)
    return b"SIP/2.0 486 Busy Here" + said[said.index(b"\r\n") :]


@pytest.mark.parametrize("is_shared", [False, True])
async def test_a_request_that_fails_with_a_connection_is_not_sent_on_the_next_one(one_of_two, silent_vendor, is_shared):
    """It came while that was closing; another vendor is tried then, and two would ring for one call."""
    node, place = one_of_two.node, one_of_two.place
    flow, said = node.transports._flows[0], response_to(place)
    other = None
    if is_shared:
        node.send(OF_OTHER, place)
        other = await silent_vendor.arrival()
        assert await other.read(len(OF_OTHER)) == OF_OTHER
    closed, again, acknowledges = flow.closed, request(branch="z9hG4bK-again"), request("ACK", branch="z9hG4bK-ack")
    node.ear.server_names[again] = "one.example"

    def closed_meanwhile(connection, why, *, in_doubt):
        flow.closed = closed
        for data in (again, acknowledges, said, OF_OTHER):
            node.send(data, place)
        closed(connection, why, in_doubt=in_doubt)

    flow.closed = closed_meanwhile
    flow._open[place]._transport.abort()
    after = await silent_vendor.arrival()
    expected = acknowledges + said + (OF_OTHER if is_shared else b"")
    assert await (other or after).read(len(expected)) == expected
    node.send(OF_ONE, place)
    assert await after.read(len(OF_ONE)) == OF_ONE, "nothing before it"
    failed = [(place, {"one.example"})] if is_shared else []
    assert (node.ear.failed_names, node.ear.failures) == (failed, 0 if is_shared else 1)


async def test_a_response_that_waits_for_a_connection_goes_by_the_one_of_another_name(
    secured, silent_vendor, authority
):
    await silent_vendor.listen(authority.server_context(authority.issue("other", "other.example")))
    node = await secured()
    node.ear.names["127.0.0.1"] = "one.example"
    node.ear.server_names |= {OF_OTHER: "other.example"}
    said = response_to(silent_vendor.address)
    for data in (said, OF_OTHER):
        node.send(data, silent_vendor.address)
    assert await (await silent_vendor.arrival()).read(len(OF_OTHER + said)) == OF_OTHER + said


async def test_vendors_with_one_place_have_a_connection_each_where_its_server_chooses_by_name(two_vendors):
    node, place = two_vendors.node, two_vendors.place
    for data in (OF_OTHER, OF_ONE, OPTIONS):
        node.send(data, place)
    assert await two_vendors.other.read(len(OF_OTHER)) == OF_OTHER
    assert await two_vendors.one.read(len(OF_ONE + OPTIONS)) == OF_ONE + OPTIONS
    assert (node.transports.connections, node.ear.unsent, node.ear.failures) == (2, [], 0)
    assert node.ear.failed_names == []


async def test_what_belongs_to_a_request_takes_the_connection_of_it(two_vendors):
    node, place = two_vendors.node, two_vendors.place
    cancel = request("CANCEL", branch="z9hG4bK-other")
    node.ear.server_names[cancel] = "other.example"
    asked = request("OPTIONS", branch="z9hG4bK-theirs")
    two_vendors.other.writer.write(asked)
    assert await node.ear.message() == (0, asked, place)
    said = b"SIP/2.0 200 OK" + asked[asked.index(b"\r\n") :]
    for data in (cancel, said):
        node.send(data, place)
    assert await two_vendors.other.read(len(cancel + said)) == cancel + said
    await two_vendors.other.close()
    await until(lambda: bool(node.ear.failed_names))
    assert node.ear.failed_names == [(place, {"other.example", OF_RESPONSES})], "no request without a name went there"


@pytest.mark.parametrize("first", ["one", "other"])
async def test_the_end_of_one_of_two_connections_with_a_place_concerns_its_vendor_alone(two_vendors, first):
    node, place, second = two_vendors.node, two_vendors.place, "other" if first == "one" else "one"
    await getattr(two_vendors, first).close()
    await until(lambda: bool(node.ear.failed_names))
    assert node.ear.failed_names == [(place, {f"{first}.example"})]
    assert node.transports._flows[0].has_connection(place)
    data = {"one": OF_ONE, "other": OF_OTHER}[second]
    for each in (data, OPTIONS):
        node.send(each, place)
    assert await getattr(two_vendors, second).read(len(data + OPTIONS)) == data + OPTIONS
    await getattr(two_vendors, second).close()
    assert await node.ear.parting() == (0, place)
    assert (node.transports.connections, node.transports._flows[0]._beside) == (0, {})


async def test_a_certificate_of_an_unknown_authority_is_refused(secured, silent_vendor, impostor):
    await silent_vendor.listen(impostor.server_context(impostor.issue("vendor", "127.0.0.1")))
    node = await secured()
    node.send(OPTIONS, silent_vendor.address)
    assert await node.ear.failure() == (0, silent_vendor.address)


async def test_certificates_are_not_checked_if_configured(secured, silent_vendor, impostor):
    await silent_vendor.listen(impostor.server_context(impostor.issue("other", "nowhere.example")))
    node = await secured(verify_server=False)
    node.send(OPTIONS, silent_vendor.address)
    assert await (await silent_vendor.arrival()).read(len(OPTIONS)) == OPTIONS


async def test_we_show_our_certificate_to_a_vendor_that_asks(secured, silent_vendor, authority):
    certificate = authority.issue("asking", "127.0.0.1")
    await silent_vendor.listen(authority.server_context(certificate, asks=True))
    node = await secured()
    node.send(OPTIONS, silent_vendor.address)
    peer = await silent_vendor.arrival()
    assert await peer.read(len(OPTIONS)) == OPTIONS
    assert ("DNS", "sip.example.com") in peer.writer.get_extra_info("peercert")["subjectAltName"]


@pytest.mark.parametrize(("handshake_s", "patience_s"), [(0.05, 60.0), (3_600, 0.2)])
async def test_a_vendor_that_stays_mute_in_the_handshake_is_given_up_also_before_its_response_timeout(
    secured, silent_vendor, monkeypatch, handshake_s, patience_s
):
    """Then its calls go on at the next address, and it counts as unreachable, not as silent."""
    monkeypatch.setattr(tcp, "HANDSHAKE_S", handshake_s)
    await silent_vendor.listen()
    node = await secured()
    node.ear.patience_s = patience_s
    node.send(OPTIONS, silent_vendor.address)
    assert await node.ear.failure() == (0, silent_vendor.address)
    assert node.transports.connections == 0


async def test_a_vendor_that_does_not_read_loses_its_connection(secured, silent_vendor, authority):
    await silent_vendor.listen(authority.server_context(authority.issue("deaf", "127.0.0.1")))
    node = await secured()
    node.send(OPTIONS, silent_vendor.address)
    (await silent_vendor.arrival()).writer.transport.pause_reading()
    with capture_logs() as logs:
        await node.flood(silent_vendor.address)
    assert await node.ear.failure() == (0, silent_vendor.address)
    assert [line["why"] for line in logs] == ["the peer does not read"]


# -- the files ----------------------------------------------------------------------------------------------------


async def test_other_files_hold_for_new_connections_and_leave_the_open_ones(secured, connect, authority, switch):
    node = await secured()
    context = authority.client_context()
    old = await connect(node.address(), ssl=context)
    fresh = settings(authority, authority.issue("fresh", "127.0.0.1", "fresh.example.com"))
    node.transports.adjust(TransportSettings(tls=fresh), TlsContexts.load(fresh))
    new = await connect(node.address(), ssl=context)
    assert ("DNS", "fresh.example.com") in new.writer.get_extra_info("peercert")["subjectAltName"]
    assert ("DNS", "sip.example.com") in old.writer.get_extra_info("peercert")["subjectAltName"]
    for peer in (old, new):
        peer.writer.write(OPTIONS)
        assert await node.ear.message() == (0, OPTIONS, peer.address)


@pytest.mark.parametrize(
    ("key", "content", "expected"),
    [
        ("certificate", None, "a file that can be read: No such file"),
        ("certificate", "no certificate", "certificates in PEM form"),
        ("certificate", "", "certificates in PEM form"),
        ("certificate", "Zürich", "certificates in PEM form"),
        ("ca", REVOKED, "certificates in PEM form"),
        ("ca", "Zürich -----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificates in PEM form"),
        ("private_key", None, "a file that can be read"),
        ("private_key", "no key", "the key of the certificate"),
        ("ca", None, "a file that can be read"),
        ("ca", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificates in PEM form"),
    ],
)
def test_a_bad_file_is_named_with_what_it_should_hold(authority, switch, tmp_path, key, content, expected):
    bad = tmp_path / "bad.pem"
    if content is not None:
        bad.write_text(content)
    with pytest.raises(TlsFileError, match=expected) as caught:
        TlsContexts.load(settings(authority, switch, **{key: bad}))
    assert (caught.value.key, caught.value.path) == (key, bad)


def test_words_around_a_certificate_may_have_any_letters(authority, switch, tmp_path):
    named, roots = tmp_path / "named.pem", tmp_path / "roots.pem"
    for file, plain in ((named, switch.file), (roots, authority.root.file)):
        file.write_bytes(b"friendlyName: Z\xc3\xbcrich \xfc\n" + plain.read_bytes())
    loaded = TlsContexts.load(settings(authority, switch, certificate=named, ca=roots))
    assert len(loaded.client.get_ca_certs(binary_form=True)) == 1


def test_the_key_of_another_certificate_is_a_mistake(authority, switch):
    other = authority.issue("other", "127.0.0.1")
    with pytest.raises(TlsFileError, match="private_key") as caught:
        TlsContexts.load(settings(authority, switch, private_key=other.key))
    assert caught.value.key == "private_key"


def test_an_encrypted_key_is_an_error_without_a_password_prompt(authority, switch, tmp_path):
    locked = tmp_path / "locked.key"
    authority.lock(switch, locked, password="0000")
    with pytest.raises(TlsFileError, match="not encrypted"):
        TlsContexts.load(settings(authority, switch, private_key=locked))


# -- certificates of trunks ---------------------------------------------------------------------------------------


async def test_a_vendor_with_an_identity_is_shown_its_certificate_and_judged_by_its_authority_and_name(
    secured, silent_vendor, authority, impostor
):
    """A vendor with an authority of its own is believed only where its identity says so."""
    theirs = impostor.issue("trunk", "sip.vendor.example")
    context = impostor.server_context(theirs)
    context.load_verify_locations(authority.root.file)
    context.verify_mode = ssl.CERT_REQUIRED
    await silent_vendor.listen(context)
    ours = authority.issue("for-vendor", "customer-7.example")
    identity = TlsIdentity("vendor", ours.file, ours.key, impostor.root.file, "sip.vendor.example")
    node = await secured(identities=(identity,))
    node.send(OPTIONS, silent_vendor.address)
    assert await node.ear.failure() == (0, silent_vendor.address), "by the common roots it is unknown"
    node.ear.identities["127.0.0.1"] = "vendor"
    node.send(OPTIONS, silent_vendor.address)
    peer = await silent_vendor.arrival()
    assert await peer.read(len(OPTIONS)) == OPTIONS
    assert peer.writer.get_extra_info("peercert")["subjectAltName"] == (("DNS", "customer-7.example"),)


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (TlsIdentity("vendor", server_name="other.example"), "not valid for 'other.example'"),
        (TlsIdentity("another"), "sip.tls.identities has no 'vendor'"),
    ],
    ids=["another name", "no such identity"],
)
async def test_a_vendor_that_does_not_fit_its_identity_is_not_connected_to(
    secured, silent_vendor, authority, identity, why
):
    await silent_vendor.listen(authority.server_context(authority.issue("vendor", "127.0.0.1")))
    node = await secured(identities=(identity,))
    node.ear.identities["127.0.0.1"] = "vendor"
    with capture_logs() as logs:
        node.send(OPTIONS, silent_vendor.address)
        assert await node.ear.failure() == (0, silent_vendor.address)
    assert why in logs[0]["why"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_vendor_that_does_not_accept_our_certificate_is_in_the_log(
    secured, silent_vendor, authority, impostor, version, monkeypatch
):
    """By TLS 1.3 our side of the handshake is complete before the vendor has refused it."""
    monkeypatch.setattr("vosd.net.connection.AT_ONCE_S", 60.0)  # the machine may be busy
    context = authority.server_context(authority.issue("strict", "127.0.0.1"))
    context.load_verify_locations(impostor.root.file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    await silent_vendor.listen(context)
    node = await secured()
    with capture_logs() as logs:
        node.send(OPTIONS, silent_vendor.address)
        assert await node.ear.failure() == (0, silent_vendor.address)
    [line] = logs
    assert (line["event"], line["peer"]) == ("connection", "{}:{}".format(*silent_vendor.address))
    expected = "it may not accept our certificate" if version is ssl.TLSVersion.TLSv1_3 else "no connection"
    assert expected in line["why"]


async def test_a_vendor_that_closes_later_without_an_answer_is_not_said_to_refuse_our_certificate(
    secured, silent_vendor, authority, monkeypatch
):
    """It has accepted us and read the request: it is restarted, or has no server behind it any more."""
    await silent_vendor.listen(authority.server_context(authority.issue("vendor", "127.0.0.1")))
    node = await secured()
    with capture_logs() as logs:
        node.send(OPTIONS, silent_vendor.address)
        peer = await silent_vendor.arrival()
        assert await peer.read(len(OPTIONS)) == OPTIONS
        monkeypatch.setattr("vosd.net.connection.AT_ONCE_S", 0.0)  # that time is over
        await peer.close()
        assert await node.ear.failure() == (0, silent_vendor.address)
    assert not logs


async def test_a_vendor_that_closes_after_it_has_answered_is_not_in_the_log(secured, silent_vendor, authority):
    await silent_vendor.listen(authority.server_context(authority.issue("vendor", "127.0.0.1")))
    node = await secured()
    node.send(OPTIONS, silent_vendor.address)
    peer = await silent_vendor.arrival()
    peer.writer.write(OPTIONS)
    await node.ear.message()
    node.send(OPTIONS, silent_vendor.address)
    with capture_logs() as logs:
        await peer.close()
        assert await node.ear.failure() == (0, silent_vendor.address)
    assert not logs


async def test_an_identity_may_take_any_certificate_and_a_reload_changes_it(
    secured, silent_vendor, authority, impostor, switch
):
    await silent_vendor.listen(impostor.server_context(impostor.issue("any", "nowhere.example")))
    node = await secured(identities=(TlsIdentity("vendor"),))
    node.ear.identities["127.0.0.1"] = "vendor"
    node.send(OPTIONS, silent_vendor.address)
    assert await node.ear.failure() == (0, silent_vendor.address)
    lenient = settings(authority, switch, identities=(TlsIdentity("vendor", verify_server=False),))
    node.transports.adjust(TransportSettings(tls=lenient), TlsContexts.load(lenient))
    node.send(OPTIONS, silent_vendor.address)
    assert await (await silent_vendor.arrival()).read(len(OPTIONS)) == OPTIONS


def test_identities_that_differ_by_the_name_of_the_vendor_share_what_is_loaded_from_files(authority, switch):
    """Each of them loaded the trusted roots again: 60 vendors with a name in their ``tls`` made a load take seconds."""
    other = authority.issue("other", "other.example")
    contexts = TlsContexts.load(settings(authority, switch, identities=(
        TlsIdentity("a", server_name="a.example"), TlsIdentity("b", server_name="b.example"),
        TlsIdentity("any", verify_server=False), TlsIdentity("other", other.file, other.key),
        TlsIdentity("same", other.file, other.key, server_name="c.example"),
    )))  # fmt: skip
    by_name = contexts.identities
    assert [each.server_name for each in by_name.values()] == ["a.example", "b.example", "", "", "c.example"]
    assert by_name["a"].context is by_name["b"].context is contexts.client
    assert by_name["other"].context is by_name["same"].context
    assert len({id(by_name[each].context) for each in ("a", "any", "other")}) == 3


async def test_a_caller_is_shown_the_certificate_of_the_name_that_it_asks_for(secured, connect, authority):
    other = authority.issue("second", "second.example")
    node = await secured(identities=(TlsIdentity("second", other.file, other.key, host_names=("second.example",)),))

    async def shown(name: str) -> tuple[tuple[str, str], ...]:
        context = authority.client_context()
        context.check_hostname = False
        peer = await connect(node.address(), ssl=context, server_hostname=name)
        return peer.writer.get_extra_info("peercert")["subjectAltName"]

    assert await shown("SECOND.example") == (("DNS", "second.example"),)
    assert ("DNS", "sip.example.com") in await shown("sip.example.com")
    assert ("DNS", "sip.example.com") in await shown("unknown.example")


async def test_the_names_in_the_certificate_of_a_caller_are_reported_before_its_messages(secured, connect, authority):
    node = await secured(verify_client=VerifyClient.OPTIONAL)
    certificate = authority.issue("customer", "PBX.customer.example", "127.0.0.1")
    named = await connect(node.address(), ssl=authority.client_context(certificate))
    bare = await connect(node.address(), ssl=authority.client_context())
    for peer in (named, bare):
        peer.writer.write(OPTIONS)
        await node.ear.message()
    assert node.ear.certified == [
        (0, named.address, frozenset({"pbx.customer.example"})), (0, bare.address, frozenset())
    ]  # fmt: skip


async def test_the_authority_of_a_vendor_names_no_caller_whatever_name_it_asks_for(
    secured, connect, authority, impostor
):
    second = authority.issue("second", "second.example")
    identity = TlsIdentity("second", second.file, second.key, impostor.root.file, host_names=("second.example",))
    node = await secured(verify_client=VerifyClient.OPTIONAL, identities=(identity,))
    context = authority.client_context(impostor.issue("forged", "pbx.customer.example"))
    peer = await connect(node.address(), ssl=context, server_hostname="second.example")
    peer.writer.write(OPTIONS)
    assert await peer.is_broken()
    assert (node.ear.certified, node.ear.messages) == ([], 0)


@pytest.mark.parametrize(
    ("certificate", "names"),
    [
        (None, set()),
        ({}, set()),
        ({"subjectAltName": (("DNS", "A.example"), ("URI", "sip:B.example"), ("URI", "https://c.example"))},
         {"a.example", "b.example"}),
        ({"subject": ((("commonName", "D.example"),),)}, {"d.example"}),
        ({"subject": ((("commonName", "d.example"),),), "subjectAltName": (("IP Address", "192.0.2.1"),)}, set()),
    ],
)  # fmt: skip
def test_the_names_of_a_certificate_are_those_of_rfc_5922(certificate, names):
    """A common name counts only where there is no alternative name (section 7.1)."""
    assert names_in(certificate) == names


@pytest.mark.parametrize("wanted", ["2001:db8:9::20", "[2001:DB8:9:0::20]", "192.0.2.7"])
def test_a_certificate_bears_an_address_however_it_is_written(wanted: str) -> None:
    """Python shows those of IPv6 in capitals, with every zero."""
    entries = (("IP Address", "2001:DB8:9:0:0:0:0:20"), ("IP Address", "192.0.2.7"))
    assert is_of({"subjectAltName": entries}, wanted)
    assert not is_of({"subjectAltName": (("IP Address", "2001:DB8:9:0:0:0:0:21"), ("DNS", "x.example"))}, wanted)


def test_a_pipe_is_a_bad_file_and_is_not_waited_for(authority, switch, tmp_path):
    pipe = tmp_path / "pipe.pem"
    os.mkfifo(pipe)
    with pytest.raises(TlsFileError, match="no pipe, socket or device"):
        TlsContexts.load(settings(authority, switch, private_key=pipe))
