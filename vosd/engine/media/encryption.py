"""Descriptions whose encryption and ICE end at an rtpengine (ADR 178)."""

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from vosd.b2bua.leg import Leg
from vosd.engine.media.sides import flow_of
from vosd.media.leg_media import LegMedia
from vosd.media.termination import MediaForm, TerminatedSide, answered_form, needs_termination, offered_form
from vosd.sdp.security import Protection, expect_keys, protection_of, transport_of
from vosd.sip.flows import Listener
from vosd.sip.wire.uri import WEBSOCKETS

_DIGEST_BYTES: Final = 12
_ORIGIN: Final = re.compile(rb"^o=[^\n]*\n", re.MULTILINE)


class TerminatedMedia:
    """Encryption and ICE of the legs of all calls."""

    def __init__(self, listeners: Sequence[Listener]) -> None:
        self._listeners = listeners

    def form(self, reader: Leg, author: Leg, body: bytes, *, is_offer: bool) -> MediaForm | None:
        """Return what encryption and ICE of a description become; None = they are not terminated.

        What was terminated once stays so until the legs end: an answer has the form of its offer.

        Raises:
            BadSession: an offer has media that could be answered with no key.
        """
        media, theirs = reader.facts.media, author.facts.media
        assert media is not None
        assert theirs is not None
        if not (media.settings.needs_termination or theirs.settings.needs_termination):
            theirs.protection = protection_of(body)
            return None
        one = TerminatedSide.described(theirs.settings, body, is_web=self._is_web(author))
        theirs.protection, theirs.has_ice = one.protection, one.makes_ice
        transport = transport_of(bytes(reader.sessions.remote))
        other = TerminatedSide(media.settings, media.protection, media.has_ice, transport, self._is_web(reader))
        is_terminated = media.is_terminated or theirs.is_terminated
        if not is_offer:
            return answered_form(one, other) if is_terminated else None
        if not is_terminated and not needs_termination(one, other):
            return None
        expect_keys(body)
        media.is_terminated = theirs.is_terminated = True
        return offered_form(one, other)

    def _is_web(self, leg: Leg) -> bool:
        return self._listeners[flow_of(leg)].transport in WEBSOCKETS


def sealing_of(leg: Leg, media: LegMedia) -> tuple[Protection, bool]:
    """Return how the media of a leg are encrypted, and whether they have ICE, by its description that stands."""
    side = TerminatedSide.described(media.settings, bytes(leg.sessions.remote), is_web=False)
    return side.protection, side.makes_ice


def digest_of(author: int, body: bytes) -> str:
    """Return the digest of an author's description, by which a refresh is recognised.

    A refresh repeats what the leg was sent: its answer does not get to the rtpengine, which would have made keys anew.
    The origin line says nothing about media, and is another one for a reader that comes from another call.
    """
    described = _ORIGIN.sub(b"", body, count=1)
    return hashlib.blake2b(described, key=b"%d" % author, digest_size=_DIGEST_BYTES).hexdigest()


def has_keys(media: LegMedia | None) -> bool:
    """Return whether the media of a leg cannot go on at another rtpengine, which has not its keys."""
    return media is not None and media.is_terminated and (media.has_ice or media.protection.value != "none")
