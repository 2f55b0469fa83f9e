"""Read a vendor's answer to our REGISTER: duration and route (RFC 3261 section 10.2.4, RFC 3608)."""

from typing import Final

from vosd.sip.headers.contact import Contact, seconds
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Response
from vosd.sip.wire.uri import Uri, are_equivalent

EXPIRES_MAX_S: Final = 604_800
"""Longest duration requested or accepted: a week."""
CONTACTS_MAX: Final = 256
"""Most contacts read from one answer: ours may be among other people's."""
SERVICE_ROUTES_MAX: Final = 8
SERVICE_ROUTE_CHARS_MAX: Final = 1_024
"""A longer route is ignored: it would be in every INVITE."""
_LOOSE: Final = ";lr"


def granted_s_of(response: Response, ours: str, asked_s: int) -> int:
    """Return the duration granted by a 200: of our Contact, else of the Expires header, else as requested (10.2.4).

    Some registrars list the address they see us at: a single Contact is taken for ours, whatever it says. Of several
    none of which is ours, without Expires, any may be it: the shortest duration counts.
    """
    contacts = []
    for value in response.headers("contact")[:CONTACTS_MAX]:
        try:
            contacts.append(Contact.parse(value))
        except ParseError:
            continue  # not necessarily ours
    ours_parsed = Uri.parse(ours)
    mine = [each for each in contacts if are_equivalent(Uri.parse(each.uri), ours_parsed)]
    chosen = mine or (contacts if len(contacts) == 1 else [])
    granted_s = chosen[0].expires_s if chosen else None
    if granted_s is None:
        written = response.header("expires")
        others = () if mine else (each.expires_s for each in contacts if each.expires_s)
        granted_s = min(others, default=asked_s) if written is None else seconds(written.strip())
    return min(granted_s, EXPIRES_MAX_S)


def service_route_of(response: Response) -> tuple[str, ...]:
    """Return the route for our requests (RFC 3608); empty if it cannot be taken as a whole."""
    route = tuple(response.headers("service-route"))
    if len(route) > SERVICE_ROUTES_MAX or sum(map(len, route)) > SERVICE_ROUTE_CHARS_MAX:
        return ()
    try:
        uris = [NameAddr.parse(each).uri for each in route]
        is_whole = all(Uri.parse(uri).scheme in {"sip", "sips"} and _LOOSE in uri.lower() for uri in uris)
    except ParseError:
        return ()
    return tuple(f"<{uri}>" for uri in uris) if is_whole and all(map(str.isprintable, uris)) else ()


def min_expires_of(response: Response) -> int:
    """Return the Min-Expires of a registrar (section 20.23); 0 if there is none that we would request."""
    least_s = seconds((response.header("min-expires") or "0").strip())
    return least_s if least_s <= EXPIRES_MAX_S else 0
