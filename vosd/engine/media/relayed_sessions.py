"""Session descriptions with ports of the relay in the places of the author's.

The author's port takes media from the place that the description names, the leg that is sent it has its own port, and
the two are connected.
"""

from collections.abc import Callable, Sequence

import msgspec
from msgspec.structs import replace

from vosd.b2bua.leg import Leg
from vosd.base.clock import Instant
from vosd.engine.media.media_parts import MediaParts
from vosd.engine.media.passing_session import PassingSession, note_kind, proposes, unannounced
from vosd.engine.media.recordings import CallRecordings, file_of
from vosd.engine.media.sides import address_of, announced_at, is_alike
from vosd.media.leg_media import LegMedia
from vosd.media.source import MediaSource, RelayPort
from vosd.sdp.media import Medium, Place, audio_place, relayed
from vosd.sdp.origin import address_of_origin, from_address, succeeding
from vosd.sdp.rewrite import Authored
from vosd.sdp.security import without_alternatives
from vosd.sip.door.messages import Outgoing, OutgoingInvite, OutgoingSuccess
from vosd.trunks.media import MediaAddress


class _Prepared(msgspec.Struct, frozen=True):
    """The answer of a gateway whose ports are connected, before it leaves for the caller."""

    media: LegMedia
    theirs: LegMedia
    described: Sequence[Medium]
    places: Sequence[Place | None]


class RelayedSessions:
    """Connects ports of legs by their descriptions, and rewrites these."""

    def __init__(self, parts: MediaParts) -> None:
        self._parts = parts
        self.is_ignored: Callable[[str], bool] | None = None
        """Returns whether the address of a session description is not used; None = all are."""
        self.are_sources_judged = False
        """Whether sources of media are judged before they are believed (``scope: rtp``)."""
        self._prepared: _Prepared | None = None

    def prepare(self, described: Sequence[Medium], passing: PassingSession, now: Instant) -> None:
        """Connect ports by an answer that has not left, so that the call is journalled with them."""
        self._prepared = None
        places = self._connected(described, passing, now)
        if places is not None:
            if not passing.media.origin:
                self._note_origin(passing.leg, passing.media, places)
            self._prepared = _Prepared(passing.media, passing.theirs, described, places)

    def places(
        self, described: Sequence[Medium], passing: PassingSession, now: Instant, message: Outgoing | None = None
    ) -> Sequence[Place | None] | None:
        """Return a place for each medium, with ports of both legs that are connected; None = no port is free.

        ``message`` has the description; None = an answer that has not left, or one that its reader is not sent.
        """
        prepared, self._prepared = self._prepared, None
        is_same = prepared is not None and prepared.media is passing.media and prepared.theirs is passing.theirs
        if prepared is not None and is_same and prepared.described == described:
            return prepared.places
        return self._connected(described, passing, now, message)

    def _connected(
        self, described: Sequence[Medium], passing: PassingSession, now: Instant, message: Outgoing | None = None
    ) -> Sequence[Place | None] | None:
        ports, own, theirs = self._parts.leg_ports, passing.media, passing.theirs
        assert ports is not None
        places: list[Place | None] = []
        listeners, addresses = self._parts.listeners, self._parts.addresses
        usual = address_of(passing.leg, listeners, addresses)
        before = own.ports, own.sources, theirs.ports, theirs.sources
        own.audio = theirs.audio = audio_place(described) if len(described) > 1 else 0
        is_first = passing.is_first
        # The author may have a later description than one that the reader is sent again, or the target of a transfer.
        is_earlier = message is not None and (
            (isinstance(message.body, Authored) and message.body.is_repeated)
            or (type(message) is OutgoingInvite and passing.author.facts.is_confirmed and passing.is_earlier(message))
        )
        for index, medium in enumerate(described):
            if not medium.port or not medium.is_relayable:
                places.append(None)
                continue
            port = own.ports[index] if index < len(own.ports) else None
            far = theirs.ports[index] if index < len(theirs.ports) else None
            other = own.sources[index] if index < len(own.sources) else None
            host = "" if other is None else other.host
            is_usual = not host or (":" in host) is (":" in usual.bind)
            address = usual if is_usual else address_of(passing.leg, listeners, addresses, host)
            if port is None:
                port = ports.open(own, index, address, now)
            elif (port.rtcp is None or port.host != address.bind) and message is not None and not proposes(message):
                port = self._renewed(own, index, port, address, now)
            if far is None and port is not None:
                author_address = address_of(passing.author, listeners, addresses, medium.host)
                far = ports.open(theirs, index, author_address, now, is_multiplexed=medium.is_multiplexed)
            if port is None or far is None:
                return None
            is_multiplexed = medium.is_multiplexed and far.rtcp is None  # it is answered without at a pair of ports
            was = theirs.sources[index] if index < len(theirs.sources) else None
            source = (was if is_earlier else None) or passing.source(medium, other, was, is_multiplexed=is_multiplexed)
            if self.is_ignored is not None or self.are_sources_judged:
                source = self._judged(source, theirs)
            theirs.note_source(index, source)
            ports.relay.expect(far, source)
            formats = medium.payloads, medium.clocks, medium.codecs
            if other is not None and other.payloads and (other.payloads, other.clocks, other.codecs) != formats:
                self._widen(own, index, port, other.with_payloads(*formats))
            if not is_first:
                ports.relay.connect(port, far)
                if index == own.audio:
                    self._parts.keys.arrange(passing.leg, passing.author)
                    if self._parts.recordings is not None:
                        self._record(self._parts.recordings, passing, (port, far), now)
            host = address.announced if port.host == address.bind else announced_at(port, address, addresses)
            places.append(Place(host, port.rtp, port.rtcp))
        note_kind(described, passing, now, message)
        if (own.ports, own.sources, theirs.ports, theirs.sources) != before:
            passing.leg.moved()
        return places

    def _widen(self, media: LegMedia, index: int, port: RelayPort, source: MediaSource) -> None:
        """Take from a leg what its opposite has named."""
        if source != media.source(index) and self._parts.leg_ports is not None:
            media.note_source(index, source)
            self._parts.leg_ports.relay.widen(port, source)

    def _judged(self, source: MediaSource, theirs: LegMedia) -> MediaSource:
        """Return a source as rules of ``access`` have it: without its address, or judged before it is believed."""
        if self.is_ignored is not None and self.is_ignored(source.host):
            source = unannounced(source)
        return replace(source, judged_for=theirs.number) if self.are_sources_judged else source

    def _renewed(self, media: LegMedia, index: int, port: RelayPort, address: MediaAddress, now: Instant) -> RelayPort:
        """Replace a port that the answer to its peer may not name any more; leave it where none is free.

        That is one for RTP and RTCP where the peer does not multiplex them any more: an answer multiplexes only where
        its offer does, each time (RFC 5761 section 5.1.1). And one of another family than the peer has described.
        """
        parts, source = self._parts, media.source(index)
        if source is None or parts.leg_ports is None or (source.rtcp is None and is_alike(port, address)):
            return port
        if port.rtcp is not None and is_alike(port, address):
            return port
        pair = parts.leg_ports.open(media, index, address, now, is_multiplexed=source.rtcp is None)
        if pair is None:
            return port
        parts.leave_port(media, index, port, now)
        media.is_moved = True
        parts.leg_ports.relay.expect(pair, source)
        return pair

    def _record(
        self, recordings: CallRecordings, passing: PassingSession, ports: tuple[RelayPort, RelayPort], now: Instant
    ) -> None:
        """Have a call recorded, where that is wanted.

        What a newcomer (INVITE with Replaces) wants recorded begins with the answer to it: its offer may be refused.
        """
        leg, author = passing.leg, passing.author
        is_newcomer = leg.facts.is_confirmed and not author.facts.is_confirmed and author is not leg.call.caller.leg
        if author.route_choice is not None:
            recordings.begin(leg, author, ports, now)
        elif leg.route_choice is not None and not is_newcomer:
            recordings.begin(author, leg, ports[::-1], now)  # the callee has made the offer, which the caller answers
        else:
            self._record_on(recordings, passing, ports, now)

    def _record_on(
        self, recordings: CallRecordings, passing: PassingSession, ports: tuple[RelayPort, RelayPort], now: Instant
    ) -> None:
        """Go on with the recording of a call that a newcomer takes over, or of two callers connected by their callee.

        A newcomer in the place of the callee is in the file of that one. It may be the first that wants one.
        """
        media, theirs = passing.media, passing.theirs
        replaced = None if theirs.parted is None else self._parts.legs.by_number.get(theirs.parted[1])
        if replaced is not None and replaced.facts.media is not None and not passing.author.facts.is_confirmed:
            theirs.recording = theirs.recording or replaced.facts.media.recording
        file = file_of(media, theirs)
        if file or passing.leg.facts.is_confirmed:
            recordings.resume(*ports, file)
        else:
            recordings.begin(passing.author, passing.leg, ports[::-1], now)

    def connect_again(self, one: Leg, other: Leg) -> None:
        """Connect the ports of two legs that were parted, or were opened again, as their descriptions have it."""
        ports, own, theirs = self._parts.leg_ports, one.facts.media, other.facts.media
        if ports is None or own is None or theirs is None:
            return
        file = file_of(own, theirs)
        for index, (port, far) in enumerate(zip(own.ports, theirs.ports, strict=False)):
            if port is not None and far is not None and port.id >= 0 and far.id >= 0:
                ports.relay.connect(port, far)
                if index == own.audio and self._parts.recordings is not None:
                    self._parts.recordings.resume(port, far, file)

    def is_with_another(self, leg: Leg, partner: Leg) -> bool:
        """Return whether the port of a leg's partner is connected with that of a third one, as by early media."""
        ports, own, theirs = self._parts.leg_ports, leg.facts.media, partner.facts.media
        if ports is None or own is None or theirs is None:
            return False
        known = {port.id for port in own.open_ports()}
        others = (ports.relay.partner(port) for port in theirs.open_ports() if port.id >= 0)
        return any(each is not None and each not in known for each in others)

    def put_audio_back(self, media: LegMedia, place: int) -> None:
        """Have the audio of a leg at its place before an offer that was refused, and whose audio may be recorded."""
        port, relay = media.audio_port, self._parts.relay
        if media.audio != place and port is not None and port.id >= 0 and relay is not None:
            relay.record_no_more(port)
        media.audio = place

    def give_back(self, media: LegMedia, now: Instant) -> tuple[Leg, Leg] | None:
        """Connect two legs again that a leg which ends has parted, and not replaced; return them."""
        parted, media.parted = media.parted, None
        if parted is None:
            return None
        one, other = (self._parts.legs.by_number.get(number) for number in parted)
        own, theirs = (None if leg is None else leg.facts.media for leg in (one, other))
        if one is None or other is None or own is None or theirs is None:
            return None
        if own.author not in (media.number, theirs.number) or theirs.author != own.number:
            return None
        if own.author != theirs.number:
            own.author, own.watched_from = theirs.number, now.mono
        self.put_audio_back(own, theirs.audio)
        self.connect_again(one, other)
        self._parts.keys.arrange(one, other)
        self._parts.music.go_on((one, other), self._parts.parameters, now)
        one.moved()
        return one, other

    def with_music(
        self, message: Outgoing, body: bytes, passing: PassingSession, places: Sequence[Place | None], now: Instant
    ) -> bytes:
        """Return a description after the music of both sides was arranged by it (``HoldMusic.arrange``).

        The answer to a newcomer (INVITE with Replaces) is its first description: it has places from now on.
        """
        media, parts = passing.media, self._parts
        if type(message) is OutgoingSuccess and not media.origin:
            self._note_origin(passing.leg, media, places)
        return parts.music.arrange(message, body, (passing.leg, passing.author), parts.parameters, now)

    def rewritten(self, session: bytes, places: Sequence[Place | None], leg: Leg, media: LegMedia) -> bytes:
        """Return a description as a leg is sent it: with these places, and no address or name of its author."""
        if not media.origin:
            self._note_origin(leg, media, places)
        if media.rtp_call is not None and b"cfg:" in session:
            session = without_alternatives(session)
        keeps_user = not media.is_unnamed
        session = relayed(session, places, media.origin, keeps_user=keeps_user)
        if media.is_moved:
            before = media.said or from_address(bytes(leg.sessions.said), media.origin, keeps_user=keeps_user)
            session = media.said = succeeding(session, before)
        return session

    def return_to_dialog(self, leg: Leg, media: LegMedia) -> None:
        """Number the next descriptions of a caller from those of a fork that it was shown before (RFC 3264 section 8).

        The latest one with ports is that of another fork, in another dialog.
        """
        if media.said:
            said = from_address(bytes(leg.sessions.said), media.origin, keeps_user=not media.is_unnamed)
            media.said = succeeding(media.said, said)

    def _note_origin(self, leg: Leg, media: LegMedia, places: Sequence[Place | None]) -> None:
        """Note what is in the origin line of a leg's descriptions, from its first one on.

        A leg whose media were not relayed until now, when it is connected with another one, has an origin already.
        """
        if leg.facts.is_confirmed and not media.is_relayed and (origin := address_of_origin(bytes(leg.sessions.said))):
            media.origin, media.is_unnamed = origin, False
            return
        first = next(filter(None, places), None)
        own = first.host if first else address_of(leg, self._parts.listeners, self._parts.addresses).announced
        media.origin, media.is_unnamed = own, True
