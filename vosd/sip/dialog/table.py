"""Who keeps which dialog: requests find their owner by the tag that we gave it."""

from collections.abc import Mapping
from typing import Final, Protocol

from vosd.base.clock import Instant
from vosd.sip.dialog.identity import Dialog
from vosd.sip.message import Request
from vosd.sip.transaction.spent import Mark
from vosd.sip.transaction.store import TransactionStore

NO_FORKS: Final[Mapping[str, Dialog]] = {}
CROSSING: Final = frozenset({"BYE", "PRACK"})
"""Requests that may be on their way while we end their dialog, and have done no wrong."""


class DialogOwner(Protocol):
    """Whoever keeps a dialog: the engine finds it by our tag and asks which dialog a request fits."""

    @property
    def dialog(self) -> Dialog | None:
        """The dialog as it stands, or None while there is none."""
        ...

    @property
    def forks(self) -> Mapping[str, Dialog]:
        """Early dialogs that share our tag, by the tags of those who answered (RFC 3261 section 12.1)."""
        ...


class DialogTable:
    """The owners by tag."""

    __slots__ = ("_store", "owners")

    def __init__(self, store: TransactionStore) -> None:
        self._store = store
        self.owners: dict[str, DialogOwner] = {}

    def __len__(self) -> int:
        return len(self.owners)

    def adopt(self, tag: str, owner: DialogOwner) -> None:
        """Bring requests that bear our ``tag`` to ``owner``."""
        self.owners[tag] = owner

    def forget(self, tag: str, now: Instant) -> None:
        """End a dialog: its owner hears no more, a BYE that crosses ours is still answered."""
        if self.owners.pop(tag, None) is not None:
            self._store.retire(f"dialog {tag}", Mark.CLOSED_DIALOG, self._store.timers.transaction_ms, now)

    def find(self, request: Request) -> tuple[DialogOwner | None, Dialog | None]:
        """Return who keeps the dialog of a request, and the dialog; None where nobody has one that fits."""
        owner = self.owners.get(request.to_tag)
        if owner is None:
            return None, None
        dialog = owner.dialog
        if dialog is not None and dialog.fits(request):
            return owner, dialog
        fork = owner.forks.get(request.from_tag)
        if fork is not None and fork.fits(request):
            return owner, fork
        return None, None

    def belongs(self, request: Request) -> bool:
        """Say whether a request names a dialog that is, or was until just now, one of ours."""
        tag = request.to_tag
        return bool(tag) and (tag in self.owners or self._store.spent.get(f"dialog {tag}") is not None)

    def crosses_the_end(self, request: Request) -> bool:
        """Say whether a BYE has met ours on the way (RFC 3261 15.1.2), or a PRACK our final response (RFC 3262 3)."""
        return request.method in CROSSING and self._store.spent.get(f"dialog {request.to_tag}") is Mark.CLOSED_DIALOG
