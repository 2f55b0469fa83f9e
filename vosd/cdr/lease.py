"""Port of the lease: one switch at a time on a database, and counters that show lost commits (ADR 22 and 23).

``storage`` implements ``Lease`` over MySQL, SQLite and memory. It does not know what a switch does without a lease and
how lost commits are booked again.
"""

from typing import Final, NamedTuple, Protocol

from vosd.base.errors import VosError

LEASE_MS: Final = 10_000
"""Duration of a lease from its last renewal on, by the database's clock."""
RENEW_S: Final = 1.0
"""Interval at which a running switch renews its lease."""


class Claimant(NamedTuple):
    """A process that runs a switch, or is about to."""

    node: str
    holder: str
    """Random id of this process."""
    host: str
    pid: int
    process: str
    """Distinguishes the process from an earlier one with the same pid, on the same host."""

    def __str__(self) -> str:
        return f"node {self.node} on host {self.host}, pid {self.pid}"


class DatabaseState(NamedTuple):
    """State of the database at a renewal; counters only grow unless commits are lost."""

    identity: str
    """Random, made with the tables; a dump contains it."""
    server: int
    """The server's own id; of an SQLite database the number of its file."""
    commits: int
    """The counter that orders commits."""
    epoch: int
    """Number of times that the lease was taken."""
    renewals: int
    """Number of times that the lease of this node was taken or renewed."""


class LeaseHeld(VosError):  # noqa: N818 - states what was found
    """Another switch runs on the database."""

    def __init__(self, message: str, holder: Claimant) -> None:
        super().__init__(message)
        self.holder = holder


class Lease(Protocol):
    """The right of one process to run a switch on a database."""

    async def hold(self, claimant: Claimant) -> DatabaseState:
        """Take the lease, or renew it if ``claimant`` has it, and return the state of the database.

        A lease that has run out, was released, or whose holder is known to have ended is free.

        Raises:
            LeaseHeld: another switch has it.
            StoreUnavailable: the holder is not known; try again.
        """

    async def release(self, claimant: Claimant) -> None:
        """Release the lease for other switches; nothing happens if ``claimant`` does not have it.

        Raises:
            StoreUnavailable: the lease is probably not released, and will run out.
        """


def refusal(wanted_by: Claimant, held_by: Claimant, age_ms: int) -> LeaseHeld:
    """Return the error that names the holder and what the operator does."""
    since = f"its lease was renewed {max(age_ms, 0) / 1_000:.1f} s ago and runs out after {LEASE_MS // 1_000} s"
    if held_by.node == wanted_by.node:
        message = f"{held_by} runs on this database already ({since}): stop it first"
    else:
        message = (
            f"{held_by} runs on this database ({since}): switches of different names cannot share a database yet,"
            " stop that one or give this one a database of its own"
        )
    return LeaseHeld(message, held_by)


def is_free(age_ms: int, *, released: bool) -> bool:
    """Return whether a lease of this age has expired; one from far in the future has, too: the clock was set back."""
    return released or abs(age_ms) > LEASE_MS
