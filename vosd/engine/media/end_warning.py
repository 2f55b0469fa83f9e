"""The tone that warns a side of the end of its call, by the relay of the switch or by an rtpengine."""

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from functools import partial
from typing import Final

from vosd.b2bua.leg import Leg
from vosd.engine.media.key_conversion import are_encrypted
from vosd.engine.media.music import HoldMusic
from vosd.engine.media.numbered_legs import NumberedLegs
from vosd.engine.media.rtpengine_calls import RtpEngineCalls
from vosd.media.g711 import PAYLOADS, RATE
from vosd.media.leg_media import LegMedia, PlayedSound, RtpCall
from vosd.media.relay import MediaRelay
from vosd.media.rtpengine_orders import OK, EngineAnswer, RtpPlay, RtpPlayContent
from vosd.media.sounds import EncodedSound, Sound
from vosd.media.source import MediaSource
from vosd.media.warning_tone import BEEPS, TONE_MS, beep_file
from vosd.sdp.media import ALWAYS_KEPT

END_WARNING: Final = "end_warning"
"""Name of the beeps in records."""
WARNINGS_AT_ONCE: Final = 25
"""Warnings, of two orders each, that an rtpengine gets at a time: its socket loses what comes faster than it reads."""
APART_MS: Final = 2
"""Time between the ends of warnings that began at once: each end is two orders as well."""
_NO_STREAM: Final = -1


def warn_of_end(leg: Leg, other: Leg, relay: MediaRelay, sound: Sound | None) -> None:
    """Warn a side that talks to another one by a sound, or in G.711 by beeps, and note that for the record.

    It is not warned in a fax, in media that the parties encrypt, nor in a codec that there is nothing for. One that
    holds, or is held without music, is sent no packets that are not forwarded to it anyway: it may play none. The
    record says of none that holds that it was warned: it takes no media.
    """
    media, theirs = leg.facts.media, other.facts.media
    if media is None or theirs is None or are_encrypted(leg, other):
        return
    port, source, sender = media.audio_port, media.audio_source, theirs.audio_source
    far = theirs.audio_port
    if port is None or far is None or port.id < 0 or source is None or sender is None:
        return
    agreed = dict(_agreed(source, sender, sound))
    in_use = relay.figures(far).payload
    numbers, _, codecs = source.taken()
    audio = {number for number, codec in zip(numbers, codecs, strict=True) if codec.lower() not in ALWAYS_KEPT}
    # Else the most frequent one is of a description before, or its sender is silent but for comfort noise.
    payload = in_use if in_use in audio else next(iter(agreed), None)
    if payload is None or payload not in agreed:
        return
    encoded = {number: each for number, each in agreed.items() if each is not None}
    is_silent = media.is_held or theirs.is_held
    if relay.warn(port, _NO_STREAM if is_silent else payload, encoded) and not media.is_held:
        found = agreed[payload]
        if sound is None or found is None:
            media.note_played(PlayedSound(END_WARNING, PAYLOADS[payload], TONE_MS))
        else:
            media.note_played(PlayedSound(sound.name, found.codec.name, found.duration_ms))


def _agreed(source: MediaSource, sender: MediaSource, sound: Sound | None) -> Iterator[tuple[int, EncodedSound | None]]:
    """Yield payload types of a side whose codecs both sides have named, and the sound in each; None = beeps."""
    theirs = {codec.lower() for codec in sender.taken()[2]}
    for payload, clock, codec in zip(*source.taken(), strict=True):
        found = None if sound is None or clock != RATE else sound.by_codec.get(codec.lower())
        if codec.lower() in theirs and (found is not None or payload in PAYLOADS):
            yield payload, found


class EngineWarnings:
    """Warnings by rtpengines, each of which is given some of them at a time and the next ones as it answers."""

    def __init__(self, calls: RtpEngineCalls, music: HoldMusic, legs: NumberedLegs) -> None:
        self._calls = calls
        self._music = music
        self._legs = legs
        self._waiting: defaultdict[str, deque[tuple[Leg, Sound | None]]] = defaultdict(deque)
        """Sides that are to be warned by each rtpengine, and the sounds for them."""
        self._asked: Counter[str] = Counter()
        """Warnings that each rtpengine has not answered."""
        self._played = 0
        """Warnings that are played at present."""

    def warn(self, leg: Leg, sound: Sound | None) -> None:
        """Have an rtpengine warn a side that talks to another one by a sound, or by beeps; note that for the record.

        It sends what it plays beside what it forwards, so the other side is blocked meanwhile. It is not warned in a
        fax, nor in media whose keys the rtpengine does not know, nor a side that holds: it takes no media. A restart in
        between needs no memory of it: the next process lets all legs pass.
        """
        media = leg.facts.media
        if media is not None and media.rtp_call is not None:
            engine = media.rtp_call.engine
            self._waiting[engine].append((leg, sound))
            self._go_on(engine)

    def resume(self, media: LegMedia, sound: str) -> None:
        """Play music again to a side that was warned, in place of which the warning may have been played last."""
        port, names = media.music_port, {each.name for each in media.played}
        if port is not None and port.id < 0 and not names.isdisjoint((END_WARNING, sound)):
            self._music.play_from_start(media)

    def _go_on(self, engine: str) -> None:
        waiting = self._waiting[engine]
        while waiting and self._asked[engine] < WARNINGS_AT_ONCE:
            self._begin(*waiting.popleft())

    def _answered(self, engine: str, answer: EngineAnswer | None) -> None:
        self._asked[engine] -= 1
        if answer is not None:
            self._go_on(engine)
        elif self._waiting[engine]:  # where there is none to ask, the one before has not returned yet
            self._calls.after(0, partial(self._go_on, engine))

    def _begin(self, leg: Leg, sound: Sound | None) -> None:
        """Warn a side, which may have waited, as it is now."""
        media, other = leg.facts.media, self._legs.partner(leg)
        theirs = None if other is None else other.facts.media
        if media is None or other is None or theirs is None or media.is_held or media.is_over:
            return
        if not self._calls.is_anchored(media):
            return
        if media.passes_keys and are_encrypted(leg, other):
            return  # what it plays would not be encrypted
        port, call, codec = media.audio_port, media.rtp_call, _played_codec(media, theirs)
        if port is None or port.id >= 0 or call is None or call != theirs.rtp_call or codec is None:
            return
        if media.music is None:
            self._calls.blocked.mute(call, theirs.number, media.number)
        self._asked[call.engine] += 1
        self._play(leg, media, theirs.number, call, sound, codec)

    def _play(self, leg: Leg, media: LegMedia, other: int, call: RtpCall, sound: Sound | None, codec: str) -> None:
        """Play a sound, or beeps, to a side; beeps where the rtpengine refuses the sound: they go with the order."""
        tag, holding, before = str(media.number), media.music, media.played
        if sound is None:
            played = PlayedSound(END_WARNING, codec, TONE_MS)
            order: RtpPlay | RtpPlayContent = RtpPlayContent(call=call.name, leg=tag, content=beep_file(), times=BEEPS)
        else:
            played = PlayedSound(sound.name, codec, max(each.duration_ms for each in sound.by_codec.values()))
            order = RtpPlay(call=call.name, leg=tag, file=sound.file, times=1)

        def ended() -> None:
            self._played -= 1
            over()

        def over() -> None:
            if media.music is None:
                self._calls.stop_playing(media, other)
            elif media.music is holding:  # else it has begun since, in place of this sound
                self._music.play_from_start(media)

        media.note_played(played)
        noted = media.played
        leg.moved()

        def answered(answer: EngineAnswer | None) -> None:
            if answer is not None and answer.reply.result == OK:
                self._calls.after(played.ms + APART_MS * self._played, ended)
                self._played += 1
                self._answered(call.engine, answer)
                return
            self._calls.note_unplayed(END_WARNING if sound is None else sound.file, call.engine, answer)
            if media.played is noted and not media.is_over:
                media.played = before
                leg.moved()
            if answer is not None and sound is not None and media.music is holding and not media.is_over:
                self._play(leg, media, other, call, None, codec)
                return
            over()
            self._answered(call.engine, answer)

        self._calls.engines.ask(order, answered, engine=call.engine)


def _played_codec(media: LegMedia, theirs: LegMedia) -> str | None:
    """Return the codec in which an rtpengine plays to a side: its first one that the other has named, too.

    None = it plays nothing: there is no audio.
    """
    source, sender = media.audio_source, theirs.audio_source
    if source is None or sender is None:
        return None
    named = {codec.lower() for codec in sender.taken()[2]} - ALWAYS_KEPT
    return next((codec for codec in source.taken()[2] if codec.lower() in named), None)
