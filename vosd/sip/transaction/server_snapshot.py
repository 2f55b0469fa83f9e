"""Requests of peers that have no final response, and failures of INVITEs that have no ACK, as data."""

from typing import TYPE_CHECKING

import msgspec

from vosd.sip.dialog.snapshot import text_of
from vosd.sip.flows import Flows
from vosd.sip.transaction.invite_server import InviteServer
from vosd.sip.transaction.server import Server
from vosd.sip.transaction.snapshot import RetrySnapshot, StemSnapshot, TimerSnapshot
from vosd.sip.transaction.states import State
from vosd.sip.wire.compose import encode

if TYPE_CHECKING:
    from vosd.sip.restoration import Restoration


class ServerSnapshot(msgspec.Struct, frozen=True, array_like=True, tag="server"):
    """A request of a peer other than INVITE that has no final response."""

    key: bytes
    state: State
    stem: StemSnapshot
    last: bytes | None
    trying: bytes
    patience: TimerSnapshot | None

    @classmethod
    def of(cls, server: Server, flows: Flows) -> "ServerSnapshot":
        """Describe a transaction."""
        return cls(
            encode(server.key),
            server.state,
            StemSnapshot.of(server.stem, flows),
            server.last,
            encode(server.trying),
            TimerSnapshot.of(server.patience, server.store),
        )

    def restored(self, restoration: "Restoration") -> Server:
        """Return the transaction."""
        server = Server(restoration.store, text_of(self.key), self.stem.restored(restoration.flows))
        server.state, server.last, server.trying = self.state, self.last, text_of(self.trying)
        server.patience = restoration.timer(self.patience, server)
        return server


class InviteServerSnapshot(msgspec.Struct, frozen=True, array_like=True, tag="invite server"):
    """An INVITE of a peer that has no final response, or whose failure has no ACK."""

    key: bytes
    state: State
    stem: StemSnapshot
    last: bytes | None
    merging: bytes
    retry: RetrySnapshot | None

    @classmethod
    def of(cls, server: InviteServer, flows: Flows) -> "InviteServerSnapshot":
        """Describe a transaction."""
        return cls(
            encode(server.key),
            server.state,
            StemSnapshot.of(server.stem, flows),
            server.last,
            encode(server.merging),
            None if server.retry is None else RetrySnapshot.of(server.retry, server.store, flows),
        )

    def restored(self, restoration: "Restoration") -> InviteServer:
        """Return the transaction, which has no owner yet."""
        stem = self.stem.restored(restoration.flows)
        server = InviteServer(restoration.store, text_of(self.key), stem, text_of(self.merging))
        server.state, server.last = self.state, self.last
        server.retry = None if self.retry is None else self.retry.restored(server, restoration)
        return server
