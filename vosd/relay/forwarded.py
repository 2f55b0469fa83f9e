"""Stream of a port that the kernel forwards in place of the worker."""

from typing import TYPE_CHECKING

from vosd.relay.stream_table import KernelStream

if TYPE_CHECKING:
    from vosd.relay.media_port import MediaPort


class ForwardedStream:
    """A stream that the kernel forwards."""

    __slots__ = ("begun_ns", "counted", "port", "receiver", "stream")

    def __init__(self, port: "MediaPort", receiver: "MediaPort", stream: KernelStream, begun_ns: int) -> None:
        self.port = port
        """Port at which its packets come in."""
        self.receiver = receiver
        self.stream = stream
        self.begun_ns = begun_ns
        self.counted = 0
        """Packets that the ports know of."""


class KernelPart:
    """Part of the kernel in forwarding what comes in at a port."""

    __slots__ = ("after_ns", "packets", "pause_ns", "spell_ns", "stream", "unfolded")

    def __init__(self) -> None:
        self.stream: ForwardedStream | None = None
        """Stream of the peer that it forwards now."""
        self.after_ns = 0
        """Time from which on it may."""
        self.pause_ns = 0
        """Length of the latest pause because of packets that it did not forward."""
        self.spell_ns = 0
        """Time for which it forwards the stream before the next sample; 0 = there was none yet."""
        self.packets = 0
        """Packets that it has forwarded."""
        self.unfolded = 0
        """Packets of them that are no part of the statistics yet."""
