"""The lease of the database with its times: the latency of the database, once a second."""

import time
from typing import Final

from vosd.base.histogram import Histogram
from vosd.cdr.lease import Claimant, DatabaseState, Lease
from vosd.cdr.ports import StoreUnavailable

TIMES_MS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)


class TimedLease:
    """A ``Lease`` whose renewals are timed."""

    def __init__(self, lease: Lease) -> None:
        self._lease = lease
        self.times = Histogram(TIMES_MS)
        """Durations of the renewals, those that failed included."""
        self.failures = 0
        """Renewals that the database did not answer, since the start."""

    async def hold(self, claimant: Claimant) -> DatabaseState:
        """Take or renew the lease; raises what ``Lease.hold`` raises."""
        began = time.monotonic()
        try:
            return await self._lease.hold(claimant)
        except StoreUnavailable:
            self.failures += 1
            raise
        finally:
            self.times.add(1_000 * (time.monotonic() - began))

    async def release(self, claimant: Claimant) -> None:
        """Release the lease; raises what ``Lease.release`` raises."""
        await self._lease.release(claimant)
