"""Who keeps which dialog: requests find their owner by the tag that we gave it."""

from collections.abc import Mapping
from typing import Final

from vosd.base.clock import Instant
from vosd.sip.dialog.acceptance import PendingBye
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.flows import hop_of
from vosd.sip.owners import DialogOwner
from vosd.sip.transaction.finished import Mark
from vosd.sip.transaction.store import TransactionStore
from vosd.sip.wire.compose import Peer
from vosd.sip.wire.message import Request

NO_FORKS: Final[Mapping[str, Dialog]] = {}
CROSSING: Final = frozenset({"BYE", "PRACK"})
"""Requests that may be on their way while we end their dialog, and have done no wrong."""


Kept = DialogOwner | PendingBye
"""Who may keep a dialog: an owner, or after its end the BYE that waits for an ACK."""


class DialogTable:
    """The owners by tag."""

    __slots__ = ("_behind_nat", "_seen_at", "_store", "owners")

    def __init__(self, store: TransactionStore) -> None:
        self._store = store
        self.owners: dict[str, Kept] = {}
        self._seen_at: dict[str, tuple[str, Peer]] = {}
        """Of dialogs with users behind NAT alone, by our tags: who, and where."""
        self._behind_nat: dict[tuple[str, Peer], dict[str, None]] = {}
        """The same the other way round."""

    def __len__(self) -> int:
        return len(self.owners)

    def adopt(self, tag: str, owner: Kept) -> None:
        """Bring requests that bear our ``tag`` to ``owner``."""
        self.owners[tag] = owner
        self.follow(tag, owner.dialog)

    def follow(self, tag: str, dialog: Dialog | None) -> None:
        """Note where the peer of a dialog is seen now, if it is a user behind NAT, whose REGISTERs may move it."""
        before = self._seen_at.pop(tag, None)
        if before is not None:
            tags = self._behind_nat[before]
            del tags[tag]
            if not tags:
                del self._behind_nat[before]
        if dialog is not None and dialog.is_behind_nat and dialog.user:
            place = self._seen_at[tag] = dialog.user, dialog.seen_at
            self._behind_nat.setdefault(place, {})[tag] = None

    def peer_moved(self, user: str, before: Peer, after: Peer, contact: str) -> None:
        """Hear that NAT has given a user's device with that Contact another place: its dialogs go there from now on.

        Not those of somebody else at the old place, whose Contact may be the same (``192.168.1.20:5060`` is in half
        of all homes), nor those of another device of the user.
        """
        for tag in tuple(self._behind_nat.get((user, before), ())):
            owner = self.owners[tag]
            dialog = owner.dialog
            if dialog is not None and hop_of(dialog.target) == hop_of(contact):
                dialog.reach_by(after)
                self.follow(tag, dialog)
                owner.moved()

    def forget(self, tag: str, now: Instant) -> None:
        """End a dialog: its owner hears no more, a BYE that crosses ours is still answered."""
        if self.owners.pop(tag, None) is not None:
            self.follow(tag, None)
            self._store.retire(f"dialog {tag}", Mark.CLOSED_DIALOG, self._store.timers.transaction_ms, now)

    def find(self, request: Request) -> tuple[Kept | None, Dialog | None]:
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
        return bool(request.to_tag) and self.has(request.to_tag)

    def has(self, tag: str) -> bool:
        """Say whether we gave a tag, and the dialog runs, or did until just now."""
        return tag in self.owners or self._store.finished.get(f"dialog {tag}") is not None

    def crosses_the_end(self, request: Request) -> bool:
        """Say whether a BYE has met ours on the way (RFC 3261 15.1.2), or a PRACK our final response (RFC 3262 3)."""
        return request.method in CROSSING and self._store.finished.get(f"dialog {request.to_tag}") is Mark.CLOSED_DIALOG
