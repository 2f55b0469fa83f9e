"""Peers behind NAT: who is, and where such a peer is reached (RFC 3581; REQ_SIP_ROUTING_OPS NAT-01, NAT-09).

What such a peer says of itself (Contact, Via) is true inside its own network only. Packets reach it where its own
came from, so that is where everything goes: responses, and the requests of its dialogs.
"""

from vosd.base.host import is_private, plain_host
from vosd.base.nat import Nat
from vosd.sip.flows import hop_of
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.wire.compose import Peer
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Message, Request
from vosd.sip.wire.uri import DEFAULT_PORTS


def is_hidden(said: str, seen: str, sent_by: str = "") -> bool:
    """Say whether a peer that is seen at one address cannot be reached at the host that it says.

    It says a private address, and either is seen at a public one, or its Via bears that address too (``sent_by``):
    then it is its own, and something between has changed it. A public address is believed, and so is one of the
    same private world: carriers send from several machines and name others, as RFC 3261 allows.
    """
    if said == seen:
        return False
    said, seen = plain_host(said), plain_host(seen)
    if said == seen or not is_private(said):
        return False
    return not is_private(seen) or said == plain_host(sent_by)


def is_behind_nat(nat: Nat, message: Message, seen: Peer) -> bool:
    """Say whether the sender of a message is behind NAT, by what it says of itself if that is to be found out.

    Of a message with Record-Route the first proxy is judged: that is whom the requests of the dialog go to.
    """
    if nat is not Nat.AUTO:
        return nat is Nat.YES
    hop = hop_of(_first_stop(message))
    sent_by = message.via.host if isinstance(message, Request) else ""
    return hop is not None and is_hidden(hop.host, seen.host, sent_by)


def is_elsewhere(contact: str, seen: Peer) -> bool:
    """Say whether the owner of a registered Contact, a URI, is seen at another place than it says."""
    hop = hop_of(contact)
    if hop is None:
        return True
    port = hop.port or DEFAULT_PORTS[hop.transport or "udp"]
    return (plain_host(hop.host), port) != (plain_host(seen.host), seen.port)


def needs_keep_alive(contact: str, seen: Peer, *, has_private_via: bool) -> bool:
    """Say whether a registered Contact is kept alive by all means.

    So it is where the Contact or the Via of its REGISTER is private, or its owner is seen elsewhere.
    """
    hop = hop_of(contact)
    return has_private_via or hop is None or is_private(plain_host(hop.host)) or is_elsewhere(contact, seen)


def _first_stop(message: Message) -> str:
    """Return what the first request to the sender of a message would be sent to; empty where it does not say."""
    if message.header("record-route") is not None:
        routes = message.headers("record-route")
        return next(iter(routes if isinstance(message, Request) else reversed(routes)), "")
    contact = message.header("contact") or ""
    if '"' not in contact:
        return contact
    try:
        return NameAddr.parse(contact).uri
    except ParseError:
        return ""
