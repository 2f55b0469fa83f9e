"""Messages between the switch and a relay worker, over a Unix socket that keeps messages apart (SOCK_SEQPACKET).

A message is a list of orders, or of reports. Descriptors of the sockets of ``OpenPort`` orders go with the message, in
their order.
"""

from typing import Final

import msgspec

from vosd.media.sounds import SoundCodec
from vosd.media.source import MediaSource, RelayPort
from vosd.trunks.media import PortRange

PROTOCOL: Final = 20
"""Version of these messages. A worker of another version is ended, and its ports are given to a new one."""
MESSAGE_BYTES: Final = 131_072
"""Largest message; the kernel's limit is that of a socket's buffer, 212,992 bytes."""
MESSAGE_PARTS: Final = 100
"""Most orders or reports of one message: two descriptors each stay below the kernel's limit of 253."""


class UseRecords(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """Write figures into memory whose descriptor goes with the message; first order to a new worker."""


class OpenPort(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """Serve sockets: one or two descriptors go with the message."""

    port: RelayPort
    tos: int
    record: int
    """Number of the record for its figures."""
    had_worker: bool = False
    """Whether a worker before has served them, and may have left a filter."""


class ExpectSource(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """Believe the source of a new session description."""

    id: int
    source: MediaSource
    believed: tuple[str, int] | None = None
    """Source that another worker believed before this one."""
    is_ours: bool = False
    """Whether it is a port of ours, of another call: that one has come back to the switch."""


class WidenSource(msgspec.Struct, frozen=True, array_like=True, tag=19):
    """Take more payload types from the source that is expected: its opposite has named them."""

    id: int
    source: MediaSource


class ConnectPorts(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """Forward between two ports, both ways; earlier connections of both end."""

    one: int
    other: int


class ClosePort(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """Close the sockets."""

    id: int


class ReportKeys(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """Report the keys that the peer of a port sends as telephone events (RFC 4733)."""

    id: int
    are_reported: bool
    are_taken: bool
    """Whether their packets are not forwarded."""
    in_tones: bool = False
    """Whether those are reported as well that it sends as tones in G.711."""


class PressKey(msgspec.Struct, frozen=True, array_like=True, tag=10):
    """Send a key to the peer of a port."""

    id: int
    key: str
    duration_ms: int
    as_tone: bool


class PlayRingBack(msgspec.Struct, frozen=True, array_like=True, tag=11):
    """Play ring-back to the peer of a port, until media are forwarded to it."""

    id: int
    delay_ms: int
    payload: int
    """Payload type of G.711."""


class StopPlaying(msgspec.Struct, frozen=True, array_like=True, tag=12):
    """Play nothing to the peer of a port."""

    id: int


class WarnPeer(msgspec.Struct, frozen=True, array_like=True, tag=20):
    """Warn the peer of a port by a tone of the end of its call; a worker has said in ``WorkerReady`` that it can."""

    id: int
    payload: int
    """Payload type by which the peer is sent it where nothing is forwarded to it; negative = it is not."""
    sounds: tuple[tuple[int, str, SoundCodec], ...] = ()
    """Payload types with sounds that take the place of the tone, by their digests; G.711 has beeps without one."""


class LoadSound(msgspec.Struct, frozen=True, array_like=True, tag=14):
    """Have a sound ready, in memory whose descriptor goes with the message: payloads of whole packets."""

    digest: str
    size: int


class DropSound(msgspec.Struct, frozen=True, array_like=True, tag=15):
    """Forget a sound; ports that play it go on."""

    digest: str


class PlaySound(msgspec.Struct, frozen=True, array_like=True, tag=16):
    """Play a sound to the peer of a port, to which nothing is forwarded meanwhile."""

    id: int
    digest: str
    payload: int
    """Payload type by which the peer knows its codec."""
    packet_bytes: int
    packet_ms: int
    times: int
    """0 = until it is stopped."""


class RecordPorts(msgspec.Struct, frozen=True, array_like=True, tag=13):
    """Record what is forwarded to the peers of ports into a file; one that exists is gone on with."""

    ids: tuple[int, ...]
    path: str
    """Empty = record nothing any more."""


class SpareRanges(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """Send nothing to these addresses and ports: they are this switch's own, of media and of SIP."""

    ranges: tuple[tuple[str, PortRange], ...]


class OffloadStreams(msgspec.Struct, frozen=True, array_like=True, tag=17):
    """Let the kernel forward streams that only pass, or let it forward none."""

    are_offloaded: bool


class JudgeSource(msgspec.Struct, frozen=True, array_like=True, tag=18):
    """Believe a host that ``SourceFound`` has named, or drop what comes from it until the next description."""

    id: int
    host: str
    may_send: bool


class ListPorts(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Report all ports, with their sockets."""


class EndWorker(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Close everything and end."""


PortOrder = (
    ExpectSource | WidenSource | JudgeSource | ReportKeys | PressKey | PlayRingBack | StopPlaying | PlaySound | WarnPeer
)
"""Orders to a port, which is unknown where it was closed meanwhile."""
WorkerOrder = (
    UseRecords
    | OpenPort
    | RecordPorts
    | ConnectPorts
    | ClosePort
    | SpareRanges
    | ListPorts
    | EndWorker
    | LoadSound
    | DropSound
    | OffloadStreams
    | PortOrder
)


def descriptors_of(order: WorkerOrder) -> int:
    """Return how many descriptors go with an order."""
    if isinstance(order, OpenPort):
        return 1 if order.port.rtcp is None else 2
    return 1 if isinstance(order, UseRecords | LoadSound) else 0


class WorkerMeans(msgspec.Struct, frozen=True, array_like=True):
    """Program, rights and limits that a worker has from the switch by which it was started."""

    program: str
    rights: int
    """Bits of capabilities (``vosd.processes.rights``)."""
    priority: int
    """Highest real-time priority that it may take."""
    files: int
    """Most descriptors that it may have."""

    def lacks(self, other: "WorkerMeans") -> bool:
        """Return whether a worker with other means is to be preferred."""
        return (
            self.program != other.program
            or bool(other.rights & ~self.rights)
            or self.priority < other.priority
            or self.files < other.files
        )


class WorkerReady(msgspec.Struct, frozen=True, array_like=True, tag=0):
    """First report on a connection."""

    protocol: int
    pid: int
    is_real_time: bool
    has_records: bool
    """Whether the descriptor of its memory goes with the message: it has served a switch that has ended."""
    means: WorkerMeans | None = None
    """None = it is of an earlier version, which does not say."""
    warns: bool = False
    """Whether it takes ``WarnPeer``; one of an earlier version does not."""


class PortListed(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """A port that is served; its descriptors go with the message."""

    port: RelayPort
    tos: int
    record: int
    source: MediaSource | None
    believed: tuple[str, int] | None
    other: int | None
    """Port that it is connected to."""
    recording: str | None = None
    """File into which it is recorded."""
    playing: PlaySound | None = None
    """Sound that its peer is played."""


class ListingEnded(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """All ports were listed."""


class KeyPressed(msgspec.Struct, frozen=True, array_like=True, tag=3):
    """The peer of a port has sent a key, which has ended."""

    id: int
    key: str
    duration_ms: int


class RecordingStopped(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """The recording of a port has stopped: its disk is full, too slow, or does not let a file begin."""

    id: int
    error: str
    has_begun: bool
    file: str = ""
    """Path of one whose ports are closed already, and whose last packets are lost; the id is 0 then."""


class PacketFailed(msgspec.Struct, frozen=True, array_like=True, tag=5):
    """A fault of the program cost a packet."""

    trace: str


class SoundMissing(msgspec.Struct, frozen=True, array_like=True, tag=6):
    """The peer of a port is played nothing: the worker could not map the sound into its memory."""

    id: int


class OffloadFailed(msgspec.Struct, frozen=True, array_like=True, tag=7):
    """The kernel forwards no streams, or none any more: it refuses to."""

    number: int
    """Error number."""
    error: str


class SourceFound(msgspec.Struct, frozen=True, array_like=True, tag=8):
    """Media of a leg come from an address that its description allows; ``JudgeSource`` says whether it is believed."""

    id: int
    leg: int
    host: str


class MarkUnset(msgspec.Struct, frozen=True, array_like=True, tag=9):
    """Packets of a worker leave without their mark: the system refuses it; reported once."""

    tos: int
    error: str


WorkerReport = (
    WorkerReady
    | PortListed
    | ListingEnded
    | KeyPressed
    | RecordingStopped
    | PacketFailed
    | SoundMissing
    | OffloadFailed
    | SourceFound
    | MarkUnset
)
