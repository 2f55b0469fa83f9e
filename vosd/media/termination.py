"""Termination of encryption and ICE at an rtpengine: the form in which media of one leg reach another one (ADR 178).

Each side of a call is encrypted by itself: as its trunk wants it where it is offered media, as it has offered where it
is answered.
"""

from typing import Final, NamedTuple, Self

from vosd.sdp.security import Protection, has_ice, protection_of, transport_of
from vosd.trunks.media import TERMINATING, Encryption, EncryptionKind, IceMode, MediaSettings

PLAIN: Final = "RTP/AVP"
BY_SDES: Final = "RTP/SAVP"
BY_DTLS: Final = "UDP/TLS/RTP/SAVP"
BY_DTLS_OF_THE_WEB: Final = "UDP/TLS/RTP/SAVPF"
"""With feedback, as browsers have it: telephones and PBXs without refuse it, such as Asterisk."""


class TerminatedSide(NamedTuple):
    """One side of a call whose media may end at an rtpengine."""

    settings: MediaSettings
    protection: Protection
    """Encryption in its latest description."""
    has_ice: bool
    transport: str | None
    """That of its latest description; None = it has sent none."""
    is_web: bool
    """Whether it is a telephone over WebSocket, as in a browser."""

    @classmethod
    def described(cls, settings: MediaSettings, session: bytes, *, is_web: bool) -> Self:
        """Return a side by its description."""
        return cls(settings, protection_of(session), has_ice(session), transport_of(session), is_web)

    @property
    def makes_ice(self) -> bool:
        """Whether the rtpengine takes part in its ICE."""
        return self.settings.ice is IceMode.LITE and self.has_ice


class MediaForm(NamedTuple):
    """The form that a description gets for its reader."""

    transport: str | None
    """In offers; None = that of its author."""
    protection: Protection
    """Encryption towards the reader."""
    author_ice: bool
    reader_ice: bool
    is_opportunistic: bool = False
    """The reader is offered keys, and may go without them (RFC 8643)."""

    @property
    def is_multiplexed(self) -> bool:
        """Whether the reader is offered one port for RTP and RTCP, as browsers demand it."""
        return self.reader_ice or self.protection is Protection.DTLS


def needs_termination(author: TerminatedSide, reader: TerminatedSide) -> bool:
    """Return whether an offer has to be changed for its reader by what only an rtpengine does."""
    if not (author.settings.needs_termination or reader.settings.needs_termination):
        return False
    if author.makes_ice or reader.settings.ice is IceMode.LITE:
        return True
    if author.settings.encryption in TERMINATING and author.protection is not Protection.NONE:
        return True
    return reader.settings.encryption in TERMINATING


def offered_form(author: TerminatedSide, reader: TerminatedSide) -> MediaForm:
    """Return the form of an offer.

    A reader that has described its media keeps their form.
    """
    settings = reader.settings
    is_required = settings.encryption is Encryption.REQUIRED
    reader_ice = settings.ice is IceMode.LITE
    if settings.encryption is Encryption.PASS or not TERMINATING & {settings.encryption, author.settings.encryption}:
        return MediaForm(None, Protection.NONE, author.makes_ice, reader_ice)
    if settings.encryption is Encryption.OFF:
        protection, transport = Protection.NONE, PLAIN
    elif reader.transport is not None and (reader.protection is not Protection.NONE or not is_required):
        protection, transport = reader.protection, reader.transport
    elif settings.encryption_by is EncryptionKind.DTLS or (
        settings.encryption_by is EncryptionKind.AUTO and reader.is_web
    ):
        protection, transport = Protection.DTLS, BY_DTLS_OF_THE_WEB if reader.is_web or reader_ice else BY_DTLS
    else:
        protection, transport = Protection.SDES, BY_SDES if is_required else PLAIN
    is_opportunistic = protection is Protection.SDES and "SAVP" not in transport
    return MediaForm(transport, protection, author.makes_ice, reader_ice, is_opportunistic=is_opportunistic)


def answered_form(author: TerminatedSide, reader: TerminatedSide) -> MediaForm:
    """Return the form of an answer: that of the reader's own offer."""
    return MediaForm(None, reader.protection, author.makes_ice, reader.makes_ice)
