"""What the registrar asks of a database: to keep bindings from one life of the switch to the next.

``storage`` implements ``BindingStore`` over MySQL, SQLite and memory. Refuses to know SQL and retries.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class BindingKey(NamedTuple):
    """What a binding is found again by, among those of one node."""

    name: str
    """Of the user: the phone's number, or the gateway's name."""
    slot: int


class StoredBinding(NamedTuple):
    """A binding as it is written down; times are UTC milliseconds, since a life of the switch has its own clock."""

    name: str
    slot: int
    contact: str
    q: int
    call_id: str
    cseq: int
    """May be behind: refreshes are mostly not written."""
    registered_at: int
    until: int
    """No later than then the binding ends, whatever refreshes were not written (``engine.registration.writer``)."""
    lifetime_s: int
    listener: str
    """The socket it came in by, ``transport:host:port``."""
    host: str
    port: int
    path: tuple[str, ...]
    instance: str
    reg_id: int
    user_agent: str


class BindingStore(Protocol):
    """The database as the registrar of one node sees it."""

    async def load(self) -> Sequence[StoredBinding]:
        """Return everything that is kept, by name and slot.

        Raises:
            StoreUnavailable: ask again.
        """
        ...

    async def save(self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]) -> None:
        """Write bindings, new or not, and remove others, in one transaction; what is not there is removed already.

        Raises:
            StoreUnavailable: nothing was done, as far as is known; do the same again.
            VosError: something of it can never be stored; nothing was done.
        """
        ...
