"""The server side of everything but INVITE (RFC 3261 section 17.2.2, RFC 4320)."""

from vosd.base.clock import Instant
from vosd.base.wheel import Timer
from vosd.sip.transaction.states import SERVER, State, input_of, step
from vosd.sip.transaction.store import TimerOwner, TransactionStore
from vosd.sip.wire.compose import Datagram, Peer, ResponseStem, response


class Server:
    """One request that wants a final response."""

    __slots__ = ("_key", "_patience", "_store", "_trying", "last", "state", "stem")

    def __init__(self, store: TransactionStore, key: str, stem: ResponseStem) -> None:
        self._store = store
        self._key = key
        self.state = State.PROCEEDING
        self.stem = stem
        self.last: bytes | None = None
        self._trying = ""
        self._patience: Timer[TimerOwner] | None = None
        """Runs while somebody else is asked for the answer."""
        store.servers[key] = self

    def answer_at(self, source: Peer) -> None:
        """Send responses to the port that the request came from, asked for (``rport``) or not."""
        self.stem = self.stem.answered_at(source)

    def respond(self, status: int, to_tag: str, headers: str, now: Instant, body: bytes = b"") -> None:
        """Send a response; a final one ends the transaction and is repeated whenever the request is (timer J)."""
        self.state = step(SERVER, self.state, input_of(status))
        self.last = response(self.stem, status, to_tag, headers, body)
        self._store.send(self.stem.peer, self.last)
        if self.state is State.COMPLETED:
            if self._patience is not None:
                self._store.wheel.cancel(self._patience)
                self._patience = None
            del self._store.servers[self._key]
            self._store.retire(self._key, Datagram(self.stem.peer, self.last), self._store.timers.transaction_ms, now)

    def take_time(self, headers: str, now: Instant) -> None:
        """Expect the answer from somebody else: where it takes long, 100 goes out meanwhile (RFC 4320 section 4.1)."""
        self._trying = headers
        self._patience = self._store.set_timer(now.mono + self._store.timers.patience_ms, self)

    def timer_due(self, now: Instant) -> None:
        """The answer takes long."""
        self._patience = None
        self.respond(100, "", self._trying, now)

    def transport_failed(self, _now: Instant) -> None:
        """The connection is gone: the answer goes wherever its sender can be reached."""

    def request_repeated(self) -> None:
        """Answer a retransmission with the last response, if any was given."""
        if self.last is not None:
            self._store.send(self.stem.peer, self.last)
