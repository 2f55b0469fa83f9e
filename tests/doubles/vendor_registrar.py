"""A vendor's registrar on the virtual wire: grants, refuses, wants proof, keeps silent."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from doubles.guard import Guard
from doubles.sockets.loopback import Endpoint as Address
from doubles.sockets.peer import Message
from doubles.virtual.ua import UserAgent, transaction_of
from doubles.virtual.wire import Wire


class Told(NamedTuple):
    """How one REGISTER is answered; status 0 = not at all."""

    status: int = 200
    headers: tuple[str, ...] = ()


class VendorRegistrar(UserAgent):
    """Keeps one binding a contact, for as long as it grants."""

    def __init__(self, wire: Wire, address: Address, switch: Address, *guards: Guard) -> None:
        super().__init__(wire, address, switch)
        self.guards = guards
        self.grants_s = 3_600
        """The most."""
        self.script: deque[Told] = deque()
        """What the next REGISTERs that pass the guards are told; after it, they are granted."""
        self.always: Told | None = None
        self.is_silent = False
        self.bound: dict[str, int] = {}
        """When each contact's time is over, in milliseconds of the wire's clock."""
        self.registered: list[Message] = []
        """REGISTERs that passed the guards."""
        self.asked_at: list[int] = []
        """When any REGISTER came, without repetitions."""
        self.on_options: Callable[[Message], int] = lambda _request: 200
        """Says what an OPTIONS is answered with; 0 = nothing."""

    @property
    def holds(self) -> list[str]:
        """The contacts that are registered now."""
        now = self.wire.clock.now().mono
        return [contact for contact, until in self.bound.items() if until > now]

    def take_request(self, request: Message) -> None:
        """Answer a REGISTER or OPTIONS."""
        if request.method == "OPTIONS":
            status = self.on_options(request)
            if status:
                self.reply(request, status, tag="options")
            return
        if self.is_silent:
            self._said[transaction_of(request)] = lambda: None
        self.asked_at.append(self.wire.clock.now().mono)
        if self.is_silent:
            return
        for guard in self.guards:
            if not guard.passes(request):
                headers = guard.challenge(is_stale=guard.was_stale)
                self._answer(request, guard.status, headers)
                return
        self.registered.append(request)
        told = self.script.popleft() if self.script else self.always or Told()
        if told.status == 200:
            self._grant(request, told)
        elif told.status:
            self._answer(request, told.status, told.headers)
        else:
            self._said[transaction_of(request)] = lambda: None

    def _grant(self, request: Message, told: Told) -> None:
        contact, wanted = request["Contact"].strip("<>"), int(request["Expires"])
        granted = min(wanted, self.grants_s)
        if wanted == 0:
            self.bound.pop(contact, None)
            lines: tuple[str, ...] = ()
        else:
            self.bound[contact] = self.wire.clock.now().mono + 1_000 * granted
            lines = (f"Contact: <{contact}>;expires={granted}",)
        self._answer(request, 200, told.headers or lines)

    def _answer(self, request: Message, status: int, headers: tuple[str, ...]) -> None:
        """Answer without a Contact of our own."""
        self.reply(request, status, tag="registrar", headers=headers, contact=False)
