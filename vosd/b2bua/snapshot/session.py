"""Session descriptions and caller identities as data."""

from typing import Any, Final

import msgspec

from vosd.b2bua.identity import PLAIN, CallerIdentity
from vosd.sdp.rewrite import Authored, Hidden
from vosd.sip.dialog.snapshot import text_of
from vosd.sip.wire.compose import encode

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode
_decode_identity: Final = msgspec.msgpack.Decoder(CallerIdentity).decode


class SessionSnapshot(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """A session description, its author, and where that is seen if it is behind NAT."""

    text: bytes = b""
    host: str = ""
    author: int = 0

    @classmethod
    def of(cls, session: bytes) -> "SessionSnapshot":
        """Describe a session."""
        if not isinstance(session, Authored):
            return cls(session)
        return cls(bytes(session), session.host if isinstance(session, Hidden) else "", session.author)

    def restored(self) -> bytes:
        """Return the session."""
        if self.host:
            return Hidden(self.text, self.host, self.author)
        return Authored(self.text, self.author) if self.author else self.text


NO_SESSION = SessionSnapshot()


def identity_as_bytes(identity: CallerIdentity) -> bytes:
    """Write down a caller's identity; empty for the commonest. What came from peers need not be UTF-8."""
    if identity == PLAIN:
        return b""
    try:
        return _encode(identity)
    except UnicodeEncodeError:
        return _encode(_encoded(msgspec.to_builtins(identity)))


def identity_of(raw: bytes) -> CallerIdentity:
    """Return the identity that was written down."""
    if not raw:
        return PLAIN
    try:
        return _decode_identity(raw)
    except msgspec.ValidationError:  # its text is bytes: some is not UTF-8, or an earlier version has written it
        return msgspec.convert(_decoded(_decode(raw)), CallerIdentity)


def _encoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _encoded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(each) for each in value]
    return encode(value) if isinstance(value, str) else value


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _decoded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    return text_of(value) if isinstance(value, bytes) else value
