"""Port for stored registrations: bindings outlive a restart of the switch.

``storage`` implements ``BindingStore`` over MySQL, SQLite and memory.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol


class BindingKey(NamedTuple):
    """Key of a binding among those of one node."""

    name: str
    """The user: the phone's number, or the gateway's name."""
    slot: int


class StoredBinding(NamedTuple):
    """A binding as stored; times are UTC milliseconds, since the monotonic clock starts anew with each process."""

    name: str
    slot: int
    contact: str
    q: int
    call_id: str
    cseq: int
    """May be out of date: refreshes are mostly not written."""
    registered_at: int
    until: int
    """Latest end of the binding, including refreshes that were not written (``engine.registration.writer``)."""
    lifetime_s: int
    listener: str
    """Listener of the REGISTER, ``transport:host:port``."""
    host: str
    port: int
    path: tuple[str, ...]
    instance: str
    reg_id: int
    user_agent: str


class BindingStore(Protocol):
    """The stored bindings of one node."""

    async def load(self) -> Sequence[StoredBinding]:
        """Return all stored bindings, by name and slot.

        Raises:
            StoreUnavailable: try again.
        """

    async def note(self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]) -> bool:
        """Write to the copy of the store, where it has one, what ``save`` will write; return False to be asked again.

        The copy reports its failures itself.
        """

    async def save(self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]) -> None:
        """Write bindings, new or not, and remove others, in one transaction; missing ones count as removed.

        Raises:
            StoreUnavailable: nothing was changed, as far as is known; repeat the call.
            VosError: something of it can never be stored; nothing was changed.
        """
