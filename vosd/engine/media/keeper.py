"""The doorkeeper of media: session descriptions leave with ports of the relay in place of the author's (ADR 146).

Every description that leaves by the door of a leg describes the media of another leg, its author. So one rule holds for
offers and answers, holds, forks and transfers: the author's port at the relay takes media from the place that the
description names, the leg gets its own port, and the two are connected.
"""

from collections.abc import Sequence

from vosd.b2bua.call import Call
from vosd.b2bua.leg import RINGING, Leg
from vosd.b2bua.outgoing.headers import SDP
from vosd.b2bua.renegotiation import as_reached
from vosd.base.clock import Instant
from vosd.engine.media.encryption import TerminatedMedia, digest_of, sealing_of
from vosd.engine.media.media_parts import MediaParts
from vosd.engine.media.moves import MovedCalls
from vosd.engine.media.music import waits
from vosd.engine.media.passing_session import PassingSession, event_payload, expect_media, limited, note_author
from vosd.engine.media.relayed_sessions import RelayedSessions
from vosd.engine.media.ring_back import begin_described, ring_back, ringing_callee
from vosd.engine.media.ring_back_at_rtpengine import RingBack, RingBackAtRtpEngines
from vosd.engine.media.rtpengine_calls import WAIT_MS
from vosd.engine.media.sessions_at_rtpengines import (
    OfferKeptBack,
    SessionsAtRtpEngines,
    are_of_two_families,
    is_ignored,
)
from vosd.engine.media.sides import address_of, announced_at, flow_of, side_of
from vosd.engine.media.verdicts import unfit, without_session
from vosd.media.decision import BY_MODE, decide, decide_by_modes
from vosd.media.leg_media import SEVERAL, LegMedia, MediaBefore, MediaRefusal
from vosd.sdp.direction import sending
from vosd.sdp.media import BadSession, Medium, Place, SessionFault, media_of, relayable, takes_media, with_events
from vosd.sdp.origin import alike, is_repeated, raised, succeeding
from vosd.sdp.rewrite import BY_SWITCH, Authored, Hidden
from vosd.sdp.security import (
    is_unprotectable,
    is_unprotected,
    mids_of,
    terminated,
    with_chosen_keys,
    without_plain_twins,
)
from vosd.sip.door.door import DoorOwner, MessageChange, MessageWait, WaitingMessage
from vosd.sip.door.messages import (
    Outgoing,
    OutgoingAck,
    OutgoingReinvite,
    OutgoingReliable,
    OutgoingRequest,
    OutgoingResponse,
    OutgoingSuccess,
)
from vosd.sip.transaction.states import TransactionState
from vosd.sip.wire.compose import encode
from vosd.sip.wire.uri import WEBSOCKETS
from vosd.trunks.dialect import Passing
from vosd.trunks.media import DEFAULT_MEDIA, TERMINATING, Encryption, IceMode, KeyWay

_OFF, _REQUIRED, _LITE, _AUTO = (
    Encryption.OFF,
    Encryption.REQUIRED,
    IceMode.LITE,
    KeyWay.AUTO,
)  # access to enum members is slow
_TRYING, _ACCEPTED, _REFUSED = 100, 200, 300


class MediaKeeper:
    """Rewrites the session descriptions of relayed calls, and closes the ports of legs that end (``Doorkeeper``)."""

    def __init__(
        self,
        parts: MediaParts,
        sessions: RelayedSessions,
        at_rtpengines: SessionsAtRtpEngines | None,
        moves: MovedCalls,
    ) -> None:
        rtpengines = parts.rtpengines
        self._parts = parts
        self._legs = parts.legs.by_number
        self.number_of_leg = parts.legs.new_number
        """Return the number of a new leg (``Doorkeeper``)."""
        self._sessions = sessions
        self._at_rtpengines = at_rtpengines
        self._moves = moves
        self._engine_ring_back = None if rtpengines is None else RingBackAtRtpEngines(rtpengines)
        self._terminating = TerminatedMedia(parts.listeners)

    def passes(self, message: Outgoing, owner: DoorOwner) -> bool:
        """Let messages without a description pass, but for the first one of a leg, and ringing (``Doorkeeper``).

        With a 100, which is the first one to most callers, nothing is to be done but to know the leg.
        """
        if message.body or not isinstance(owner, Leg):
            return False
        media = owner.facts.media
        if media is None or media.is_over:
            return True
        if media.number not in self._legs:
            is_trying = isinstance(message, OutgoingResponse) and message.status == _TRYING
            if is_trying and owner.route_choice is None:
                self._legs[media.number] = owner
                return True
            return False
        if type(message) is not OutgoingResponse or (not media.ports and media.rtp_call is None):
            return True
        if message.status not in RINGING:
            return media.before_offer is None
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
            if media.number not in self._legs and not media.is_over:
                self._know(leg, media)
            body = message.body
            if media.before_offer is not None:
                self._offer_answered(message, leg, media, now)
            if media.is_ringing and isinstance(message, OutgoingSuccess):
                self._stop_ring_back(media)
            if not body or SDP not in message.headers:
                return self._undescribed(waiting, leg, media)
            number = body.author if isinstance(body, Authored) else media.author
            if number == BY_SWITCH:
                return self._announced(waiting, leg, media, now)
            author = self._legs.get(number)
            if author is None or (theirs := author.facts.media) is None:
                return self._of_one_that_left(message, leg, media)
            if media.is_over:  # it answers requests that come late: no port is opened for that
                return without_session(message)
            passing = PassingSession(leg, media, author, theirs)
            is_waiting = media.author == number and leg.facts.is_confirmed and self._waits(passing)
            if media.author != number:
                note_author(passing, now, message)
            verdict = (self._of_one_that_waits if is_waiting else self._rewritten)(waiting, passing, now)
            if theirs.settings.local_ring and isinstance(verdict, MessageChange):
                self._ring_back_beside(message, passing, bytes(verdict.body or b""))
            return verdict
        except Exception:
            if _has_to_encrypt(waiting.owner) and is_unprotected(bytes(waiting.message.body)):
                waiting.change(without_session(waiting.message))
            raise

    def _know(self, leg: Leg, media: LegMedia) -> None:
        """Know a leg by its number; that of an attempt has the settings of its gateway."""
        self._legs[media.number] = leg
        if leg.route_choice is not None:
            gateway = leg.route_choice.gateway
            media.settings = gateway.media
            if self._parts.recordings is not None:
                media.recorded_share = self._parts.recorded_share(gateway)

    def _announced(
        self, waiting: WaitingMessage, leg: Leg, media: LegMedia, now: Instant
    ) -> MessageChange | MessageWait | None:
        """Play a caller a sound in place of ring-back, as soon as its description leaves."""
        if media.is_ringing:
            self._stop_ring_back(media)
        verdict = self._parts.callers_sounds.asks(waiting, leg, media, self._parts.parameters)
        if verdict is None:
            self._parts.callers_sounds.begin(media, now)
        return verdict

    def _undescribed(self, waiting: WaitingMessage, leg: Leg, media: LegMedia) -> MessageChange | MessageWait | None:
        """Note that a leg is asked for an offer, or play ring-back to a caller whose callee wants that and rings.

        Not to one that gets no early media.
        """
        message, parameters = waiting.message, self._parts.parameters
        if type(message) is OutgoingReinvite:
            media.offered_by = 0  # what the leg describes next answers none
        if not isinstance(message, OutgoingResponse) or message.status not in RINGING or message.body:
            return None
        inviter, callee = leg.call.caller.inviter, ringing_callee(leg)
        attempt = None if callee is None else callee.facts.media
        if callee is None or attempt is None or inviter is None or inviter.leg is not leg:
            return None
        if inviter.dialect.early_media is Passing.STRIP:
            return None
        if self._engine_ring_back is not None and media.rtp_call is not None:
            sound = self._parts.music.sounds.get(parameters.ring_back)
            if sound is None or not sound.file:
                return None
            is_web = self._parts.listeners[flow_of(leg)].transport in WEBSOCKETS
            wanted = RingBack(sound.file, parameters.ring_back_delay_ms, is_web, parameters.traffic_class)
            return self._engine_ring_back.ask(waiting, inviter, callee, wanted)
        if self._parts.relay is None or not media.ports:
            return None
        address = address_of(leg, self._parts.listeners, self._parts.addresses).announced
        delay_ms = parameters.ring_back_delay_ms
        change = ring_back(message, leg, attempt, media, self._parts.relay, address, delay_ms, self._legs)
        inviter.progress.has_ring_back = inviter.progress.has_ring_back or change is not None
        return change

    def _ring_back_beside(self, message: Outgoing, passing: PassingSession, session: bytes) -> None:
        """Play ring-back to a caller that is sent a ringing response with its callee's description."""
        leg, media, attempt = passing.leg, passing.media, passing.theirs
        if self._parts.relay is None or not isinstance(message, OutgoingResponse | OutgoingReliable):
            return
        if message.status not in RINGING:
            return
        inviter = leg.call.caller.inviter
        if leg.route_choice is not None or inviter is None or inviter.leg is not leg:
            return
        if attempt.is_relayed and media.rtp_call is None:
            delay_ms = self._parts.parameters.ring_back_delay_ms
            begin_described(media, attempt, session, self._parts.relay, delay_ms)

    def _stop_ring_back(self, media: LegMedia) -> None:
        """End the ring-back of a caller whose callee has answered."""
        if self._engine_ring_back is not None and media.rtp_call is not None:
            self._engine_ring_back.stop(media)
        elif self._parts.relay is not None and (port := media.audio_port) is not None:
            self._parts.relay.stop_playing(port)
        media.is_ringing = False

    def _offer_answered(self, message: Outgoing, leg: Leg, media: LegMedia, now: Instant) -> None:
        """Take media as before an offer of a leg that was refused: the session stays as it was (RFC 3264 section 8)."""
        before = media.before_offer
        if before is None or not isinstance(message, OutgoingResponse | OutgoingSuccess):
            return
        status = message.status if isinstance(message, OutgoingResponse) else _ACCEPTED
        if status < _ACCEPTED or encode(message.transaction.key) != before.transaction:
            return
        media.before_offer = None
        if status >= _REFUSED:
            self._put_back(leg, media, before, now)
        else:  # before the 200 leaves: a process that finds the offer open in the journal puts its media back
            leg.call.board.moved(at_once=True)

    def offer_forgotten(self, owner: DoorOwner, now: Instant) -> None:
        """Take media as before an offer of a leg that was open when the process before was killed (``Doorkeeper``)."""
        media = owner.facts.media if isinstance(owner, Leg) else None
        if isinstance(owner, Leg) and media is not None and media.before_offer is not None:
            before, media.before_offer = media.before_offer, None
            self._put_back(owner, media, before, now)

    def _put_back(self, leg: Leg, media: LegMedia, before: MediaBefore, now: Instant) -> None:
        """Take media of a leg as before its offer."""
        was = before.sources[before.audio] if before.audio < len(before.sources) else None
        has_turned = are_of_two_families(was, media.audio_source)
        for index, source in enumerate(before.sources):
            port = media.port(index)
            if source is None or port is None or source == media.source(index):
                continue
            if port.id >= 0 and self._parts.relay is not None:
                self._parts.relay.expect(port, source)
        self._sessions.put_audio_back(media, before.audio)
        media.sources = before.sources
        media.is_held, media.is_sender, media.is_fax = before.is_held, before.is_sender, before.is_fax
        media.protection, media.has_ice = sealing_of(leg, media)
        reading = self._legs.get(before.reader)
        reader = None if reading is None else reading.facts.media
        if reader is not None:
            self._sessions.put_audio_back(reader, before.reader_audio)
            reader.is_adapted, reader.has_softened = before.is_adapted, before.has_softened
        partner = self._parts.legs.partner(leg)
        if partner is not None:
            if has_turned:  # an rtpengine takes the place of before from the side that answers alone
                self._go_on(partner, leg, turns=True)
            else:
                self._go_on(leg, partner)
            if self._parts.music.sounds:
                self._parts.music.begin_again((leg, partner), self._parts.parameters, now)
        leg.moved()

    def forget(self, waiting: WaitingMessage) -> None:
        """Wait for an rtpengine no more (``Doorkeeper``).

        A response that leaves all the same has no description: it would be that of the other side, with its keys.
        """
        if self._parts.rtpengines is not None and self._parts.rtpengines.forget(waiting):
            waiting.change(without_session(waiting.message))

    def leg_over(self, owner: DoorOwner, now: Instant) -> None:
        """Close the ports of a leg (``Doorkeeper``)."""
        if isinstance(owner, Leg) and (media := owner.facts.media) is not None and not media.is_over:
            media.is_over = True
            media.before_offer = None
            try:
                if media.parted is not None and not self._parts.music.rings_on(owner, self._legs):
                    self._give_back(media, now)
                if self._parts.music.sounds and media.ports:
                    self._parts.music.left(owner, self._legs, self._parts.parameters, now)
                if self._parts.recordings is not None and media.ports:
                    self._parts.recordings.leg_over(owner, media)
            finally:  # nothing else would close its ports: it is over
                self._legs.pop(media.number, None)
                if media.ports or media.rtp_call is not None or media.announcement is not None:
                    self._parts.keys.forget(media)
                    self._parts.close_ports(media, now)
            if media.ended is not None:
                figures = media.ended.figures
                if figures.expected:
                    self._parts.note_lost(owner, media, figures.expected, figures.lost, now)

    def _give_back(self, media: LegMedia, now: Instant) -> None:
        """Connect two legs again that a leg which ends has parted, and not replaced."""
        pair = self._sessions.give_back(media, now)
        if pair is not None:
            self._go_on(*pair)

    def _go_on(self, one: Leg, other: Leg, *, turns: bool = False) -> None:
        """Connect two legs at an rtpengine again, with other keys where it has them."""
        if self._at_rtpengines is None or self._at_rtpengines.go_on(one, other, turns=turns):
            return
        if isinstance(one.call, Call):
            self._moves.add(one.call)

    def refuses(
        self, session: bytes, author: DoorOwner, reader: DoorOwner, now: Instant, *, is_final: bool = False
    ) -> bool:
        """Return whether a description has no codec for the other side, or cannot be relayed (``Doorkeeper``).

        Else the ports take media by one that ``is_final`` from now on, so that the call is journalled with it; by a
        later offer of the gateway instead that has no response yet.
        """
        if not isinstance(author, Leg) or not isinstance(reader, Leg) or not session:
            return False
        theirs, media = author.facts.media, reader.facts.media
        if theirs is None or media is None:
            return False
        passing, attempt = PassingSession(reader, media, author, theirs), theirs if author.route_choice else media
        body = _fit(passing, session, is_final=is_final)
        if body is None:
            return True
        if is_final and media.author != theirs.number:
            note_author(passing, now)
        # Of a call whose INVITE had no offer it is not decided yet; a transfer may have joined the two legs.
        is_decided = is_final and attempt.step is not None
        if not (attempt.is_relayed if is_decided else self._is_relayed(passing, body)):
            if is_final and (media.ports or media.rtp_call is not None):
                self._leave_relay(reader, media, now)
            return False
        try:
            _, described = self._described(passing, body)
        except BadSession as bad:
            theirs.refuse(MediaRefusal.BAD_SESSION, bad.fault)
            return True
        if not is_final:
            return False
        if theirs.rtp_call is not None and described and is_ignored(passing, described[0].host, body):
            theirs.refuse(MediaRefusal.NO_MEDIA_PORT)
            return True
        if self._parts.rtpengines is None and not media.is_over and theirs.before_offer is None:
            self._sessions.prepare(described, passing, now)
        return False

    def session_returned(self, author: DoorOwner, reader: DoorOwner, now: Instant) -> None:
        """Take media of a caller by its latest description, and connect it with its reader (``Doorkeeper``)."""
        if not isinstance(author, Leg) or not isinstance(reader, Leg):
            return
        theirs, media = author.facts.media, reader.facts.media
        if theirs is None or media is None or not (theirs.ports and media.ports):
            return
        caller, callee = author.call.caller, author.call.callee
        has_returned = callee is not None and callee.fork_key(callee.fork_shown) in (caller.shown or {})
        if has_returned:
            self._sessions.return_to_dialog(author, theirs)
        if theirs.before_offer is not None:
            return  # its UPDATE, which has no response yet, has a later description, and connects the two
        session = bytes(as_reached(author.sessions.remote, reader))
        body, passing = limited(session, theirs, media), PassingSession(reader, media, author, theirs)
        if not body:
            return
        try:
            _, described = self._described(passing, body)
        except BadSession:
            return  # it has no media any more
        engines = None if passing.is_at_relay else self._at_rtpengines
        if engines is None:
            self._sessions.places(described, passing, now)
        else:
            engines.note(described, passing, now)
        if has_returned:  # it may have put the fork of before on hold
            self._parts.music.begin_again((author, reader), self._parts.parameters, now)
        if engines is None:
            return
        if media.before_offer is not None:
            return  # the answer to an UPDATE of the gateway will connect them
        is_terminated = media.is_terminated or theirs.is_terminated
        if not is_terminated or (caller.progress.is_settled and has_returned):  # else the latest answer has its keys
            self._go_on(author, reader)

    def answer_kept(self, author: DoorOwner, reader: DoorOwner, now: Instant) -> None:
        """Take an answer that its reader is not sent: it has the place or the keys of its author (``Doorkeeper``)."""
        if not isinstance(author, Leg) or not isinstance(reader, Leg):
            return
        theirs, media = author.facts.media, reader.facts.media
        if theirs is None or media is None:
            return
        passing = PassingSession(reader, media, author, theirs)
        if self._at_rtpengines is None or passing.is_at_relay:
            self.session_returned(author, reader, now)
            return
        body = limited(bytes(as_reached(author.sessions.remote, reader)), theirs, media)
        if not body or (theirs.settings.encryption is _REQUIRED and is_unprotected(body, theirs.said)):
            return
        if not theirs.is_terminated:
            self._at_rtpengines.keep_place(passing, body, now)
            return
        form = self._terminating.form(reader, author, body, is_offer=False)
        if form is not None:
            self._at_rtpengines.keep_keys(passing, body, form)

    def _rewritten(
        self, waiting: WaitingMessage, passing: PassingSession, now: Instant
    ) -> MessageChange | MessageWait | None:
        message = waiting.message
        one, other = passing.theirs.settings, passing.media.settings
        session = bytes(message.body)
        body = limited(session, passing.theirs, passing.media) if one.codecs or other.codecs else session
        if body is None:
            return unfit(message, passing.media, MediaRefusal.NO_COMMON_CODEC)
        is_relayed = self._is_relayed(passing, body)
        if one.encryption is not _OFF or other.encryption is not _OFF or one.ice is _LITE or other.ice is _LITE:
            verdict = self._secured(waiting, passing, body, is_relayed=is_relayed)
            if verdict is not None:
                return verdict
        if not is_relayed:
            passing.media.is_adapted, passing.media.has_softened = body != session, False
            body = _after_ports(passing.media, body) if passing.media.origin or passing.media.is_moved else body
            return MessageChange(body=body) if body != message.body else None
        # Without a relay no leg has ports of one.
        is_at_relay = self._at_rtpengines is None or (self._parts.relay is not None and passing.is_at_relay)
        try:
            body, described = self._described(passing, body, message)
        except BadSession as bad:
            return unfit(message, passing.media, MediaRefusal.BAD_SESSION, bad.fault)
        if passing.author.moving is not None:
            self._note_offer(message, passing)
        if self._at_rtpengines is not None and not is_at_relay:
            if self._at_rtpengines.asks(waiting, passing, body, described):
                return MessageWait(WAIT_MS, may_leave=False)
            if not self._parts.falls_back:
                return unfit(message, passing.media, MediaRefusal.NO_MEDIA_PORT)
        if passing.theirs.rtp_call is not None or passing.media.rtp_call is not None:
            self._leave_rtpengine(passing, now)
        places = self._sessions.places(described, passing, now, message)
        if places is None:
            return unfit(message, passing.media, MediaRefusal.NO_MEDIA_PORT)
        passing.media.is_direct, passing.media.is_adapted, passing.media.has_softened = False, body != session, False
        if self._parts.music.sounds and is_at_relay and not passing.is_first:
            body = self._sessions.with_music(message, body, passing, places, now)
        return MessageChange(body=self._sessions.rewritten(body, places, passing.leg, passing.media))

    def _note_offer(self, message: Outgoing, passing: PassingSession) -> None:
        """Note what holds before an offer within a dialog, which may be refused; it may be sent more than once."""
        moving, theirs, media = passing.author.moving, passing.theirs, passing.media
        if moving is None or not isinstance(message, OutgoingReinvite | OutgoingRequest):
            return
        if moving.transaction.state is not TransactionState.PROCEEDING:
            return  # it was refused: this description of the leg is that of before
        before, key = theirs.before_offer, encode(moving.transaction.key)
        if before is None or before.transaction != key:
            theirs.before_offer = MediaBefore(
                key, media.number, theirs.sources, theirs.audio, media.audio,
                theirs.is_held, theirs.is_sender, theirs.is_fax, media.is_adapted, media.has_softened,
            )  # fmt: skip
            if self._at_rtpengines is not None:
                passing.author.moved()  # an rtpengine goes on with the offer where the switch is killed

    def _leave_relay(self, caller: Leg, media: LegMedia, now: Instant) -> None:
        """Close the ports that a caller has of an attempt before: the gateway that has answered is not relayed."""
        if media.is_ringing:
            self._stop_ring_back(media)
        self._parts.keys.forget(media)
        self._parts.close_ports(media, now)
        media.is_over = True  # an rtpengine may still answer for the attempt before
        caller.facts.media = LegMedia(
            media.number, media.settings, media.customer, media.author, recorded_share=media.recorded_share,
            played=media.played, rtp_partner=SEVERAL, before_offer=media.before_offer,
        )  # fmt: skip

    def _leave_rtpengine(self, passing: PassingSession, now: Instant) -> None:
        """Close the ports of legs at an rtpengine: none works, or they are connected with a leg at the relay."""
        for media in (passing.theirs, passing.media):
            if media.rtp_call is not None:
                self._parts.close_ports(media, now)
                media.rtp_call, media.is_moved = None, bool(media.said)

    def _secured(
        self, waiting: WaitingMessage, passing: PassingSession, body: bytes, *, is_relayed: bool
    ) -> MessageChange | MessageWait | None:
        """Withhold a description without encryption where that is required, or have its encryption and ICE terminated.

        None = neither.
        """
        theirs, media = passing.theirs.settings, passing.media.settings
        if is_relayed and theirs.encryption in TERMINATING:
            body = without_plain_twins(body)
        is_required = theirs.encryption is _REQUIRED or (media.encryption is _REQUIRED and not is_relayed)
        if is_required and is_unprotected(body, passing.theirs.said):
            return unfit(waiting.message, passing.media, MediaRefusal.NOT_ENCRYPTED)
        if not is_relayed:
            return None
        is_offer = passing.is_offer(waiting.message)
        # An rtpengine that knows such an offer makes keys anew, which both sides have to agree on after the refusal.
        if is_offer and media.encryption is _REQUIRED and is_unprotectable(body):
            return unfit(waiting.message, passing.media, MediaRefusal.NOT_ENCRYPTED)
        self._note_offer(waiting.message, passing)
        try:
            before = self._kept_back(passing) if type(waiting.message) is OutgoingAck else None
            form = self._terminating.form(passing.leg, passing.author, body, is_offer=is_offer)
        except BadSession as bad:
            return unfit(waiting.message, passing.media, MediaRefusal.BAD_SESSION, bad.fault)
        if form is None:
            return None
        if self._at_rtpengines is None or passing.is_at_relay:
            return unfit(waiting.message, passing.media, MediaRefusal.NO_MEDIA_PORT)
        return self._at_rtpengines.wait_for_keys(waiting, passing, body, form, before)

    def _kept_back(self, passing: PassingSession) -> OfferKeptBack | None:
        """Return the offer that a leg is sent an answer to, if the author of that was not sent it (``WantedOffer``).

        Raises:
            BadSession: it cannot be answered.
        """
        body = limited(bytes(passing.leg.sessions.remote), passing.media, passing.theirs)
        if body and passing.media.settings.encryption in TERMINATING:
            body = without_plain_twins(body)
        if not body or passing.theirs.said_for == digest_of(passing.media.number, body):
            return None
        form = self._terminating.form(passing.author, passing.leg, body, is_offer=True)
        return None if form is None else OfferKeptBack(body, form)

    def _described(
        self, passing: PassingSession, body: bytes, message: Outgoing | None = None
    ) -> tuple[bytes, Sequence[Medium]]:
        """Return a description of media that a relay can carry, with events where keys are converted, and its media.

        Raises:
            BadSession: it cannot be relayed.
        """
        described = media_of(body)
        for each in described:
            if each.port and not each.is_relayable:
                body = relayable(body)
                described = media_of(body)
                break
        if not described:
            expect_media(passing, message)
        if passing.theirs.settings.dtmf is _AUTO or not (self._parts.rtpengines is None or passing.is_at_relay):
            return body, described
        if not self._parts.keys.wants_events(passing.theirs, passing.media, described):
            return body, described
        body = with_events(body, event_payload(passing.media), has_flash=passing.theirs.settings.dtmf is KeyWay.INFO)
        return body, media_of(body)

    def _waits(self, passing: PassingSession) -> bool:
        """Return whether a reader waits at ports that work while the author consults the target of a transfer."""
        media, rtpengines = passing.media, self._parts.rtpengines
        if not (media.is_at_ports and waits(passing.leg, passing.author)):
            return False
        return media.rtp_call is None or (rtpengines is not None and rtpengines.is_anchored(media))

    def _of_one_that_waits(
        self, waiting: WaitingMessage, passing: PassingSession, now: Instant
    ) -> MessageChange | MessageWait | None:
        """Put the leg's own ports into a description of an author that consults: its media go to the target.

        Connecting the two again would take these from the target.
        """
        if self._parts.music.sounds:
            self._parts.music.wait(passing.leg, passing.theirs, self._parts.parameters, now)
        return self._of_one_that_left(waiting.message, passing.leg, passing.media, passing.theirs)

    def _of_one_that_left(
        self, message: Outgoing, leg: Leg, media: LegMedia, theirs: LegMedia | None = None
    ) -> MessageChange | MessageWait | None:
        """Put the leg's own ports into a description whose author has left, as in a refresh during a transfer.

        It follows the one that the leg was sent by the door. The terms of an author that has left are not known any
        more.
        """
        session = sending(bytes(message.body)) if media.has_softened else bytes(message.body)
        body = limited(session, theirs or media, media)
        if body is None:
            return unfit(message, media, MediaRefusal.NO_COMMON_CODEC)
        # One that talks has ports at most for the target of the transfer.
        if media.is_direct or (not media.origin and (leg.facts.is_confirmed or not media.ports)):
            if media.said:
                media.is_moved = media.is_moved or is_repeated(body, media.said)
            elif media.is_adapted:
                media.said, media.is_moved = raised(body), True
            body = _after_ports(media, body)
            return MessageChange(body=body) if body != message.body else None
        try:
            body = relayable(body)
            described = media_of(body)
        except BadSession as bad:
            return unfit(message, media, MediaRefusal.BAD_SESSION, bad.fault)
        given = media.said
        media.is_moved = media.is_moved or (media.is_adapted and not given)
        body = self._sessions.rewritten(body, self._own_places(leg, media, described), leg, media)
        if media.is_terminated:
            return self._sealed_again(message, leg, media, body, given)
        if given and is_repeated(body, given):
            body, media.is_moved = succeeding(body, given), True
        if given:
            media.said = body
        return MessageChange(body=body)

    def _own_places(self, leg: Leg, media: LegMedia, described: Sequence[Medium]) -> Sequence[Place | None]:
        """Return the places of a leg's ports for the media that are in use."""
        addresses = self._parts.addresses
        own = address_of(leg, self._parts.listeners, addresses)
        places: list[Place | None] = []
        for index, each in enumerate(described):
            port = media.port(index) if each.port else None
            if port is None:
                places.append(None)
                continue
            host = port.host if port.id < 0 else announced_at(port, own, addresses)
            places.append(Place(host, port.rtp, port.rtcp))
        return places

    def _sealed_again(
        self, message: Outgoing, leg: Leg, media: LegMedia, body: bytes, given: bytes
    ) -> MessageChange | MessageWait:
        """Put the keys and the ICE that the leg was ``given`` with its ports into another description for it.

        They may be those of an offer, where it is asked for one of its own while it is transferred (``WantedOffer``).
        """
        remote = bytes(leg.sessions.remote)
        try:
            sealed = with_chosen_keys(given, remote) if type(message) is OutgoingAck else given
            body = terminated(body, sealed, mids_of(remote))
        except ValueError:
            return unfit(message, media, MediaRefusal.BAD_SESSION)
        if media.settings.encryption is _REQUIRED and is_unprotected(body):
            return unfit(message, media, MediaRefusal.NOT_ENCRYPTED)
        if not alike(body, given):
            media.said_for = ""
        media.said, media.is_moved = succeeding(body, given), True
        return MessageChange(body=media.said)

    def _is_relayed(self, passing: PassingSession, body: bytes) -> bool:
        """Return whether media between two legs are relayed: as decided for an attempt, else as they were before.

        Of two legs that a transfer or a pickup connects both are relayed if one is. It is decided for a target that is
        called, and for a phone that picks it up, where the side that it will talk to is not.
        """
        leg, author = passing.leg, passing.author
        callee, other = (author, leg) if leg.route_choice is None else (leg, author)
        attempt = callee.facts.media
        is_joined = other.route_choice is not None or callee.route_choice is None or leg.call is not author.call
        if is_joined or attempt is None:
            if any(each.origin or each.is_relayed for each in (passing.media, passing.theirs)):
                return True
            if attempt is None or callee.route_choice is None or attempt.step is not None:
                return False
        if attempt.step is not None:
            return attempt.is_relayed
        if not self._parts.takes_calls:
            attempt.step, attempt.is_relayed = BY_MODE, False
            return False
        far = other.facts.media
        settings = DEFAULT_MEDIA if far is None else far.settings
        decision = decide_by_modes(self._parts.parameters, settings, attempt.settings)
        if decision is None:
            known = {author: body, leg: bytes(leg.sessions.remote)}  # a phone that picks a call up has described it
            caller, called = (side_of(each, self._parts.listeners, known[each]) for each in (other, callee))
            decision = decide(self._parts.parameters, caller, called)
        attempt.step, attempt.is_relayed = decision.step, decision.is_relayed
        return decision.is_relayed


def _has_to_encrypt(owner: DoorOwner) -> bool:
    media = owner.facts.media if isinstance(owner, Leg) else None
    return media is not None and media.settings.encryption is _REQUIRED


def _fit(passing: PassingSession, session: bytes, *, is_final: bool) -> bytes | None:
    """Return a description as its reader may be sent it; None = it is refused, and the leg of its author notes why.

    One that ``is_final`` has to take media, unless the reader has offered none.
    """
    media, theirs = passing.media, passing.theirs
    if isinstance(session, Hidden):
        session = session.for_one_at(passing.leg.host)
    body = limited(session, theirs, media) if theirs.settings.codecs or media.settings.codecs else session
    if body is None:
        theirs.refuse(MediaRefusal.NO_COMMON_CODEC)
        return None
    offer = passing.leg.sessions.remote  # empty where the gateway was asked for its offer
    if is_final and not takes_media(body) and (takes_media(offer) or not offer):
        theirs.refuse(MediaRefusal.BAD_SESSION, SessionFault.NO_MEDIA)
        return None
    if theirs.settings.encryption is _REQUIRED:
        body = without_plain_twins(body)
        if is_unprotected(body, theirs.said):
            theirs.refuse(MediaRefusal.NOT_ENCRYPTED)
            return None
    return body


def _after_ports(media: LegMedia, body: bytes) -> bytes:
    """Return a description that leaves without ports with the version that follows those with ports."""
    media.is_direct = True
    if not media.said:
        return body
    media.said, media.said_for = succeeding(body, media.said) if media.is_moved else body, ""
    return media.said
