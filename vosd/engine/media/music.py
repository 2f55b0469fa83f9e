"""Music on hold: the side that is held is played a sound from the port of its leg, in place of the media of the other.

It is one more state of the two ports, which stay connected: a description that ends the hold ends the music.
"""

from collections.abc import Mapping
from typing import Final

from vosd.b2bua.call import Call
from vosd.b2bua.leg import Leg
from vosd.b2bua.refresh import ChangedAnswer
from vosd.b2bua.renegotiation import Introduction
from vosd.b2bua.transfer import CallTransfer, Stage
from vosd.base.clock import Instant
from vosd.engine.media.rtpengine_calls import RtpEngineCalls
from vosd.media.g711 import PAYLOADS
from vosd.media.keys import EVENT_NAME
from vosd.media.leg_media import LegMedia, MusicOnHold, PlayedSound
from vosd.media.relay import MediaRelay
from vosd.media.sounds import EncodedSound, Sound
from vosd.media.source import RelayPort
from vosd.sdp.direction import receiving, sending
from vosd.sdp.media import BadSession, Medium, audio_place, media_of
from vosd.sdp.security import has_keys
from vosd.sip.door.messages import Outgoing, OutgoingAck, OutgoingResponse, OutgoingSuccess
from vosd.trunks.announcements import NO_SOUND
from vosd.trunks.media import MediaParameters

_PLAIN: Final = frozenset({"RTP/AVP", "RTP/AVPF"})
_INACTIVE: Final = b"a=inactive"
_CLOCK: Final = 8_000


class HoldMusic:
    """Music of all calls."""

    def __init__(
        self, relay: MediaRelay | None, legs: Mapping[int, Leg], rtpengines: RtpEngineCalls | None = None
    ) -> None:
        """Relay and rtpengines play to their own ports; None = there is none. ``legs`` has all by their numbers."""
        self._relay = relay
        self._legs = legs
        self._rtpengines = rtpengines
        self.sounds: Mapping[str, Sound] = {}

    def arrange(
        self, message: Outgoing, body: bytes, sides: tuple[Leg, Leg], parameters: MediaParameters, now: Instant
    ) -> bytes:
        """Begin or end the music of two legs, by a description that leaves; return it as its reader is sent it.

        ``sides`` are the reader and the author. Music begins with the answer, because an offer may be refused, or with
        the answer of one side that is offered to the other: that side holds even where the offer is refused. A side
        that is offered ``inactive`` would play nothing: it is offered ``sendonly``, and its answer is put back. The
        offer of a newcomer (INVITE with Replaces) ends no music: the leg before it holds on until it is accepted. Of
        two that consult, neither is blocked any more for a third one that is played music.
        """
        reader, author = sides
        own, theirs = reader.facts.media, author.facts.media
        if own is None or theirs is None:
            return body
        is_answer = isinstance(message, OutgoingSuccess | OutgoingResponse | OutgoingAck)
        is_consultation = _consults(reader) or _consults(author)
        may_begin = (is_answer or _has_answered(author)) and not is_consultation
        is_newcomer = not is_answer and reader.facts.is_confirmed and not author.facts.is_confirmed
        for held, holder in () if is_newcomer else ((reader, author), (author, reader)):
            self._arrange_one(held, holder, parameters, now, may_begin=may_begin)
        if self._rtpengines is not None and is_consultation:
            self._rtpengines.let_consult(theirs, own)
            self._rtpengines.let_consult(own, theirs)
        elif self._rtpengines is not None and is_answer and may_begin:
            self._end_of_replaced((own, theirs), now)
        theirs.is_softened = False
        if theirs.is_held and _INACTIVE in body and self._found(reader, theirs, parameters) is not None:
            if not own.is_held:
                theirs.is_softened = own.has_softened = True
                return sending(body)
            own.is_moved = True  # it is sent the same description as one that sends before or after it holds
        if not is_answer or not own.is_softened:
            return body
        own.is_moved = True  # the answer that is put back has the version of another one
        return receiving(body)

    def wait(self, waiting: Leg, holder: LegMedia, parameters: MediaParameters, now: Instant) -> None:
        """Play music to a side that waits while the other one consults, and note whether it is to be sent ``sendonly``.

        That other one is blocked until it is offered the media of the target alone.
        """
        media = waiting.facts.media
        if media is None:
            return
        media.has_softened = self._found(waiting, holder, parameters) is not None
        self._begin(waiting, holder, parameters, now, blocks=holder.author == media.number)

    def go_on(self, sides: tuple[Leg, Leg], parameters: MediaParameters, now: Instant) -> None:
        """Begin music again where one of two legs holds the other, and a third one has come between them and ended.

        The ring-back of that third one ends.
        """
        for held, holder in (sides, sides[::-1]):
            media = held.facts.media
            if media is not None:
                if not media.is_ringing and media.music is None:
                    self._stop_ring_back(media)
                media.early_of = None
            self._arrange_one(held, holder, parameters, now, may_begin=True)

    def begin_again(self, sides: tuple[Leg, Leg], parameters: MediaParameters, now: Instant) -> None:
        """Begin music again where the hold stays as it was: after an offer that was refused, or a lost rtpengine."""
        may_begin = not (_consults(sides[0]) or _consults(sides[1]))
        for held, holder in (sides, sides[::-1]):
            self._arrange_one(held, holder, parameters, now, may_begin=may_begin)

    def for_engine(self, body: bytes, reader: Leg, author: LegMedia, parameters: MediaParameters) -> bytes:
        """Return an offer as an rtpengine is given it: it plays nothing to a side that is offered ``inactive``."""
        own = reader.facts.media
        is_listener = own is not None and not own.is_held
        if is_listener and _INACTIVE in body and self._found(reader, author, parameters) is not None:
            return sending(body)
        return body

    def left(self, leg: Leg, legs: Mapping[int, Leg], parameters: MediaParameters, now: Instant) -> None:
        """Begin the music of a side that is transferred, while its target is called and the other one has left.

        A target that ends while the other one is there leaves both connected.
        """
        media = leg.facts.media
        held = None if media is None else legs.get(media.author)
        if media is None or held is None:
            return
        transfer = _running(held)
        if transfer is None or not transfer.is_under_way or held.call is not transfer.first:
            return
        if transfer.transferor_in(transfer.first) is None and not self.rings_on(leg, legs):
            self._begin(held, media, parameters, now)

    def target_rings(self, held: LegMedia, target: int, now: Instant, *, has_media: bool) -> None:
        """Play a side that is transferred the early media of its target in place of music, or ring-back.

        ``target`` is the number of its leg. Music goes on for a side that can be played neither; where the early media
        of another telephone have ended it, it begins again with the end of that one.
        """
        port = held.audio_port
        if port is None or (not has_media and held.early_of in (0, target)):
            return
        source = held.audio_source
        payloads = () if source is None or port.id < 0 else source.taken()[0]
        payload = next((each for each in payloads if each in PAYLOADS), None)
        held.early_of = target if has_media else None if payload is None else 0
        if held.early_of is None:
            return
        if held.music is not None:
            self._end(held, now)
        if not has_media and payload is not None and self._relay is not None:
            self._relay.play_ring_back(port, 0, payload)

    def rings_on(self, leg: Leg, legs: Mapping[int, Leg]) -> bool:
        """Return whether a side has ringing in place of music from the target of a transfer, of which ``leg`` ends.

        So it is where another one of its telephones, which ring together, rings on.
        """
        media = leg.facts.media
        held = None if media is None else legs.get(media.author)
        theirs = None if held is None else held.facts.media
        if held is None or theirs is None or theirs.early_of is None:
            return False
        transfer = _running(held)
        second = None if transfer is None else transfer.second
        callee = None if second is None or leg.call is not second else second.callee
        if callee is None or callee.leg is leg or not callee.progress.rang:
            return False
        ringing = callee.leg.facts.media
        return ringing is None or not ringing.is_over

    def left_by(self, media: LegMedia, now: Instant) -> None:
        """End the music of a leg whose ports are closed; at an rtpengine the media of the holder pass again."""
        if media.music is not None and media.music.holder:
            self._stop(media)
        self.over(media, now)

    def over(self, media: LegMedia, now: Instant) -> None:
        """Note the music of a leg that ends, unless it ends at once: the target of a transfer rings already."""
        music, media.music = media.music, None
        if music is not None and now.mono > music.began_ms:
            media.note_played(PlayedSound(music.sound, music.codec, now.mono - music.began_ms))

    def failed(self, media: LegMedia) -> None:
        """Let a leg whose music cannot be played have the media of the other side."""
        self._stop(media)
        media.music = None

    def keep(self, media: LegMedia) -> None:
        """Have the music of a leg of an earlier process ready for the worker after the one that plays it."""
        port, encoded = media.music_port, self._encoded(media)
        if self._relay is not None and port is not None and encoded is not None and self._relay.is_open(port):
            self._relay.load_sound(port, encoded)

    def resume(self, media: LegMedia, now: Instant) -> None:
        """Play the music of a leg whose port was opened again: its worker has ended with the process before."""
        music, port, encoded = media.music, media.music_port, self._encoded(media)
        if self._relay is None or music is None or port is None:
            return
        if encoded is None or not self._relay.play(port, encoded, music.payload):
            self.over(media, now)

    def _encoded(self, media: LegMedia) -> EncodedSound | None:
        """Return what a leg is played; None = nothing, or the sound is there no more."""
        sound = None if media.music is None else self.sounds.get(media.music.sound)
        return None if sound is None or media.music is None else sound.by_codec.get(media.music.codec.lower())

    def _arrange_one(
        self, held: Leg, holder: Leg, parameters: MediaParameters, now: Instant, *, may_begin: bool
    ) -> None:
        own, theirs = held.facts.media, holder.facts.media
        if own is None or theirs is None:
            return
        is_held = theirs.is_held and not theirs.is_sender and not own.is_held
        if not is_held:
            if own.early_of == 0:
                self._stop_ring_back(own)
            own.early_of = None
            if own.music is not None:
                self._end(own, now)
                held.call.board.moved(at_once=True)
        elif may_begin and own.music is not None:
            self._go_on_as_agreed(held, theirs, own.music, parameters, now)
        elif may_begin and own.early_of != 0:
            self._begin(held, theirs, parameters, now)

    def _end_of_replaced(self, pair: tuple[LegMedia, LegMedia], now: Instant) -> None:
        """End the music of legs that one of two held before they were connected, whose media are forwarded again.

        A leg that was replaced may stay until its BYE has timed out.
        """
        assert self._rtpengines is not None
        numbers = [media.number for media in pair]
        for holder in numbers:
            for number in self._rtpengines.blocked.listeners(holder):
                leg = self._legs.get(number)
                media = None if leg is None else leg.facts.media
                if leg is not None and media is not None and number not in numbers:
                    self._end(media, now)
                    leg.moved()

    def _go_on_as_agreed(
        self, held: Leg, holder: LegMedia, music: MusicOnHold, parameters: MediaParameters, now: Instant
    ) -> None:
        """Begin music anew where a hold goes on in another codec, or at another port; end it where it cannot.

        An rtpengine plays one sound in place of another by itself, and keeps the media of the holder back meanwhile.
        """
        media, found = held.facts.media, self._found(held, holder, parameters)
        if media is None:
            return
        is_of_another = music.holder not in (0, holder.number)
        wanted = None if found is None else (*found[:3], media.audio_port)
        if wanted == (music.sound, music.payload, music.codec, media.music_port) and not is_of_another:
            return
        if found is None or not music.holder or is_of_another:
            self._stop(media)
        self.over(media, now)
        self._begin(held, holder, parameters, now)

    def _begin(
        self, held: Leg, holder: LegMedia, parameters: MediaParameters, now: Instant, *, blocks: bool = True
    ) -> None:
        media, found = held.facts.media, self._found(held, holder, parameters)
        if media is None or media.music is not None or found is None:
            return
        name, payload, codec, sound = found
        port = media.audio_port
        if port is None:
            return
        at_rtpengine = holder.number if port.id < 0 else 0
        if media.early_of == 0:
            self._stop_ring_back(media)
        media.early_of = None
        media.music = MusicOnHold(name, codec, payload, now.mono, at_rtpengine, port)
        if port.id < 0:
            is_played = self._is_played_by_rtpengine(media, media.music, sound, at_rtpengine if blocks else 0)
        else:
            is_played = self._relay is not None and self._relay.play(port, sound.by_codec[codec.lower()], payload)
        if not is_played:
            media.music = None
        held.call.board.moved(at_once=True)  # its rtpengine, or the relay, plays it on where the switch is killed

    def play_from_start(self, media: LegMedia) -> None:
        """Play a leg its music again from the start, in place of which its rtpengine has played another sound.

        Its holder stays blocked, or not, as it is: it may consult a third one meanwhile.
        """
        music = media.music
        sound = None if music is None else self.sounds.get(music.sound)
        if music is not None and (sound is None or not self._is_played_by_rtpengine(media, music, sound, 0)):
            self.failed(media)

    def _is_played_by_rtpengine(self, media: LegMedia, music: MusicOnHold, sound: Sound, blocked: int) -> bool:
        def failed() -> None:
            if media.music is music:
                self.failed(media)

        return self._rtpengines is not None and self._rtpengines.play(media, blocked, sound.file, failed)

    def _end(self, media: LegMedia, now: Instant) -> None:
        self._stop(media)
        self.over(media, now)

    def _stop(self, media: LegMedia) -> None:
        """Play no music to a leg any more, at the port that plays it."""
        music, port = media.music, media.music_port
        if music is not None and music.holder and self._rtpengines is not None:
            self._rtpengines.stop_playing(media, music.holder)
        elif port is not None:
            self._stop_playing(port)

    def _stop_ring_back(self, media: LegMedia) -> None:
        """Play a leg no ring-back of a transfer any more: the audio may have another port since it began."""
        for port in media.ports:
            if port is not None:
                self._stop_playing(port)

    def _stop_playing(self, port: RelayPort) -> None:
        if self._relay is not None and port.id >= 0 and self._relay.is_open(port):
            self._relay.stop_playing(port)

    def _found(self, held: Leg, holder: LegMedia, parameters: MediaParameters) -> tuple[str, int, str, Sound] | None:
        """Return name, payload type, codec and sound of the music for a side; None = it gets that of the holder."""
        wanted = holder.settings.music
        name = parameters.music_on_hold if wanted is None else wanted
        sound, media = self.sounds.get(name), held.facts.media
        port = None if media is None or not media.origin else media.audio_port
        if name == NO_SOUND or sound is None or port is None:
            return None
        agreed = _agreed(held, sound) if port.id >= 0 else _first(held) if sound.file else None
        return None if agreed is None else (name, *agreed, sound)


def plays_unseen(leg: Leg, target: Leg, session: bytes) -> bool:
    """Return whether a side plays the media of a target whose answer it is not sent: it knows their formats, no keys.

    A target sends by the payload types that it was offered, of the codecs that it has answered; its answer may name
    others, and give another number to the same codec (RFC 3264 sections 5.1 and 6.1).
    """
    remote = bytes(leg.sessions.remote)
    own, sent, offered = _audio(remote), _audio(session), _audio(bytes(target.sessions.said))
    if own is None or sent is None or offered is None or has_keys(session):
        return False
    if has_keys(remote) and has_keys(bytes(leg.sessions.said)):
        return False
    answered = {(codec, clock) for _, codec, clock in _formats(sent)}
    formats = {each for each in _formats(offered) if each[1:] in answered}
    return bool(formats) and formats <= _formats(own)


def _consults(leg: Leg) -> bool:
    """Return whether the call of a leg is one whose caller consults the target of a transfer."""
    transfer = _running(leg)
    return transfer is not None and transfer.facts.stage is Stage.CONSULTING


def _has_answered(leg: Leg) -> bool:
    """Return whether the description that a leg's other side is offered is an answer of that leg."""
    call = leg.call
    bridge = call.conversation.bridge if isinstance(call, Call) else None
    proposal = None if bridge is None else bridge.proposal
    if isinstance(proposal, Introduction):
        return leg is proposal.first and proposal.far is proposal.second
    return isinstance(proposal, ChangedAnswer) and proposal.far is not leg


def waits(reader: Leg, author: Leg) -> bool:
    """Return whether a side waits while the other one consults: the switch holds it, in the name of the other one.

    Its answer goes to no other side, and the other one holds nothing by a description of its own.
    """
    transfer = _running(reader)
    if transfer is None or transfer.facts.stage is not Stage.CONSULTING:
        return False
    return reader is transfer.staying_in(transfer.first) and author is transfer.transferor_in(transfer.first)


def _running(leg: Leg) -> CallTransfer | None:
    """Return the transfer in progress that a leg takes part in."""
    call = leg.call
    return call.conversation.running if isinstance(call, Call) else None


def _agreed(leg: Leg, sound: Sound) -> tuple[int, str] | None:
    """Return payload type and name of a codec that a leg has agreed on and a sound has; None = there is none."""
    remote, sent = bytes(leg.sessions.remote), bytes(leg.sessions.said)
    own, said = _audio(remote), _audio(sent)
    if own is None or said is None or (has_keys(remote) and has_keys(sent)):
        return None
    named = {codec.lower() for codec in said.codecs}
    for payload, clock, codec in zip(own.payloads, own.clocks, own.codecs, strict=True):
        if clock == _CLOCK and codec.lower() in named and codec.lower() in sound.by_codec:
            return payload, codec
    return None


def _first(leg: Leg) -> tuple[int, str] | None:
    """Return payload type and name of the codec that a leg prefers, in which an rtpengine plays.

    None = it plays nothing: there is no audio, or it would be without the encryption that the parties have made.
    """
    media, remote, said = leg.facts.media, bytes(leg.sessions.remote), bytes(leg.sessions.said)
    if media is None or (media.passes_keys and has_keys(remote) and has_keys(said)):
        return None
    try:
        described = media_of(remote)
    except BadSession:
        return None
    audio = next((each for each in described if each.kind == "audio" and each.port and each.payloads), None)
    return None if audio is None else (audio.payloads[0], audio.codecs[0])


def _formats(medium: Medium) -> set[tuple[int, str, int]]:
    """Return payload types, names and clock rates of the codecs of a medium, without telephone events."""
    named = zip(medium.payloads, map(str.lower, medium.codecs), medium.clocks, strict=True)
    return {each for each in named if each[1] != EVENT_NAME}


def _audio(session: bytes) -> Medium | None:
    """Return the audio of a description, if it uses some without encryption."""
    try:
        described = media_of(session)
    except BadSession:
        return None
    found = described[audio_place(described)] if described else None
    is_plain = found is not None and found.kind == "audio" and found.port and found.transport in _PLAIN
    return found if is_plain else None
