"""Hands each question of a set-up to the service that answers it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vosd.b2bua.ports import SetupAnswer
from vosd.base.clock import Clock
from vosd.callcontrol.number_tools import WhereTo, WhichRoutingNumber
from vosd.callcontrol.questions import SetupQuestion, Ticket, Unanswered
from vosd.callcontrol.signatures import WhichCertificates
from vosd.engine.counting import Counting
from vosd.engine.lookups.portability import PortabilityLookups
from vosd.engine.lookups.redirects import RedirectServer
from vosd.engine.lookups.sip_question import Wiring
from vosd.engine.settings import CertificateSettings, LookupSettings
from vosd.obs.figures import Figure

if TYPE_CHECKING:
    from vosd.engine.lookups.certificates import CertificateStore


class Lookups(Counting):
    """The ``Asker`` of the switch; it answers nothing before ``connect``."""

    def __init__(self, clock: Clock, settings: LookupSettings) -> None:
        self.portability = PortabilityLookups(clock, settings.portability)
        self.redirects = RedirectServer(clock, settings.redirect_server)
        self._clock = clock
        self._wiring: Wiring | None = None
        self._failed_before = 0
        self.certificates: CertificateStore | None = None
        """Certificates of callers' signatures; None = none is verified."""
        self._trust(settings.certificates)

    def connect(self, wiring: Wiring) -> None:
        """Take the parts of the switch."""
        self.portability.wiring = self.redirects.wiring = self._wiring = wiring
        if self.certificates is not None:
            self.certificates.wiring = wiring

    def adjust(self, settings: LookupSettings) -> None:
        """Apply other settings."""
        self.portability.adjust(settings.portability)
        self.redirects.adjust(settings.redirect_server)
        earlier = self.certificates
        if settings.certificates != (None if earlier is None else earlier.settings):
            self._trust(settings.certificates)
            if earlier is not None:
                self._failed_before += earlier.failed_total
                earlier.give_up()

    def _trust(self, settings: CertificateSettings | None) -> None:
        """Trust other certificates from now on; what was fetched under the trust before is forgotten."""
        if settings is None:
            self.certificates = None
            return
        from vosd.engine.lookups.certificates import CertificateStore  # few installations need its libraries

        self.certificates = CertificateStore(self._clock, settings)
        self.certificates.wiring = self._wiring

    def ask(self, ticket: Ticket, question: SetupQuestion) -> SetupAnswer | None:
        """Return the answer if it is known at once; else it comes later."""
        if isinstance(question, WhichRoutingNumber):
            return self.portability.ask(ticket, question)
        if isinstance(question, WhereTo):
            return self.redirects.ask(ticket, question)
        if isinstance(question, WhichCertificates) and self.certificates is not None:
            return self.certificates.ask(ticket, question)
        return Unanswered(f"nothing answers {type(question).__name__} here")

    def cancel(self, ticket: Ticket, *, is_overdue: bool = False) -> None:
        """Abandon the question of a call: a call has one at a time."""
        self.portability.cancel(ticket)
        self.redirects.cancel(ticket, is_overdue=is_overdue)
        if self.certificates is not None:
            self.certificates.cancel(ticket)

    def stop(self) -> None:
        """End what is open: the switch stops."""
        self.portability.stop()
        if self.certificates is not None:
            self.certificates.stop()

    def census(self) -> Mapping[Figure, int]:
        """Count the open questions, for ``vosd status``."""
        return {Figure.LOOKUPS: len(self.portability) + len(self.redirects) + len(self.certificates or ())}

    def totals(self) -> Mapping[Figure, int]:
        """Count the questions without an answer, for ``vosd status``."""
        failed = self.portability.availability.failed_total + self.redirects.availability.failed_total
        failed += self._failed_before + (0 if self.certificates is None else self.certificates.failed_total)
        return {Figure.LOOKUPS_FAILED: failed}
