"""Waits for an ACK or a PRACK as data."""

from vosd.sip.dialog.acceptance import Acceptance, AcceptanceState
from vosd.sip.dialog.prack import ReliableProvisional, ReliableState
from vosd.sip.dialog.snapshot import DialogSnapshot, PeerSnapshot
from vosd.sip.flows import Flows
from vosd.sip.forms import in_form
from vosd.sip.owners import AcceptanceOwner, ProvisionalOwner
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.client_snapshot import dialog_with_login
from vosd.sip.transaction.snapshot import RetrySnapshot


class AcceptanceSnapshot(AcceptanceState[bytes, DialogSnapshot, PeerSnapshot, RetrySnapshot]):
    """A 2xx of ours that has no ACK, as the journal has it."""

    @classmethod
    def of(cls, acceptance: Acceptance, flows: Flows) -> "AcceptanceSnapshot":
        """Describe a wait."""
        dialog, spare, retry = dialog_with_login(acceptance.dialog, flows), acceptance.spare, acceptance.retry
        return in_form(
            cls,
            acceptance,
            dialog=dialog,
            spare=None if spare is None else PeerSnapshot.of(spare, flows),
            retry=None if retry is None else RetrySnapshot.of(retry, acceptance.store, flows),
        )

    def restored(self, owner: AcceptanceOwner | None, restoration: Restoration) -> Acceptance:
        """Go on waiting."""
        dialog, store = restoration.dialog(self.dialog), restoration.store
        spare = None if self.spare is None else self.spare.restored(restoration.flows)
        acceptance = in_form(Acceptance, self, dialog=dialog, spare=spare, retry=None, store=store, owner=owner)
        acceptance.retry = None if self.retry is None else self.retry.restored(acceptance, restoration)
        return acceptance


class ReliableSnapshot(ReliableState[RetrySnapshot]):
    """A reliable provisional response of ours that has no PRACK, as the journal has it."""

    @classmethod
    def of(cls, reliable: ReliableProvisional, flows: Flows) -> "ReliableSnapshot":
        """Describe a wait."""
        retry = reliable.retry
        return in_form(cls, reliable, retry=None if retry is None else RetrySnapshot.of(retry, retry.store, flows))

    def restored(self, owner: ProvisionalOwner, restoration: Restoration) -> ReliableProvisional:
        """Go on waiting."""
        reliable = in_form(ReliableProvisional, self, retry=None, owner=owner)
        reliable.retry = None if self.retry is None else self.retry.restored(reliable, restoration)
        return reliable
