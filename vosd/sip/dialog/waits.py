"""Waits for an ACK or a PRACK as data."""

from typing import TYPE_CHECKING

import msgspec

from vosd.sip.dialog.acceptance import Acceptance
from vosd.sip.dialog.prack import ReliableProvisional
from vosd.sip.dialog.snapshot import DialogSnapshot, PeerSnapshot, text_of
from vosd.sip.flows import Flows
from vosd.sip.owners import AcceptanceOwner, ProvisionalOwner
from vosd.sip.transaction.client_snapshot import dialog_with_login
from vosd.sip.transaction.snapshot import RetrySnapshot
from vosd.sip.wire.compose import encode

if TYPE_CHECKING:
    from vosd.sip.restoration import Restoration


class AcceptanceSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """A 2xx of ours that has no ACK."""

    dialog: DialogSnapshot
    invite: int
    """The CSeq number of the INVITE."""
    bye_headers: bytes | None
    spare: PeerSnapshot | None
    retry: RetrySnapshot | None
    """None = it has not been sent."""

    @classmethod
    def of(cls, acceptance: Acceptance, flows: Flows) -> "AcceptanceSnapshot":
        """Describe a wait."""
        bye_headers, spare = acceptance.bye_headers, acceptance.spare
        return cls(
            dialog_with_login(acceptance.dialog, flows),
            acceptance.invite,
            None if bye_headers is None else encode(bye_headers),
            None if spare is None else PeerSnapshot.of(spare, flows),
            None if acceptance.retry is None else RetrySnapshot.of(acceptance.retry, acceptance.store, flows),
        )

    def restored(self, owner: AcceptanceOwner | None, restoration: "Restoration") -> Acceptance:
        """Go on waiting."""
        bye_headers = None if self.bye_headers is None else text_of(self.bye_headers)
        spare = None if self.spare is None else self.spare.restored(restoration.flows)
        dialog = restoration.dialog(self.dialog)
        retry = None if self.retry is None else self.retry.message(restoration)
        acceptance = Acceptance(
            restoration.store, dialog, self.invite, owner, spare=spare, retry=retry, bye_headers=bye_headers
        )
        if self.retry is not None and retry is not None:
            restoration.wait(retry, self.retry.timer, acceptance)
        return acceptance


class ReliableSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """A reliable provisional response of ours that has no PRACK."""

    number: int
    has_session: bool
    retry: RetrySnapshot | None
    """None = it has not been sent."""

    @classmethod
    def of(cls, reliable: ReliableProvisional, flows: Flows) -> "ReliableSnapshot":
        """Describe a wait."""
        retry = None if reliable.retry is None else RetrySnapshot.of(reliable.retry, reliable.retry.store, flows)
        return cls(reliable.number, reliable.has_session, retry)

    def restored(self, owner: ProvisionalOwner, restoration: "Restoration") -> ReliableProvisional:
        """Go on waiting."""
        retry = None if self.retry is None else self.retry.message(restoration)
        reliable = ReliableProvisional(self.number, owner, has_session=self.has_session, retry=retry)
        if self.retry is not None and retry is not None:
            restoration.wait(retry, self.retry.timer, reliable)
        return reliable
