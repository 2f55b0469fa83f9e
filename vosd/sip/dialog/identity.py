"""One dialog: who is on either end, what was counted so far, and how its requests are written (section 12)."""

from functools import lru_cache
from ipaddress import ip_address

from vosd.sip.compose import InviteParts, Peer, encode
from vosd.sip.errors import ParseError
from vosd.sip.grammar import split_list
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.message import Request, Response
from vosd.sip.uri import Uri


class Dialog:
    """A dialog as this end sees it; ``local`` and ``remote`` are whole From/To values with their tags."""

    __slots__ = ("call_id", "local", "local_sequence", "local_tag", "peer", "remote", "remote_sequence", "remote_tag",
                 "routes", "target")  # fmt: skip

    def __init__(
        self,
        *,
        call_id: str,
        local: str,
        local_tag: str,
        remote: str,
        remote_tag: str,
        target: str,
        routes: tuple[str, ...],
        local_sequence: int,
        remote_sequence: int,
        peer: Peer,
    ) -> None:
        self.call_id = call_id
        self.local = local
        self.local_tag = local_tag
        self.remote = remote
        self.remote_tag = remote_tag
        self.target = target
        self.routes = routes
        self.local_sequence = local_sequence
        self.remote_sequence = remote_sequence
        self.peer = next_hop(routes[0] if routes else target, peer)

    @classmethod
    def of_caller(cls, request: Request, local_tag: str, source: Peer) -> "Dialog":
        """Make the dialog that an INVITE from ``source`` asks for (RFC 3261 section 12.1.1).

        Raises:
            ParseError: 400 for an INVITE without a usable Contact.
        """
        target = _target(request)
        if target is None:
            raise ParseError(400, "Missing Contact", request)
        return cls(
            call_id=request.call_id,
            local=f"{request.header('to')};tag={local_tag}",
            local_tag=local_tag,
            remote=request.header("from") or "",
            remote_tag=request.from_tag,
            target=target,
            routes=tuple(request.headers("record-route")),
            local_sequence=0,
            remote_sequence=request.cseq.number,
            peer=source,
        )

    @classmethod
    def of_callee(cls, parts: InviteParts, local_tag: str, response: Response) -> "Dialog":
        """Make the dialog that a response to our INVITE establishes (section 12.1.2).

        A response without a usable Contact, which RFC 3261 forbids but peers send, is answered where the INVITE went.
        """
        try:
            target = _target(response)
        except ParseError:
            target = None
        return cls(
            call_id=parts.call_id,
            local=parts.from_,
            local_tag=local_tag,
            remote=response.header("to") or parts.to,
            remote_tag=response.to_tag,
            target=target or parts.uri,
            routes=tuple(reversed(response.headers("record-route"))),
            local_sequence=parts.sequence,
            remote_sequence=-1,
            peer=parts.peer,
        )

    def request(self, method: str, via: str, sequence: int, headers: str, body: bytes = b"") -> bytes:
        """Write a request within the dialog (section 12.2.1.1)."""
        route = f"Route: {', '.join(self.routes)}\r\n" if self.routes else ""
        return (
            encode(
                f"{method} {self.target} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\n{route}From: {self.local}\r\n"
                f"To: {self.remote}\r\nCall-ID: {self.call_id}\r\nCSeq: {sequence} {method}\r\n{headers}"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            + body
        )

    def fits(self, request: Request) -> bool:
        """Say whether a request that bears our tag is the other end's: same Call-ID, same remote tag."""
        return request.call_id == self.call_id and request.from_tag == self.remote_tag


def _target(message: Request | Response) -> str | None:
    """Return the URI of the first Contact, or None; raises ParseError where it is no URI that can be asked for."""
    value = message.header("contact")
    return None if value is None else _target_in(value)


# Peers say the same Contact in every call of a trunk, so what it means is worth remembering.
@lru_cache(maxsize=1024)
def _target_in(contact: str) -> str:
    uri = NameAddr.parse(split_list(contact)[0]).uri
    Uri.parse(uri)
    return uri


@lru_cache(maxsize=1024)
def next_hop(target: str, fallback: Peer) -> Peer:
    """Return where a request for ``target`` (a URI, or a Route value) goes.

    What is no address that the peer's flow reaches (a name, another family, not an address at all) is answered by
    the address the peer was last seen at; names are resolved by a later capability.
    """
    text = target
    if "<" in text:
        text = text[text.index("<") + 1 :].partition(">")[0]
    try:
        uri = Uri.parse(text)
    except ParseError:
        return fallback
    host = uri.host.strip("[]")
    try:
        family = ip_address(host).version
    except ValueError:
        return fallback
    if family != (6 if ":" in fallback.host else 4):
        return fallback
    return Peer(fallback.flow, host, uri.port or 5060)
