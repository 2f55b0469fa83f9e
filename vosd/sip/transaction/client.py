"""The client side of everything but INVITE (RFC 3261 section 17.1.2)."""

from typing import Any

from vosd.base.clock import Instant
from vosd.sip.compose import Peer
from vosd.sip.events import NoResponse, ResponseArrived
from vosd.sip.message import Response
from vosd.sip.transaction.retry import Retry
from vosd.sip.transaction.spent import Mark
from vosd.sip.transaction.states import CLIENT, Input, State, input_of, step
from vosd.sip.transaction.store import TransactionStore


class Client:
    """One request of ours that wants a final response; ``owner`` None means nobody waits for it."""

    __slots__ = ("_key", "_retry", "_state", "_store", "owner")

    def __init__(self, store: TransactionStore, key: str, peer: Peer, data: bytes, owner: Any, now: Instant) -> None:
        self._store = store
        self._key = key
        self._state = State.CALLING
        self.owner = owner
        store.clients[key] = self
        self._retry = Retry(store, self, peer, data, store.timers.t2_ms, now)

    def response_came(self, response: Response, now: Instant) -> ResponseArrived | None:
        """Take a response; a final one ends the transaction (timer K swallows its repetitions)."""
        self._state = step(CLIENT, self._state, input_of(response.status))
        if self._state is State.PROCEEDING:
            self._retry.slow_down(self, now)
        else:
            self._retry.stop()
            del self._store.clients[self._key]
            self._store.retire(self._key, Mark.ABSORB, self._store.timers.t4_ms, now)
        return ResponseArrived(self.owner, self, response, now) if self.owner is not None else None

    def timer_due(self, now: Instant) -> NoResponse | None:
        """Timers E and F: send again, or give up."""
        if self._retry.due(self, now):
            return None
        self._state = step(CLIENT, self._state, Input.GIVE_UP)
        del self._store.clients[self._key]
        return NoResponse(self.owner, self, now) if self.owner is not None else None
