"""An endpoint as data: what it has beside its calls, so that another process can go on in its place."""

import msgspec

from vosd.sip.dialog.acceptance import PendingBye
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.snapshot import AnsweredChallenge, AnswersOf, DialogSnapshot, PeerSnapshot, text_of
from vosd.sip.dialog.waits import AcceptanceSnapshot
from vosd.sip.endpoint import Endpoint
from vosd.sip.events import CancelArrived
from vosd.sip.flows import Flows
from vosd.sip.headers.rack import Rack
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.client_snapshot import (
    ClientSnapshot,
    InviteClientSnapshot,
    PartsSnapshot,
    dialog_with_login,
    request_snapshot,
)
from vosd.sip.transaction.entries import ClosedEarly, Entry, Mark, Unacknowledged
from vosd.sip.transaction.server import InviteServer
from vosd.sip.transaction.server_snapshot import InviteServerSnapshot
from vosd.sip.transaction.states import TransactionState
from vosd.sip.wire.compose import encode, parts_acknowledged
from vosd.sip.wire.outgoing import Datagram, ProvenAck


class FinishedSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """Rest of a finished transaction: a mark, a message to repeat, or an INVITE whose 2xx waits for its ACK."""

    key: bytes
    due_ms: int
    mark: Mark | None = None
    message: tuple[PeerSnapshot, bytes] | None = None
    gateway: str = ""
    asked: tuple[AnsweredChallenge, ...] = ()
    invite: tuple[PartsSnapshot, bytes] | None = None
    """With the tag of the 2xx."""
    overtaken: Rack | None = None
    """The reliable response whose PRACK may still come, of a dialog that was closed."""
    accepted_in: str = ""
    """Our tag of the dialog of an INVITE that was answered with 2xx."""
    server_name: str = ""
    """The name that the certificate must bear for the message, an ACK."""


class RefusedInvite:
    """Owner of an INVITE that was refused, whose refusal has no ACK."""

    __slots__ = ("dialog",)

    def __init__(self, dialog: Dialog) -> None:
        self.dialog: Dialog | None = dialog

    def cancelled(self, _event: CancelArrived) -> None:
        """Do nothing: the INVITE has its final response."""


class EndpointSnapshot(msgspec.Struct, frozen=True):
    """State of an endpoint beside its calls: requests that nothing waits for, finished transactions, pending BYEs."""

    mark: str
    refusal_tag: str
    clients: tuple[ClientSnapshot | InviteClientSnapshot, ...]
    servers: tuple[tuple[InviteServerSnapshot, DialogSnapshot | None], ...]
    """INVITEs that were refused, and whose refusal has no ACK; with the dialog that a CANCEL is answered in."""
    pending_byes: tuple[AcceptanceSnapshot, ...]
    """The 2xx of calls that are over, whose BYE waits for the ACK."""
    finished: tuple[FinishedSnapshot, ...]
    refused: tuple[tuple[bytes, int, PeerSnapshot, bytes], ...] = ()
    """Stateless refusals that are sent again: key, end, where to, and the response."""

    @classmethod
    def of(cls, endpoint: Endpoint) -> "EndpointSnapshot":
        """Describe an endpoint as it stands."""
        store, flows = endpoint.store, endpoint.flows
        unowned = [client for client in store.clients.values() if client.owner is None]
        refused = [server for server in store.servers.values() if server.state is TransactionState.COMPLETED]
        byes = [owner.acceptance for owner in endpoint.dialogs.owners.values() if isinstance(owner, PendingBye)]
        return cls(
            flows.mark,
            flows.refusal_tag,
            tuple(request_snapshot(client, flows) for client in unowned),
            tuple(
                (InviteServerSnapshot.of(each, flows), _dialog_of(each, flows))
                for each in refused
                if isinstance(each, InviteServer)
            ),
            tuple(AcceptanceSnapshot.of(each, flows) for each in byes),
            tuple(_finished(endpoint, *kept) for kept in store.finished.kept()),
            tuple(
                (encode(key), until_ms, PeerSnapshot.of(answer.peer, flows), answer.data)
                for key, until_ms, answer in store.refused.kept()
            ),
        )

    def restored(self, endpoint: Endpoint, answers_of: AnswersOf) -> Restoration:
        """Go on with it in an endpoint that has nothing yet; calls are restored with what is returned."""
        restoration = Restoration(endpoint, answers_of)
        endpoint.flows.go_on_as(self.mark, self.refusal_tag)
        for client in self.clients:
            restoration.once(client)
        for server, dialog in self.servers:
            owner = None if dialog is None else RefusedInvite(restoration.dialog(dialog))
            restoration.once(server).owner = owner
        for bye in self.pending_byes:
            acceptance = bye.restored(None, restoration)
            endpoint.dialogs.adopt(acceptance.dialog.local_tag, PendingBye(acceptance))
        for each in self.finished:
            restoration.store.finished.keep_until(text_of(each.key), _entry(each, restoration), each.due_ms)
        for key, until_ms, peer, data in self.refused:
            answer = Datagram(peer.restored(endpoint.flows), data)
            endpoint.store.refused.keep_until(text_of(key), answer, until_ms)
        return restoration


def _dialog_of(server: InviteServer, flows: Flows) -> DialogSnapshot | None:
    dialog = None if server.owner is None else server.owner.dialog
    return None if dialog is None else dialog_with_login(dialog, flows)


def _finished(endpoint: Endpoint, key: str, entry: Entry, due_ms: int) -> FinishedSnapshot:
    raw = encode(key)
    if isinstance(entry, str):
        return FinishedSnapshot(raw, due_ms, Mark.ACCEPTED, accepted_in=entry)
    if isinstance(entry, Mark):
        return FinishedSnapshot(raw, due_ms, Mark.CLOSED_DIALOG if entry is Mark.CLOSED_BEHIND_NAT else entry)
    if isinstance(entry, ClosedEarly):
        return FinishedSnapshot(raw, due_ms, Mark.CLOSED_DIALOG, overtaken=entry.overtaken)
    if isinstance(entry, Unacknowledged):
        invite = PartsSnapshot.of(entry.parts, endpoint.flows), encode(entry.to_tag)
        return FinishedSnapshot(raw, due_ms, invite=invite)
    message = PeerSnapshot.of(entry.peer, endpoint.flows), entry.data
    answers, name = (entry.answers, entry.server_name) if isinstance(entry, ProvenAck) else (None, "")
    gateway = "" if answers is None else answers.gateway
    return FinishedSnapshot(raw, due_ms, None, message, gateway, AnsweredChallenge.all_of(answers), server_name=name)


def _entry(snapshot: FinishedSnapshot, restoration: Restoration) -> Entry:
    if snapshot.invite is not None:
        parts, tag = snapshot.invite
        return Unacknowledged(parts.restored(restoration), text_of(tag))
    if snapshot.overtaken is not None:
        return ClosedEarly(snapshot.overtaken, is_behind_nat=False)
    if snapshot.message is None:
        return snapshot.accepted_in or snapshot.mark or Mark.ABSORB
    peer, data = snapshot.message
    kept, answers = Datagram(peer.restored(restoration.flows), data), None
    if snapshot.gateway:
        call_id = encode(parts_acknowledged(kept).call_id)
        answers = restoration.answers(call_id, snapshot.gateway, snapshot.asked)
    return ProvenAck.of(kept.peer, data, answers, snapshot.server_name)
