"""Table of dialogs: the owner of each, by the tag that we have given it."""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Final

from vosd.base.clock import Instant
from vosd.sip.device import Device
from vosd.sip.dialog.acceptance import PendingBye
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.flows import whole_hop_of
from vosd.sip.headers.name_addr import tag_of
from vosd.sip.headers.rack import Rack
from vosd.sip.nat import is_elsewhere
from vosd.sip.owners import DialogOwner, Witness
from vosd.sip.transaction.entries import CLOSED_BEHIND_NAT, CLOSED_DIALOG, ClosedEarly, Entry
from vosd.sip.transaction.store import PlacesOf, RegisteredPlace, TransactionStore
from vosd.sip.wire.message import Request, Response
from vosd.sip.wire.outgoing import InviteParts, Peer

if TYPE_CHECKING:
    from vosd.sip.transaction.client import InviteClient

NO_FORKS: Final[Mapping[str, Dialog]] = {}

Kept = DialogOwner | PendingBye
"""Owner of a dialog: an owner, or after the end of the call the BYE that waits for an ACK."""


HasAccepted = Callable[[Peer], bool]
"""Returns whether a connection is open, and the peer has opened it."""


def from_none(_peer: Peer) -> bool:
    """Return that no connection is open (``HasAccepted``)."""
    return False


class DialogTable:
    """The owners of dialogs by our tags."""

    __slots__ = ("_by_user", "_has_accepted", "_placed", "_seen_at", "_store", "owners", "refused", "resumed")

    def __init__(self, store: TransactionStore, placed: Callable[["InviteClient"], None]) -> None:
        """``placed`` is called for an INVITE that has moved: a start after a kill has to cancel it where it rings."""
        self._store = store
        self._placed = placed
        self._has_accepted: HasAccepted = from_none
        self.owners: dict[str, Kept] = {}
        self.refused: dict[str, Witness] = {}
        """Witnesses of INVITEs of ours that were refused, by our tag: another fork may answer all the same."""
        self.resumed: set[str] = set()
        """Our tags of dialogs that a process which was killed has left, and whose peers have sent no request since: the
        latest one may come again, for its response may be lost."""
        self._seen_at: dict[str, tuple[str, Peer]] = {}
        """User and source address of the peer, by our tag; for registered users behind NAT or over a connection."""
        self._by_user: dict[str, dict[Peer, dict[str, None]]] = {}
        """Our tags by user, and by source address."""

    def __len__(self) -> int:
        return len(self.owners)

    def find_users_by(self, places_of: PlacesOf, has_accepted: HasAccepted) -> None:
        """Let BYEs look for the present connections of their users there; dialogs stay at those that are open."""
        self._store.places_of = places_of
        self._has_accepted = has_accepted

    def adopt(self, tag: str, owner: Kept) -> None:
        """Let ``owner`` receive the requests that have our ``tag``."""
        self.owners[tag] = owner
        dialog = owner.dialog
        if tag in self._seen_at or (dialog is not None and dialog.user):
            self.follow(tag, dialog)

    def follow(self, tag: str, dialog: Dialog | None) -> None:
        """Note the source address of a dialog's peer, if that is a user whose REGISTER may change it.

        It is one behind NAT, or over a connection, which the user alone can open again.
        """
        before = self._seen_at.pop(tag, None)
        if before is not None:
            user, place = before
            places = self._by_user[user]
            del places[place][tag]
            if not places[place]:
                del places[place]
                if not places:
                    del self._by_user[user]
        if dialog is not None and dialog.user and (dialog.is_behind_nat or self._store.reliable[dialog.seen_at.flow]):
            self._name_device(dialog)
            self._seen_at[tag] = dialog.user, dialog.seen_at
            self._by_user.setdefault(dialog.user, {}).setdefault(dialog.seen_at, {})[tag] = None

    def refresh(self, dialog: Dialog, message: Request | Response) -> bool:
        """Take a new Contact as the target of a dialog; return whether there was one.

        It may show that a registered user is behind NAT: then a REGISTER may change the address from now on.
        """
        was_behind_nat = dialog.is_behind_nat
        if not dialog.refresh(message):
            return False
        owner = self.owners.get(dialog.local_tag)
        if dialog.is_behind_nat and not was_behind_nat and owner is not None and owner.dialog is dialog:
            self.follow(dialog.local_tag, dialog)
        return True

    def has_called_from_elsewhere(self, user: str, invite: Request, source: Peer) -> bool:
        """Return whether a user has called from a registered place whose Contact is not where the user is seen.

        Requests to that place go where its REGISTER came from, and so do those of the call. Over a connection they take
        that connection, and where a proxy stands before the phone, its Record-Route or its Contact says where they go.
        A phone that asks for no ``rport`` may listen at another port than it sends from.
        """
        if self._store.reliable[source.flow] or invite.header("record-route") or len(invite.headers("via")) > 1:
            return False
        if "rport" not in invite.via.params:
            return False
        contact = invite.header("contact") or ""
        if not is_elsewhere(contact, source):
            return False
        hop = whole_hop_of(contact)
        return any(
            place.peer.flow == source.flow
            and whole_hop_of(place.contact) == hop
            and is_elsewhere(place.contact, place.peer)
            for place in self._store.places_of(user)
        )

    def _name_device(self, dialog: Dialog) -> None:
        """Note the device of a dialog, if that is unknown; an address that was guessed may be that of another one."""
        if dialog.device is None and not dialog.is_guessed:
            dialog.device = self._store.device_at(dialog.user, dialog.seen_at)

    def peer_moved(
        self, user: str, before: Peer, place: RegisteredPlace, now: Instant, *, is_own_only: bool = False
    ) -> None:
        """Send requests of a user's dialogs to a new address: NAT has changed it for the device with that Contact.

        Dialogs of other users at the old address stay, although their Contact may be the same (``192.168.1.20:5060``
        is common in homes); so do dialogs of other devices of the user, as far as they are known.

        CANCELs and ACKs of INVITEs that ring there, requests in their early dialogs and our responses to INVITEs of the
        user move as well, but only where both addresses are provably those of one device. So do dialogs where no
        connection is lost (over UDP, or it is open), and all if ``is_own_only``, but for those whose device is unknown
        and whose address was guessed. Without NAT all have to be proven: the Contact may accept connections.
        """
        is_own_only = is_own_only or not self._store.reliable[before.flow] or self._has_accepted(before)
        for tag in tuple(self._by_user.get(user, {}).get(before, ())):
            owner = self.owners[tag]
            dialog = owner.dialog
            if dialog is None or not dialog.is_where_seen:
                continue
            self._name_device(dialog)
            if not _may_be_at(place, dialog.target, dialog.device, before):
                continue
            is_proven = place.device.is_surely(dialog.device)
            may_be_guessed = (dialog.is_behind_nat and not is_own_only) or (dialog.device is None and dialog.is_guessed)
            if place.device.is_surely_not(dialog.device) or not (is_proven or may_be_guessed):
                continue
            dialog.registered_at(place.peer, is_guessed=not is_proven)
            self.follow(tag, dialog)
            owner.moved()
            if is_proven and owner.acceptance is not None:
                owner.acceptance.reach_by(place.peer, now)
        for invite in tuple(self._store.invites_to_users.get(user, ())):
            if invite.peer == before and _may_move(invite.parts, place):
                invite.reach_by(place.peer, now)
                self._move_forks(invite.parts, before)
                self._placed(invite)

    def is_asked_elsewhere(self, dialog: Dialog | None, asked_at: Peer) -> bool:
        """Return whether a request was sent to an address that may be that of another device of the peer's user.

        Neither 481 nor silence is the peer's then, and requests go to the next place of the user from now on.
        """
        if dialog is None or not dialog.may_be_of_another(asked_at):
            return False
        self._look_elsewhere(dialog, asked_at)
        return True

    def _look_elsewhere(self, dialog: Dialog, refused_at: Peer) -> None:
        """Send requests of a dialog to another place of its user, if there is one: one device has no such dialog.

        The places are tried in turn, for which device has the call is not known.
        """
        owner, hop = self.owners.get(dialog.local_tag), whole_hop_of(dialog.target)
        if owner is None or dialog.seen_at != refused_at:
            return
        places = [
            place
            for place in self._store.places_of(dialog.user)
            if place.peer.flow == refused_at.flow
            and whole_hop_of(place.contact) == hop
            and (place.peer == refused_at or not place.device.is_surely_not(dialog.device))
        ]
        at = next((number for number, place in enumerate(places) if place.peer == refused_at), -1)
        for place in (*places[at + 1 :], *places[: max(at, 0)]):
            if place.peer != refused_at:
                dialog.reach_by(place.peer, is_guessed=not place.device.is_surely(dialog.device))
                self.follow(dialog.local_tag, dialog)
                owner.moved()
                return

    def _move_forks(self, invite: InviteParts, before: Peer) -> None:
        """Send what the early dialogs of an INVITE have to where that is sent by now."""
        keeper = self.owners.get(tag_of(invite.from_))
        for fork in () if keeper is None else keeper.forks.values():
            if fork.user == invite.user and fork.seen_at == before:
                fork.registered_at(invite.peer)

    def connected_again(
        self, user: str, place: RegisteredPlace, elsewhere: Collection[RegisteredPlace], now: Instant
    ) -> None:
        """Send requests of a user's dialogs to a new connection, where the one before is gone for the same Contact.

        So is the BYE of a call that has ended meanwhile. Where the user is registered at present (``elsewhere``) is
        another device of his: only calls that are provably of the device that registers move from there.
        """
        taken = {each.peer for each in elsewhere}
        own = {each.peer for each in elsewhere if place.device.is_surely(each.device)}
        for bye in tuple(self._store.byes_to_users.get(user, ())):
            bye.registered(place, own if place.device.is_surely(bye.device) else taken, now)
        ringing = [each.peer for each in self._store.invites_to_users.get(user, ())]
        for before in dict.fromkeys((*self._by_user.get(user, ()), *ringing)):
            if before.flow == place.peer.flow and before != place.peer and before not in own:
                self.peer_moved(user, before, place, now, is_own_only=before in taken)

    def connection_lost(self, user: str, before: Peer, now: Instant) -> None:
        """Send requests of a user's dialogs over another connection at which the same device is registered.

        The latest one is preferred. Dialogs of a device that has no other one stay until it registers.
        """
        for place in reversed(self._store.places_of(user)):
            if place.peer.flow == before.flow and place.peer != before:
                self.peer_moved(user, before, place, now, is_own_only=True)

    def registered_again(self, user: str, place: RegisteredPlace, now: Instant) -> None:
        """Send BYEs that wait for a connection: a user has registered again from the same address and port."""
        for bye in tuple(self._store.byes_to_users.get(user, ())):
            bye.registered_again(place, now)

    def forget(self, tag: str, now: Instant, overtaken: Rack | None = None) -> None:
        """Remove a dialog from the table; a BYE that crosses ours is still answered.

        So is the PRACK of the reliable response that the end of the dialog has ``overtaken``.
        """
        owner = self.owners.pop(tag, None)
        self.resumed.discard(tag)
        if owner is not None:
            if tag in self._seen_at:
                self.follow(tag, None)
            dialog = owner.dialog
            mark: Entry = CLOSED_DIALOG if dialog is None or not dialog.is_behind_nat else CLOSED_BEHIND_NAT
            if overtaken is not None:
                mark = ClosedEarly(overtaken, is_behind_nat=mark is CLOSED_BEHIND_NAT)
            self._store.finished.keep(tag, mark, self._store.timers.transaction_ms, now)

    def clear(self) -> None:
        """Remove all dialogs, as if there had been none."""
        self.owners.clear()
        self.refused.clear()
        self.resumed.clear()
        self._seen_at.clear()
        self._by_user.clear()

    def find(self, request: Request) -> tuple[Kept | None, Dialog | None]:
        """Return the owner of the dialog of a request, and the dialog; None where there is no such dialog."""
        owner = self.owners.get(request.to_tag)
        if owner is None:
            return None, None
        dialog = owner.dialog
        if dialog is not None and dialog.remote_tag == request.from_tag and dialog.call_id == request.call_id:
            return owner, dialog
        fork = owner.forks.get(request.from_tag)
        if fork is not None and fork.fits(request):
            return owner, fork
        return None, None

    def answer_repeated(self, request: Request, now: Instant) -> None:
        """Note that the peer of a dialog has not received our final response to an INFO before now."""
        owner = self.find(request)[0]
        if owner is not None and not isinstance(owner, PendingBye) and owner.keypad is not None:
            owner.keypad.answer_repeated(request, now)

    def has_live(self, tag: str, call_id: str, remote_tag: str) -> bool:
        """Return whether a dialog with these has not ended: our tag, its Call-ID and the tag of the peer."""
        owner = self.owners.get(tag)
        if owner is None:
            return False
        dialog = owner.dialog
        if dialog is None or dialog.remote_tag != remote_tag:
            dialog = owner.forks.get(remote_tag)
        return dialog is not None and dialog.call_id == call_id

    def is_behind_nat(self, request: Request) -> bool:
        """Return whether a request is of the dialog of a peer behind NAT, which may have ended less than 64·T1 ago."""
        dialog = self.find(request)[1]
        if dialog is not None:
            return dialog.is_behind_nat
        closed = self._store.finished.get(request.to_tag)
        return closed is CLOSED_BEHIND_NAT or (isinstance(closed, ClosedEarly) and closed.is_behind_nat)

    def has(self, tag: str) -> bool:
        """Return whether a tag is that of a dialog of ours, or of one that ended less than 64·T1 ago."""
        return tag in self.owners or _is_closed(self._store.finished.get(tag))

    def crosses_the_end(self, request: Request) -> bool:
        """Return whether a BYE has crossed ours (RFC 3261 15.1.2), or a PRACK our final response (RFC 3262 3)."""
        closed = self._store.finished.get(request.to_tag)
        if request.method == "BYE":
            return _is_closed(closed)
        return isinstance(closed, ClosedEarly) and is_prack_of(request, closed.overtaken)


def is_prack_of(request: Request, response: Rack | None) -> bool:
    """Return whether a request is the PRACK of a reliable response; None = there is none that has no PRACK."""
    return response is not None and request.method == "PRACK" and Rack.in_(request) == response


def _is_closed(entry: Entry | None) -> bool:
    return entry is CLOSED_DIALOG or entry is CLOSED_BEHIND_NAT or isinstance(entry, ClosedEarly)


def _may_move(invite: InviteParts, place: RegisteredPlace) -> bool:
    """Return whether an INVITE is provably one to the device that is registered there, and its Via fits that address.

    Behind a proxy (Route) the device is not known.
    """
    is_for_it = place.device.is_surely(invite.device) and _may_be_at(place, invite.uri, invite.device, invite.peer)
    return is_for_it and invite.peer.flow == place.peer.flow and not invite.route


def _may_be_at(place: RegisteredPlace, target: str, device: Device | None, before: Peer) -> bool:
    """Return whether a call may be one of a place: it has the Contact that is called, or the instance of its device.

    A device writes the port of each connection into its Contact, or the address of the network that it is in by now.
    """
    is_its_flow = place.peer.flow == before.flow and place.device.has_instance_of(device)
    return is_its_flow or whole_hop_of(target) == whole_hop_of(place.contact)
