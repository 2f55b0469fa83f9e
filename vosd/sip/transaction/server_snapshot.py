"""Requests of peers that have no final response, and failures of INVITEs that have no ACK, as data."""

from vosd.sip.flows import Flows
from vosd.sip.forms import in_form
from vosd.sip.restoration import Restoration
from vosd.sip.transaction.server import InviteServer, InviteServerState, Server, ServerState
from vosd.sip.transaction.snapshot import RetrySnapshot, StemSnapshot
from vosd.sip.transaction.timer_snapshot import TimerSnapshot


class ServerSnapshot(ServerState[bytes, StemSnapshot, TimerSnapshot], tag="server"):
    """A request of a peer other than INVITE that has no final response, as the journal has it."""

    @classmethod
    def of(cls, server: Server, flows: Flows) -> "ServerSnapshot":
        """Describe a transaction."""
        patience = TimerSnapshot.of(server.patience, server.store)
        return in_form(cls, server, stem=StemSnapshot.of(server.stem, flows), patience=patience)

    def restored(self, restoration: Restoration) -> Server:
        """Return the transaction."""
        store, stem = restoration.store, self.stem.restored(restoration.flows)
        server = in_form(Server, self, store=store, stem=stem, patience=None)
        server.patience = restoration.timer(self.patience, server)
        store.servers[server.key] = server
        return server


class InviteServerSnapshot(InviteServerState[bytes, StemSnapshot, RetrySnapshot], tag="invite server"):
    """An INVITE of a peer that has no final response, or whose failure has no ACK, as the journal has it."""

    @classmethod
    def of(cls, server: InviteServer, flows: Flows) -> "InviteServerSnapshot":
        """Describe a transaction."""
        retry = None if server.retry is None else RetrySnapshot.of(server.retry, server.store, flows)
        return in_form(cls, server, stem=StemSnapshot.of(server.stem, flows), retry=retry)

    def restored(self, restoration: Restoration) -> InviteServer:
        """Return the transaction, which has no owner yet."""
        store, stem = restoration.store, self.stem.restored(restoration.flows)
        server = in_form(InviteServer, self, store=store, stem=stem, retry=None)
        server.retry = None if self.retry is None else self.retry.restored(server, restoration)
        store.servers[server.key] = server
        if server.merging:
            store.merging.add(server.merging)
        return server
