"""Lease in memory, for the switches of one process."""

from collections.abc import Callable

from doubles.memory.store import MemoryStore
from vosd.cdr.lease import Claimant, DatabaseState, is_free, refusal


class MemoryLease:
    """Implements ``vosd.cdr.lease.Lease``; ``now_ms`` is the database's clock."""

    def __init__(
        self,
        store: MemoryStore,
        has_ended: Callable[[Claimant], bool] = lambda _: False,
        now_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        self._store = store
        self.server = 0
        """Number of the database server."""
        self._has_ended = has_ended
        self._now_ms = now_ms
        self._holder: Claimant | None = None
        self._renewed_at = 0
        self._epochs: dict[str, int] = {}
        self._renewals: dict[str, int] = {}

    async def hold(self, claimant: Claimant) -> DatabaseState:
        """Take or renew the lease.

        Raises:
            LeaseHeld: another switch has it.
        """
        now, holder, node = self._now_ms(), self._holder, claimant.node
        age_ms = now - self._renewed_at
        if holder != claimant:
            is_held = holder is not None and not is_free(age_ms, released=False)
            if holder is not None and is_held and not self._has_ended(holder):
                raise refusal(claimant, holder, age_ms)
            self._epochs[node] = self._epochs.get(node, 0) + 1
        self._holder, self._renewed_at = claimant, now
        self._renewals[node] = self._renewals.get(node, 0) + 1
        return DatabaseState("memory", self.server, self._store.commits, self._epochs[node], self._renewals[node])

    async def release(self, claimant: Claimant) -> None:
        """Release the lease for other switches."""
        if self._holder == claimant:
            self._holder = None
