"""The INVITE of one attempt, kept so that it can be sent again with other headers.

A gateway may want a longer session interval (RFC 4028 section 7.3). The next INVITE has the same Call-ID, From and To,
and the next number.
"""

from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from vosd.b2bua.identity import CallerIdentity
from vosd.b2bua.outgoing.headers import SDP
from vosd.b2bua.outgoing.presentation import present
from vosd.b2bua.outgoing.signatures import SignatureLines
from vosd.base.host import bracketed
from vosd.base.nat import Nat
from vosd.routing.pipeline import RouteChoice
from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.session_wish import TIMER
from vosd.sip.digest.answer import Answers
from vosd.sip.endpoint import Endpoint
from vosd.sip.flows import Listener
from vosd.sip.nat import is_elsewhere
from vosd.sip.screening import ACCEPT, ALLOW
from vosd.sip.wire.compose import escape_user
from vosd.sip.wire.outgoing import InviteParts, Peer
from vosd.sip.wire.uri import with_user
from vosd.trunks.dialect import Reliability
from vosd.trunks.gateways import Address

_REQUIRED: Final = Reliability.REQUIRED  # access to enum members is slow


class Invitation(msgspec.Struct, frozen=True):
    """An INVITE without the lines that may change; ``is_fixed``: it may not use another transport."""

    parts: InviteParts
    hops: int
    headers: str
    content: str
    """The Content-Type of the body, or the Accept line where there is no body."""
    body: bytes
    is_fixed: bool

    def again(self, endpoint: Endpoint, latest: InviteParts, early: Iterable[Dialog]) -> "Invitation":
        """Return the INVITE that follows ``latest``, which may differ from this one after a challenge.

        Requests within its ``early`` dialogs have used up further CSeq numbers.
        """
        sequence = max([latest.sequence, *(dialog.local_sequence for dialog in early)]) + 1
        flow = self.parts.peer.flow
        peer = latest.peer if latest.peer.flow == flow else self.parts.peer
        via = endpoint.flows.new_via(flow)
        return replace(self, parts=replace(self.parts, via=via, sequence=sequence, peer=peer))


def written(
    endpoint: Endpoint,
    choice: RouteChoice,
    address: Address,
    peer: Peer,
    hops: int,
    *,
    caller_identity: CallerIdentity,
    tag: str,
    offer: bytes,
    may_be_reliable: bool,
    answers: Answers | None,
    signed: SignatureLines | None = None,
) -> Invitation:
    """Write the INVITE of one attempt, with the identities in the form that the gateway wants."""
    dialect, flow, gateway = choice.gateway.dialect, peer.flow, choice.gateway
    listener = endpoint.flows.listeners[flow]
    ours = bracketed(listener.host)
    shown = present(caller_identity, choice.caller_out, choice.callee_out, dialect.from_host or ours, dialect, signed)
    uri, to = addressed(choice, address, peer, listener)
    route = address.path
    if not dialect.is_usual:
        uri, to, route = as_wanted(choice, address, uri, to)
    parts = InviteParts(
        uri=uri,
        via=endpoint.flows.vias[flow] + endpoint.token(),
        from_=f"{shown.from_};tag={tag}",
        to=to,
        call_id=f"{endpoint.token()}@{ours}",
        sequence=1,
        peer=peer,
        route=f"Route: {', '.join(route)}\r\n" if route else "",
        answers=answers,
        nat=_nat(dialect.nat, address, peer) if address.uri else dialect.nat,
        user=gateway.name if gateway.registers else "",
        server_name=address.name,
    )
    must = may_be_reliable and dialect.reliability is _REQUIRED
    known = ["100rel"] if may_be_reliable and not must else []
    if dialect.session_timer.enabled:
        known.append(TIMER)
    extensions = "Require: 100rel\r\n" if must else ""
    if known:
        extensions += f"Supported: {', '.join(known)}\r\n"
    return Invitation(
        parts,
        hops,
        f"{endpoint.flows.contacts[flow]}{endpoint.agent_header}{ALLOW}{extensions}{shown.headers}",
        SDP if offer else ACCEPT,
        offer,
        is_fixed=address.transport is not None or dialect.interface is not None,
    )


def addressed(choice: RouteChoice, address: Address, peer: Peer, listener: Listener) -> tuple[str, str]:
    """Return the Request-URI and To of an INVITE.

    A phone is called at its registered contact (RFC 3261 section 16.5); a vendor that registers with us at the host of
    its contact, with the called number as user part.
    """
    user = called = escape_user(choice.callee_out)
    ported = f";npdi;rn={escape_user(choice.routing_number)}" if choice.routing_number else ""
    if address.uri and (choice.gateway.serves_numbers or not choice.gateway.is_phone):
        forms = choice.gateway.dialect.number_format
        if forms is not None:  # all but the user part is that of the contact, also where the form is ``tel``
            called = forms.written(user, forms.request_uri)
        return with_user(address.uri, called + ported), f"<sip:{user}@{bracketed(listener.host)}>"
    if address.uri:
        return address.uri, f"<sip:{user}@{bracketed(listener.host)}>"
    called += ported
    if address.name:
        return f"sip:{called}@{address.written}", f"<sip:{user}@{address.name}>"
    there = bracketed(peer.host)
    transport = "" if listener.transport == "udp" else f";transport={listener.transport}"
    return f"sip:{called}@{there}:{peer.port}{transport}", f"<sip:{user}@{there}>"


def as_wanted(choice: RouteChoice, address: Address, uri: str, to: str) -> tuple[str, str, tuple[str, ...]]:
    """Return Request-URI, To and Route for a gateway that has hosts, routes or forms of numbers of its own."""
    dialect, number = choice.gateway.dialect, choice.callee_out
    user, request_host = escape_user(number), "" if address.is_redirected else dialect.request_host
    host = request_host or _host_of(uri)
    ported = f";npdi;rn={escape_user(choice.routing_number)}" if choice.routing_number else ""
    form, to_host = dialect.number_format, dialect.to_host or without_port(dialect.request_host) or _host_of(to)
    if form is not None:
        to = f"<{form.uri(user, form.to, without_port(to_host))}>"
    elif dialect.to_host or dialect.request_host:
        to = f"<sip:{user}@{to_host}>"
    if form is not None and not address.uri:
        uri = form.uri(user, form.request_uri, host, ported)
    elif request_host and not address.uri:
        uri = f"sip:{user}{ported}@{host}"
    uri, route = (uri, address.path) if address.is_redirected else dialect.routed(uri, address.path)
    return uri, to, route


def _host_of(uri: str) -> str:
    """Return what stands behind the user part of a SIP URI of ours, with its port and parameters."""
    return uri.rpartition("@")[2].removesuffix(">")


def without_port(host: str) -> str:
    """Return a host as written in a URI without port and parameters."""
    host = host.partition(";")[0]
    return host[: host.index("]") + 1] if host[:1] == "[" else host.partition(":")[0]


def _nat(nat: Nat, address: Address, peer: Peer) -> Nat:
    """Return whether an address is behind NAT: so is a phone whose packets do not come from its Contact."""
    if nat is Nat.AUTO and address.uri and not address.path and is_elsewhere(address.uri, peer):
        return Nat.YES
    return nat
