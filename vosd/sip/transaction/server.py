"""The server side of everything but INVITE (RFC 3261 section 17.2.2)."""

from vosd.base.clock import Instant
from vosd.sip.compose import Datagram, ResponseStem, response
from vosd.sip.transaction.states import SERVER, State, input_of, step
from vosd.sip.transaction.store import TransactionStore


class Server:
    """One request that wants a final response."""

    __slots__ = ("_key", "_store", "last", "state", "stem")

    def __init__(self, store: TransactionStore, key: str, stem: ResponseStem) -> None:
        self._store = store
        self._key = key
        self.state = State.PROCEEDING
        self.stem = stem
        self.last: bytes | None = None
        store.servers[key] = self

    def respond(self, status: int, to_tag: str, headers: str, now: Instant, body: bytes = b"") -> None:
        """Send a response; a final one ends the transaction and is repeated whenever the request is (timer J)."""
        self.state = step(SERVER, self.state, input_of(status))
        self.last = response(self.stem, status, to_tag, headers, body)
        self._store.send(self.stem.peer, self.last)
        if self.state is State.COMPLETED:
            del self._store.servers[self._key]
            self._store.retire(self._key, Datagram(self.stem.peer, self.last), self._store.timers.transaction_ms, now)

    def request_repeated(self) -> None:
        """Answer a retransmission with the last response, if any was given."""
        if self.last is not None:
            self._store.send(self.stem.peer, self.last)
