"""Retransmissions and the fields that responses repeat, as data."""

import msgspec

from vosd.base.wheel import TICK_MS
from vosd.sip.dialog.snapshot import PeerSnapshot
from vosd.sip.flows import Flows
from vosd.sip.forms import in_form
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.store import Sender, TransactionStore
from vosd.sip.transaction.timer_snapshot import TimerSnapshot
from vosd.sip.wire.outgoing import ResponseStem, StemState


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

    def restored(self, owner: Sender, restoration: Restoration) -> Retry:
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
