"""A session description on its way from one leg to another, and what it says about the media of its author."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from vosd.b2bua.leg import Leg
from vosd.b2bua.renegotiation import as_reached
from vosd.base.clock import Instant
from vosd.base.host import UNSPECIFIED
from vosd.engine.media.sides import is_behind_nat
from vosd.media.keys import EVENT_NAME
from vosd.media.leg_media import LegMedia
from vosd.media.source import MediaSource
from vosd.sdp.media import BadSession, Medium, SessionFault, audio_place, media_of, with_codecs
from vosd.sdp.origin import alike
from vosd.sdp.rewrite import Authored
from vosd.sip.door.messages import Outgoing, OutgoingAck, OutgoingInvite, OutgoingReinvite, OutgoingRequest
from vosd.trunks.media import MediaTrust

_AUDIO: Final = "audio"
_FAX: Final = "image"


class PassingSession(msgspec.Struct, frozen=True):
    """A description on its way: the leg that is sent it, and its author."""

    leg: Leg
    media: LegMedia
    author: Leg
    theirs: LegMedia

    @property
    def back(self) -> "PassingSession":
        """A description of the reader, on its way to the author."""
        return PassingSession(self.author, self.theirs, self.leg, self.media)

    @property
    def is_at_relay(self) -> bool:
        """Whether a leg has ports of the relay: it stays there."""
        return any(port is not None and port.id >= 0 for port in (*self.media.ports, *self.theirs.ports))

    @property
    def is_first(self) -> bool:
        """Whether the reader has described no media yet: it may refuse, and the author talk on with another leg."""
        return not any(self.media.sources)

    def is_offer(self, message: Outgoing) -> bool:
        """Return whether a description is an offer; else it answers the one that its author was sent last."""
        if proposes(message):
            return True
        if type(message) is OutgoingAck:
            return False
        return self.theirs.offered_by != self.media.number

    def is_earlier(self, invite: OutgoingInvite) -> bool:
        """Return whether the author has another description by now than the target of a transfer is sent.

        That is what it had said last when it was transferred; an offer of it may be open.
        """
        latest = as_reached(self.author.sessions.active_remote(), self.leg)
        return self.theirs.before_offer is not None or not alike(invite.body, latest)

    def source(
        self, medium: Medium, other: MediaSource | None, before: MediaSource | None, *, is_multiplexed: bool
    ) -> MediaSource:
        """Return the source of an author's medium: it may send the payload types of either description.

        ``other`` is that of the reader; None = it has described none yet. A party sends by the numbers that the other
        one has named (RFC 3264 section 5.1); many send by their own numbers. One that names no address may still
        send from the one that it had ``before``, as its own music on hold. ``is_multiplexed``: its RTCP is at its port
        of RTP, which its answer says, or its offer and the answer to that.
        """
        dialog = self.author.dialog
        source = MediaSource(
            host=medium.host,
            rtp=medium.port,
            rtcp_host=medium.rtcp_host,
            rtcp=None if is_multiplexed else medium.rtcp_port,
            sip_host=self.author.host,
            trust=self.theirs.settings.source,
            payloads=medium.payloads,
            clocks=medium.clocks,
            codecs=medium.codecs,
            has_handshake=medium.has_fingerprint,
            is_behind_nat=is_behind_nat(self.author, medium.host) if dialog is None else dialog.is_behind_nat,
        )
        if medium.host in UNSPECIFIED:
            source = replace(source, host="", rtp=0, rtcp_host="", takes_nothing=True)
            if before is not None and before.rtp:
                rtcp = source.rtcp and (before.rtcp or source.rtcp)
                source = replace(
                    source, host=before.host, rtp=before.rtp, rtcp_host=before.rtcp_host, rtcp=rtcp, trust=before.trust
                )
        formats = medium.payloads, medium.clocks, medium.codecs
        if other is None or not medium.payloads or (other.payloads, other.clocks, other.codecs) == formats:
            return source
        return source.with_payloads(*other.taken())


def proposes(message: Outgoing | None) -> bool:
    """Return whether a description in a message is an offer that may be refused: then what held before goes on."""
    # ``isinstance`` asks the metaclass of a struct: too dear for the messages of every call.
    if type(message) is OutgoingInvite or type(message) is OutgoingReinvite:
        return True
    return type(message) is OutgoingRequest and message.method == "UPDATE"


def limited(session: bytes, author: LegMedia, reader: LegMedia) -> bytes | None:
    """Return a description with the codecs that both sides may use; None if there are none."""
    body: bytes | None = session
    if author.settings.codecs:
        body = with_codecs(session, author.settings.codecs)
    if body is not None and reader.settings.codecs:
        body = with_codecs(body, reader.settings.codecs)
    return body


def note_author(passing: PassingSession, now: Instant, message: Outgoing | None = None) -> None:
    """Note that a leg is sent the description of another one than before; silence counts anew.

    Where a transfer connects the two, a reader that is sent an offer holds no longer: the other one has its session
    without hold, or is offered what it answers. One that is sent an answer has said in its own offer whether it holds.
    """
    media, theirs = passing.media, passing.theirs
    if media.author:
        media.watched_from = now.mono
        theirs.parted = media.number, media.author
        passing.leg.moved()  # an rtpengine goes on with the newcomer where the switch is killed
        if proposes(message) and passing.leg.facts.is_confirmed and passing.author.facts.is_confirmed:
            media.is_held = media.is_sender = media.is_fax = False
    media.author = theirs.number


def note_kind(
    described: Sequence[Medium], passing: PassingSession, now: Instant, message: Outgoing | None = None
) -> None:
    """Note whether the description in a message holds the media, or has fax alone.

    Where it has audio, that says what is held. The INVITE to the target of a transfer says nothing: the target is
    offered the session of a side that talks, or holds, as before. Nor does one that its reader has already, as in a
    refresh: the author may hold by a later one that the reader has refused.
    """
    if type(message) is OutgoingInvite and passing.author.facts.is_confirmed:
        return
    if message is not None and isinstance(message.body, Authored) and message.body.is_repeated:
        return
    media = passing.theirs
    is_held = is_fax = True
    is_used = has_audio = False
    for each in described:
        if each.port:
            is_used = True
            if not has_audio:
                has_audio = each.kind == _AUDIO
                is_held = each.is_held if has_audio else is_held and each.is_held
            is_fax = is_fax and each.kind == _FAX
    was_silent = media.is_held or media.is_fax
    is_held, is_fax = is_used and is_held, is_used and is_fax
    # One that holds goes on doing so, whatever the other side offers next.
    may_be_sender = is_held and (media.is_sender or not (media.is_held or proposes(message)))
    media.is_sender = may_be_sender and _only_sends(described, bytes(passing.leg.sessions.remote))
    media.is_held, media.is_fax = is_held, is_fax
    if was_silent and not (media.is_held or media.is_fax):
        media.watched_from = now.mono


def _only_sends(described: Sequence[Medium], session: bytes) -> bool:
    """Return whether the author of audio sends alone, and its reader's description listens alone."""
    try:
        others = media_of(session)
    except BadSession:
        return False
    audio = audio_place(described)
    return audio < len(others) and described[audio].only_sends_to(others[audio])


def expect_media(passing: PassingSession, message: Outgoing | None) -> None:
    """Expect no answer without any medium: its reader has offered some (RFC 3264 section 6).

    ``message`` is the one that it leaves by; None = it is an answer that is judged before.

    Raises:
        BadSession: the reader's own description uses a medium.
    """
    if proposes(message):
        return
    try:
        offered = media_of(bytes(passing.leg.sessions.remote))
    except BadSession:
        return
    if any(each.port for each in offered):
        raise BadSession(SessionFault.NO_MEDIA)


def unannounced(source: MediaSource) -> MediaSource:
    """Return a source whose address is learned from what comes from the host that its SIP comes from."""
    nowhere = "::" if ":" in source.host else "0.0.0.0"
    return replace(source, host=nowhere, rtcp_host=nowhere, trust=MediaTrust.LEARN)


def event_payload(media: LegMedia) -> int | None:
    """Return the payload type by which a leg has named telephone events; None = it has not."""
    source = media.audio_source
    payloads, _, codecs = ((), (), ()) if source is None else source.taken()
    named = zip(payloads, codecs, strict=True)
    return next((payload for payload, codec in named if codec.lower() == EVENT_NAME), None)
