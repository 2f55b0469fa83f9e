"""Customers that call all the time, a few calls at once, over real sockets."""

import threading
import time
from random import Random
from typing import Final, Self

from doubles.sockets.loopback import Endpoint
from doubles.sockets.peer import Message, OutgoingCall, Peer

TURN_S: Final = 0.1
CALLS_AT_ONCE: Final = 14
BETWEEN_CALLS_S: Final = (0.4, 2.5)
TALKS_S: Final = (8, 180)


class Callers:
    """Peers of customers; a thread has each call when fewer run than wanted, and hang up after a while."""

    def __init__(self, peers: list[Peer], switch: Endpoint, numbers: tuple[str, ...], seed: int = 1) -> None:
        self._peers, self._switch, self._numbers = peers, switch, numbers
        self._random = Random(seed)
        self._calls: dict[str, OutgoingCall] = {}
        self._ends: dict[str, float] = {}
        """Time at which each answered call is hung up, by Call-ID."""
        self._next = 0.0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="callers")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._closing.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._closing.is_set():
            for peer in self._peers:
                message = peer.receive(TURN_S / len(self._peers))
                if message is not None:
                    self._take(peer, message)
            self._begin_and_end()

    def _begin_and_end(self) -> None:
        now = time.monotonic()
        if now >= self._next and len(self._calls) < CALLS_AT_ONCE:
            self._next = now + self._random.uniform(*BETWEEN_CALLS_S)
            number = self._random.choice(self._numbers) + f"{self._random.randrange(10**7):07}"
            caller = f"4411{self._random.randrange(10**7):07}"
            call = OutgoingCall(self._random.choice(self._peers), self._switch, number, caller=caller)
            self._calls[call.call_id] = call
            call.invite(headers=["User-Agent: Example PBX 4.2"])
        for call_id in [each for each, at in self._ends.items() if at <= now]:
            del self._ends[call_id]
            call = self._calls.pop(call_id)
            call.send(call.request("BYE", 2))

    def _take(self, peer: Peer, message: Message) -> None:
        """Answer a request, and acknowledge what ends an INVITE."""
        if message.status is None:
            if message.method != "ACK":
                peer.reply(message, 200)
            if message.method == "BYE":
                self._forget(message["Call-ID"])
            return
        if message.status < 200 or not message.every("CSeq") or not message["CSeq"].endswith("INVITE"):
            return
        call_id = message["Call-ID"]
        call = self._calls.get(call_id)
        if call is None:
            return
        if message.status == 200:
            call.adopt(message)
            call.send(call.request("ACK"))
            self._ends.setdefault(call_id, time.monotonic() + self._random.uniform(*TALKS_S))
        else:
            call.remote_to = message["To"]
            call.send(call.request("ACK", branch="INVITE"))
            self._forget(call_id)

    def _forget(self, call_id: str) -> None:
        self._calls.pop(call_id, None)
        self._ends.pop(call_id, None)
