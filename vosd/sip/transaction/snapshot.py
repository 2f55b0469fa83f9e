"""Timers, retransmissions and the fields that responses repeat, as data.

A timer is described by the tick in which it fires and its place in that tick: what fires in one tick goes out in the
same order. Instants are those of the machine's monotonic clock, which goes on while the process is replaced.
"""

from typing import TYPE_CHECKING

import msgspec

from vosd.base.wheel import TICK_MS, Timer
from vosd.sip.dialog.snapshot import PeerSnapshot
from vosd.sip.flows import Flows
from vosd.sip.forms import in_form
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.store import Sender, TimerOwner, TransactionStore
from vosd.sip.wire.outgoing import ResponseStem, StemState

if TYPE_CHECKING:
    from vosd.sip.restoration import Restoration


class TimerSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """A timer that has not fired."""

    tick: int
    place: int
    """The number of timers of the same tick that fire before it."""

    @classmethod
    def of(cls, timer: Timer[TimerOwner] | None, store: TransactionStore) -> "TimerSnapshot | None":
        """Describe a timer; None where it has fired."""
        position = None if timer is None else store.wheel.position(timer)
        return None if position is None else cls(*position)


class RetrySnapshot(msgspec.Struct, frozen=True, array_like=True):
    """A message that is retransmitted."""

    peer: PeerSnapshot
    data: bytes
    ceiling_ms: int
    interval_ms: int
    repeats: int
    schedule: tuple[int, ...]
    ends_at: int
    timer: TimerSnapshot | None

    @classmethod
    def of(cls, retry: Retry, store: TransactionStore, flows: Flows) -> "RetrySnapshot":
        """Describe a message that has not been answered."""
        return cls(
            PeerSnapshot.of(retry.sent.peer, flows),
            retry.sent.data,
            retry.ceiling_ms,
            retry.interval_ms,
            retry.repeats,
            retry.schedule,
            retry.ends_at,
            TimerSnapshot.of(retry, store),
        )

    def waiting_until(self, at_ms: int) -> "RetrySnapshot":
        """Return it without retransmissions, and with another end, in milliseconds of the monotonic clock."""
        return msgspec.structs.replace(self, ends_at=at_ms, timer=TimerSnapshot(-(-at_ms // TICK_MS), 0))

    def restored(self, owner: Sender, restoration: "Restoration") -> Retry:
        """Go on with the retransmissions; nothing is sent at once."""
        retry = Retry(restoration.store, self.peer.restored(restoration.flows), self.data)
        retry.ceiling_ms, retry.interval_ms, retry.repeats = self.ceiling_ms, self.interval_ms, self.repeats
        retry.schedule, retry.ends_at = self.schedule, self.ends_at
        retry.tick = 0 if self.timer is None else self.timer.tick
        restoration.wait(retry, self.timer, owner)
        return retry


class StemSnapshot(StemState[bytes, PeerSnapshot], frozen=True):
    """The fields that responses to one request repeat, as the journal has them."""

    @classmethod
    def of(cls, stem: ResponseStem, flows: Flows) -> "StemSnapshot":
        """Describe a stem."""
        spare = None if stem.spare is None else PeerSnapshot.of(stem.spare, flows)
        return in_form(cls, stem, peer=PeerSnapshot.of(stem.peer, flows), spare=spare)

    def restored(self, flows: Flows) -> ResponseStem:
        """Return the stem."""
        spare = None if self.spare is None else self.spare.restored(flows)
        return in_form(ResponseStem, self, peer=self.peer.restored(flows), spare=spare)
