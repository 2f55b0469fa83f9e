"""The doorkeeper of media: session descriptions leave with ports of the relay in place of the author's (ADR 146).

Every description that leaves by the door of a leg describes the media of another leg, its author. So one rule holds for
offers and answers, holds, forks and transfers: the author's port at the relay takes media from the place that the
description names, the leg gets its own port, and the two are connected.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog
from msgspec.structs import replace

from vosd.b2bua.boards import SoundOffer
from vosd.b2bua.call import Call
from vosd.b2bua.leg import RINGING, Leg
from vosd.b2bua.outgoing.headers import SDP
from vosd.b2bua.states import CallState
from vosd.b2bua.supervision import Limit
from vosd.base.cause import EndReason
from vosd.base.clock import Instant
from vosd.base.host import UNSPECIFIED
from vosd.engine.media.announcements import SoundsForCallers
from vosd.engine.media.encryption import TerminatedMedia, digest_of, has_keys
from vosd.engine.media.key_conversion import KeyConversion
from vosd.engine.media.leg_ports import LegPorts
from vosd.engine.media.losses import MediaLosses
from vosd.engine.media.music import HoldMusic
from vosd.engine.media.recordings import CallRecordings
from vosd.engine.media.report import HeardSound, media_document
from vosd.engine.media.ring_back import ring_back
from vosd.engine.media.ring_back_at_rtpengine import RingBack, RingBackAtRtpEngines
from vosd.engine.media.rtpengine_calls import POLL_MS, WAIT_MS, GivenPorts, RtpEngineCalls, RtpSessionWanted
from vosd.engine.media.sides import address_of, flow_of, is_behind_nat, side_of
from vosd.engine.media.silence import PortLife, silence_limit
from vosd.engine.media.sounds_at_rtpengine import SoundsAtRtpEngines
from vosd.media.decision import decide, decide_by_modes
from vosd.media.figures import PortFigures
from vosd.media.keys import EVENT_NAME
from vosd.media.leg_media import LegFigures, LegMedia, MediaRefusal
from vosd.media.relay import MediaRelay
from vosd.media.sounds import Sound
from vosd.media.source import MediaSource, RelayPort
from vosd.media.termination import MediaForm
from vosd.sdp.media import BadSession, Medium, Place, media_of, relayed, with_codecs, with_events
from vosd.sdp.origin import alike, from_address, succeeding
from vosd.sdp.rewrite import BY_SWITCH, Authored, Hidden
from vosd.sdp.security import (
    Protection,
    is_unprotected,
    mids_of,
    reachable_by_ice,
    terminated,
    with_bounded_mki,
    with_chosen_keys,
    with_usable_keys,
)
from vosd.sip.door.door import DoorOwner, MessageChange, MessageWait, WaitingMessage
from vosd.sip.door.messages import (
    Outgoing,
    OutgoingAck,
    OutgoingInvite,
    OutgoingReinvite,
    OutgoingRequest,
    OutgoingResponse,
    OutgoingSuccess,
)
from vosd.sip.flows import Listener
from vosd.sip.wire.uri import WEBSOCKETS
from vosd.trunks.announcements import NO_SOUND, Announcements
from vosd.trunks.dialect import Passing
from vosd.trunks.media import (
    DEFAULT_MEDIA,
    Encryption,
    IceMode,
    MediaAddress,
    MediaEngine,
    MediaFallback,
    MediaParameters,
    MediaTrust,
)

_FAX: Final = "image"
MOVES_AT_ONCE: Final = 10
"""Sides of calls that are offered new ports at once; ten times a second."""
AGREED_MS: Final = 2_000
"""Time that both sides of a call may take to agree on keys, before they are asked again."""
MOVED_MS: Final = 500
"""Time that the offer to a side of a call may take, before the other one gets its own."""
_LATE_FIGURES_MS: Final = 3_000
"""Figures of an rtpengine may come later than their interval by so much."""
_OFF, _REQUIRED, _LITE = Encryption.OFF, Encryption.REQUIRED, IceMode.LITE  # access to enum members is slow
_OPEN: Final = Protection.NONE
_ACCEPTED, _REFUSED = 200, 300
_WITHHELD: Final = MessageWait(0, may_leave=False)

_log = structlog.get_logger()


class _Exchange(NamedTuple):
    """A description on its way: the leg that is sent it, and its author."""

    leg: Leg
    media: LegMedia
    author: Leg
    theirs: LegMedia


class _Prepared(NamedTuple):
    """The answer of a gateway whose ports are connected, before it leaves for the caller."""

    media: LegMedia
    theirs: LegMedia
    described: Sequence[Medium]
    places: Sequence[Place | None]


class _Offered(NamedTuple):
    """An offer of a leg within its dialog, and what held for its media before."""

    transaction: object
    sources: tuple[MediaSource | None, ...]
    is_held: bool
    is_fax: bool


class MediaKeeper:
    """Rewrites the session descriptions of relayed calls, and owns the ports of their legs."""

    def __init__(
        self,
        relay: MediaRelay | None,
        listeners: Sequence[Listener],
        addresses: Sequence[Sequence[MediaAddress]],
        parameters: MediaParameters,
        now: Instant,
        rtpengines: RtpEngineCalls | None = None,
    ) -> None:
        """``addresses`` are those of the relay for each listener; without any it has the address of the listener.

        ``rtpengines`` relay in place of ``relay``, which is for calls without any that works; None = there is no such
        engine. ``now`` is the start of the process: numbers of legs are unique over restarts.
        """
        self.parameters = parameters
        """Parameters of the installation."""
        self._rtpengines = rtpengines
        self._relay = relay
        self._ports = None if relay is None else LegPorts(relay, listeners, addresses, parameters)
        self._listeners = listeners
        self._addresses = addresses
        self._keys = KeyConversion(relay)
        self._terminating = TerminatedMedia(listeners)
        self._engine_ring_back = None if rtpengines is None else RingBackAtRtpEngines(rtpengines)
        engine_sounds = None if rtpengines is None else SoundsAtRtpEngines(rtpengines)
        self.callers_sounds = SoundsForCallers(relay, listeners, addresses, engine_sounds)
        """Announcements."""
        self.music = HoldMusic(relay, rtpengines)
        self.losses = MediaLosses()
        """Lost packets of gateways, for their alarm."""
        self.recordings: CallRecordings | None = None
        """Records calls; None = the relay has no directory for that."""
        self._last_number = now.wall << 20
        self._began_ms = now.mono
        self._legs: dict[int, Leg] = {}
        """Legs that have not ended, by their numbers."""
        self._moving: deque[tuple[Call, int, int]] = deque()
        """Calls that get other ports: the side that is offered them next, and not before when."""
        self.is_ignored: Callable[[str], bool] | None = None
        """Returns whether the address of a session description is not used; None = all are."""
        self.are_sources_judged = False
        """Whether sources of media are judged before they are believed (``scope: rtp``)."""
        self._prepared: _Prepared | None = None
        self._offered: dict[int, _Offered] = {}
        """Offers that are not answered, by the numbers of their authors."""

    # -- the door -----------------------------------------------------------------------------------------------

    def number_of_leg(self) -> int:
        """Return the number of a new leg (``Doorkeeper``)."""
        self._last_number += 1
        return self._last_number

    def passes(self, message: Outgoing, owner: DoorOwner) -> bool:
        """Let messages without a description pass, but for the first one of a leg, and ringing (``Doorkeeper``)."""
        if message.body or not isinstance(owner, Leg):
            return False
        media = owner.facts.media
        if media is None or media.is_over:
            return True
        if media.number not in self._legs:
            return False
        if (not media.ports and media.rtp_call is None) or not isinstance(message, OutgoingResponse):
            return True
        if message.status not in RINGING:
            return media.number not in self._offered
        callee = owner.call.callee
        attempt = None if callee is None else callee.leg.facts.media
        return attempt is None or not attempt.settings.local_ring

    def examine(self, waiting: WaitingMessage, now: Instant) -> MessageChange | MessageWait | None:
        """Put ports of the relay into the description of a message that has one (``Doorkeeper``).

        After an error a message leaves as it is, but no description that is not encrypted for one that has to encrypt.
        """
        try:  # no function of its own: it is called for every message
            message, leg = waiting.message, waiting.owner
            if not isinstance(leg, Leg) or (media := leg.facts.media) is None:
                return None
            if not media.is_over:
                if leg.route_choice is not None and media.number not in self._legs:
                    media.settings = leg.route_choice.gateway.media
                self._legs[media.number] = leg
            body = message.body
            if media.number in self._offered:
                self._offer_answered(message, leg, media)
            if not body or SDP not in message.headers:
                return self._ring_back(waiting, leg, media)
            if isinstance(body, Authored) and body.author == BY_SWITCH:
                verdict = self.callers_sounds.asks(waiting, leg, media, self.parameters)
                if verdict is None:
                    self.callers_sounds.begin(media, now)
                return verdict
            author = self._legs.get(body.author if isinstance(body, Authored) else media.author)
            if author is None or (theirs := author.facts.media) is None:
                return self._of_one_that_left(message, leg, media)
            if media.is_over:  # it answers requests that come late: no port is opened for that
                return _without_session(message)
            _note_author(media, theirs, now)
            if media.is_ringing and isinstance(message, OutgoingSuccess):
                self._stop_ring_back(media)
            return self._rewritten(waiting, _Exchange(leg, media, author, theirs), now)
        except Exception:
            if _has_to_encrypt(waiting.owner) and is_unprotected(bytes(waiting.message.body)):
                waiting.change(_without_session(waiting.message))
            raise

    def _ring_back(self, waiting: WaitingMessage, leg: Leg, media: LegMedia) -> MessageChange | MessageWait | None:
        """Play ring-back to a caller, if its callee wants that and rings."""
        parameters = self.parameters
        if self._engine_ring_back is not None and media.rtp_call is not None:
            sound = self.music.sounds.get(parameters.ring_back)
            if sound is None or not sound.file:
                return None
            is_web = self._listeners[flow_of(leg)].transport in WEBSOCKETS
            wanted = RingBack(sound.file, parameters.ring_back_delay_ms, is_web, parameters.traffic_class)
            return self._engine_ring_back.ask(waiting, leg, wanted)
        if self._relay is None or not media.ports:
            return None
        address = address_of(leg, self._listeners, self._addresses).announced
        return ring_back(waiting.message, leg, media, self._relay, address, parameters.ring_back_delay_ms)

    def _stop_ring_back(self, media: LegMedia) -> None:
        """End the ring-back of a caller whose callee has answered."""
        if self._engine_ring_back is not None and media.rtp_call is not None:
            self._engine_ring_back.stop(media)
        elif self._relay is not None and (port := media.port(0)) is not None:
            self._relay.stop_playing(port)
        media.is_ringing = False

    def _offer_answered(self, message: Outgoing, leg: Leg, media: LegMedia) -> None:
        """Take media as before an offer of a leg that was refused: the session stays as it was (RFC 3264 section 8)."""
        offered = self._offered[media.number]
        if not isinstance(message, OutgoingResponse | OutgoingSuccess):
            return
        status = message.status if isinstance(message, OutgoingResponse) else _ACCEPTED
        if message.transaction is not offered.transaction or status < _ACCEPTED:
            return
        del self._offered[media.number]
        if status < _REFUSED or self._relay is None:
            return
        for index, source in enumerate(offered.sources):
            port = media.port(index)
            if source is not None and port is not None and port.id >= 0 and source != media.source(index):
                self._relay.expect(port, source)
        media.sources, media.is_held, media.is_fax = offered.sources, offered.is_held, offered.is_fax
        leg.moved()

    def forget(self, waiting: WaitingMessage) -> None:
        """Wait for an rtpengine no more (``Doorkeeper``).

        A response that leaves all the same has no description: it would be that of the other side, with its keys.
        """
        if self._rtpengines is not None and self._rtpengines.forget(waiting):
            waiting.change(_without_session(waiting.message))

    def leg_over(self, owner: DoorOwner, now: Instant) -> None:
        """Close the ports of a leg (``Doorkeeper``)."""
        if isinstance(owner, Leg) and (media := owner.facts.media) is not None and not media.is_over:
            media.is_over = True
            if self.music.sounds and media.ports:
                self.music.left(owner, self._legs, self.parameters, now)
            self._legs.pop(media.number, None)
            self._offered.pop(media.number, None)
            if media.ports or media.rtp_call is not None or media.announcement is not None:
                self._keys.forget(media)
                if self.recordings is not None:
                    self.recordings.leg_over(media)
                self._close_ports(media, now)
            if media.ended is not None and owner.route_choice is not None:
                self.losses.note(owner.route_choice.gateway.name, media.ended.figures, now.mono)

    def refuses(self, session: bytes, author: DoorOwner, reader: DoorOwner, now: Instant) -> bool:
        """Return whether an answer has no codec for the other side, or cannot be relayed (``Doorkeeper``).

        Else the ports take media by it from now on, so that the call is journalled with it.
        """
        if not isinstance(author, Leg) or not isinstance(reader, Leg) or not session:
            return False
        theirs, media = author.facts.media, reader.facts.media
        if theirs is None or media is None:
            return False
        if isinstance(session, Hidden):
            session = session.for_one_at(reader.host)
        body = _limited(session, theirs, media)
        if body is None:
            theirs.refusal = MediaRefusal.NO_COMMON_CODEC
            return True
        if theirs.settings.encryption is _REQUIRED and is_unprotected(body):
            theirs.refusal = MediaRefusal.NOT_ENCRYPTED
            return True
        _note_author(media, theirs, now)
        if not theirs.is_relayed:
            return False
        exchange = _Exchange(reader, media, author, theirs)
        try:
            _, described = self._described(exchange, body)
        except BadSession:
            theirs.refusal = MediaRefusal.BAD_SESSION
            return True
        if self._rtpengines is None and not media.is_over:
            places = self._places(described, exchange, now)
            if places is not None:
                media.origin = media.origin or self._origin_of(reader, places)
                self._prepared = _Prepared(media, theirs, described, places)
        return False

    def _close_ports(self, media: LegMedia, now: Instant) -> None:
        if media.announcement is not None:
            self.callers_sounds.end(media, now)
        if media.music is not None:
            self.music.over(media, now)
        if self._rtpengines is not None:
            self._rtpengines.leg_over(media)
        ports, media.ports = media.ports, ()
        closed: LegFigures | None = None
        for index, port in enumerate(ports):
            if port is not None and (figures := self._close(port, now)) is not None and closed is None:
                closed = LegFigures(media.source(index), figures)
        media.ended = _added(media.ended, closed)

    def _close(self, port: RelayPort, now: Instant) -> PortFigures | None:
        if port.id < 0:
            return None if self._rtpengines is None else self._rtpengines.close(port)
        return None if self._relay is None else self._relay.close(port, now)

    def _figures(self, port: RelayPort) -> PortFigures | None:
        if port.id < 0:
            return None if self._rtpengines is None else self._rtpengines.figures(port)
        return None if self._relay is None else self._relay.figures(port)

    # -- the calls ----------------------------------------------------------------------------------------------

    def silence(self, call: Call, answered_at: Instant) -> Limit | None:
        """Return when silence ends an answered call (``CallMedia``)."""
        if not self._has_ports(call):
            return None
        rtpengines = self._rtpengines
        if rtpengines is None:
            return silence_limit(call, answered_at, PortLife(self._last_packet, self._receiving_since))
        asked: list[int | None] = []

        def last_packet(port: RelayPort) -> int | None:
            if port.id < 0 and rtpengines.lost_at(port) is None:
                asked.append(rtpengines.asked_at(port))
            return self._last_packet(port)

        limit = silence_limit(call, answered_at, PortLife(last_packet, self._receiving_since))
        if limit is None or not asked:
            return limit
        known = [each for each in asked if each is not None]
        if len(known) < len(asked):
            return None  # its figures are not known yet
        if min(known) < limit.due_ms:  # what came since then is not known yet
            return limit._replace(due_ms=max(limit.due_ms, min(known) + POLL_MS + _LATE_FIGURES_MS))
        return limit

    def _has_ports(self, call: Call) -> bool:
        """Return whether a call may be relayed: the leg of its attempt has ports."""
        attempt = None if call.callee is None else call.callee.leg.facts.media
        return attempt is not None and bool(attempt.ports)

    def report_keys_to(self, process: Callable[[int, str, int], None]) -> None:
        """Let keys in media be processed: port, key, and duration in milliseconds."""
        if self._relay is not None:
            self._relay.key_pressed = process

    def report_silence_to(self, process: Callable[[int], None]) -> None:
        """Let ports be processed whose peers are not played their sounds after all."""
        if self._relay is not None:
            self._relay.sound_failed = process

    def report_sources_to(self, process: Callable[[RelayPort, int, str], None]) -> None:
        """Let sources of media be judged: port, number of the leg, and address."""
        if self._relay is not None:
            self._relay.source_found = process

    def leg_of(self, number: int) -> Leg | None:
        """Return a leg that has not ended (``CallMedia``)."""
        return self._legs.get(number)

    def judge_source(self, port: RelayPort, host: str, *, may_send: bool) -> None:
        """Take media from a host at a port, or drop them (``CallMedia``)."""
        if self._relay is not None:
            self._relay.judge(port, host, may_send=may_send)

    def is_key_taken(self, leg: Leg, far: Leg, key: str, duration_ms: int, now: Instant) -> bool:
        """Send a key of an INFO in the media of the other leg, if that is its way (``CallMedia``)."""
        return self._keys.is_key_taken(leg, far, key, duration_ms, now)

    def leg_at(self, port: int) -> Leg | None:
        """Return the leg that has a port (``CallMedia``)."""
        return self._keys.leg_at(port)

    def send_key(self, leg: Leg, far: Leg, key: str, duration_ms: int, now: Instant) -> None:
        """Send a key that came in the media of a leg to the other one (``CallMedia``)."""
        self._keys.send_key(leg, far, key, duration_ms, now)

    def report(self, call: Call) -> str | None:
        """Return the document of the CDR (``CallMedia``)."""
        leg = call.caller.leg
        caller = None if leg is None else leg.facts.media
        callee = None if call.callee is None else call.callee.leg.facts.media
        if call.journey.vendor_answered_at is None:
            played = _played("caller", caller)
            engine = MediaEngine.RTPENGINE if self._relay is None else MediaEngine.RELAY
            return media_document(engine, None, None, None, "", played) if played else None
        if not _was_relayed(caller) and not _was_relayed(callee):
            return None
        ended = None if caller is None else self._ended(caller), None if callee is None else self._ended(callee)
        is_elsewhere = any(media is not None and media.rtp_call is not None for media in (caller, callee))
        engine = MediaEngine.RTPENGINE if is_elsewhere else MediaEngine.RELAY
        recording = "" if callee is None else callee.recording
        for media in (caller, callee):
            if media is not None and media.music is not None and call.ending is not None:
                self.music.over(media, call.ending.at)
        played = [*_played("caller", caller), *_played("callee", callee)]
        step = None if callee is None else callee.step
        one = None if caller is None or caller.protection is _OPEN else caller.protection.value
        other = None if callee is None or callee.protection is _OPEN else callee.protection.value
        return media_document(engine, step, *ended, recording, played, (one, other))

    def sound_for(self, announcements: Announcements, reason: EndReason) -> str:
        """Return the name of the sound for a reason: of a trunk, else of the installation; empty = none."""
        if not announcements and not self.parameters.announcements:
            return NO_SOUND
        return announcements.get(reason.text, self.parameters.announcements.get(reason.text, NO_SOUND))

    def offer_sound(self, call: Call, name: str, times: int, most_ms: int, now: Instant) -> SoundOffer | None:
        """Return how a caller is played a sound so often, for a time at most; None = it cannot be (``CallMedia``)."""
        leg = call.caller.leg
        if leg is None or call.caller.dialect.early_media is Passing.STRIP:
            return None
        return self.callers_sounds.offer(leg, name, times, most_ms, self.parameters, now)

    def sound_over(self, call: Call, now: Instant) -> None:
        """Play the caller nothing more (``CallMedia``)."""
        leg = call.caller.leg
        if leg is not None and leg.facts.media is not None:
            self.callers_sounds.end(leg.facts.media, now)

    def sound_failed(self, port: int) -> Leg | None:
        """Note that the peer of a port is played nothing; return a leg whose announcement it was (``CallMedia``)."""
        for leg in self._legs.values():
            media = leg.facts.media
            if media is None:
                continue
            if media.announcement is not None and media.announcement.port.id == port:
                media.announcement.began_ms = 0
                return leg
            own = media.port(0)
            if media.music is not None and own is not None and own.id == port:
                self.music.failed(media, own)
                leg.moved()
        return None

    def target_rings(self, call: Call, session: bytes, now: Instant) -> None:
        """Let a side that is transferred be played its target's early media, or ring-back (``CallMedia``)."""
        target = None if call.callee is None else call.callee.leg
        theirs = None if target is None else target.facts.media
        held = None if theirs is None else self._legs.get(theirs.author)
        media = None if held is None else held.facts.media
        if target is None or theirs is None or held is None or media is None or media.music is None:
            return
        has_media = False
        if session and theirs.ports:
            exchange = _Exchange(held, media, target, theirs)
            body = _limited(bytes(session), theirs, media)
            try:
                described = () if body is None else media_of(body)
            except BadSession:
                described = ()
            has_media = bool(described) and self._places(described, exchange, now) is not None
        self.music.target_rings(media, now, has_media=has_media)

    def resume(self, call: Call) -> None:
        """Go on with a call of an earlier process, and with its ports (``CallMedia``).

        One that has lost some is offered others, as one whose rtpengine is lost.
        """
        has_lost = False
        for leg in call.all_legs:
            if (media := leg.facts.media) is not None:
                self._legs[media.number] = leg
                self._last_number = max(self._last_number, media.number)
                if media.announcement is not None:
                    self.callers_sounds.resume(media, self.parameters)
                if self._rtpengines is not None:
                    self._rtpengines.resume(media)
                else:
                    media.rtp_call = None
                ports = [self._resumed_port(leg, media, index) for index in range(len(media.ports))]
                for port, resumed in zip(media.ports, ports, strict=True):
                    if port is not None and resumed is None:
                        _log.error("media_port_lost", call_id=call.arrival.call_id, port=f"{port.host}:{port.rtp}")
                        has_lost = True
                        media.is_moved = bool(media.origin)
                media.ports = tuple(ports)
                if any(port is None or self._last_packet(port) is None for port in ports):
                    media.watched_from = self._began_ms
        if has_lost:
            self._moving.append((call, 0, 0))
        if len(call.parties) == 2:
            self._keys.arrange(*call.parties)

    def _resumed_port(self, leg: Leg, media: LegMedia, index: int) -> RelayPort | None:
        """Go on with a port of an earlier process; None = it is lost, and the next description opens another one."""
        port = media.port(index)
        if port is None or port.id < 0:
            return None if self._rtpengines is None else port
        announced = address_of(leg, self._listeners, self._addresses).announced
        return port if self._ports is not None and self._ports.resume(media, index, port, announced) else None

    def leave(self, call: Call) -> None:
        """Forget a call that does not go on after all (``CallMedia``)."""
        for leg in call.all_legs:
            if (media := leg.facts.media) is not None:
                self._legs.pop(media.number, None)
                self._keys.forget(media)
                if self._rtpengines is not None:
                    self._rtpengines.leg_over(media)
                    for port in media.ports:
                        if port is not None and port.id < 0:
                            self._rtpengines.close(port)

    def resumed(self, now: Instant) -> None:
        """Close the ports of calls that do not go on: all that do have been resumed."""
        medias = [leg.facts.media for leg in self._legs.values()]
        if self._ports is not None:
            for media in filter(None, medias):
                if self.recordings is not None:
                    self.recordings.keep(media)
                self.music.keep(media)
            for media in self._ports.resumed():
                self._connect_again(self._ports.relay, media)
                self.music.resume(media)
            self._ports.relay.retain({port.id for media in medias if media for port in media.open_ports()}, now)
        if self._rtpengines is not None:
            self._rtpengines.begin(self._lost)

    def _connect_again(self, relay: MediaRelay, media: LegMedia) -> None:
        """Connect the ports of a leg with those of the one that it talks to: each was sent the other's description."""
        other = self._legs.get(media.author)
        theirs = None if other is None else other.facts.media
        if theirs is not None and theirs.author == media.number:
            file = media.recording or theirs.recording
            for index, (one, far) in enumerate(zip(media.ports, theirs.ports, strict=False)):
                if one is not None and far is not None and one.id >= 0 and far.id >= 0:
                    relay.connect(one, far)
                    if file and not index and self.recordings is not None:
                        self.recordings.resume(one, far, file)

    def _lost(self, numbers: set[int]) -> None:
        """Move the calls of an rtpengine that is lost to another one, by new offers to both sides."""
        legs = (leg for number, leg in self._legs.items() if number in numbers)
        calls = {id(leg.call): leg.call for leg in legs if isinstance(leg.call, Call)}
        _log.warning("media_moved", calls=len(calls))
        for number in numbers & self._legs.keys():
            if (media := self._legs[number].facts.media) is not None:
                media.is_moved = bool(media.said)
                media.music = None
        self._moving.extend((call, 0, 0) for call in calls.values())

    def move(self, now: Instant) -> bool:
        """Offer new ports to calls whose rtpengine is lost, or whose ports are; return whether there are any.

        The second side of a call follows when the first has its ports: both have to be at one rtpengine. It begins anew
        with a call that has them not, after a while: an offer was refused, or the next one was lost as well.
        """
        if not self._moving:
            return False
        if self._rtpengines is not None and not self._rtpengines.engines.is_usable and not self._falls_back:
            return False
        for _ in range(min(MOVES_AT_ONCE, len(self._moving))):
            call, side, due_ms = self._moving.popleft()
            if call.state is CallState.OVER:
                continue
            legs = [leg for leg in call.parties if leg.facts.media is not None]
            if now.mono < due_ms or len(legs) < 2 or not call.conversation.is_established:
                self._moving.append((call, side, due_ms))
                continue
            if side == len(legs):
                if not all(map(self._is_anchored, legs)):
                    self._moving.append((call, 0, 0))
                continue
            if any(has_keys(leg.facts.media) for leg in legs):
                self._renew_keys(call, now)
                continue
            if side == 1 and not self._is_anchored(legs[0]):
                self._moving.append((call, 0, now.mono + MOVED_MS))
                continue
            supervision = legs[side].supervision
            if supervision is not None:
                supervision.offer_again(now)
            self._moving.append((call, side + 1, now.mono + MOVED_MS))
        return True

    def _renew_keys(self, call: Call, now: Instant) -> None:
        """Have both sides of a call agree on keys with another rtpengine; the relay has none for them."""
        assert call.callee is not None
        bridge = call.conversation.bridge_to(call.callee)
        if self._rtpengines is None or not self._rtpengines.engines.is_usable:
            call.end(EndReason.NO_MEDIA, now)
        elif bridge.is_quiet:
            bridge.introduce(now)
            self._moving.append((call, len(call.parties), now.mono + AGREED_MS))
        else:
            self._moving.append((call, 0, now.mono + MOVED_MS))

    @property
    def _falls_back(self) -> bool:
        """Whether the relay takes calls while no rtpengine works."""
        return self._relay is not None and self.parameters.fallback is MediaFallback.RELAY

    def _is_anchored(self, leg: Leg) -> bool:
        """Return whether a leg has ports that work, or needs none: who came by a transfer may not be relayed."""
        media = leg.facts.media
        if media is None or (not media.ports and media.rtp_call is None):
            return True
        if any(port is not None and port.id >= 0 for port in media.ports):
            return True
        return self._rtpengines is not None and self._rtpengines.is_anchored(media)

    def adopt(self, parameters: MediaParameters, sounds: Mapping[str, Sound]) -> None:
        """Put other parameters and sounds in force."""
        self.parameters = parameters
        self.use_sounds(sounds)
        if self._ports is not None:
            self._ports.adopt(parameters)
        if self._rtpengines is not None:
            self._rtpengines.engines.replace(parameters.rtpengines)

    def use_sounds(self, sounds: Mapping[str, Sound]) -> None:
        """Play these sounds from now on."""
        self.callers_sounds.adopt(sounds)
        self.music.sounds = sounds

    def _last_packet(self, port: RelayPort) -> int | None:
        if port.id < 0:
            return None if self._rtpengines is None else self._rtpengines.figures(port).alive_mono
        return None if self._relay is None else self._relay.last_packet(port)

    def _receiving_since(self, port: RelayPort) -> int:
        """Return when the port began to receive; one of a lost rtpengine as if that were the moment of the loss.

        So the silence of an rtpengine ends no call that moves to another one, and one that finds none ends at last.
        """
        if port.id < 0:
            return 0 if self._rtpengines is None else self._rtpengines.lost_at(port) or 0
        return 0 if self._relay is None else self._relay.receiving_since(port)

    def _ended(self, media: LegMedia) -> LegFigures | None:
        """Return the figures of a leg, with those of ports that it had before."""
        port = media.port(0)
        figures = None if port is None else self._figures(port)
        return _added(media.ended, None if figures is None else LegFigures(media.source(0), figures))

    def used_percent(self, now: Instant) -> float:
        """Return which percentage of the ports of the installation is in use, at the address with the most."""
        return 0.0 if self._ports is None else self._ports.used_percent(now)

    def counted(self) -> tuple[int, int]:
        """Return the number of legs that have not ended, and of open ports."""
        medias = [leg.facts.media for leg in self._legs.values()]
        ports = sum(len(media.open_ports()) for media in medias if media is not None)
        return len(medias), ports

    # -- inside -------------------------------------------------------------------------------------------------

    def _rewritten(
        self, waiting: WaitingMessage, exchange: _Exchange, now: Instant
    ) -> MessageChange | MessageWait | None:
        message = waiting.message
        body = _limited(bytes(message.body), exchange.theirs, exchange.media)
        if body is None:
            return _unfit(message, exchange.media, MediaRefusal.NO_COMMON_CODEC)
        one, other = exchange.theirs.settings, exchange.media.settings
        is_relayed = self._is_relayed(exchange, body)
        if one.encryption is not _OFF or other.encryption is not _OFF or one.ice is _LITE or other.ice is _LITE:
            verdict = self._secured(waiting, exchange, body, is_relayed=is_relayed)
            if verdict is not None:
                return verdict
        if not is_relayed:
            return MessageChange(body=body) if body != message.body else None
        is_at_relay = self._rtpengines is None or _is_at_relay(exchange)
        try:
            body, described = self._described(exchange, body)
        except BadSession:
            return _unfit(message, exchange.media, MediaRefusal.BAD_SESSION)
        if self._rtpengines is not None and not is_at_relay:
            if self._asks_rtpengine(self._rtpengines, waiting, exchange, body, described, None):
                return MessageWait(WAIT_MS, may_leave=False)
            if not self._falls_back:
                return _unfit(message, exchange.media, MediaRefusal.NO_MEDIA_PORT)
        if exchange.theirs.rtp_call is not None or exchange.media.rtp_call is not None:
            self._leave_rtpengine(exchange, now)
        moving = exchange.author.moving
        if moving is not None and isinstance(message, OutgoingReinvite | OutgoingRequest):
            theirs = exchange.theirs
            self._offered[theirs.number] = _Offered(moving.transaction, theirs.sources, theirs.is_held, theirs.is_fax)
        places = self._places(described, exchange, now)
        if places is None:
            return _unfit(message, exchange.media, MediaRefusal.NO_MEDIA_PORT)
        if self.music.sounds and is_at_relay:
            body = self.music.arrange(message, body, (exchange.leg, exchange.author), self.parameters, now)
        return MessageChange(body=self._relayed(body, places, exchange.leg, exchange.media))

    def _leave_rtpengine(self, exchange: _Exchange, now: Instant) -> None:
        """Close the ports of legs at an rtpengine: none works, or they are connected with a leg at the relay."""
        for media in (exchange.theirs, exchange.media):
            if media.rtp_call is not None:
                self._close_ports(media, now)
                media.rtp_call, media.is_moved = None, bool(media.said)

    def _secured(
        self, waiting: WaitingMessage, exchange: _Exchange, body: bytes, *, is_relayed: bool
    ) -> MessageChange | MessageWait | None:
        """Withhold a description without encryption where that is required, or have its encryption and ICE terminated.

        None = neither.
        """
        theirs, media = exchange.theirs.settings, exchange.media.settings
        is_required = theirs.encryption is _REQUIRED or (media.encryption is _REQUIRED and not is_relayed)
        if is_required and is_unprotected(body):
            return _unfit(waiting.message, exchange.media, MediaRefusal.NOT_ENCRYPTED)
        if not is_relayed:
            return None
        is_offer = _is_offer(waiting.message, exchange)
        form = self._terminating.form(exchange.leg, exchange.author, body, is_offer=is_offer)
        return None if form is None else self._terminated(waiting, exchange, body, form)

    def _terminated(
        self, waiting: WaitingMessage, exchange: _Exchange, body: bytes, form: MediaForm
    ) -> MessageChange | MessageWait:
        """Let a description wait for the keys and ports of an rtpengine."""
        message, media = waiting.message, exchange.media
        if self._rtpengines is None or _is_at_relay(exchange):
            return _unfit(message, media, MediaRefusal.NO_MEDIA_PORT)
        digest = digest_of(exchange.theirs.number, body)
        if media.said_for == digest and _is_offer(message, exchange) and self._rtpengines.is_anchored(media):
            if isinstance(message, OutgoingSuccess | OutgoingResponse):  # it answers an unchanged offer
                chosen = with_chosen_keys(media.said, bytes(exchange.leg.sessions.remote))
                if chosen != media.said:
                    media.said, media.is_moved = succeeding(chosen, media.said), True
                return MessageChange(body=media.said)
            media.offered_by = exchange.theirs.number
            return MessageChange(body=media.said)
        try:
            body = with_usable_keys(reachable_by_ice(body, exchange.author.host))
            described = media_of(body)
        except BadSession:
            return _unfit(message, media, MediaRefusal.BAD_SESSION)
        if self._asks_rtpengine(self._rtpengines, waiting, exchange, body, described, form, digest):
            return MessageWait(WAIT_MS, may_leave=False)
        return _unfit(message, media, MediaRefusal.NO_MEDIA_PORT)

    def _described(self, exchange: _Exchange, body: bytes) -> tuple[bytes, Sequence[Medium]]:
        """Return a description with telephone events where keys are converted, and its media.

        Raises:
            BadSession: it cannot be relayed.
        """
        is_at_relay = self._rtpengines is None or _is_at_relay(exchange)
        if is_at_relay and self._keys.wants_events(exchange.theirs, exchange.media):
            body = with_events(body, _event_payload(exchange.media))
        return body, media_of(body)

    def _relayed(self, session: bytes, places: Sequence[Place | None], leg: Leg, media: LegMedia) -> bytes:
        """Return a description as a leg is sent it: with these places, and no address of its author."""
        media.origin = media.origin or self._origin_of(leg, places)
        session = relayed(session, places, media.origin)
        if media.is_moved:
            before = media.said or from_address(bytes(leg.sessions.said), media.origin)
            session = media.said = succeeding(session, before)
        return session

    def _origin_of(self, leg: Leg, places: Sequence[Place | None]) -> str:
        """Return the address in the origin line of a leg's descriptions, from its first one on."""
        first = next(filter(None, places), None)
        return address_of(leg, self._listeners, self._addresses).announced if first is None else first.host

    def _of_one_that_left(self, message: Outgoing, leg: Leg, media: LegMedia) -> MessageChange | MessageWait | None:
        """Put the leg's own ports into a description whose author has left, as in a refresh during a transfer."""
        if not media.ports and not media.origin:
            return None
        try:
            described = media_of(message.body)
        except BadSession:
            return _unfit(message, media, MediaRefusal.BAD_SESSION)
        ports = [media.port(index) if each.port else None for index, each in enumerate(described)]
        announced = address_of(leg, self._listeners, self._addresses).announced
        places = [
            None if port is None else Place(port.host if port.id < 0 else announced, port.rtp, port.rtcp)
            for port in ports
        ]
        given = media.said
        body = self._relayed(bytes(message.body), places, leg, media)
        if media.is_terminated:
            return self._sealed_again(message, leg, media, body, given)
        return MessageChange(body=body)

    def _sealed_again(
        self, message: Outgoing, leg: Leg, media: LegMedia, body: bytes, given: bytes
    ) -> MessageChange | MessageWait | None:
        """Put the keys and the ICE that the leg was ``given`` with its ports into another description for it."""
        try:
            body = terminated(body, given, mids_of(bytes(leg.sessions.remote)))
        except ValueError:
            return _unfit(message, media, MediaRefusal.BAD_SESSION)
        if media.settings.encryption is _REQUIRED and is_unprotected(body):
            return _unfit(message, media, MediaRefusal.NOT_ENCRYPTED)
        if not alike(body, given):
            media.said_for = ""
        media.said, media.is_moved = succeeding(body, given), True
        return MessageChange(body=media.said)

    def _asks_rtpengine(
        self,
        rtpengines: RtpEngineCalls,
        waiting: WaitingMessage,
        exchange: _Exchange,
        body: bytes,
        described: Sequence[Medium],
        form: MediaForm | None,
        digest: str = "",
    ) -> bool:
        """Ask an rtpengine for ports, with which the message leaves; False = there is none to ask."""
        message, author = waiting.message, exchange.author
        is_offer = _is_offer(message, exchange)
        is_hidden = is_behind_nat(author, next((each.host for each in described), ""))
        has_music = bool(self.music.sounds)
        session = body
        if has_music and is_offer:
            session = self.music.for_engine(body, exchange.leg, exchange.theirs, self.parameters)
        wanted = RtpSessionWanted(
            with_bounded_mki(session),
            is_offer,
            exchange.theirs,
            exchange.media,
            author.host if is_hidden else None,
            exchange.leg.host,
            self.parameters.traffic_class,
            form,
        )

        def came(given: GivenPorts | None, now: Instant) -> None:
            if given is None:
                unfit = _unfit(message, exchange.media, MediaRefusal.NO_MEDIA_PORT)
                waiting.answer(unfit if isinstance(unfit, MessageChange) else None, now)
                return
            for index, medium in enumerate(described):
                if medium.port and medium.is_relayable:
                    exchange.theirs.note_source(index, _source(medium, exchange, exchange.media.source(index)))
            _note_kind(described, exchange.theirs, now)
            exchange.media.offered_by = exchange.theirs.number if is_offer else exchange.media.offered_by
            session = body
            if has_music:
                sides = exchange.leg, author
                session = self.music.arrange(message, body, sides, self.parameters, now)
            session = self._relayed(session, given.places, exchange.leg, exchange.media)
            if form is not None:
                session = terminated(session, given.session, mids_of(bytes(exchange.leg.sessions.remote)))
                if exchange.media.settings.encryption is _REQUIRED and is_unprotected(session):
                    refused = _unfit(message, exchange.media, MediaRefusal.NOT_ENCRYPTED)
                    waiting.answer(refused if isinstance(refused, MessageChange) else None, now)
                    return
            exchange.media.said, exchange.media.said_for = session, digest
            waiting.answer(MessageChange(body=session), now)

        return rtpengines.ask(waiting, wanted, came)

    def _is_relayed(self, exchange: _Exchange, body: bytes) -> bool:
        """Return whether media between two legs are relayed: as decided for an attempt, else as they were before."""
        leg, author = exchange.leg, exchange.author
        callee, other = (author, leg) if leg.route_choice is None else (leg, author)
        attempt = callee.facts.media
        if other.route_choice is not None or callee.route_choice is None or attempt is None:
            media, theirs = exchange.media, exchange.theirs
            return bool(media.ports or theirs.ports or media.origin or theirs.origin)  # by a transfer or a pickup
        if attempt.step is None:
            far = other.facts.media
            settings = DEFAULT_MEDIA if far is None else far.settings
            decision = decide_by_modes(self.parameters, settings, attempt.settings)
            if decision is None:
                described = _first_host(body)
                caller, called = (
                    side_of(each, self._listeners, described if each is author else "") for each in (other, callee)
                )
                decision = decide(self.parameters, caller, called)
            attempt.step, attempt.is_relayed = decision.step, decision.is_relayed
        return attempt.is_relayed

    def _places(self, media: Sequence[Medium], exchange: _Exchange, now: Instant) -> Sequence[Place | None] | None:
        """Return a place for each medium, with ports of both legs that are connected; None = no port is free."""
        ports, own, theirs = self._ports, exchange.media, exchange.theirs
        assert ports is not None
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared[:2] == (own, theirs) and prepared.described == media:
            return prepared.places
        places: list[Place | None] = []
        address = address_of(exchange.leg, self._listeners, self._addresses)
        has_changed = False
        for index, medium in enumerate(media):
            if not medium.port or not medium.is_relayable:
                places.append(None)
                continue
            port, far = own.port(index), theirs.port(index)
            if port is None:
                port, has_changed = ports.open(own, index, address, now), True
            if far is None:
                author_address = address_of(exchange.author, self._listeners, self._addresses)
                far = ports.open(theirs, index, author_address, now, is_multiplexed=medium.is_multiplexed)
                has_changed = True
            if port is None or far is None:
                return None
            source = _source(medium, exchange, own.source(index))
            if self.is_ignored is not None and self.is_ignored(source.host):
                source = _unannounced(source)
            if self.are_sources_judged:
                source = replace(source, judged_for=theirs.number)
            if source != theirs.source(index):
                theirs.note_source(index, source)
                has_changed = True
            ports.relay.expect(far, source)
            ports.relay.connect(port, far)
            if index == 0:
                self._keys.arrange(exchange.leg, exchange.author)
                if self.recordings is not None and exchange.author.route_choice is not None:
                    self.recordings.begin(exchange.leg, exchange.author, (port, far), now)
            places.append(Place(address.announced, port.rtp, port.rtcp))
        _note_kind(media, theirs, now)
        if has_changed:
            exchange.leg.moved()
        return places


def _added(before: LegFigures | None, later: LegFigures | None) -> LegFigures | None:
    """Return the figures of ports that a leg had one after the other."""
    if before is None or later is None:
        return before or later
    return LegFigures(later.source or before.source, before.figures.plus(later.figures))


def _has_to_encrypt(owner: DoorOwner) -> bool:
    media = owner.facts.media if isinstance(owner, Leg) else None
    return media is not None and media.settings.encryption is _REQUIRED


def _limited(session: bytes, author: LegMedia, reader: LegMedia) -> bytes | None:
    """Return a description with the codecs that both sides may use; None if there are none."""
    body: bytes | None = session
    if author.settings.codecs:
        body = with_codecs(session, author.settings.codecs)
    if body is not None and reader.settings.codecs:
        body = with_codecs(body, reader.settings.codecs)
    return body


def _played(side: str, media: LegMedia | None) -> list[HeardSound]:
    """Return the sounds that a side was played."""
    if media is None or not media.played:
        return []
    return [HeardSound(side, each.name, each.codec, each.ms) for each in media.played]


def _was_relayed(media: LegMedia | None) -> bool:
    return media is not None and bool(media.ports or media.ended)


def _is_at_relay(exchange: _Exchange) -> bool:
    """Return whether a leg has ports of the relay: it stays there."""
    return any(port is not None and port.id >= 0 for port in (*exchange.media.ports, *exchange.theirs.ports))


def _is_offer(message: Outgoing, exchange: _Exchange) -> bool:
    """Return whether a description is an offer; else it answers the one that its author was sent last."""
    if isinstance(message, OutgoingInvite | OutgoingReinvite):
        return True
    if isinstance(message, OutgoingAck):
        return False
    if isinstance(message, OutgoingRequest) and message.method == "UPDATE":
        return True
    return exchange.theirs.offered_by != exchange.media.number


def _note_author(media: LegMedia, theirs: LegMedia, now: Instant) -> None:
    """Note whose description a leg is sent; silence counts anew where that is another leg."""
    if media.author != theirs.number:
        if media.author:
            media.watched_from = now.mono
        media.author = theirs.number


def _note_kind(described: Sequence[Medium], media: LegMedia, now: Instant) -> None:
    """Note whether a description holds the media, or has fax alone."""
    is_held = is_fax = True
    is_used = False
    for each in described:
        if each.port:
            is_used = True
            is_held = is_held and each.is_held
            is_fax = is_fax and each.kind == _FAX
    was_silent = media.is_held or media.is_fax
    media.is_held, media.is_fax = is_used and is_held, is_used and is_fax
    if was_silent and not (media.is_held or media.is_fax):
        media.watched_from = now.mono


def _source(medium: Medium, exchange: _Exchange, other: MediaSource | None) -> MediaSource:
    """Return the source of an author's medium: it may send the payload types of either description.

    A party sends by the numbers that the other one has named (RFC 3264 section 5.1); many send by their own. ``other``
    is the source of the reader's medium; None = it has described none yet.
    """
    payloads, clocks, codecs = medium.payloads, medium.clocks, medium.codecs
    if other is not None and payloads and not set(other.payloads) <= set(payloads):
        formats = dict(zip(payloads, zip(clocks, codecs, strict=True), strict=True))
        for payload, clock, codec in zip(other.payloads, other.clocks, other.codecs, strict=True):
            formats.setdefault(payload, (clock, codec))
        payloads = tuple(formats)
        clocks, codecs = zip(*formats.values(), strict=True)
    is_nowhere = medium.host in UNSPECIFIED
    return MediaSource(
        host="" if is_nowhere else medium.host,
        rtp=0 if is_nowhere else medium.port,
        rtcp_host="" if is_nowhere else medium.rtcp_host,
        rtcp=None if medium.is_multiplexed else medium.rtcp_port,
        sip_host=exchange.author.host,
        trust=exchange.theirs.settings.source,
        payloads=payloads,
        clocks=clocks,
        codecs=codecs,
        named=len(medium.payloads) if len(payloads) > len(medium.payloads) else 0,
    )


def _unannounced(source: MediaSource) -> MediaSource:
    """Return a source whose address is learned from what comes from the host that its SIP comes from."""
    nowhere = "::" if ":" in source.host else "0.0.0.0"
    return replace(source, host=nowhere, rtcp_host=nowhere, trust=MediaTrust.LEARN)


def _event_payload(media: LegMedia) -> int | None:
    """Return the payload type by which a leg has named telephone events; None = it has not."""
    source = media.source(0)
    payloads, _, codecs = ((), (), ()) if source is None else source.taken()
    named = zip(payloads, codecs, strict=True)
    return next((payload for payload, codec in named if codec.lower() == EVENT_NAME), None)


def _first_host(body: bytes) -> str:
    """Return the address of the first medium; empty where there is none."""
    try:
        return next((each.host for each in media_of(body)), "")
    except BadSession:
        return ""


def _unfit(message: Outgoing, media: LegMedia, refusal: MediaRefusal) -> MessageChange | MessageWait:
    """Withhold a message whose description the leg cannot be sent; those that must leave go without it."""
    media.refusal = refusal
    if isinstance(message, OutgoingInvite | OutgoingReinvite | OutgoingSuccess | OutgoingAck):
        return _WITHHELD
    if isinstance(message, OutgoingRequest) and message.transaction.owner is not None:
        return _WITHHELD
    return _without_session(message)


def _without_session(message: Outgoing) -> MessageChange:
    return MessageChange(headers=message.headers.replace(SDP, ""), body=b"")
