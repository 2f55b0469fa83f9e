"""Sender of RTP to the peer of a media port: forwarded packets, keys among them, and sounds in their place."""

import mmap
import os
from collections.abc import Callable, Mapping
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, Protocol

from vosd.media.keys import KeySender, PressedKey
from vosd.media.latch import Address
from vosd.media.player import Player, ring_back
from vosd.media.record import SENT
from vosd.media.rtp import SEQUENCE, is_whole
from vosd.media.source import MediaSource
from vosd.media.warning_tone import WarningSound, WarningTone
from vosd.relay.protocol import PlaySound
from vosd.relay.recording import Recording
from vosd.relay.sockets import PlainSocket

if TYPE_CHECKING:
    from vosd.relay.media_port import MediaPort

_WAIT_NS: Final = 20_000_000
"""Interval at which it is seen whether a peer that is to be played something has sent."""


class SenderOwner(Protocol):
    """The worker, as far as senders need it."""

    def sends_itself(self, sender: "PeerSender", due_ns: int) -> None:
        """Call ``send_due`` at a moment, and then as long as it says when."""


class PeerSender:
    """Sends RTP to the peer of a port; ``send`` and ``target`` are the path of every packet that is forwarded."""

    __slots__ = (
        "_is_muted", "_owner", "_plain_send", "_player", "_rtp", "_send_after_reading", "_source", "_unwarned_send",
        "_warning", "key_sender", "memory", "packets_out", "playing", "recording", "send", "sent_at", "target",
        "unsent", "upstream",
    )  # fmt: skip

    def __init__(self, rtp: PlainSocket, record: memoryview, sent_at: int, owner: SenderOwner) -> None:
        self._rtp = rtp
        self.memory = record
        """Memory that the switch reads."""
        self.sent_at = sent_at
        """Place of the counters of this sender in it."""
        self._owner = owner
        send: Callable[[bytes, Address], int] = rtp.sendto
        self.send = self._plain_send = self._send_after_reading = self._unwarned_send = send
        self.target: Address | None = None
        """Address to which RTP is sent: the believed source, else the announced one; None = neither may be."""
        self.upstream: MediaPort | None = None
        """The port whose packets are forwarded."""
        self.packets_out = self.unsent = 0
        self._source: MediaSource | None = None
        self._is_muted = False
        self.key_sender: KeySender | None = None
        self._player: Player | None = None
        self.playing: PlaySound | None = None
        """Order by which a sound is played, until ``stop_playing``."""
        self.recording: Recording | None = None
        self._warning: WarningTone | None = None

    @property
    def is_plain(self) -> bool:
        """Whether packets are only forwarded."""
        is_quiet = self._player is None and self._warning is None and not self._is_muted
        return is_quiet and self.key_sender is None and self.recording is None

    def forward(self, data: bytes) -> None:
        """Send a packet of the other port, if it is known where to."""
        if self.target is None:
            return
        try:
            self.send(data, self.target)
        except OSError:
            self.unsent += 1
        else:
            self.packets_out += 1
        self.write_counters()

    def write_counters(self) -> None:
        """Write what was sent into the record."""
        SENT.pack_into(self.memory, self.sent_at, self.packets_out, self.unsent)

    def note_forwarded(self, packets: int) -> None:
        """Count packets that the kernel has forwarded to the peer."""
        self.packets_out += packets
        self.write_counters()

    def describe(self, source: MediaSource) -> None:
        """Note what the peer takes."""
        self._source = source
        if self.key_sender is not None:
            self.key_sender.describe(*source.taken())
        if self._warning is not None and not source.payloads:  # fax
            self._end_warning()

    def close(self) -> None:
        """Send nothing more.

        Ways to send that refer to their sender would keep it for ever: a worker collects no garbage.
        """
        self._player = self.playing = self.key_sender = self.recording = self._warning = None
        self._is_muted = False
        self.choose_send()

    # ---- keys and sounds ----

    def press(self, key: str, duration_ms: int, *, as_tone: bool) -> None:
        """Send a key to the peer, among the packets that are forwarded to it.

        It is not sent where its event is among these: of a telephone that sends its keys as INFO, too. Which of both
        comes first is known here alone, where the packets come.
        """
        now_ns, upstream = monotonic_ns(), None if as_tone else self.upstream
        if upstream is not None:
            if upstream.has_forwarded_key(key, now_ns):
                return
            upstream.send_waiting_key(key)
        if self.send_key(PressedKey(key, duration_ms), as_tone=as_tone) and upstream is not None:
            upstream.note_sent_key(key, now_ns)

    def send_key(self, pressed: PressedKey, *, as_tone: bool) -> bool:
        """Send a key, whatever is forwarded; return whether it is one that can be sent."""
        sender, now_ns = self.key_sender or self._new_key_sender(), monotonic_ns()
        if not sender.press(pressed.key, pressed.duration_ms, now_ns, as_tone=as_tone):
            return False
        if sender.due_ns is not None:
            self._owner.sends_itself(self, sender.due_ns)
        return True

    def leave_out(self, sequence: int) -> None:
        """Note that a packet of the other port, which has just come, is not forwarded.

        Those behind it are numbered without a gap: their receiver would count it as lost.
        """
        (self.key_sender or self._new_key_sender(left_out=sequence)).leave_out(sequence)

    def _new_key_sender(self, left_out: int = -1) -> KeySender:
        """Number packets from now on, behind the last one that came, or before it if it was ``left_out``."""
        sender = self.key_sender = KeySender(int.from_bytes(os.urandom(4), "big"))
        if self._source is not None:
            sender.describe(*self._source.taken())
        if self.upstream is not None and self.upstream.reception.has_sequence:
            ssrc, sequence, stamp, arrived_ns = self.upstream.reception.last_packet()
            sequence = sequence - (sequence == left_out) & SEQUENCE - 1
            sender.follow(ssrc, sequence, stamp, arrived_ns, self.upstream.reception.payload)
        self.choose_send()
        return sender

    def send_due(self, now_ns: int) -> int | None:
        """Send packets of keys, and those that are played, which are due; return when the next one is."""
        sender, player, target = self.key_sender, self._player, self.target
        packets = [] if sender is None else sender.due(now_ns)
        if player is not None and target is None and not player.has_begun:
            player.wait(now_ns + _WAIT_NS)  # a peer behind NAT has to send first: it misses nothing of the sound
        elif player is not None:
            packets += map(self._laid_over, player.due(now_ns))
            if player.is_over:
                self._player = player = None
        if self._warning is not None:
            packets += self._warning.due(now_ns, is_alone=player is None and target is not None)
            if self._warning.is_over:
                self._end_warning()
        if target is not None:
            for data in packets:
                try:
                    self._rtp.sendto(data, target)
                except OSError:
                    self.unsent += 1
                else:
                    self.packets_out += 1
        self.write_counters()
        due = [each.due_ns for each in (sender, player, self._warning) if each is not None]
        return min((each for each in due if each is not None), default=None)

    def play_ring_back(self, delay_ms: int, payload: int) -> None:
        """Play ring-back to the peer, as a payload type of G.711, until media are forwarded to it."""
        if self._player is None:
            begin_ns = monotonic_ns() + delay_ms * 1_000_000
            self._player = Player(ring_back(payload), payload, int.from_bytes(os.urandom(4), "big"), begin_ns)
            self.choose_send()
            self._owner.sends_itself(self, begin_ns)

    def play(self, order: PlaySound, sound: mmap.mmap) -> None:
        """Play a sound to the peer, and forward nothing to it until ``stop_playing``, also after its end."""
        ssrc, begin_ns = int.from_bytes(os.urandom(4), "big"), monotonic_ns()
        self.playing = order
        self._player = Player(
            sound,
            order.payload,
            ssrc,
            begin_ns,
            packet_bytes=order.packet_bytes,
            packet_ms=order.packet_ms,
            times=order.times,
        )
        self._is_muted = True  # one of both at a time
        self.choose_send()
        self._owner.sends_itself(self, begin_ns)

    def stop_playing(self) -> None:
        """Play nothing any more, and forward what comes."""
        self._player = self.playing = None
        self._is_muted = False
        self.choose_send()

    def warn(self, payload: int, sounds: Mapping[int, WarningSound] | None = None) -> None:
        """Warn the peer of the end of its call by a tone, which takes the place of the audio of as many packets.

        The tone is one of ``sounds``, by their payload types, or beeps in G.711. Where no packets come, the peer gets
        others with the tone, of type ``payload``, unless that is negative.
        """
        if self._warning is None:
            self._warning = WarningTone(payload, int.from_bytes(os.urandom(4), "big"), monotonic_ns(), sounds)
            self.choose_send()
            self._owner.sends_itself(self, self._warning.due_ns)

    def _end_warning(self) -> None:
        """Send what comes as it is: the tone is over."""
        self._warning = None
        self.choose_send()

    def _laid_over(self, data: bytes) -> bytes:
        """Return a packet with the tone that warns, if there is one, in place of its audio."""
        return data if self._warning is None else self._warning.laid_over(data, monotonic_ns())

    def record(self, recording: Recording | None) -> None:
        """Record the packets that are forwarded to the peer, as they came to the other port; None = do not any more."""
        self.recording = recording
        self.choose_send()

    # ---- what is done with a packet that is forwarded ----

    def choose_send(self) -> None:
        """Choose what is done with packets that are forwarded to the peer."""
        plain: Callable[[bytes, Address], int] = self._rtp.sendto
        if self._player is not None:
            plain = self._send_after_sound
        elif self.key_sender is not None:
            plain = self._send_beside_keys
        self._unwarned_send = plain
        if self._warning is not None:
            plain = self._send_warned
        self._plain_send = self._send_after_reading = plain
        self.send = plain if self.recording is None else self._send_recorded
        if self._is_muted:
            self.send = self._send_nothing
        if self.upstream is not None and self.upstream.tone_reader is not None:
            self._send_after_reading = self.send
            self.send = self._send_read

    def _send_nothing(self, _data: bytes, _target: Address) -> int:
        self.packets_out -= 1  # its caller counts what it sends
        return 0

    def _send_after_sound(self, data: bytes, target: Address) -> int:
        self.stop_playing()
        return self._plain_send(data, target)

    def _send_warned(self, data: bytes, target: Address) -> int:
        is_audio = self.upstream is not None and not self.upstream.is_unread
        packet = self._laid_over(data) if is_audio else data
        if self._warning is not None and self._warning.is_over:
            self._end_warning()
        return self._unwarned_send(packet, target)

    def _send_recorded(self, data: bytes, target: Address) -> int:
        upstream = self.upstream
        if self.recording is not None and upstream is not None and upstream.latch.believed is not None:
            self.recording.add(data, upstream.latch.believed, (upstream.port.host, upstream.port.rtp))
        return self._plain_send(data, target)

    def _send_read(self, data: bytes, target: Address) -> int:
        if self.upstream is not None and self.upstream.reads_key(data):
            self.leave_out(int.from_bytes(data[2:4], "big"))
            return self._send_nothing(data, target)
        return self._send_after_reading(data, target)

    def _send_beside_keys(self, data: bytes, target: Address) -> int:
        sender = self.key_sender
        packet = data if sender is None or not is_whole(data) else sender.forwarded(data, monotonic_ns())
        return self._send_nothing(data, target) if packet is None else self._rtp.sendto(packet, target)
