"""What a registrar's answer to a REGISTER of ours says: for how long, and which way (RFC 3261 10.2.4, RFC 3608)."""

from typing import Final

from vosd.sip.headers.contact import Contact, seconds
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Response
from vosd.sip.wire.uri import Uri, are_equivalent

EXPIRES_MAX_S: Final = 604_800
"""No registration is asked for longer, or believed to last longer: a week."""
CONTACTS_MAX: Final = 256
"""Contacts of one answer that are looked at: ours may stand among other people's."""
SERVICE_ROUTES_MAX: Final = 8
SERVICE_ROUTE_CHARS_MAX: Final = 1_024
"""A route that is longer is not taken: it would stand in every INVITE."""
_LOOSE: Final = ";lr"


def granted_s_of(response: Response, ours: str, asked_s: int) -> int:
    """Return for how long a 200 registers us: as our Contact says, else the Expires header, else as we asked (10.2.4).

    Some registrars name the address that they see us at: a single Contact is ours, whatever it says.
    """
    contacts = []
    for value in response.headers("contact")[:CONTACTS_MAX]:
        try:
            contacts.append(Contact.parse(value))
        except ParseError:
            continue  # other people's contacts need not be readable
    ours_parsed = Uri.parse(ours)
    mine = [each for each in contacts if are_equivalent(Uri.parse(each.uri), ours_parsed)]
    chosen = mine or (contacts if len(contacts) == 1 else [])
    granted_s = chosen[0].expires_s if chosen else None
    if granted_s is None:
        written = response.header("expires")
        granted_s = asked_s if written is None else seconds(written.strip())
    return min(granted_s, EXPIRES_MAX_S)


def service_route_of(response: Response) -> tuple[str, ...]:
    """Return the route that our requests are to take (RFC 3608); nothing for one that could not be taken whole."""
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
    """Return the shortest time that a registrar grants (section 20.23), 0 where it says none that we would ask for."""
    least_s = seconds((response.header("min-expires") or "0").strip())
    return least_s if least_s <= EXPIRES_MAX_S else 0
