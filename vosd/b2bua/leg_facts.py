"""Facts of a leg while it lasts, as the journal keeps them."""

from collections.abc import Callable
from typing import Final

import msgspec

from vosd.base.clock import Instant
from vosd.media.leg_media import LegMedia
from vosd.sdp.anonymous import anonymous
from vosd.sdp.direction import active, has_zero_address
from vosd.sdp.origin import continued
from vosd.sdp.rewrite import Authored
from vosd.sip.headers.rack import Rack
from vosd.sip.transaction.client import Client
from vosd.sip.wire.message import Message


class LegFacts(msgspec.Struct, omit_defaults=True):
    """Facts of a leg of either side: a field of it is written to snapshots and read from them without another line."""

    allows_update: bool = False
    is_confirmed: bool = False
    last_seen_at: Instant | None = None
    """Time at which a request, an ACK or a response of the peer within the dialog was last processed."""
    session_id: str = ""
    """Identifier of this end (RFC 7989); empty = none is known, or nothing asks for it."""
    other_session_id: str = ""
    """Identifier of the other end that this one is sent."""
    connected: str = ""
    """Number of the other side that this one was shown last (RFC 4916)."""
    asserted: str = ""
    """Number that this side has said last."""
    is_anonymous: bool = False
    """Whether this side has asked to withhold who it is: its session descriptions name no one till the call ends."""
    overtaken: Rack | None = None
    """A reliable response to its INVITE that the final one has overtaken: its PRACK may be on its way."""
    known_sequence: int | None = None
    """Greatest CSeq of ours that a process before has written, if it was killed: it may have sent offers above it."""
    media: LegMedia | None = None
    """Part of the leg in the media of the call; None = the switch does not handle media."""

    def take_capabilities(self, message: Message) -> None:
        """Take from a message what this side can do."""
        allow = message.header("allow")
        if allow is not None:
            self.allows_update = "UPDATE" in allow or "UPDATE" in "".join(message.values("allow")[1:])


UNREACHED: Final = frozenset({408, 430, 481, 502, 503, 504})
"""Final codes that do not show that the peer has the call."""


def is_alive(status: int) -> bool:
    """Return whether a final response shows that the peer still has the call."""
    return status not in UNREACHED


class LegSessions(msgspec.Struct):
    """The latest session descriptions of a leg, in one of its dialogs."""

    remote: bytes = b""
    """Received from this side; its setter is ``note``, once there is one."""
    before_hold: bytes = b""
    """Session description that it had sent before it put the other side on hold by the address 0.0.0.0."""
    said: bytes = b""
    """Sent to it."""
    given_up: bytes = b""
    """Sent to it, and perhaps not taken, as an offer that was given up or a second answer: the next needs a version."""
    updating: Client | None = None
    """The UPDATE with an offer that was given up: it cannot be cancelled, and the peer may accept it yet."""
    refused: bytes = b""
    """Sent to it as an offer that it has refused: another description has a later version."""

    def note(self, session: bytes) -> None:
        """Note the latest description of this side."""
        before = self.remote
        if before and has_zero_address(session) and not has_zero_address(before):
            self.before_hold = before
        self.remote = session

    def withhold_names(self) -> None:
        """Leave out what this side has written about itself."""
        self.remote, self.before_hold = anonymous(self.remote), anonymous(self.before_hold)

    def is_latest_said(self, session: bytes) -> bool:
        """Return whether this description, but for origin line and names, is the latest one sent to this side."""
        said = anonymous(self.said)
        return continued(anonymous(session), said) == said

    def numbered(self, session: bytes) -> bytes:
        """Return a description with the version that it has for this side (RFC 3264 section 8)."""
        described = continued(session, self.said)
        if self.given_up:
            described, self.given_up = continued(session, self.given_up), b""
        elif self.refused and described != self.said:  # kept: what is numbered may be left out (``undoing``)
            described = continued(described, self.refused)
        return described

    def take_back(self, before: bytes) -> None:
        """Note that one of the switch was refused, or given up: the one ``before`` holds, by a later version."""
        session = continued(before, self.said)
        self.said = before.changed(session) if isinstance(before, Authored) else session

    def undoing(self, said: bytes, given_up: bytes) -> Callable[[], None]:
        """Return what makes all as before the latest one that was said, unless another one was said since.

        An answer that is left out of its message shapes no other.
        """
        latest, also = self.said, self.given_up

        def undo() -> None:
            if self.said is latest and self.given_up is also:
                self.said, self.given_up = said, given_up

        return undo

    def active_remote(self) -> bytes:
        """Return the latest description of this side as it would be without hold."""
        remote = self.remote
        session = active(remote, self.before_hold)
        return remote.changed(session) if isinstance(remote, Authored) else session
