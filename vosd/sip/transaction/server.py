"""Server transactions (RFC 3261 section 17.2, RFC 4320, RFC 6026)."""

from typing import Final, Generic

import msgspec
from msgspec.structs import replace

from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.forms import RetryT, StemT, TextT, TimerT
from vosd.sip.owners import InviteServerOwner
from vosd.sip.transaction.entries import ABSORB
from vosd.sip.transaction.finished import LONG
from vosd.sip.transaction.pace import OF_FAILURE
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.states import (
    ACCEPTED,
    COMPLETED,
    INVITE_SERVER,
    PROCEEDING,
    RESPONSE,
    SERVER,
    IllegalMoveError,
    Input,
    TransactionState,
    step,
)
from vosd.sip.transaction.store import TimerOwner, TransactionStore
from vosd.sip.wire.compose import response
from vosd.sip.wire.outgoing import Datagram, MovedSender, Peer, ResponseStem


class ServerState(msgspec.Struct, Generic[TextT, StemT, TimerT], array_like=True):
    """One request of a peer without a final response."""

    key: TextT
    state: TransactionState
    stem: StemT
    last: bytes | None
    """The latest response."""
    trying: TextT
    """Header lines of a 100 that may have to be sent."""
    patience: TimerT | None
    """Runs while the other side of the call is asked for the response."""


class Server(ServerState[str, ResponseStem, Timer[TimerOwner]], eq=False):
    """The transaction of one request in this process."""

    store: TransactionStore

    @classmethod
    def received(cls, store: TransactionStore, key: str, stem: ResponseStem) -> "Server":
        """Return the transaction of a request that was just received."""
        server = store.servers[key] = cls(key, PROCEEDING, stem, None, "", None, store)
        return server

    def answer_at(self, source: Peer) -> None:
        """Send responses to the source port of the request, also without ``rport``: the peer is behind NAT."""
        self.stem = self.stem.answered_at(source)

    def respond(self, status: int, to_tag: str, headers: str, now: Instant, body: bytes = b"") -> None:
        """Send a response; a final one ends the transaction, and is sent again for each retransmission (timer J)."""
        received = RESPONSE[status // 100]
        after = SERVER[self.state].get(received)
        if after is None:
            raise IllegalMoveError.of(self.state, received)
        self.state = after
        self.last = response(self.stem, status, to_tag, headers, body)
        answer = Datagram(self.stem.peer, self.last)
        self.store.out.append(answer)
        if after is COMPLETED:
            if self.patience is not None:
                self.store.wheel.cancel(self.patience)
                self.patience = None
            del self.store.servers[self.key]
            self.store.finished.keep(self.key, answer, self.store.timers.transaction_ms, now)

    def defer_response(self, headers: str, now: Instant) -> None:
        """Send 100 if the other side of the call takes long to respond (RFC 4320 section 4.1)."""
        self.trying = headers
        self.patience = self.store.set_timer(now.mono + self.store.timers.patience_ms, self)

    def timer_due(self, now: Instant) -> None:
        """Send 100: there is no response yet."""
        self.patience = None
        self.respond(100, "", self.trying, now)

    def request_moved(self, moved: MovedSender) -> None:
        """Send responses to another address from now on: the request was repeated from there."""
        self.stem = moved.stem(self.stem)
        if self.last is not None:
            self.last = self.last.replace(moved.before, moved.after, 1)

    def request_repeated(self) -> None:
        """Answer a retransmission with the latest response, if there is one."""
        if self.last is not None:
            self.store.send(self.stem.peer, self.last)


_COPIES: Final = 2
"""The Vias of an INVITE that waits for its ACK are kept in its failure, and in the stem of its responses."""


class InviteServerState(msgspec.Struct, Generic[TextT, StemT, RetryT], array_like=True):
    """One INVITE of a peer, and after a failure the wait for its ACK."""

    key: TextT
    """Without a key nothing that arrives is matched to it."""
    state: TransactionState
    stem: StemT
    last: bytes | None
    """The latest provisional response."""
    merging: TextT
    """Equal for all copies of the INVITE that came by other paths (RFC 3261 section 8.2.2.2)."""
    retry: RetryT | None
    """The failure, which is retransmitted until its ACK; a 2xx is retransmitted by ``Acceptance``."""


class InviteServer(InviteServerState[str, ResponseStem, Retry], eq=False):
    """The transaction of one INVITE in this process."""

    store: TransactionStore
    owner: InviteServerOwner | None = None
    """Receives a CANCEL."""
    left_name: str | None = None
    """The name that the connection of a call of an earlier process had proven, empty = none: it has no ``owner``.

    None = it is of this process, or no call.
    """

    @property
    def is_of_call(self) -> bool:
        """Whether it has made, or would change, a call."""
        return self.owner is not None or self.left_name is not None

    @property
    def server_name(self) -> str:
        """The name that a certificate must bear where a connection is opened for a response; empty = any that fits."""
        dialog = None if self.owner is None else self.owner.dialog
        return (self.left_name or "") if dialog is None else dialog.server_name

    @classmethod
    def received(cls, store: TransactionStore, key: str, stem: ResponseStem, merging: str = "") -> "InviteServer":
        """Return the transaction of an INVITE that was just received."""
        server = store.servers[key] = cls(key, PROCEEDING, stem, None, merging, None, store)
        if merging:
            store.merging.add(merging)
        return server

    @classmethod
    def answered(cls, store: TransactionStore) -> "InviteServer":
        """Return a transaction that stands for all INVITEs that have their 2xx, and sends nothing any more."""
        stem = ResponseStem(b"", b"", Peer(0, "", 0), tagged=True, cseq="")
        return cls("", ACCEPTED, stem, None, "", None, store)

    @property
    def is_over(self) -> bool:
        """Whether it was answered with 2xx, or has the ACK of a failure, or was given up."""
        return self.store.servers.get(self.key) is not self

    @property
    def sequence(self) -> int:
        """The CSeq number of the INVITE."""
        return int(self.stem.cseq.split()[0])

    def answer_at(self, source: Peer) -> None:
        """Send responses to the source port of the INVITE, also without ``rport``: the peer is behind NAT."""
        self.stem = self.stem.answered_at(source)

    def respond(
        self, status: int, to_tag: str, headers: str, now: Instant, body: bytes = b"", line: bytes | None = None
    ) -> bytes:
        """Send a response and return its bytes; a 2xx is left to ``Acceptance`` to send.

        ``line`` is as in ``response``.
        """
        received = RESPONSE[status // 100]
        after = INVITE_SERVER[self.state].get(received)
        if after is None:
            raise IllegalMoveError.of(self.state, received)
        self.state = after
        if self.store.reliable[self.stem.peer.flow]:
            self._follow()
        store, data = self.store, response(self.stem, status, to_tag, headers, body, line)
        if after is PROCEEDING:
            self.last = data
            store.out.append(Datagram(self.stem.peer, data))
        elif after is ACCEPTED:
            self.owner = None
            del store.servers[self.key]
            store.merging.discard(self.merging)
            # A copy of the INVITE that took a slower path must not become a second call.
            store.finished.keep(self.key, to_tag, store.timers.transaction_ms, now, also=self.merging)
        elif len(data) > LONG and not self._may_wait(_COPIES * len(data), now):
            store.out.append(Datagram(self.stem.peer, data))  # once: it is not repeated, and no ACK is waited for
        else:
            self.last = None
            self.retry = Retry(store, self.stem.peer, data)
            self.retry.begin(self, OF_FAILURE, now)
        return data

    def _may_wait(self, size: int, now: Instant) -> bool:
        """Return whether a long failure may wait for its ACK; else the INVITE is forgotten, but for its key."""
        store = self.store
        if store.finished.reserve(size, self.key, store.timers.transaction_ms, now):
            return True
        self.owner = None
        self._leave()
        return False

    def prepare(self, status: int, to_tag: str, headers: str, body: bytes) -> bytes:
        """Write a provisional response that ``ReliableProvisional`` sends and retransmits (RFC 3262)."""
        self.state = step(INVITE_SERVER, self.state, RESPONSE[status // 100])
        self._follow()
        self.last = response(self.stem, status, to_tag, headers, body)
        return self.last

    def _follow(self) -> None:
        """Respond over the connection on which a user behind NAT has registered since the INVITE, as its dialog does.

        The one before is gone, and only the user opens another one (RFC 3261 section 18.2.2).
        """
        dialog = None if self.owner is None else self.owner.dialog
        after = None if dialog is None else dialog.moved_over(self.stem.peer)
        if after is not None and self.store.reliable[after.flow]:
            self.request_moved(MovedSender.over(self.stem, after))

    def request_moved(self, moved: MovedSender) -> None:
        """Send responses to another address from now on: the INVITE was repeated from there."""
        self.stem = moved.stem(self.stem)
        if self.last is not None:
            self.last = self.last.replace(moved.before, moved.after, 1)
        if self.retry is not None:
            self.retry.sent = moved.response(self.retry.sent)

    def request_repeated(self) -> None:
        """Answer a retransmission with the latest response."""
        if self.retry is not None:
            self.retry.again()
        elif self.last is not None:
            self.store.send(self.stem.peer, self.last)

    def acknowledged(self, now: Instant) -> None:
        """Take the ACK of a failure; before a final response it is ignored."""
        if self.state is COMPLETED and self.retry is not None:
            self.state = step(INVITE_SERVER, self.state, Input.ACK)
            self.retry.stop(self)
            self.owner = None
            self._leave()
            self.store.finished.keep(self.key, ABSORB, self.store.timers.t4_ms, now)

    def forget(self) -> None:
        """Drop the INVITE without a response; a retransmission counts as a new INVITE."""
        self._leave()

    def timer_due(self, now: Instant) -> None:
        """Timers G and H: retransmit the failure, or stop waiting for the ACK."""
        if self.retry is not None and self.retry.due(self, now):
            return
        self.state = step(INVITE_SERVER, self.state, Input.GIVE_UP)
        self._leave()

    def transport_failed(self, now: Instant) -> None:
        """Send the failure to the port in the Via: the connection is closed (RFC 3261 section 18.2.2)."""
        if self.retry is not None:
            self.retry.stop(self)
            if self.stem.spare is not None:
                self.stem = replace(self.stem, peer=self.stem.spare, spare=None)
                self.retry = Retry(self.store, self.stem.peer, self.retry.sent.data)
                self.retry.begin(self, OF_FAILURE, now)
                return
        self.state = step(INVITE_SERVER, self.state, Input.GIVE_UP)
        self._leave()

    def _leave(self) -> None:
        del self.store.servers[self.key]
        self.store.merging.discard(self.merging)
