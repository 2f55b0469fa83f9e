"""Telephones that encrypt their RTP by keys of their session description (SDES, RFC 4568), with Cisco's libsrtp."""

import base64
import re
import secrets
from typing import Final

from pylibsrtp import Error, Policy, Session

from doubles.sockets.rtp import RtpPeer

SUITE: Final = "AES_CM_128_HMAC_SHA1_80"
SHORT_TAGGED: Final = "AES_CM_128_HMAC_SHA1_32"
_OFFERED: Final = re.compile(r"^a=crypto:(\d+) (\S+) inline:([A-Za-z0-9+/=]+)", re.MULTILINE)
_PROFILES: Final = {SUITE: Policy.SRTP_PROFILE_AES128_CM_SHA1_80, SHORT_TAGGED: Policy.SRTP_PROFILE_AES128_CM_SHA1_32}


class SecureRtpPeer(RtpPeer):
    """A socket that sends and receives an encrypted stream; what cannot be decrypted was not received."""

    def __init__(self, host: str, ssrc: int, transport: str = "RTP/SAVP", suite: str = SUITE) -> None:
        super().__init__(host, ssrc=ssrc)
        self.transport = transport
        self.suite = suite
        self.tag = 1
        self.undecipherable = 0
        self._decrypts: Session | None = None
        self._far_key = b""
        self.renew_key()

    def renew_key(self) -> None:
        """Encrypt by another key from now on, which its next description has to say."""
        self.key = secrets.token_bytes(30)
        self._encrypts = Session(self._policy(self.key, Policy.SSRC_ANY_OUTBOUND))

    def described(self, *lines: str, version: int = 1) -> str:
        """Return its session description, with its key."""
        return (
            f"v=0\r\no=- 1 {version} IN IP4 {self.host}\r\ns=-\r\nc=IN IP4 {self.host}\r\nt=0 0\r\n"
            f"m=audio {self.port} {self.transport} 0 101\r\na=rtpmap:0 PCMU/8000\r\n"
            "a=rtpmap:101 telephone-event/8000\r\n"
            f"a=crypto:{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}\r\n"
        ) + "".join(f"{line}\r\n" for line in lines)

    def takes(self, description: str) -> None:
        """Decrypt by the key of the other side from now on, and answer with the tag that it has there."""
        found = next((each for each in _OFFERED.finditer(description) if each[2] == self.suite), None)
        assert found is not None, description
        self.tag = int(found[1])
        key = base64.b64decode(found[3] + "==")[:30]
        if key != self._far_key:
            self._far_key = key
            self._decrypts = Session(self._policy(key, Policy.SSRC_ANY_INBOUND))

    def send(self, to: tuple[str, int], packets: int = 1, *, payload: int = 0) -> list[bytes]:
        """Send packets of 20 ms; return them as they were before they were encrypted."""
        sent = list(self._packets(packets, payload))
        for data in sent:
            self.sock.sendto(self._encrypts.protect(data), to)
        return sent

    def received(self, data: bytes) -> bytes | None:
        """Decrypt a packet; None = it was not encrypted with the key that was agreed."""
        try:
            return None if self._decrypts is None else bytes(self._decrypts.unprotect(data))
        except Error:
            self.undecipherable += 1
            return None

    def _policy(self, key: bytes, kind: int) -> Policy:
        return Policy(key=key, ssrc_type=kind, srtp_profile=_PROFILES[self.suite])
