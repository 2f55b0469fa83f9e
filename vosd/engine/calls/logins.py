"""Our logins at the gateways of a catalogue, for legs of an earlier process."""

from vosd.catalogue.catalogue import Catalogue
from vosd.sip.dialog.snapshot import AnswersOf
from vosd.sip.digest.answer import Answers


def logins(catalogue: Catalogue) -> AnswersOf:
    """Return a function that maps a gateway's name to the answers to its challenges; None if it has no login."""

    def answers_of(gateway: str) -> Answers | None:
        found = catalogue.routing_gateways.get(gateway)
        if found is None or found.login is None:
            return None
        return Answers(found.login, catalogue.parameters.challenges_max, gateway)

    return answers_of
