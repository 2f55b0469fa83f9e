"""Sounds that an rtpengine plays to callers before their calls are answered or refused (ADR 178).

``play media`` needs a call with two sides: the other one is the switch, whose answer names an address of documentation
(RFC 5737), and what the caller sends is kept back.
"""

from collections.abc import Callable, Container
from itertools import count
from typing import Final, NamedTuple

from vosd.b2bua.leg import Leg
from vosd.base.clock import Instant
from vosd.engine.media.rtpengine_calls import RtpEngineCalls
from vosd.engine.media.sides import reader_host_of
from vosd.media.leg_media import CallerSound, LegMedia, RtpCall
from vosd.media.rtpengine_orders import OK, EngineAnswer, RtpOffer, RtpPlay, answer_kind, session_order
from vosd.media.termination import PLAIN, MediaForm, TerminatedSide, answered_form
from vosd.sdp.answering import ENCRYPTED, playable_audio, sound_answer
from vosd.sdp.family import host_of_ice
from vosd.sdp.media import BadSession, Place, in_usual_form, media_of
from vosd.sdp.ordered import IN_ORDER, ordered
from vosd.sdp.security import Protection, mids_of, reachable_by_ice, terminated, with_usable_keys, without_plain_twins
from vosd.sip.door.door import WaitingMessage
from vosd.trunks.media import TERMINATING

CODECS: Final = frozenset({"pcmu", "pcma", "g722", "g729", "gsm"})
"""Codecs in which an rtpengine plays, as far as they have the clock of telephony."""
_SWITCH: Final = "switch"
"""Tag of the other side."""
NOWHERE: Final = Place("192.0.2.1", 9, 10)


class SoundWanted(NamedTuple):
    """A sound for a caller, and what its description needs."""

    leg: Leg
    media: LegMedia
    announcement: CallerSound
    file: str
    seen_at: str | None
    """The address that its SIP comes from, if it is behind NAT."""
    is_web: bool
    tos: int


SoundCame = Callable[[bytes | None, Instant], None]
"""Receiver of the answer to a caller's offer; None = it cannot be played anything."""


class SoundsAtRtpEngines:
    """Sounds of rtpengines, each a call of its own there."""

    def __init__(self, calls: RtpEngineCalls) -> None:
        self._calls = calls
        self._numbers = count(1)

    @property
    def is_usable(self) -> bool:
        """Whether any rtpengine works."""
        return self._calls.engines.is_usable

    def ask(self, waiting: WaitingMessage, wanted: SoundWanted, came: SoundCame) -> bool:
        """Ask for a port, and begin the sound; False = there is no rtpengine to ask. ``came`` is called later."""
        media, offer = wanted.media, _offer_of(wanted)
        caller = TerminatedSide.described(media.settings, offer, is_web=wanted.is_web)
        name = f"{self._calls.prefix}{media.number:x}-{next(self._numbers)}"  # the one before may be ending there yet
        is_encrypted = caller.makes_ice or caller.protection is not Protection.NONE
        form = MediaForm(PLAIN, Protection.NONE, caller.makes_ice, reader_ice=False) if is_encrypted else None
        codecs = {wanted.announcement.codec.lower()}
        described = host_of_ice(offer) if caller.makes_ice else wanted.announcement.source.host
        reader_host = reader_host_of(wanted.leg, described)
        session = with_usable_keys(reachable_by_ice(offer, wanted.leg.host))
        order = session_order(
            RtpOffer,
            name,
            session if IN_ORDER.match(session) else ordered(session),
            str(media.number),
            _SWITCH,
            trust=media.settings.source,
            seen_at=wanted.seen_at,
            reader_host=reader_host,
            tos=wanted.tos,
            form=form,
        )

        def offered(answer: EngineAnswer | None, now: Instant) -> None:
            reply = None if answer is None or answer.reply.result != OK else answer.reply
            if answer is None or reply is None:
                came(None, now)
                return
            call = RtpCall(answer.engine, name)
            if media.announcement is not wanted.announcement:  # the caller has hung up meanwhile
                self._calls.engines.forget(call.engine, call.name)
                came(None, now)
                return
            wanted.announcement.rtp_call = call
            self.keep(wanted.announcement)
            audio = playable_audio(reply.session, codecs)
            if audio is None:
                came(None, now)
                return
            own = sound_answer(reply.session, audio, NOWHERE, media.number)
            back = None if form is None else answered_form(caller, caller)
            order = session_order(
                answer_kind(described, reader_host),
                name,
                own,
                str(media.number),
                _SWITCH,
                reader_host=reader_host,
                tos=wanted.tos,
                form=back,
            )
            self._calls.blocked.block(call, media.number)
            if not self._calls.ask_in_turn(waiting, order, call.engine, answered):
                came(None, now)

        def answered(answer: EngineAnswer | None, now: Instant) -> None:
            call = wanted.announcement.rtp_call
            is_wanted = call is not None and media.announcement is wanted.announcement
            session = None if answer is None or answer.reply.result != OK else answer.reply.session
            written = None
            if session:
                written = answer_by(offer, session, media.number, codecs, is_encrypted=is_encrypted)
            if call is None or not is_wanted or written is None:
                came(None, now)
                return
            wanted.announcement.began_ms = now.mono
            times = max(1, wanted.announcement.times)
            play = RtpPlay(call=call.name, leg=str(media.number), file=wanted.file, times=times)

            def played(answer: EngineAnswer | None, now: Instant) -> None:
                is_played = answer is not None and answer.reply.result == OK
                if not is_played:
                    self._calls.note_unplayed(wanted.file, call.engine, answer)
                came(written if is_played else None, now)

            if not self._calls.ask_in_turn(waiting, play, call.engine, played):
                came(None, now)

        return self._calls.ask_in_turn(waiting, order, None, offered)

    def end(self, call: RtpCall) -> None:
        """End a sound."""
        self._calls.leave(call)

    def keep(self, announcement: CallerSound) -> None:
        """Note that a sound goes on; its failure is reported if its rtpengine is lost."""
        if announcement.rtp_call is not None:
            self._calls.keep(announcement.rtp_call, announcement.port)


def _offer_of(wanted: SoundWanted) -> bytes:
    """Return the offer of a caller; one that is to be encrypted is not played the plain media of its choice."""
    offer = in_usual_form(bytes(wanted.leg.sessions.remote))
    return without_plain_twins(offer) if wanted.media.settings.encryption in TERMINATING else offer


def answer_by(offer: bytes, given: bytes, number: int, codecs: Container[str], *, is_encrypted: bool) -> bytes | None:
    """Return the answer to a caller's offer in one of the codecs with an rtpengine's port; None where it has none."""
    audio = playable_audio(offer, codecs, ENCRYPTED)
    try:
        ports = media_of(given)
    except BadSession:
        return None
    port = None if audio is None or audio.place >= len(ports) else ports[audio.place]
    if audio is None or port is None or not port.port:
        return None
    place = Place(port.host, port.port, None if port.is_multiplexed else port.rtcp_port)
    session = sound_answer(offer, audio, place, number)
    return terminated(session, given, mids_of(offer)) if is_encrypted else session
