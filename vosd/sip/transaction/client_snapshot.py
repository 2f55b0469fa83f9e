"""Requests of ours that have no final response, as data."""

from typing import Any

from vosd.sip.device import Device
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.snapshot import AnsweredChallenge, DialogSnapshot, PeerSnapshot, text_of
from vosd.sip.draft import InviteDraft, InviteDraftState, RequestDraft, RequestDraftState
from vosd.sip.flows import Flows
from vosd.sip.forms import in_form
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.bye_to_user import ByeToUser
from vosd.sip.transaction.client import Client, ClientState, InviteClient, InviteClientState
from vosd.sip.transaction.snapshot import RetrySnapshot
from vosd.sip.transaction.timer_snapshot import TimerSnapshot
from vosd.sip.wire.compose import encode
from vosd.sip.wire.outgoing import InviteParts, PartsState


def dialog_with_login(dialog: Dialog, flows: Flows, invite_sequence: int = 0) -> DialogSnapshot:
    """Describe a dialog, with the gateway whose login answers its challenges."""
    gateway = "" if dialog.answers is None else dialog.answers.gateway
    return DialogSnapshot.of(dialog, flows, gateway, invite_sequence)


class PartsSnapshot(PartsState[bytes, PeerSnapshot], frozen=True):
    """An INVITE of ours as the journal has it."""

    gateway: str = ""
    """The gateway whose login answers a challenge; empty where there is none."""
    asked: tuple[AnsweredChallenge, ...] = ()
    device: Device | None = None
    server_name: str = ""

    @classmethod
    def of(cls, parts: InviteParts, flows: Flows) -> "PartsSnapshot":
        """Describe an INVITE as it was sent."""
        gateway = "" if parts.answers is None else parts.answers.gateway
        asked = AnsweredChallenge.all_of(parts.answers)
        return in_form(cls, parts, peer=PeerSnapshot.of(parts.peer, flows), gateway=gateway, asked=asked)

    def restored(self, restoration: Restoration) -> InviteParts:
        """Return the parts."""
        answers = restoration.answers(self.call_id, self.gateway, self.asked)
        return in_form(InviteParts, self, peer=self.peer.restored(restoration.flows), answers=answers)


class RequestDraftSnapshot(RequestDraftState[bytes, DialogSnapshot], frozen=True):
    """The draft of a request, as the journal has it."""

    @classmethod
    def of(cls, draft: RequestDraft, flows: Flows) -> "RequestDraftSnapshot":
        """Describe a draft."""
        return in_form(cls, draft, dialog=dialog_with_login(draft.dialog, flows))

    def restored(self, restoration: Restoration) -> RequestDraft:
        """Return the draft."""
        return in_form(RequestDraft, self, dialog=restoration.dialog(self.dialog))


class InviteDraftSnapshot(InviteDraftState[bytes, PartsSnapshot, DialogSnapshot], frozen=True):
    """The draft of an INVITE, as the journal has it."""

    @classmethod
    def of(cls, draft: InviteDraft, flows: Flows) -> "InviteDraftSnapshot":
        """Describe a draft."""
        dialog = None if draft.dialog is None else dialog_with_login(draft.dialog, flows)
        return in_form(cls, draft, parts=PartsSnapshot.of(draft.parts, flows), dialog=dialog)

    def restored(self, restoration: Restoration) -> InviteDraft:
        """Return the draft."""
        dialog = None if self.dialog is None else restoration.dialog(self.dialog)
        return in_form(InviteDraft, self, parts=self.parts.restored(restoration), dialog=dialog)


class ClientSnapshot(ClientState[bytes, RetrySnapshot, PeerSnapshot, RequestDraftSnapshot], tag="client"):
    """A request of ours other than INVITE that has no final response, as the journal has it."""

    to_user: tuple[str, bytes, int] | None = None
    """User, Contact and end of the wait of a ``ByeToUser``, whose connection ends with the process."""
    spare_data: bytes = b""
    device: Device | None = None
    """The device of a ``ByeToUser``."""
    server_name: str = ""
    last: PeerSnapshot | None = None
    again_until: int = 0

    @classmethod
    def of(cls, client: Client, flows: Flows) -> "ClientSnapshot":
        """Describe a transaction; its owner refers to it."""
        retry, to_user = RetrySnapshot.of(client.retry, client.store, flows), None
        device: Device | None = None
        if isinstance(client, ByeToUser):
            retry = retry.waiting_until(client.until)
            to_user, device = (client.user, encode(client.contact), client.until), client.device
        elif client.again_until and client.retry.is_reliable:  # its connection, or the try to open it, ends, too
            retry = retry.waiting_until(0)
        spare = None if client.spare is None else PeerSnapshot.of(client.spare, flows)
        last = None if client.last is None else PeerSnapshot.of(client.last, flows)
        draft = None if client.draft is None else RequestDraftSnapshot.of(client.draft, flows)
        return in_form(cls, client, retry=retry, spare=spare, last=last, draft=draft, to_user=to_user, device=device)

    def restored(self, restoration: Restoration) -> Client:
        """Return the transaction, which has no owner yet; a BYE to a user waits for his next connection."""
        kind: type[Client] = Client
        to_user: dict[str, Any] = {}
        if self.to_user is not None:
            user, contact, until = self.to_user
            kind = ByeToUser
            to_user = {"user": user, "contact": text_of(contact), "until": until, "is_waiting": True}
            to_user["device"] = self.device
        spare = None if self.spare is None else self.spare.restored(restoration.flows)
        last = None if self.last is None else self.last.restored(restoration.flows)
        draft = None if self.draft is None else self.draft.restored(restoration)
        client = in_form(
            kind, self, store=restoration.store, retry=None, spare=spare, last=last, draft=draft, **to_user
        )
        client.retry = self.retry.restored(client, restoration)
        client.store.clients[client.key] = client
        if isinstance(client, ByeToUser):
            client.enter()
        return client


class InviteClientSnapshot(
    InviteClientState[bytes, PartsSnapshot, TimerSnapshot, RetrySnapshot, DialogSnapshot, InviteDraftSnapshot],
    tag="invite client",
):
    """An INVITE of ours, as the journal has it."""

    @classmethod
    def of(cls, client: InviteClient, flows: Flows) -> "InviteClientSnapshot":
        """Describe a transaction; its owner refers to it."""
        retry, spare, dialog, draft = client.retry, client.spare, client.dialog, client.draft
        return in_form(
            cls,
            client,
            parts=PartsSnapshot.of(client.parts, flows),
            last_wait=TimerSnapshot.of(client.last_wait, client.store),
            retry=None if retry is None else RetrySnapshot.of(retry, client.store, flows),
            spare=None if spare is None else (PartsSnapshot.of(spare[0], flows), spare[1]),
            dialog=None if dialog is None else dialog_with_login(dialog, flows),
            draft=None if draft is None else InviteDraftSnapshot.of(draft, flows),
        )

    def restored(self, restoration: Restoration) -> InviteClient:
        """Return the transaction, which has no owner yet."""
        retry, spare, draft = self.retry, self.spare, self.draft
        dialog = None if self.dialog is None else restoration.dialog(self.dialog)
        client = in_form(
            InviteClient,
            self,
            store=restoration.store,
            parts=self.parts.restored(restoration),
            last_wait=None,
            retry=None,
            spare=None if spare is None else (spare[0].restored(restoration), spare[1]),
            dialog=dialog,
            draft=None if draft is None else draft.restored(restoration),
        )
        client.last_wait = restoration.timer(self.last_wait, client)
        client.retry = None if retry is None else retry.restored(client, restoration)
        if client.is_live:
            client.store.clients[client.key] = client
            client.enter()
            if dialog is not None:
                dialog.invites += 1
        return client


def request_snapshot(client: Client | InviteClient, flows: Flows) -> ClientSnapshot | InviteClientSnapshot:
    """Describe the transaction of a request of ours."""
    return (
        InviteClientSnapshot.of(client, flows) if isinstance(client, InviteClient) else ClientSnapshot.of(client, flows)
    )


def request_restored(
    snapshot: ClientSnapshot | InviteClientSnapshot, restoration: Restoration
) -> Client | InviteClient:
    """Return the transaction of a request of ours."""
    if isinstance(snapshot, ClientSnapshot):
        return restoration.once(snapshot)
    return restoration.once(snapshot)
