"""Media of a trunk and of the installation: whether they are relayed, by which engine, and through which ports."""

from enum import Enum
from typing import Final, NamedTuple

import msgspec

from vosd.trunks.announcements import NO_SOUND, Announcements


class MediaMode(Enum):
    """Whether media are relayed, as far as one trunk or the installation has a say in it."""

    AUTO = "auto"
    OFF = "off"
    ON = "on"
    MUST_ON = "must_on"


class MediaEngine(Enum):
    """Program that relays media."""

    NONE = "none"
    """Media go from party to party."""
    RELAY = "relay"
    """Worker processes of the switch."""
    RTPENGINE = "rtpengine"


class MediaFallback(Enum):
    """Treatment of calls that need a relay while no rtpengine works."""

    RELAY = "relay"
    """They are relayed by the switch."""
    REFUSE = "refuse"


class MediaOffload(Enum):
    """Streams that the kernel forwards in place of the relay."""

    AUTO = "auto"
    """Streams that only pass, where the rights and nftables are there."""
    OFF = "off"


class MediaTrust(Enum):
    """The senders of RTP that are believed, of those that nothing is known of yet."""

    LEARN = "auto"
    """The address of the session description or, behind NAT, the one that its SIP comes from; any port."""
    SDP = "sdp"
    """Address and port of the session description."""
    ANY = "any"
    """The first that sends."""


class MediaWatch(Enum):
    """The silence that ends a call."""

    OFF = "off"
    ALL = "all"
    """Both sides are silent."""
    ANY = "any"
    """One of them is."""
    FROM_PEER = "from_peer"
    """This trunk is."""
    TO_PEER = "to_peer"
    """The other side is."""


_WATCH_OFF: Final = MediaWatch.OFF  # access to enum members is slow
_NEVER_MS: Final = 1 << 62
"""Longer than any call."""


class KeyWay(Enum):
    """The way by which keys (DTMF) reach a trunk."""

    AUTO = "auto"
    """As the other side sends them."""
    EVENTS = "rfc4733"
    """Telephone events in its media."""
    INFO = "info"
    """INFO with ``application/dtmf-relay``."""
    TONES = "inband"
    """Tones in its audio, which is G.711."""


class Encryption(Enum):
    """Encryption of the media of a trunk."""

    OFF = "off"
    PASS = "pass"  # noqa: S105 - what is done, no secret
    """The parties encrypt (SRTP); it passes unchanged."""
    OPTIONAL = "optional"
    """The switch encrypts with a party that offers or accepts it."""
    REQUIRED = "required"
    """The switch encrypts with the party, or there is no call."""


TERMINATING: Final = frozenset({Encryption.OPTIONAL, Encryption.REQUIRED})
"""The switch itself encrypts and decrypts."""


class EncryptionKind(Enum):
    """Agreement about keys with a trunk that is called."""

    AUTO = "auto"
    """DTLS with telephones over WebSocket, SDES with all others."""
    SDES = "sdes"
    """In its session description (RFC 4568)."""
    DTLS = "dtls"
    """By a handshake in the media (RFC 5764)."""


class IceMode(Enum):
    """Connectivity checks (RFC 8445) of a trunk's media."""

    OFF = "off"
    """Relayed calls have none: its ICE is removed."""
    LITE = "lite"
    """The relay answers its checks and makes none."""


class PortRange(NamedTuple):
    """UDP ports from ``first`` to ``last``."""

    first: int
    last: int

    @property
    def size(self) -> int:
        """Number of ports."""
        return self.last - self.first + 1

    @property
    def pairs(self) -> int:
        """Number of pairs, an even port for RTP and the next one for RTCP; a relayed call takes two."""
        return max(0, (self.last + 1) // 2 - (self.first + 1) // 2)

    def overlaps(self, other: "PortRange") -> bool:
        """Return whether both have a port in common."""
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        return f"{self.first},{self.last}"


class MediaAddress(NamedTuple):
    """An address for media: the local one of the sockets, and the one that peers send to."""

    bind: str
    announced: str

    def __str__(self) -> str:
        return self.bind if self.bind == self.announced else f"{self.bind}!{self.announced}"


class RtpEngine(NamedTuple):
    """An rtpengine of the pool."""

    name: str
    host: str
    """IP address without brackets."""
    port: int
    """UDP port of its control protocol (``--listen-ng``)."""
    weight: int = 100


class MediaSettings(msgspec.Struct, frozen=True):
    """Media of one trunk."""

    mode: MediaMode = MediaMode.AUTO
    source: MediaTrust = MediaTrust.LEARN
    timeout_ms: int = 60_000
    watch: MediaWatch = MediaWatch.ALL
    hold_timeout_ms: int = 3_600_000
    ports: PortRange | None = None
    """Ports of its legs; None = those of the installation."""
    codecs: tuple[str, ...] = ()
    """Encoding names of the audio codecs that it may use, in the order of preference; empty = any."""
    local_ring: bool = False
    """Whether callers get ring-back from the switch when it is called."""
    encryption: Encryption = Encryption.OFF
    encryption_by: EncryptionKind = EncryptionKind.AUTO
    ice: IceMode = IceMode.OFF
    dtmf: KeyWay = KeyWay.AUTO
    music: str | None = None
    """Sound for the other side of its calls while it holds them; None = that of the installation, empty = none."""
    record: int = 0
    traffic_class: int | None = None
    """TOS byte of the packets that it is sent by the relay; None = that of the installation."""

    @property
    def shortest_silence_ms(self) -> int:
        """Time after the answer before which no silence ends a call, held or not."""
        if self.watch is _WATCH_OFF:
            return _NEVER_MS
        return min(self.timeout_ms or _NEVER_MS, self.hold_timeout_ms or _NEVER_MS)

    @property
    def needs_termination(self) -> bool:
        """Whether only a relay that encrypts or makes ICE can do what the trunk wants."""
        return self.encryption in TERMINATING or self.ice is IceMode.LITE

    def marked(self, usual: int) -> int:
        """Return the TOS byte of the packets that it is sent; ``usual`` is that of the installation."""
        return usual if self.traffic_class is None else self.traffic_class


DEFAULT_MEDIA: Final = MediaSettings()
"""Shared by all trunks that say nothing about media."""


class MediaEngineSettings(msgspec.Struct, frozen=True):
    """Processes and sockets for media; they need a restart."""

    engine: MediaEngine = MediaEngine.NONE
    workers: int = 1
    offload: MediaOffload = MediaOffload.AUTO
    fallback: MediaFallback = MediaFallback.REFUSE
    """Whether the relay is started beside rtpengines."""
    addresses: tuple[tuple[MediaAddress, ...], ...] = ()
    """For each socket of ``sip.listen`` the addresses of the media of its legs, at most one of a family."""


class MediaParameters(msgspec.Struct, frozen=True):
    """Media of the installation, as far as calls are decided by it; a reload changes it."""

    engine: MediaEngine = MediaEngine.NONE
    """The engine that is wanted: another one than that of ``MediaEngineSettings`` waits for a restart."""
    offload: MediaOffload = MediaOffload.AUTO
    """Whether the kernel may forward streams; it waits for a restart as well."""
    mode: MediaMode = MediaMode.AUTO
    """SS_MEDIAPROXYMODE."""
    between_networks: bool = True
    """SS_MEDIAPROXYBETWEENNET: relay between parties in different networks."""
    behind_nat: bool = True
    """SS_MEDIAPROXYBEHINDNAT: relay for parties behind NAT."""
    same_nat: bool = False
    """SS_MEDIAPROXYSAMENAT: relay also between parties behind the same NAT."""
    ports: PortRange = PortRange(10_000, 39_999)
    """SS_RTP_PORT_RANGE."""
    ivr_ports: PortRange = PortRange(40_000, 47_999)
    """IVR_RTP_PORT: for tones and announcements."""
    traffic_class: int = 0xA0
    """SS_QOS_RTP: TOS byte of relayed packets."""
    ring_back_delay_ms: int = 3_000
    """SS_AUXILIARY_RING_TONE_ACTIVATION_DELAY: from the ringing to the ring-back of the switch, without media."""
    rtpengines: tuple[RtpEngine, ...] = ()
    fallback: MediaFallback = MediaFallback.REFUSE
    """It waits for a restart as well: a reload starts no relay."""
    announcements: Announcements = {}
    """Sounds that are played to callers before their calls are refused."""
    ring_back: str = NO_SOUND
    """Sound that an rtpengine plays to callers whose callees ring; empty = none."""
    music_on_hold: str = NO_SOUND
    """Sound for the side that is held; empty = what the other one sends."""
    end_warning_sound: str = NO_SOUND
    """Sound that warns callers of the end of their calls; empty = beeps."""
    sockets: tuple[str, ...] = ()
    """Hosts of ``sip.listen``: parties at different ones are in different networks."""
