"""The part of a leg in the media of its call, as the journal keeps it."""

from enum import Enum
from typing import Final, TypeVar

import msgspec

from vosd.base.cause import EndReason
from vosd.media.figures import PortFigures
from vosd.media.source import MediaSource, RelayPort
from vosd.sdp.media import SessionFault
from vosd.sdp.security import Protection
from vosd.trunks.media import DEFAULT_MEDIA, MediaSettings

SEVERAL: Final = -1
"""In place of the number of one leg: there were several."""
PLAYED_MAX: Final = 8
"""Most sounds of one leg in its record."""
REPLACED_MAX: Final = 8
"""Most replaced legs that are kept one by one: the journal has them with each change of a call."""


class MediaRefusal(Enum):
    """Why a leg is not sent a session description."""

    NO_COMMON_CODEC = "no common codec"
    BAD_SESSION = "bad session"
    NOT_ENCRYPTED = "not encrypted"
    NO_MEDIA_PORT = "no media port"

    @property
    def end_reason(self) -> EndReason:
        """Why a call or an attempt ends by it."""
        return EndReason.NO_MEDIA_PORT if self is MediaRefusal.NO_MEDIA_PORT else EndReason.NO_COMMON_CODEC


class RtpCall(msgspec.Struct, frozen=True, gc=False):
    """A call at an rtpengine."""

    engine: str
    name: str


class LegFigures(msgspec.Struct, frozen=True, gc=False):
    """Figures of the audio of a leg at ports that were closed; where it has none, of its first medium."""

    source: MediaSource | None
    figures: PortFigures
    codecs: tuple[tuple[int, str], ...] = ()
    """Payload types with their names that descriptions before had, and that of the source has not."""

    @property
    def codec(self) -> str | None:
        """Name of the payload type of the most packets; None = none came, or its name is not known."""
        source, payload = self.source, self.figures.payload
        if payload is None:
            return None
        if source is not None and payload in source.payloads:
            return dict(zip(source.payloads, source.codecs, strict=False)).get(payload)
        return dict(self.codecs).get(payload)


class ReplacedLeg(msgspec.Struct, frozen=True, gc=False):
    """Figures of a leg whose place in its call another one has taken (RFC 3891), for the record."""

    number: int
    """Number of the leg; ``SEVERAL`` = the sum of some."""
    figures: LegFigures | None


def added(before: LegFigures | None, later: LegFigures | None) -> LegFigures | None:
    """Return the figures of ports that a leg had one after the other."""
    if before is None or later is None:
        return before or later
    source, codecs = later.source or before.source, (*before.codecs, *later.codecs)
    if before.source is not None and source is not None:
        codecs += _lacking(before.source, source)
    return LegFigures(source, before.figures.plus(later.figures), tuple(dict(codecs).items()))


def _lacking(before: MediaSource, later: MediaSource) -> tuple[tuple[int, str], ...]:
    """Return the payload types of a source that a later one has not, with their names."""
    named = zip(before.payloads, before.codecs, strict=False)
    return tuple([(payload, codec) for payload, codec in named if payload not in later.payloads])


class PlayedSound(msgspec.Struct, frozen=True):
    """A sound that a leg was played, for the record."""

    name: str
    codec: str
    ms: int
    """For how long, all times together."""


class CallerSound(msgspec.Struct):
    """A sound that a caller is played before its call is answered or refused."""

    sound: str
    port: RelayPort
    source: MediaSource
    """The caller's audio with the one codec that was agreed."""
    payload: int
    times: int
    duration_ms: int
    began_ms: int = 0
    """On the monotonic clock; 0 = its description has not left yet."""
    rtp_call: RtpCall | None = None
    """The call at an rtpengine that plays it; None = the port of the relay does."""

    @property
    def codec(self) -> str:
        """Encoding name."""
        return self.source.codecs[0]


class MusicOnHold(msgspec.Struct, frozen=True):
    """Music that a leg is played while the other side holds it."""

    sound: str
    codec: str
    payload: int
    began_ms: int
    """On the monotonic clock."""
    holder: int = 0
    """Number of the leg whose media an rtpengine keeps back meanwhile; 0 = a port of the relay plays."""
    port: RelayPort | None = None
    """Port that it is played from, which is that of the audio no longer where a description has moved the audio; None =
    a journal of an earlier version has it."""


class MediaBefore(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Media of a leg before an offer of it within its dialog, which may be refused, and of the leg that reads it."""

    transaction: bytes
    """Key of the request with the offer."""
    reader: int
    """Number of the leg that was sent the offer."""
    sources: tuple[MediaSource | None, ...]
    audio: int
    reader_audio: int
    is_held: bool
    is_sender: bool
    is_fax: bool
    is_adapted: bool
    """Whether the reader's description before was adapted."""
    has_softened: bool
    """Whether the reader had a softened one before."""


class LegMedia(msgspec.Struct, omit_defaults=True, gc=False):
    """The media of a leg: a field of it is written to snapshots and read from them without another line."""

    number: int
    """Number by which session descriptions of this leg name it as their author; unique over restarts."""
    settings: MediaSettings = DEFAULT_MEDIA
    """Settings of its trunk, as they were when the leg began."""
    customer: str = ""
    """Name of the trunk of a caller; empty = it is a phone, or the leg is one of an attempt."""
    author: int = 0
    """Number of the leg whose description was sent to this one last."""
    parted: tuple[int, int] | None = None
    """The leg that was sent its description last, and the one whose media that leg had until then."""
    step: int | None = None
    """Step of the decision, for the leg of an attempt; 0 = the mode of the installation, None = it is not decided."""
    is_relayed: bool = False
    """Whether the attempt of this leg is relayed."""
    ports: tuple[RelayPort | None, ...] = ()
    """Ports of the leg at the relay, in the order of the media of its descriptions; None = that medium has none."""
    sources: tuple[MediaSource | None, ...] = ()
    """Sources that its ports take media from, in the same order."""
    codecs_before: tuple[tuple[int, str], ...] = ()
    """Payload types of its audio with their names that descriptions before had, and the one after has not."""
    audio: int = 0
    """Place of the audio in its descriptions: keys, sounds, figures and a recording belong to that medium."""
    rtp_call: RtpCall | None = None
    """Call at an rtpengine that the leg is part of; None = it is at none."""
    rtp_partner: int = 0
    """Number of the other leg with which it was described to rtpengines; 0 = none, or a journal of an earlier version
    has it, ``SEVERAL`` = it was with more than one."""
    origin: str = ""
    """Address in the origin line of all descriptions that it is sent (RFC 3264 section 8); empty = none was relayed."""
    is_unnamed: bool = False
    """Whether that line names no user; it does where one was sent before any was relayed, or by an earlier version."""
    said: bytes = b""
    """The latest description that it was sent with ports of an rtpengine, or after it had lost its ports."""
    said_for: str = ""
    """Digest of the author's description that it stands for, where encryption or ICE is terminated."""
    is_terminated: bool = False
    """Whether its encryption or its ICE ends at an rtpengine."""
    protection: Protection = Protection.NONE
    """Encryption of its media, as its latest description has it."""
    passes_keys: bool | None = None
    """Whether its rtpengine forwards its packets as they are: their keys may be some that it cannot know; None = it has
    been at none, or a journal of an earlier version has it."""
    has_ice: bool = False
    """Whether its latest description has ICE that ends at an rtpengine."""
    ice_user: str = ""
    """Username fragment of its ICE, as its rtpengine has it; empty = none, or a journal of a version before has it."""
    is_moved: bool = False
    """Whether it is sent other ports since: versions of its descriptions follow that one's."""
    offered_by: int = 0
    """Number of the leg whose offer was sent to this one last, and that its next description answers; 0 = none."""
    before_offer: MediaBefore | None = None
    """Media before an offer of it that has no final response; None = there is none."""
    is_direct: bool = False
    """Whether its latest description has left without ports, although others before had some."""
    is_adapted: bool = False
    """Whether its latest description differs from the author's in codecs or telephone events."""
    is_held: bool = False
    """Whether its latest description stops the media."""
    is_sender: bool = False
    """Whether it does so because the other side has offered to listen alone, which is no hold."""
    is_fax: bool = False
    """Whether its latest description has fax alone, which may be silent."""
    watched_from: int = 0
    """Silence counts from this moment of the monotonic clock at the earliest: it was allowed, or not seen, before."""
    last_key: tuple[str, int, bool] | None = None
    """Key that it has pressed last, when (monotonic milliseconds), and whether that was an INFO."""
    recorded_share: int = 0
    """Percent of the calls of its account that are recorded."""
    recording: str = ""
    """File of the recording of its call, for the leg of an attempt and for one in its place; empty = there is none."""
    is_ringing: bool = False
    """Whether it is played the ring-back of the switch."""
    rings_for: int = 0
    """Number of the leg for whose ringing it is played."""
    announcement: CallerSound | None = None
    """The sound that it is played before the call is answered or refused; None = none."""
    music: MusicOnHold | None = None
    """Music that it is played now; None = none."""
    early_of: int | None = None
    """Number of the leg of a transfer's target whose early media it has in place of music, 0 = it has ring-back; None =
    neither."""
    is_softened: bool = False
    """Whether its latest description, which is inactive, was sent to the other side as one that sends."""
    has_softened: bool = False
    """Whether the latest description that it was sent is such a one of another leg."""
    played: tuple[PlayedSound, ...] = ()
    """Sounds that it was played, each with its whole time."""
    refusal: MediaRefusal | None = None
    """Why it was not sent the latest description."""
    fault: SessionFault | None = None
    """Why a description could not be relayed, where that is the refusal."""
    is_over: bool = False
    """Whether the leg has ended; it may still answer requests that come late."""
    ended: LegFigures | None = None
    """Figures of its ports that were closed: all of them once it has ended, those of another engine before."""
    replaced: tuple[ReplacedLeg, ...] = ()
    """The legs that had its place before it, the earliest first."""

    @property
    def refused_for(self) -> str | None:
        """Why it was not sent a description, in words; None = it was, or the sides have no common codec."""
        if self.refusal is MediaRefusal.BAD_SESSION and self.fault is not None:
            return self.fault.value
        return None if self.refusal is None or self.refusal is MediaRefusal.NO_COMMON_CODEC else self.refusal.value

    def refuse(self, refusal: MediaRefusal, fault: SessionFault | None = None) -> None:
        """Note why a description of it, or for it, is not sent; ``fault``: why it cannot be relayed."""
        self.refusal, self.fault = refusal, fault

    def port(self, index: int) -> RelayPort | None:
        """Return the port for a medium, by its place in the descriptions."""
        return self.ports[index] if index < len(self.ports) else None

    def source(self, index: int) -> MediaSource | None:
        """Return the source of a medium."""
        return self.sources[index] if index < len(self.sources) else None

    @property
    def audio_port(self) -> RelayPort | None:
        """The port of its audio."""
        return self.ports[self.audio] if self.audio < len(self.ports) else None

    @property
    def audio_source(self) -> MediaSource | None:
        """The source of its audio."""
        return self.sources[self.audio] if self.audio < len(self.sources) else None

    @property
    def music_port(self) -> RelayPort | None:
        """The port that its music is played from; None = it is played none."""
        return None if self.music is None else self.music.port or self.audio_port

    @property
    def is_at_ports(self) -> bool:
        """Whether its latest description has ports, which may be lost since.

        One without an origin has ports at most for the target of a transfer that was refused; one that talks directly,
        from the time when it was connected with another side.
        """
        return bool(self.origin) and not self.is_direct and (bool(self.ports) or self.rtp_call is not None)

    def open_ports(self) -> list[RelayPort]:
        """Return all ports that it has."""
        own = [] if self.announcement is None else [self.announcement.port]
        return [*own, *(port for port in self.ports if port is not None)]

    def note_port(self, index: int, port: RelayPort) -> None:
        """Note the port of a medium."""
        self.ports = (*self.ports, port) if index == len(self.ports) else _with(self.ports, index, port)

    def note_played(self, sound: PlayedSound) -> None:
        """Add to the sounds that it was played."""
        for index, before in enumerate(self.played):
            if (before.name, before.codec) == (sound.name, sound.codec):
                longer = PlayedSound(before.name, before.codec, before.ms + sound.ms)
                self.played = (*self.played[:index], longer, *self.played[index + 1 :])
                return
        if len(self.played) < PLAYED_MAX:
            self.played = (*self.played, sound)

    def take_place_of(self, other: "LegMedia") -> None:
        """Have the figures, sounds and recording of a leg that has ended for the record: this one is in its place.

        It was connected as that one was, relayed or not, and stays so.
        """
        self.step, self.is_relayed = other.step, other.is_relayed
        self.recording = self.recording or other.recording
        replaced = (*other.replaced, ReplacedLeg(other.number, other.ended))
        if len(replaced) > REPLACED_MAX:
            first, second, *later = replaced
            replaced = (ReplacedLeg(SEVERAL, added(first.figures, second.figures)), *later)
        self.replaced = replaced
        for sound in other.played:
            self.note_played(sound)

    def note_source(self, index: int, source: MediaSource) -> None:
        """Note the source of a medium."""
        known = len(self.sources)
        if index == known:
            self.sources = (*self.sources, source)
            return
        before = self.sources[index] if index < known else None
        if before is not None and before.payloads != source.payloads and index == self.audio:
            self.codecs_before = tuple((dict(self.codecs_before) | dict(_lacking(before, source))).items())
        self.sources = _with(self.sources, index, source)


T = TypeVar("T")


def _with(values: tuple[T | None, ...], index: int, value: T) -> tuple[T | None, ...]:
    padded = (*values, *(None,) * (index - len(values)))
    return (*padded[:index], value, *padded[index + 1 :])
