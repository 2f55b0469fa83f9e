"""One registration of ours, the vendor's registrar, and the events of the registration, on virtual time."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from doubles.guard import Guard
from doubles.sockets.loopback import Endpoint as Address
from doubles.vendor_registrar import VendorRegistrar
from doubles.virtual.exchange import SWITCH, Exchange
from doubles.virtual.scene import usual_catalogue
from vosd.base.clock import Instant
from vosd.base.credentials import Login
from vosd.base.secret import Secret
from vosd.sip.flows import Hop
from vosd.sip.registration.outbound import OutboundRegistration
from vosd.sip.registration.states import RegistrationChange, Terms

VENDOR: Final = Address("203.0.113.9", 5060)
OTHER: Final = Address("203.0.113.10", 5070)
LOGIN: Final = Login("alice", Secret("secret"))
TERMS: Final = Terms("vendor.example", "alice", "trunk7", LOGIN)
GIVE_UP: Final = 32_000
"""Milliseconds after which a REGISTER without an answer has failed."""
SLACK: Final = 1_000
"""What the wire and the wheel take."""


class RegistrationStage:
    """A registration, a registrar, and the news of the one."""

    def __init__(self, *guards: Guard, terms: Terms = TERMS, draw: Callable[[int], int] = lambda _most: 0) -> None:
        self.exchange = Exchange(usual_catalogue())
        self.wire = self.exchange.wire
        self.vendor = VendorRegistrar(self.wire, VENDOR, SWITCH, *guards)
        self.places = [Hop(*VENDOR, None)]
        self.redraw: Callable[[list[Hop]], Sequence[Hop]] = lambda places: places
        """Puts them in the order of one attempt."""
        self.news: list[RegistrationChange] = []
        self.registrant = OutboundRegistration(
            self.exchange.endpoint,
            terms,
            lambda: self.redraw(self.places),
            draw,
            lambda _who, news: self.news.append(news),
        )
        self.began_at = self.now.mono
        self.registrant.begin(self.now)

    @property
    def now(self) -> Instant:
        """The present instant."""
        return self.exchange.clock.now()

    def run(self, ms: int) -> None:
        """Let time pass."""
        self.wire.run_for(ms)

    def asked_after(self) -> list[int]:
        """When REGISTERs came, in milliseconds since the beginning."""
        return [at - self.began_at for at in self.vendor.asked_at]

    def leave(self) -> None:
        """Let the registration be taken back."""
        self.registrant.leave(self.now)
        self.exchange.flush()


def guarded(**terms: Any) -> Guard:
    """Make a guard that wants each REGISTER proven."""
    return Guard(username="alice", methods=frozenset({"REGISTER"}), **terms)
