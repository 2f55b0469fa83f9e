"""Media of a telephone in a browser (RFC 8834): ICE by aioice, a DTLS handshake by OpenSSL, SRTP by libsrtp."""

import asyncio
import datetime
import threading
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import aioice
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from pylibsrtp import Error, Policy, Session

from doubles.sockets.rtp import rtp
from vosd.base.errors import VosError

PATIENCE_S: Final = 60.0
_PROFILE: Final = b"SRTP_AES128_CM_SHA1_80"
_LABEL: Final = b"EXTRACTOR-dtls_srtp"
_KEY, _SALT = 16, 14
_RETRY_S: Final = 0.2
T = TypeVar("T")


class HandshakeError(VosError):
    """The other side has not the certificate that it announced."""


class _ConnectionFrom(aioice.Connection):
    """ICE at one address, which may be of the loopback network."""

    host = ""

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109 - as the library has it
    ) -> list[aioice.Candidate]:
        return await super().get_component_candidates(component, [self.host], timeout)


class WebMedia:
    """The media of one call; a context manager with an event loop of its own, for tests that wait in plain calls."""

    def __init__(self, host: str, ssrc: int) -> None:
        self.host = host
        self.ssrc = ssrc
        self.received: list[bytes] = []
        self._sequence = 1_000
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "browser")])
        now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - of a certificate
        self._certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .sign(self._key, hashes.SHA256())
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._ice: _ConnectionFrom
        self._inward: Session | None = None
        self._outward: Session | None = None
        self._reader: asyncio.Task[None] | None = None

    def __enter__(self) -> "WebMedia":
        self._thread.start()
        self._run(self._begin())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def begin_anew(self) -> None:
        """Forget the other side: ICE and the handshake begin anew with the next description."""
        self._inward = self._outward = None
        self.move(self.host)

    def move(self, host: str) -> None:
        """Restart ICE at another host with the next description; the keys stay."""
        self._run(self._end())
        self.host = host
        self._run(self._begin())

    def described(self, setup: str = "actpass", mid: str = "0", *lines: str, version: int = 1) -> str:
        """Return its session description, as a browser writes it."""
        candidates = "".join(f"a=candidate:{each.to_sdp()}\r\n" for each in self._ice.local_candidates)
        port = self._ice.local_candidates[0].port
        family = 6 if ":" in self.host else 4
        extra = "".join(f"{line}\r\n" for line in lines)
        return (
            f"v=0\r\no=- 4611 {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\n"
            "a=extmap-allow-mixed\r\na=msid-semantic: WMS s\r\n"
            f"m=audio {port} UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP{family} {self.host}\r\na=rtcp:9 IN IP4 0.0.0.0\r\n"
            f"{candidates}a=ice-ufrag:{self._ice.local_username}\r\na=ice-pwd:{self._ice.local_password}\r\n"
            f"a=fingerprint:sha-256 {fingerprint(self._certificate)}\r\na=setup:{setup}\r\na=mid:{mid}\r\n"
            "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=msid:s a\r\na=rtcp-mux\r\na=rtcp-rsize\r\n"
            "a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=rtpmap:0 PCMU/8000\r\n"
            f"a=ssrc:{self.ssrc} cname:c\r\n{extra}"
        )

    def connect(self, description: str) -> None:
        """Check the way to the other side, which only answers checks, and agree with it about keys."""
        self._run(self._connect(attributes(description)))

    def send(self, packets: int = 1) -> list[bytes]:
        """Send packets of 20 ms; return them as they were before they were encrypted."""
        sent = []
        for _ in range(packets):
            sent.append(rtp(self._sequence, self._sequence * 160, ssrc=self.ssrc))
            self._sequence += 1
        self._run(self._send(sent))
        return sent

    def has(self, packets: int) -> bool:
        """Return whether at least so many packets have been received and decrypted."""
        return len(self.received) >= packets

    def taken(self) -> list[bytes]:
        """Return the packets that have been received since the last time."""
        received, self.received = self.received, []
        return received

    def _run(self, act: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(act, self._loop).result(PATIENCE_S)

    async def _begin(self) -> None:
        self._ice = _ConnectionFrom(ice_controlling=True, components=1, use_ipv4=True, use_ipv6=True)
        self._ice.host = self.host
        await self._ice.gather_candidates()

    async def _end(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
        await self._ice.close()

    async def _connect(self, far: dict[str, list[str]]) -> None:
        self._ice.remote_username, self._ice.remote_password = far["ice-ufrag"][0], far["ice-pwd"][0]
        self._ice.remote_is_lite = "ice-lite" in far
        assert self._ice.remote_is_lite
        for each in far["candidate"]:
            await self._ice.add_remote_candidate(aioice.Candidate.from_sdp(each))
        await self._ice.add_remote_candidate(None)
        await self._ice.connect()
        if self._inward is None:
            await self._agree_about_keys(far)
        self._reader = self._loop.create_task(self._read())

    async def _agree_about_keys(self, far: dict[str, list[str]]) -> None:
        is_client = far["setup"][0] in {"passive", "actpass"}
        tls = await self._shake_hands(is_client=is_client)
        peer = tls.get_peer_certificate(as_cryptography=True)
        if peer is None or f"sha-256 {fingerprint(peer)}".lower() != far["fingerprint"][0].lower():
            raise HandshakeError("another certificate than announced")
        material = tls.export_keying_material(_LABEL, 2 * (_KEY + _SALT), None)
        client = material[:_KEY] + material[2 * _KEY : 2 * _KEY + _SALT]
        server = material[_KEY : 2 * _KEY] + material[2 * _KEY + _SALT :]
        own, other = (client, server) if is_client else (server, client)
        self._outward = Session(Policy(key=own, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
        self._inward = Session(Policy(key=other, ssrc_type=Policy.SSRC_ANY_INBOUND))

    async def _shake_hands(self, *, is_client: bool) -> SSL.Connection:
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_privatekey(self._key)
        context.use_certificate(self._certificate)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.set_tlsext_use_srtp(_PROFILE)
        tls = SSL.Connection(context)
        if is_client:
            tls.set_connect_state()
        else:
            tls.set_accept_state()
        while True:
            try:
                tls.do_handshake()
                is_done = True
            except SSL.WantReadError:
                is_done = False
            await self._flush(tls)
            if is_done:
                return tls
            try:
                async with asyncio.timeout(_RETRY_S):
                    data = await self._ice.recv()
            except TimeoutError:
                tls.DTLSv1_handle_timeout()
                continue
            if 20 <= data[0] < 64:
                tls.bio_write(data)

    async def _flush(self, tls: SSL.Connection) -> None:
        while True:
            try:
                data = tls.bio_read(4_096)
            except SSL.WantReadError:
                return
            await self._ice.send(data)

    async def _send(self, packets: list[bytes]) -> None:
        assert self._outward is not None
        for each in packets:
            await self._ice.send(self._outward.protect(each))

    async def _read(self) -> None:
        assert self._inward is not None
        while True:
            data = await self._ice.recv()
            if not 128 <= data[0] < 192 or 192 <= data[1] < 224:
                continue
            try:
                self.received.append(bytes(self._inward.unprotect(data)))
            except Error:
                continue


def attributes(description: str) -> dict[str, list[str]]:
    """Return the values of the attributes of a description by name."""
    found: dict[str, list[str]] = {}
    for line in description.splitlines():
        if line.startswith("a="):
            name, _, value = line[2:].partition(":")
            found.setdefault(name, []).append(value)
    return found


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the digest of a certificate as descriptions have it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()
