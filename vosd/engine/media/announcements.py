"""Sounds that a caller is played before its call is answered or refused, from a port of IVR_RTP_PORT (ADR 174).

The switch answers the caller's offer itself. The port is of the leg only as long as the sound lasts, and connected with
no other one: the next gateway, if there is one, begins another early dialog.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from vosd.b2bua.boards import SoundOffer
from vosd.b2bua.call import Call
from vosd.b2bua.leg import Leg
from vosd.b2bua.outgoing.headers import SDP
from vosd.base.clock import Instant
from vosd.engine.media.rtpengine_calls import WAIT_MS
from vosd.engine.media.sides import address_of, flow_of, is_behind_nat
from vosd.engine.media.sounds_at_rtpengine import CODECS, NOWHERE, SoundsAtRtpEngines, SoundWanted
from vosd.media.leg_media import CallerSound, LegMedia, PlayedSound
from vosd.media.relay import MediaRelay
from vosd.media.sounds import EncodedSound, Sound
from vosd.media.source import MediaSource, RelayPort
from vosd.obs.events import Event, log as _log
from vosd.obs.log import LogLimiter
from vosd.sdp.answering import ENCRYPTED, PlayableAudio, playable_audio, sound_answer
from vosd.sdp.media import Place
from vosd.sdp.rewrite import BY_SWITCH, Authored
from vosd.sip.door.door import MessageChange, MessageWait, WaitingMessage
from vosd.sip.flows import Listener
from vosd.sip.wire.uri import WEBSOCKETS
from vosd.trunks.media import MediaAddress, MediaParameters

TAIL_MS: Final = 300
"""From the last packet to the refusal: telephones play what waits in their buffers."""
NAT_MS: Final = 1_000
"""Time in which a telephone behind NAT begins to send, before which it cannot be sent anything."""


class SoundsForCallers:
    """Sounds of the installation, and the callers that are played one."""

    def __init__(
        self,
        relay: MediaRelay | None,
        listeners: Sequence[Listener],
        addresses: Sequence[Sequence[MediaAddress]],
        rtpengines: SoundsAtRtpEngines | None = None,
    ) -> None:
        """``relay`` plays, or without one ``rtpengines``; None and None = nothing is played."""
        self._relay = relay
        self._rtpengines = rtpengines
        self._listeners = listeners
        self._addresses = addresses
        self.sounds: Mapping[str, Sound] = {}
        self._log_limiter = LogLimiter()

    def adopt(self, sounds: Mapping[str, Sound]) -> None:
        """Play other sounds from now on; those that are played go on."""
        self.sounds = sounds
        if self._relay is not None:
            digests = {each.digest for sound in sounds.values() for each in sound.by_codec.values()}
            self._relay.retain_sounds(digests)

    def offer(
        self, leg: Leg, name: str, times: int, most_ms: int, parameters: MediaParameters, now: Instant
    ) -> SoundOffer | None:
        """Return the answer to a caller's offer by which it is played a sound, and for how long; None = it cannot be.

        It is played from when the answer leaves.
        """
        media, sound, relay = leg.facts.media, self.sounds.get(name), self._relay
        if media is None or sound is None or media.announcement is not None:
            return None
        if relay is None:
            return self._offer_by_rtpengine(leg, media, sound, times, most_ms)
        found = _audio(bytes(leg.sessions.remote), sound, media)
        if found is None:
            return None
        audio, encoded = found
        address = address_of(leg, self._listeners, self._addresses, audio.medium.host)
        port = relay.open(
            address.bind,
            parameters.ivr_ports,
            is_multiplexed=audio.medium.is_multiplexed,
            tos=media.settings.marked(parameters.traffic_class),
            now=now,
        )
        if port is None:
            if self._log_limiter.admits(str(parameters.ivr_ports), now.mono):
                _log.warning(Event.IVR_PORT_EXHAUSTED, ports=str(parameters.ivr_ports))
            return None
        if not relay.load_sound(port, encoded):
            relay.close(port, now)
            return None
        source = _source(audio, leg, media)
        relay.expect(port, source)
        duration_ms = min(times * encoded.duration_ms, most_ms)
        media.announcement = CallerSound(name, port, source, audio.payload, times, duration_ms)
        place = Place(address.announced, port.rtp, port.rtcp)
        session = Authored(sound_answer(bytes(leg.sessions.remote), audio, place, media.number), BY_SWITCH)
        waits_ms = NAT_MS if is_behind_nat(leg, audio.medium.host) else 0
        return SoundOffer(session, waits_ms + duration_ms + TAIL_MS)

    def _offer_by_rtpengine(
        self, leg: Leg, media: LegMedia, sound: Sound, times: int, most_ms: int
    ) -> SoundOffer | None:
        """Return an answer that gets its port from an rtpengine before it leaves (``asks``)."""
        offer = bytes(leg.sessions.remote)
        audio = playable_audio(offer, _permitted(CODECS, media), ENCRYPTED)
        if self._rtpengines is None or not self._rtpengines.is_usable or audio is None or not sound.file:
            return None
        duration_ms = min(times * sound.duration_ms, most_ms)
        port = RelayPort(-media.number, NOWHERE.host, NOWHERE.rtp, NOWHERE.rtcp)
        source = _source(audio, leg, media)
        media.announcement = CallerSound(sound.name, port, source, audio.payload, times, duration_ms)
        session = Authored(sound_answer(offer, audio, NOWHERE, media.number), BY_SWITCH)
        return SoundOffer(session, duration_ms + TAIL_MS)

    def asks(
        self, waiting: WaitingMessage, leg: Leg, media: LegMedia, parameters: MediaParameters
    ) -> MessageChange | MessageWait | None:
        """Let the answer to a caller's offer wait for its port; None = it has it."""
        announcement = media.announcement
        if self._rtpengines is None or self._relay is not None or announcement is None or announcement.began_ms:
            return None
        message, sound = waiting.message, self.sounds.get(announcement.sound)
        wanted = SoundWanted(
            leg,
            media,
            announcement,
            "" if sound is None else sound.file,
            leg.host if is_behind_nat(leg, announcement.source.host) else None,
            self._listeners[flow_of(leg)].transport in WEBSOCKETS,
            parameters.traffic_class,
        )

        def came(session: bytes | None, now: Instant) -> None:
            if session is not None:
                waiting.answer(MessageChange(body=session), now)
                return
            announcement.began_ms = 0
            waiting.answer(MessageChange(headers=message.headers.replace(SDP, ""), body=b""), now)
            if isinstance(leg.call, Call):
                leg.call.sound_failed(now)

        if self._rtpengines.ask(waiting, wanted, came):
            return MessageWait(WAIT_MS, may_leave=False)
        return MessageChange(headers=message.headers.replace(SDP, ""), body=b"")

    def begin(self, media: LegMedia, now: Instant) -> None:
        """Play the sound of a leg: the answer to its offer leaves."""
        announcement, relay = media.announcement, self._relay
        if announcement is None or relay is None or announcement.began_ms:
            return
        announcement.began_ms = now.mono
        encoded = self._encoded(announcement)
        if encoded is None or not relay.play(announcement.port, encoded, announcement.payload, announcement.times):
            announcement.began_ms = 0

    def _encoded(self, announcement: CallerSound) -> EncodedSound | None:
        sound = self.sounds.get(announcement.sound)
        return None if sound is None else sound.in_one_of(announcement.source.codecs)

    def end(self, media: LegMedia, now: Instant) -> None:
        """Close the port of a leg's sound, and note what was played."""
        announcement, media.announcement = media.announcement, None
        if announcement is None:
            return
        if announcement.rtp_call is not None and self._rtpengines is not None:
            self._rtpengines.end(announcement.rtp_call)
        elif self._relay is not None:
            self._relay.close(announcement.port, now)
        if announcement.began_ms:
            played_ms = min(now.mono - announcement.began_ms, announcement.duration_ms)
            media.note_played(PlayedSound(announcement.sound, announcement.codec, played_ms))

    def resume(self, media: LegMedia, parameters: MediaParameters) -> None:
        """Go on with the sound of a leg of an earlier process; one that its worker plays goes on by itself."""
        announcement, relay = media.announcement, self._relay
        if announcement is not None and announcement.rtp_call is not None and self._rtpengines is not None:
            self._rtpengines.keep(announcement)
            return
        if announcement is None or relay is None:
            media.announcement = None
            return
        was_open = relay.is_open(announcement.port)
        if not relay.reopen(announcement.port, tos=media.settings.marked(parameters.traffic_class)):
            media.announcement = None
        elif was_open:
            encoded = self._encoded(announcement)
            if encoded is not None:
                relay.load_sound(announcement.port, encoded)  # for the worker after the one that plays it
        else:
            relay.expect(announcement.port, announcement.source)
            began, announcement.began_ms = announcement.began_ms, 0
            if began:
                self.begin(media, Instant(began, 0))


def _audio(offer: bytes, sound: Sound, media: LegMedia) -> tuple[PlayableAudio, EncodedSound] | None:
    """Return the audio of an offer that takes a sound, in a codec that the trunk may use."""
    audio = playable_audio(offer, _permitted(sound.by_codec, media))
    return None if audio is None else (audio, sound.by_codec[audio.codec.lower()])


def _permitted(codecs: Iterable[str], media: LegMedia) -> set[str]:
    """Return those of the codecs that the trunk may use."""
    permitted = {each.lower() for each in media.settings.codecs}
    return {each for each in codecs if not permitted or each in permitted}


def _source(audio: PlayableAudio, leg: Leg, media: LegMedia) -> MediaSource:
    medium = audio.medium
    return MediaSource(
        host=medium.host,
        rtp=medium.port,
        rtcp_host=medium.rtcp_host,
        rtcp=None if medium.is_multiplexed else medium.rtcp_port,
        sip_host=leg.host,
        trust=media.settings.source,
        payloads=(audio.payload,),
        clocks=(8_000,),
        codecs=(audio.codec,),
        is_behind_nat=is_behind_nat(leg, medium.host),
    )
