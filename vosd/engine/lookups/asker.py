"""Hands each question of a set-up to the service that answers it."""

from collections.abc import Mapping

from vosd.b2bua.ports import SetupAnswer
from vosd.base.clock import Clock
from vosd.callcontrol.number_tools import WhereTo, WhichRoutingNumber
from vosd.callcontrol.questions import SetupQuestion, Ticket, Unanswered
from vosd.engine.counting import Counting
from vosd.engine.lookups.portability import PortabilityLookups
from vosd.engine.lookups.redirects import RedirectServer
from vosd.engine.lookups.sip_question import Wiring
from vosd.engine.settings import LookupSettings
from vosd.obs.figures import Figure


class Lookups(Counting):
    """The ``Asker`` of the switch; it answers nothing before ``connect``."""

    def __init__(self, clock: Clock, settings: LookupSettings) -> None:
        self.portability = PortabilityLookups(clock, settings.portability)
        self.redirects = RedirectServer(clock, settings.redirect_server)

    def connect(self, wiring: Wiring) -> None:
        """Take the parts of the switch."""
        self.portability.wiring = self.redirects.wiring = wiring

    def adjust(self, settings: LookupSettings) -> None:
        """Apply other settings."""
        self.portability.adjust(settings.portability)
        self.redirects.adjust(settings.redirect_server)

    def ask(self, ticket: Ticket, question: SetupQuestion) -> SetupAnswer | None:
        """Return the answer if it is known at once; else it comes later."""
        if isinstance(question, WhichRoutingNumber):
            return self.portability.ask(ticket, question)
        if isinstance(question, WhereTo):
            return self.redirects.ask(ticket, question)
        return Unanswered(f"nothing answers {type(question).__name__} here")

    def cancel(self, ticket: Ticket) -> None:
        """Abandon the question of a call: a call has one at a time."""
        self.portability.cancel(ticket)
        self.redirects.cancel(ticket)

    def stop(self) -> None:
        """End what is open: the switch stops."""
        self.portability.stop()

    def census(self) -> Mapping[Figure, int]:
        """Count the open questions, for ``vosd status``."""
        return {Figure.LOOKUPS: len(self.portability) + len(self.redirects)}

    def totals(self) -> Mapping[Figure, int]:
        """Count the questions without an answer, for ``vosd status``."""
        failed = self.portability.availability.failed_total + self.redirects.availability.failed_total
        return {Figure.LOOKUPS_FAILED: failed}
