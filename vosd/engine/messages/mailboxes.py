"""Subscriptions of telephones to their mailboxes, and notifications of waiting messages (RFC 3842, RFC 6665).

The switch keeps no subscription. A SUBSCRIBE of a phone goes to its voicemail gateway as it came, for the mailbox of
the configuration; a NOTIFY of that gateway goes to every contact of the phone. Devices without the subscription refuse
it, so both ends share one dialog, which outlives the process. A NOTIFY without subscription takes the same way.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from vosd.base.number import SEPARATORS
from vosd.callcontrol.admission import Admission
from vosd.engine.messages.delivery import RelayPlace
from vosd.engine.messages.destinations import GROUPS_MAX, contacts_of, is_reachable
from vosd.sip.events import StandaloneArrived
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Request
from vosd.sip.wire.uri import user_part
from vosd.trunks.phone import Phone, called_half

PACKAGE: Final = "message-summary"
ALLOW_EVENTS: Final = f"Allow-Events: {PACKAGE}\r\n"

Refused = tuple[int, str]
"""Status and header lines."""
_BAD_EVENT: Final[Refused] = (489, ALLOW_EVENTS)
_FORBIDDEN: Final[Refused] = (403, "")
_NO_MAILBOX: Final[Refused] = (404, "")
_NO_SUBSCRIPTION: Final[Refused] = (481, "")
_OFFLINE: Final[Refused] = (480, "")


class Mailboxes:
    """The mailboxes of all phones."""

    def __init__(self, phones: Iterable[Phone]) -> None:
        self._phones: defaultdict[str, list[Phone]] = defaultdict(list)
        """By mailbox, and by number."""
        self._owners: defaultdict[str, list[Phone]] = defaultdict(list)
        """By names as ``_folded`` writes them."""
        for phone in phones:
            self.replace(None, phone)

    def __bool__(self) -> bool:
        return bool(self._phones)

    def replace(self, before: Phone | None, now: Phone | None) -> None:
        """Take the mailbox of a phone in place of the one that it had; None = there is no such phone."""
        for phones, name, phone in self._entries(before):
            phones[name].remove(phone)
            if not phones[name]:
                del phones[name]
        for phones, name, phone in self._entries(now):
            phones[name].append(phone)

    def of_subscription(
        self, event: StandaloneArrived, admission: Admission
    ) -> tuple[Sequence[RelayPlace], str] | Refused:
        """Return where the SUBSCRIBE of a phone goes, the first place first, and the phone, or why it is refused."""
        phone = admission.catalogue.phones.get(event.user)
        if phone is None or not phone.enabled:
            return _FORBIDDEN
        if not _is_of_package(event.request):
            return _BAD_EVENT
        if self._is_of_another(event.request, phone):
            return _FORBIDDEN
        gateway = admission.catalogue.routing_gateways.get(phone.voicemail or "")
        if gateway is None:
            return _NO_MAILBOX
        addresses = admission.live.addresses_of(gateway)
        addresses = admission.live.open_addresses(gateway, addresses, event.at.mono, is_emergency=False)
        if not addresses or not is_reachable(gateway, admission, event.at):
            return 503, "Retry-After: 60\r\n"
        mailbox = phone.mailbox or phone.number
        return [RelayPlace(gateway, each, mailbox) for each in islice(addresses, GROUPS_MAX)], phone.number

    def of_notification(self, event: StandaloneArrived, admission: Admission) -> Sequence[RelayPlace] | Refused:
        """Return the contacts that a NOTIFY goes to, or why it is refused."""
        request, host = event.request, event.source.host
        phones = [each for each in self._named_by(request) if _is_at(each.voicemail or "", host, admission)]
        if not phones:
            return _NO_SUBSCRIPTION  # that is what RFC 6665 section 4.1.3 has for one that matches nothing
        if not _is_of_package(request):
            return _BAD_EVENT
        return [place for each in phones for place in contacts_of(called_half(each), admission)] or _OFFLINE

    def _is_of_another(self, request: Request, phone: Phone) -> bool:
        """Return whether To or From, by which some servers go, has the mailbox or number of another phone.

        Servers may overlook blanks, the case of letters, a plus sign and separators. A URI that cannot be read is
        refused: a server may find a name in it.
        """
        for uri in (request.to.uri, request.from_.uri):
            try:
                name = user_part(uri)
            except ParseError:
                return True
            # names of two phones may differ by that alone
            for owners in (self._phones.get(name), self._owners.get(_folded(name))):
                if owners is not None and all(each.number != phone.number for each in owners):
                    return True
        return False

    def _entries(self, phone: Phone | None) -> Iterator[tuple[defaultdict[str, list[Phone]], str, Phone]]:
        """Yield the indexes and the names under which a phone is in them."""
        if phone is not None and phone.enabled and phone.voicemail is not None:
            for name in dict.fromkeys((phone.mailbox or phone.number, phone.number)):
                yield self._phones, name, phone
                yield self._owners, _folded(name), phone

    def _named_by(self, request: Request) -> Sequence[Phone]:
        """Return the phones that a NOTIFY is for, by its Request-URI, else by its To."""
        for uri in (request.uri, request.header("to") or ""):
            with suppress(ParseError):
                found = self._phones.get(user_part(uri.partition("<")[2].partition(">")[0] or uri))
                if found:
                    return found
        return ()


def _folded(name: str) -> str:
    """Return a name without what servers may overlook in it."""
    return name.translate(SEPARATORS).replace("+", "").strip().casefold()


def _is_of_package(request: Request) -> bool:
    return (request.header("event") or "").partition(";")[0].strip().lower() == PACKAGE


def _is_at(name: str, host: str, admission: Admission) -> bool:
    """Return whether a gateway sends from a host."""
    gateway = admission.catalogue.routing_gateways.get(name)
    if gateway is None or not gateway.enabled:
        return False
    return any(each.host == host for each in admission.live.addresses_of(gateway))
