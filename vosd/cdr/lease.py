"""Who runs on a database, and which database it is: one switch at a time, and no lost commit unnoticed.

``storage`` implements ``Lease`` over MySQL, SQLite and memory. Refuses to know what a switch does without a lease and
how a database that has lost commits is mended.
"""

from typing import Final, NamedTuple, Protocol

from vosd.base.errors import VosError

LEASE_MS: Final = 10_000
"""For so long after its last renewal a lease holds, by the database's clock."""
RENEW_S: Final = 1.0
"""How often a running switch renews its lease."""


class Claimant(NamedTuple):
    """A process that runs a switch, or wants to."""

    node: str
    holder: str
    """Random id of this process."""
    host: str
    pid: int
    process: str
    """What tells the process from an earlier one with the same pid; compares only on the same host."""

    def __str__(self) -> str:
        return f"node {self.node} on host {self.host}, pid {self.pid}"


class DatabaseState(NamedTuple):
    """What a database says of itself at a renewal; every count only grows unless commits are lost."""

    identity: str
    """Random, made with the tables; a dump takes it along."""
    server: int
    """The server's own id; of an SQLite database the number of its file."""
    commits: int
    """The counter that orders commits."""
    epoch: int
    """How often the lease was taken."""
    renewals: int
    """How often the lease of this node was taken or renewed."""


class LeaseHeld(VosError):  # noqa: N818 - states what was found
    """Another switch runs on the database."""

    def __init__(self, message: str, holder: Claimant) -> None:
        super().__init__(message)
        self.holder = holder


class Lease(Protocol):
    """The right of one process to run a switch on a database."""

    async def hold(self, claimant: Claimant) -> DatabaseState:
        """Take the lease, or renew it where ``claimant`` has it, and say what the database says of itself.

        A lease that has run out, was released, or whose holder is known to have ended is free.

        Raises:
            LeaseHeld: another switch has it.
            StoreUnavailable: it is not known who has it; ask again.
        """
        ...

    async def release(self, claimant: Claimant) -> None:
        """Let another switch have it at once; nothing happens where ``claimant`` does not have it.

        Raises:
            StoreUnavailable: as far as is known it is not released, and will run out.
        """
        ...


def refusal(wanted_by: Claimant, held_by: Claimant, age_ms: int) -> LeaseHeld:
    """Return the error that names the holder and says what to do."""
    since = f"its lease was renewed {max(age_ms, 0) / 1_000:.1f} s ago and runs out after {LEASE_MS // 1_000} s"
    if held_by.node == wanted_by.node:
        message = f"{held_by} runs on this database already ({since}): stop it first"
    else:
        message = (
            f"{held_by} runs on this database ({since}): switches of different names cannot share a database yet,"
            " stop that one or give this one a database of its own"
        )
    return LeaseHeld(message, held_by)


def is_free(age_ms: int, *, released: bool, ttl_ms: int) -> bool:
    """Say whether a lease of this age has expired; so has one renewed far in the future: the clock was set back."""
    return released or abs(age_ms) > ttl_ms
