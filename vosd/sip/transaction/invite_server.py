"""The server side of INVITE (RFC 3261 section 17.2.1, RFC 6026)."""

from typing import Any

from vosd.base.clock import Instant
from vosd.sip.compose import ResponseStem, response
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.spent import Mark
from vosd.sip.transaction.states import INVITE_SERVER, Input, State, input_of, step
from vosd.sip.transaction.store import TransactionStore


class InviteServer:
    """One INVITE that wants an answer; a failure is repeated until its ACK, a 2xx is the dialog's to repeat."""

    __slots__ = ("_key", "_last", "_retry", "_store", "owner", "state", "stem")

    def __init__(self, store: TransactionStore, key: str, stem: ResponseStem) -> None:
        self._store = store
        self._key = key
        self._last: bytes | None = None
        self._retry: Retry | None = None
        self.owner: Any = None
        """Who hears of a CANCEL."""
        self.state = State.PROCEEDING
        self.stem = stem
        store.servers[key] = self

    def respond(self, status: int, to_tag: str, headers: str, now: Instant, body: bytes = b"") -> bytes:
        """Send a response and return its bytes, which a dialog repeats when they are a 2xx."""
        self.state = step(INVITE_SERVER, self.state, input_of(status))
        data = response(self.stem, status, to_tag, headers, body)
        if self.state is State.COMPLETED:
            self._retry = Retry(self._store, self, self.stem.peer, data, self._store.timers.t2_ms, now)
        elif self.state is State.ACCEPTED:
            self._finish(Mark.ACCEPTED, self._store.timers.transaction_ms, now)
        else:
            self._last = data
            self._store.send(self.stem.peer, data)
        return data

    def request_repeated(self) -> None:
        """Answer a retransmission with the last response."""
        if self._retry is not None:
            self._retry.again()
        elif self._last is not None:
            self._store.send(self.stem.peer, self._last)

    def acknowledged(self, now: Instant) -> None:
        """An ACK came; before a final response was sent it means nothing."""
        if self.state is State.COMPLETED and self._retry is not None:
            self.state = step(INVITE_SERVER, self.state, Input.ACK)
            self._retry.stop()
            self._finish(Mark.ABSORB, self._store.timers.t4_ms, now)

    def forget(self) -> None:
        """Leave the INVITE unanswered: nothing was sent yet, and a repetition counts as new."""
        del self._store.servers[self._key]

    def timer_due(self, now: Instant) -> None:
        """Timers G and H: repeat the failure, or give the ACK up."""
        if self._retry is not None and self._retry.due(self, now):
            return
        self.state = step(INVITE_SERVER, self.state, Input.GIVE_UP)
        del self._store.servers[self._key]

    def _finish(self, mark: Mark, stay_ms: int, now: Instant) -> None:
        self.owner = None
        del self._store.servers[self._key]
        self._store.retire(self._key, mark, stay_ms, now)
