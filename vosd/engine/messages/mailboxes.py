"""Subscriptions of telephones to their mailboxes, and notifications of waiting messages (RFC 3842, RFC 6665).

The switch keeps no subscription. A SUBSCRIBE of a phone goes to its voicemail gateway as it came, for the mailbox of
the configuration; a NOTIFY of that gateway goes to every contact of the phone. Devices without the subscription refuse
it, so both ends share one dialog, which outlives the process. A NOTIFY without subscription takes the same way.
"""

from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from typing import Final

from vosd.callcontrol.admission import Admission
from vosd.catalogue.catalogue import Catalogue
from vosd.catalogue.mailboxes import MailboxIndex, folded_name
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


def places_of_subscription(
    event: StandaloneArrived, admission: Admission
) -> tuple[Sequence[RelayPlace], str] | Refused:
    """Return where the SUBSCRIBE of a phone goes, the first place first, and the phone, or why it is refused."""
    phone = admission.catalogue.phones.get(event.user)
    if phone is None or not phone.enabled:
        return _FORBIDDEN
    if not _is_of_package(event.request):
        return _BAD_EVENT
    if _is_of_another(event.request, phone, admission.catalogue.mailboxes):
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


def places_of_notification(event: StandaloneArrived, admission: Admission) -> Sequence[RelayPlace] | Refused:
    """Return the contacts that a NOTIFY goes to, or why it is refused."""
    request, host = event.request, event.source.host
    phones = [each for each in _named_by(request, admission.catalogue) if _is_at(each.voicemail or "", host, admission)]
    if not phones:
        return _NO_SUBSCRIPTION  # that is what RFC 6665 section 4.1.3 has for one that matches nothing
    if not _is_of_package(request):
        return _BAD_EVENT
    return [place for each in phones for place in contacts_of(called_half(each), admission)] or _OFFLINE


def _is_of_another(request: Request, phone: Phone, mailboxes: MailboxIndex) -> bool:
    """Return whether To or From, by which some servers go, has the mailbox or number of another phone.

    Servers may overlook blanks, the case of letters, a plus sign and separators. A URI that cannot be read is
    refused: a server may find a name in it.
    """
    for uri in (request.to.uri, request.from_.uri):
        try:
            name = user_part(uri)
        except ParseError:
            return True
        alike = mailboxes.get(folded_name(name), ())
        for found in (alike, [each for each in alike if each.name == name]):  # two may differ by spelling alone
            if found and all(each.phone != phone.number for each in found):
                return True
    return False


def _named_by(request: Request, catalogue: Catalogue) -> Sequence[Phone]:
    """Return the phones that a NOTIFY is for, by its Request-URI, else by its To."""
    for uri in (request.uri, request.header("to") or ""):
        with suppress(ParseError):
            name = user_part(uri.partition("<")[2].partition(">")[0] or uri)
            alike = catalogue.mailboxes.get(folded_name(name), ())
            found = [catalogue.phones[each.phone] for each in alike if each.name == name]
            if found:
                return found
    return ()


def _is_of_package(request: Request) -> bool:
    return (request.header("event") or "").partition(";")[0].strip().lower() == PACKAGE


def _is_at(name: str, host: str, admission: Admission) -> bool:
    """Return whether a gateway sends from a host."""
    gateway = admission.catalogue.routing_gateways.get(name)
    if gateway is None or not gateway.enabled:
        return False
    return any(each.host == host for each in admission.live.addresses_of(gateway))
