"""The server transaction of every method but INVITE (RFC 3261 section 17.2.2, RFC 4320)."""

from typing import Generic

import msgspec

from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.forms import StemT, TextT, TimerT
from vosd.sip.transaction.states import COMPLETED, PROCEEDING, RESPONSE, SERVER, IllegalMoveError, TransactionState
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
