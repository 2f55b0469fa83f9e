"""One endpoint with a dialog and an INVITE under way, for whatever the network may bring.

Owns what must hold whatever comes: nothing but ParseError is raised while a message is read, nothing at all by the
endpoint, every packet that leaves is SIP to a real port, and when its time is over everything is forgotten.
"""

from itertools import count
from random import Random
from typing import Any, Final

from doubles.data.builders import catalogue, mapping_gateway, phone
from doubles.exercise import exercise
from doubles.virtual.probe import CUSTOMER, SDP, UNKNOWN_SOURCE, VENDOR, Keeper, Probe, reply, request, straight

from vosd.engine.registration.authentication import Authenticator
from vosd.sip import Request
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.digest.settings import LockOutSettings
from vosd.sip.events import InviteArrived, RegisterArrived, RequestArrived
from vosd.sip.settings import Limits, SipSettings
from vosd.sip.wire.stream import StreamFramer

from .mutation import DIGEST, SECRET

PHONES: Final = catalogue(
    [mapping_gateway("acme", f"{CUSTOMER.host}/32")],
    phones=[phone("1001", digest=DIGEST)],
    digest=DIGEST,
    lock_out=LockOutSettings(max_retry=20, suspend_ms=2_000),
)
"""Unknown sources are challenged."""
LIFETIME: Final = 2_000
"""Messages that one endpoint sees; the next begins afresh."""
STEP_MS: Final = 40
SMALL: Final = Limits(max_message_bytes=600, max_headers=12, max_line_chars=80)
SOURCES: Final = (CUSTOMER, CUSTOMER, CUSTOMER, VENDOR, UNKNOWN_SOURCE)


class Unregistered:
    """Registrations of a switch without registrar."""

    def knows(self, _host: str, _port: int) -> bool:
        return False

    def is_at(self, _name: str, _host: str, _port: int) -> bool:
        return False


class Target:
    """Takes messages, one after the other."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._order = count(1)
        self.read = 0
        """Messages that could be read."""
        self._open()

    def take(self, data: bytes) -> None:
        """Do with one message all that may ever be done with it."""
        draw = self._random.random
        if exercise(data) is not None:
            self.read += 1
        if draw() < 0.05:
            exercise(data, SMALL)
            self._stream(data)
        self._receive(data)
        if next(self._order) % LIFETIME == 0:
            self.close()
            self._open()

    def close(self) -> None:
        """End what a call would end, and let all time pass that anything may wait for; nothing may be left."""
        self._probe.endpoint.dialogs.forget("ours", self._probe.now)
        self._probe.receive(reply(self._invite, 486), VENDOR)  # else it rings for ever: there is no ring time-out here
        self._probe.advance(200_000)
        left = {name: amount for name, amount in self._probe.endpoint.census().items() if amount}
        assert not left, left

    def _open(self) -> None:
        auth_gate = Authenticator(PHONES, SECRET, lambda: "salt", CUSTOMER.host.__eq__)
        auth_gate.registered = Unregistered()
        self._probe = Probe(SipSettings(answers_unknown_sources=self._random.random() < 0.5), auth_gate=auth_gate)
        event = self._probe.receive(request(body=SDP))
        assert isinstance(event, InviteArrived)
        owner = Keeper()
        owner.dialog = Dialog.of_caller(event.request, "ours", event.source, straight)
        self._probe.endpoint.dialogs.adopt("ours", owner)
        self._probe.accept(event.transaction, owner.dialog, owner)
        self._probe.call_vendor(owner)
        self._invite = self._probe.sent()[-1]

    def _receive(self, data: bytes) -> None:
        draw = self._random.random
        event = self._probe.receive(data, SOURCES[int(draw() * len(SOURCES))])
        self._react(event)
        self._probe.advance(int(draw() * STEP_MS))
        for sent in self._probe.sent():
            assert sent.data.count(b"\r\n\r\n") >= 1
            assert 0 < sent.peer.port < 65_536

    def _react(self, event: Any) -> None:
        """Answer what wants an answer, as a call would; now and then not at all, as a call that is busy."""
        if isinstance(event, InviteArrived | RegisterArrived | RequestArrived):
            assert isinstance(event.request, Request)
            event.transaction.respond(486, "another", "", self._probe.now)

    def _stream(self, data: bytes) -> None:
        framer = StreamFramer(Limits())
        at = 0
        while at < len(data) and framer.lost is None:
            step = 1 + int(self._random.random() * 300)
            for message in framer.feed(data[at : at + step]):
                exercise(message)
            at += step
        framer.take_pings()
