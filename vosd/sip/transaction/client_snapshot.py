"""Requests of ours that have no final response, as data."""

from typing import TYPE_CHECKING

import msgspec

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.snapshot import AnsweredChallenge, DialogSnapshot, PeerSnapshot, text_of
from vosd.sip.draft import InviteDraft, InviteDraftState, RequestDraft, RequestDraftState
from vosd.sip.flows import Flows
from vosd.sip.forms import in_form
from vosd.sip.transaction.bye_to_user import ByeToUser
from vosd.sip.transaction.client import Client
from vosd.sip.transaction.invite_client import InviteClient
from vosd.sip.transaction.snapshot import RetrySnapshot, TimerSnapshot
from vosd.sip.transaction.states import State
from vosd.sip.wire.compose import encode
from vosd.sip.wire.outgoing import InviteParts, PartsState

if TYPE_CHECKING:
    from vosd.sip.restoration import Restoration


def dialog_with_login(dialog: Dialog, flows: Flows, invite_sequence: int = 0) -> DialogSnapshot:
    """Describe a dialog, with the gateway whose login answers its challenges."""
    gateway = "" if dialog.answers is None else dialog.answers.gateway
    return DialogSnapshot.of(dialog, flows, gateway, invite_sequence)


class PartsSnapshot(PartsState[bytes, PeerSnapshot], frozen=True):
    """An INVITE of ours as the journal has it."""

    gateway: str = ""
    """Whose login answers a challenge; empty where there is none."""
    asked: tuple[AnsweredChallenge, ...] = ()

    @classmethod
    def of(cls, parts: InviteParts, flows: Flows) -> "PartsSnapshot":
        """Describe an INVITE as it was sent."""
        gateway = "" if parts.answers is None else parts.answers.gateway
        asked = AnsweredChallenge.all_of(parts.answers)
        return in_form(cls, parts, peer=PeerSnapshot.of(parts.peer, flows), gateway=gateway, asked=asked)

    def restored(self, restoration: "Restoration") -> InviteParts:
        """Return the parts."""
        answers = restoration.answers(self.call_id, self.gateway, self.asked)
        return in_form(InviteParts, self, peer=self.peer.restored(restoration.flows), answers=answers)


class RequestDraftSnapshot(RequestDraftState[bytes, DialogSnapshot], frozen=True):
    """The draft of a request, as the journal has it."""

    @classmethod
    def of(cls, draft: RequestDraft, flows: Flows) -> "RequestDraftSnapshot":
        """Describe a draft."""
        return in_form(cls, draft, dialog=dialog_with_login(draft.dialog, flows))

    def restored(self, restoration: "Restoration") -> RequestDraft:
        """Return the draft."""
        return in_form(RequestDraft, self, dialog=restoration.dialog(self.dialog))


class InviteDraftSnapshot(InviteDraftState[bytes, PartsSnapshot, DialogSnapshot], frozen=True):
    """The draft of an INVITE, as the journal has it."""

    @classmethod
    def of(cls, draft: InviteDraft, flows: Flows) -> "InviteDraftSnapshot":
        """Describe a draft."""
        dialog = None if draft.dialog is None else dialog_with_login(draft.dialog, flows)
        return in_form(cls, draft, parts=PartsSnapshot.of(draft.parts, flows), dialog=dialog)

    def restored(self, restoration: "Restoration") -> InviteDraft:
        """Return the draft."""
        dialog = None if self.dialog is None else restoration.dialog(self.dialog)
        return in_form(InviteDraft, self, parts=self.parts.restored(restoration), dialog=dialog)


class ClientSnapshot(msgspec.Struct, frozen=True, array_like=True, tag="client"):
    """A request of ours other than INVITE that has no final response."""

    key: bytes
    state: State
    retry: RetrySnapshot
    spare: PeerSnapshot | None
    draft: RequestDraftSnapshot | None
    to_user: tuple[str, bytes, int] | None = None
    """Of a ``ByeToUser``: the user, the Contact, and until when it waits. Its connection ends with the process."""

    @classmethod
    def of(cls, client: Client, flows: Flows) -> "ClientSnapshot":
        """Describe a transaction; its owner refers to it."""
        retry, to_user = RetrySnapshot.of(client.retry, client.store, flows), None
        if isinstance(client, ByeToUser):
            retry = retry.waiting_until(client.until)
            to_user = client.user, encode(client.contact), client.until
        return cls(
            encode(client.key),
            client.state,
            retry,
            None if client.spare is None else PeerSnapshot.of(client.spare, flows),
            None if client.draft is None else RequestDraftSnapshot.of(client.draft, flows),
            to_user,
        )

    def restored(self, restoration: "Restoration") -> Client:
        """Return the transaction, which has no owner yet."""
        client = Client(restoration.store, None) if self.to_user is None else _bye_to(*self.to_user, restoration)
        retry = self.retry.restored(client, restoration)
        spare = None if self.spare is None else self.spare.restored(restoration.flows)
        draft = None if self.draft is None else self.draft.restored(restoration)
        client.restore(text_of(self.key), self.state, retry, spare, draft)
        return client


class InviteClientSnapshot(msgspec.Struct, frozen=True, array_like=True, tag="invite client"):
    """An INVITE of ours; one that has its final response is kept where its 2xx has no ACK yet."""

    key: bytes
    state: State
    is_live: bool
    """Whether it has no final response."""
    parts: PartsSnapshot
    cancel_headers: bytes | None
    last_wait: TimerSnapshot | None
    listens_until: int
    retry: RetrySnapshot | None
    spare: tuple[PartsSnapshot, bytes] | None
    dialog: DialogSnapshot | None
    draft: InviteDraftSnapshot | None
    refused_with: int = 0
    """Status of the final response, where it is no 2xx; 0 also in snapshots of earlier versions."""

    @classmethod
    def of(cls, client: InviteClient, flows: Flows) -> "InviteClientSnapshot":
        """Describe a transaction; its owner refers to it."""
        store = client.store
        return cls(
            encode(client.key),
            client.state,
            store.clients.get(client.key) is client,
            PartsSnapshot.of(client.parts, flows),
            None if client.cancel_headers is None else encode(client.cancel_headers),
            TimerSnapshot.of(client.last_wait, store),
            client.listens_until,
            None if client.retry is None else RetrySnapshot.of(client.retry, store, flows),
            None if client.spare is None else (PartsSnapshot.of(client.spare[0], flows), client.spare[1]),
            None if client.dialog is None else dialog_with_login(client.dialog, flows),
            None if client.draft is None else InviteDraftSnapshot.of(client.draft, flows),
            client.refused_with,
        )

    def restored(self, restoration: "Restoration") -> InviteClient:
        """Return the transaction, which has no owner yet."""
        key, dialog = text_of(self.key), None if self.dialog is None else restoration.dialog(self.dialog)
        client = InviteClient(restoration.store, None, dialog)
        client.restore(
            key,
            self.state,
            self.parts.restored(restoration),
            cancel_headers=None if self.cancel_headers is None else text_of(self.cancel_headers),
            last_wait=restoration.timer(self.last_wait, client),
            listens_until=self.listens_until,
            retry=None if self.retry is None else self.retry.restored(client, restoration),
            spare=None if self.spare is None else (self.spare[0].restored(restoration), self.spare[1]),
            draft=None if self.draft is None else self.draft.restored(restoration),
        )
        client.refused_with = self.refused_with
        if self.is_live:
            restoration.store.clients[key] = client
            if dialog is not None:
                dialog.invites += 1
        return client


def _bye_to(user: str, contact: bytes, until: int, restoration: "Restoration") -> ByeToUser:
    return ByeToUser(restoration.store, user, text_of(contact), until)


def request_snapshot(client: Client | InviteClient, flows: Flows) -> ClientSnapshot | InviteClientSnapshot:
    """Describe the transaction of a request of ours."""
    return (
        InviteClientSnapshot.of(client, flows) if isinstance(client, InviteClient) else ClientSnapshot.of(client, flows)
    )
