"""Finished transactions: a key, and the message to send again if the peer retransmits.

There are a hundred thousand of these at 1,000 calls/s. So none of them is an object: an entry is one row of a
dictionary, and entries expire by whole ticks of time. Messages are kept up to a number of bytes in all, and long
responses up to a smaller one, because peers decide how many and how long they are: repetitions of what is beyond that
are absorbed. Our ACKs are kept however many bytes there are.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from vosd.base.clock import Instant
from vosd.base.wheel import TimerWheel
from vosd.sip.transaction.entries import ABSORB, Entry
from vosd.sip.wire.outgoing import Datagram

if TYPE_CHECKING:
    from vosd.sip.transaction.store import TimerOwner


LONG: Final = 2_048
"""Responses of more bytes are long."""
LONG_BYTES_MAX: Final = 32 * 1024 * 1024
"""Most bytes of long responses that are kept."""
BYTES_MAX: Final = 128 * 1024 * 1024
"""Most bytes that are kept in all; at 1,000 calls a second with eight responses of 500 bytes each they are so many."""
_RESPONSE: Final = b"SIP/"


class FinishedTransactions:
    """Keys of finished transactions until their last timer (D, I, J, K, L or M) fires."""

    __slots__ = ("_batches", "_long", "_sizes", "_tick_ms", "_wheel", "entries", "get", "kept_bytes", "long_bytes")

    def __init__(self, tick_ms: int, wheel: "TimerWheel[TimerOwner]") -> None:
        """Keys expire at multiples of ``tick_ms``, by one timer on the ``wheel`` for all of one instant."""
        self._tick_ms = tick_ms
        self._wheel = wheel
        self._batches: dict[int, list[str]] = {}
        """The keys that expire at an instant, in milliseconds of the monotonic clock."""
        self._long: dict[int, int] = {}
        """The bytes of long responses that expire at an instant."""
        self.long_bytes = 0
        """Bytes of all long responses that are kept."""
        self._sizes: dict[int, int] = {}
        """The bytes of all messages that expire at an instant."""
        self.kept_bytes = 0
        """Bytes of all messages that are kept."""
        self.entries: dict[str, Entry] = {}
        self.get: Callable[[str], Entry | None] = self.entries.get
        """``get(key)``: what is kept for a key, or None. The method of the dictionary itself: every message asks."""

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def timers(self) -> int:
        """Number of its timers on the wheel."""
        return len(self._batches)

    def keep(self, key: str, what: Entry, stay_ms: int, now: Instant, also: str = "") -> None:
        """Keep ``what`` for ``stay_ms`` milliseconds, at most one tick longer; ``also`` is another key for the same."""
        due_ms = -(-(now.mono + stay_ms) // self._tick_ms) * self._tick_ms
        keys = self._batches.get(due_ms)
        if keys is None:  # as ``_begun``, in place: most keys are kept here
            keys = self._batches[due_ms] = []
            self._sizes[due_ms] = 0
            self._wheel.schedule(due_ms, self)
        if isinstance(what, Datagram):
            size = len(what.data)
            if size > LONG or self.kept_bytes + size > BYTES_MAX:
                what = self._bounded(what, due_ms)
            else:
                self.kept_bytes += size
                self._sizes[due_ms] += size
        keys.append(key)
        self.entries[key] = what
        if also:
            keys.append(also)
            self.entries[also] = what

    def keep_until(self, key: str, what: Entry, due_ms: int) -> None:
        """Keep what was kept before, until the instant that ``kept`` named."""
        keys = self._batches.get(due_ms)
        if keys is None:
            keys = self._begun(due_ms)
        if isinstance(what, Datagram):
            what = self._bounded(what, due_ms)
        keys.append(key)
        self.entries[key] = what

    def reserve(self, size: int, key: str, stay_ms: int, now: Instant) -> bool:
        """Count the bytes of a long response that is kept elsewhere for so long; False = there are too many already.

        Its key is kept then, so that repetitions are absorbed.
        """
        due_ms = -(-(now.mono + stay_ms) // self._tick_ms) * self._tick_ms
        if due_ms not in self._batches:
            self._begun(due_ms)
        if self._reserved(size, due_ms):
            return True
        self.keep(key, ABSORB, stay_ms, now)
        return False

    def _begun(self, due_ms: int) -> list[str]:
        """Return the keys that expire at an instant, of which there are none yet."""
        keys = self._batches[due_ms] = []
        self._sizes[due_ms] = 0
        self._wheel.schedule(due_ms, self)
        return keys

    def _bounded(self, message: Datagram, due_ms: int) -> Entry:
        """Return a message, or in place of a response too many the mark to absorb repetitions."""
        size = len(message.data)
        is_response = message.data.startswith(_RESPONSE)
        if is_response and size > LONG:
            return message if self._reserved(size, due_ms) else ABSORB
        if is_response and self.kept_bytes + size > BYTES_MAX:
            return ABSORB
        self._count(size, due_ms)
        return message

    def _reserved(self, size: int, due_ms: int) -> bool:
        """Count the bytes of a long response; False = there are too many already."""
        if self.long_bytes + size > LONG_BYTES_MAX or self.kept_bytes + size > BYTES_MAX:
            return False
        self.long_bytes += size
        self._long[due_ms] = self._long.get(due_ms, 0) + size
        self._count(size, due_ms)
        return True

    def _count(self, size: int, due_ms: int) -> None:
        """Count bytes that are kept until an instant of which there is a batch."""
        self.kept_bytes += size
        self._sizes[due_ms] += size

    def clear(self) -> None:
        """Forget all of them; the wheel is cleared beside."""
        self._batches.clear()
        self._long.clear()
        self._sizes.clear()
        self.long_bytes = self.kept_bytes = 0
        self.entries.clear()

    def kept(self) -> Iterator[tuple[str, Entry, int]]:
        """Return key, entry and end of everything that is kept, what expires first in front."""
        for due_ms, keys in sorted(self._batches.items()):
            for key in keys:
                if key in self.entries:
                    yield key, self.entries[key], due_ms

    def timer_due(self, now: Instant) -> None:
        """Drop every key that has expired."""
        for due_ms in tuple(self._batches):
            if due_ms <= now.mono:
                for key in self._batches.pop(due_ms):
                    self.entries.pop(key, None)
                self.long_bytes -= self._long.pop(due_ms, 0)
                self.kept_bytes -= self._sizes.pop(due_ms)
