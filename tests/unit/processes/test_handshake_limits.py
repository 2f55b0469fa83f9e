"""Messages of handshakes that would stop all calls are refused before OpenSSL reads them; others are not."""

import ssl
from collections.abc import Sequence

import pytest
from doubles.certificates import Authority, Certificate, agree

from vosd.processes.handshake_limits import CHAIN_MAX, limit_handshakes


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def shown_with(authority: Authority, name: str, others: Sequence[Certificate]) -> Certificate:
    """Return a certificate of localhost whose owner shows others with it."""
    shown = authority.issue(name, "localhost")
    with shown.file.open("a") as file:
        file.writelines(each.file.read_text() for each in others)
    return shown


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["server", "client"])
def reader(request: pytest.FixtureRequest) -> str:
    """Side that is limited, which reads the other's certificates."""
    return str(request.param)


def shake(authority: Authority, shown: Certificate, reader: str, version: str) -> ssl.SSLObject:
    ours = authority.issue("ours", "localhost")
    shown_by_server, shown_by_client = (shown, ours) if reader == "client" else (ours, shown)
    server = authority.server_context(shown_by_server, asks=True)
    client = authority.client_context(shown_by_client)
    client.maximum_version = ssl.TLSVersion[version.replace(".", "_")]
    assert limit_handshakes({"server": server, "client": client}[reader])
    return agree(server, client)


def test_a_chain_is_as_long_as_a_peer_needs_it(authority, reader, version):
    longest = shown_with(authority, "longest", [authority.root] * (CHAIN_MAX - 1))
    assert shake(authority, longest, reader, version).version() == version
    longer = shown_with(authority, "longer", [authority.root] * CHAIN_MAX)
    with pytest.raises(ssl.SSLError):
        shake(authority, longer, reader, version)


def test_no_certificate_describes_a_curve_of_its_own(authority, reader, version):
    strange = authority.issue("strange", "elsewhere", curve_encoding="explicit")
    with pytest.raises(ssl.SSLError):
        shake(authority, shown_with(authority, "with-strange", [strange]), reader, version)


@pytest.mark.parametrize(("names", "fits"), [(50, True), (70, False)])
def test_the_greeting_of_a_client_is_no_longer_than_it_needs(authority, names, fits):
    server, client = authority.server_context(authority.issue("greeted", "localhost")), authority.client_context()
    assert limit_handshakes(server)
    client.set_alpn_protocols(["x" * 250] * names)
    if fits:
        assert agree(server, client).version() == "TLSv1.3"
    else:
        with pytest.raises(ssl.SSLError):
            agree(server, client)


def read_all(context: ssl.SSLContext, sent: bytes) -> None:
    """Let a side of a handshake read what its peer has sent so far."""
    received = ssl.MemoryBIO()
    side = context.wrap_bio(received, ssl.MemoryBIO(), context.protocol == ssl.PROTOCOL_TLS_SERVER)
    received.write(sent)
    side.do_handshake()


def records(message: bytes, size: int) -> bytes:
    parts = [message[start : start + size] for start in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x03" + len(each).to_bytes(2, "big") + each for each in parts)


@pytest.mark.parametrize(
    ("protocol", "message", "size"),
    [
        pytest.param(ssl.PROTOCOL_TLS_CLIENT, bytes(4 * 1_000), 400, id="requests-to-renegotiate"),
        pytest.param(ssl.PROTOCOL_TLS_SERVER, b"\x01\x00\x40\x00" + bytes(1_000), 1, id="records-of-a-byte"),
    ],
)
def test_a_handshake_has_no_more_parts_than_a_peer_needs(protocol, message, size):
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    assert limit_handshakes(context)
    fits = records(message[: len(message) // 2], size)
    with pytest.raises(ssl.SSLWantReadError):
        read_all(context, fits)
    with pytest.raises(ssl.SSLZeroReturnError):
        read_all(context, records(message + message, size))


def test_data_of_a_connection_is_not_looked_at(authority, version, monkeypatch):
    looked: list[int] = []
    monkeypatch.setattr("vosd.processes.handshake_limits.is_slow", lambda message, _: bool(looked.append(message[0])))
    client = shake(authority, authority.issue("plain", "localhost"), "client", version)
    assert looked
    looked.clear()
    with pytest.raises(ssl.SSLWantReadError):  # tickets of TLS 1.3 come as messages of handshakes, too
        client.read()
    assert not looked


def test_a_python_that_contains_openssl_has_no_limits(authority, monkeypatch):
    monkeypatch.setattr("vosd.processes.handshake_limits.openssl", object)
    assert not limit_handshakes(authority.client_context())


def test_a_system_that_lets_no_memory_be_executed_has_no_limits(authority, monkeypatch):
    def refused(*, until_end: bool) -> None:
        raise MemoryError(until_end)

    monkeypatch.setattr("vosd.processes.handshake_limits._callback", refused)
    assert not limit_handshakes(authority.client_context())
