"""Detect peers behind NAT, and decide where such a peer is reached (RFC 3581).

Contact and Via of such a peer are valid inside its own network only. Responses and the requests of its dialogs are
therefore sent to the address that its packets came from.
"""

from typing import Final

from vosd.base.host import Realm, is_no_host, is_private, plain_host, reached_at, realm_of
from vosd.base.nat import Nat
from vosd.sip.flows import hop_of, whole_hop_of
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.record_route import route_set
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Message, Request
from vosd.sip.wire.outgoing import Peer

_AUTO: Final = Nat.AUTO  # access to enum members is slow


def is_hidden(said: str, seen: str, sent_by: str = "") -> bool:
    """Return whether a peer seen at one address cannot be reached at the host that it announces (``said``).

    True if that is a private address, and either the peer is seen at a public one, or its Via has the private address
    too (``sent_by``): then it is its own, and a NAT has changed it. A public address is trusted, and so is another host
    of the same private network: carriers send from several machines and announce others, as RFC 3261 allows. But no
    peer that is elsewhere can be reached on this machine, nor at an address of no host. Scripts in browsers, which know
    no address of their own, announce a name below ``.invalid`` (RFC 7118 section 5.2.1).
    """
    if said == seen:
        return False
    if said[-8:].lower() == ".invalid":
        return True
    said, seen = reached_at(plain_host(said)), reached_at(plain_host(seen))
    if said == seen or not is_private(said):
        return is_no_host(said)
    realm = realm_of(seen)
    return realm is Realm.PUBLIC or said == plain_host(sent_by) or (realm_of(said) is Realm.MACHINE is not realm)


def is_behind_nat(nat: Nat, message: Message, seen: Peer) -> bool:
    """Return whether the sender of a message is behind NAT: as configured, or detected with ``Nat.AUTO``.

    In a message with Record-Route the first proxy is examined: the requests of the dialog go to it.
    """
    if nat is not _AUTO:
        return nat is Nat.YES
    contact = message.header("contact") or ""
    is_usual = '"' not in contact and message.header("record-route") is None
    hop = hop_of(contact if is_usual else _first_stop(message))
    if hop is None or hop.host == seen.host:
        return False
    return is_hidden(hop.host, seen.host, (message.top_via or message.via).host if isinstance(message, Request) else "")


def is_answered_where_seen(nat: Nat, request: Request, seen: Peer) -> bool:
    """Return whether a request is answered at the port that it came from although it has no ``rport`` (RFC 3581).

    That of a sender behind NAT; where no Contact names a host, as in a CANCEL, a BYE or ``Contact: *``, by the address
    in its Via. A proxy (there is a Via below its own) that is seen where its Via says is not behind NAT, although the
    Contact that it passes on may be. A phone is: a router may write the public address into its Via, but not the port.

    Raises:
        ParseError: the topmost Via cannot be read.
    """
    if nat is _AUTO:
        sent_by = (request.top_via or request.via).host
        if len(request.headers("via")) > 1 and reached_at(plain_host(sent_by)) == reached_at(plain_host(seen.host)):
            return False
        if hop_of(request.header("contact") or "") is None:
            return is_hidden(sent_by, seen.host, sent_by)
    return is_behind_nat(nat, request, seen)


def is_elsewhere(contact: str, seen: Peer) -> bool:
    """Return whether the owner of a registered Contact, a URI, is seen at another address than it announces."""
    hop = whole_hop_of(contact)
    return hop is None or (hop.host, hop.port) != (plain_host(seen.host), seen.port)


def needs_keep_alive(contact: str, seen: Peer, *, has_private_via: bool) -> bool:
    """Return whether a registered Contact needs keep-alives whatever is configured.

    It does if the Contact or the Via of its REGISTER is private, or its owner is seen at another address.
    """
    hop = hop_of(contact)
    return has_private_via or hop is None or is_private(hop.host) or is_elsewhere(contact, seen)


def _first_stop(message: Message) -> str:
    """Return the first hop of a request to the sender of a message; empty if the message has none."""
    if message.header("record-route") is not None and (routes := route_set(message)):
        return routes[0]
    contact = message.header("contact") or ""
    if '"' not in contact:
        return contact
    try:
        return NameAddr.parse(contact).uri
    except ParseError:
        return ""
