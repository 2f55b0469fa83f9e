"""Messages to send, with their peers: datagrams, and the fields that messages of one transaction have in common."""

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Generic, NamedTuple

import msgspec
from msgspec.structs import replace

from vosd.base.nat import Nat
from vosd.sip.device import Device
from vosd.sip.forms import EMPTY, PeerT, TextT
from vosd.sip.headers.name_addr import tag_of

if TYPE_CHECKING:
    from vosd.sip.digest.answer import Answers

OF_RESPONSES: Final = "SIP/2.0"
"""Stands for all responses among the names of vendors whose requests a connection has carried: no host has it."""


class Peer(NamedTuple):
    """Peer that a datagram goes to or came from: one of our listeners (``flow``) and the address on the other side."""

    flow: int
    host: str
    port: int

    def __str__(self) -> str:
        return _address(self.host, self.port)


@lru_cache(maxsize=4_096)  # the records of all calls of a trunk share its text
def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Datagram(msgspec.Struct, frozen=True, gc=False):
    """Bytes to send. A struct: made in a fifth of the time of a named tuple, and kept in half of its memory."""

    peer: Peer
    data: bytes


class ProvenAck(Datagram, frozen=True):
    """The ACK to a peer where we have credentials, or that is proved by its certificate.

    Another fork that answers must be released with credentials, too, and by the connection of that name.
    """

    answers: "Answers | None"
    server_name: str = ""
    """The name that the certificate of its connection must bear (``InviteParts``)."""

    @classmethod
    def of(cls, peer: Peer, data: bytes, answers: "Answers | None", server_name: str) -> Datagram:
        """Return an ACK; a plain datagram without credentials and name."""
        if answers is None and not server_name:
            return Datagram(peer, data)
        return cls(peer, data, answers, server_name)


class StemState(msgspec.Struct, Generic[TextT, PeerT], frozen=True, array_like=True, gc=False):
    """The fields that all responses to one request repeat (RFC 3261 section 8.2.6.2), and where they go."""

    up_to_tag: bytes
    after_tag: bytes
    peer: PeerT
    tagged: bool
    """Whether our tag is left out: the request's To has one (a request within a dialog), or there is no To."""
    cseq: TextT
    """The request's CSeq as written."""
    spare: PeerT | None = None
    """Peer that gets the response when the connection of the request is closed: the port in Via (18.2.2)."""
    timestamp: bytes = b""
    """A whole Timestamp line for 100, if the request has one (section 8.2.6.1)."""


class ResponseStem(StemState[str, Peer], frozen=True, gc=False):
    """The fields that responses of this process repeat."""

    def answered_at(self, source: Peer) -> "ResponseStem":
        """Return a stem whose responses go to the source port of the request, with or without ``rport``."""
        return self if self.peer == source else replace(self, peer=source)

    def is_of_call(self, call_id: str, from_tag: str) -> bool:
        """Return whether the request has this Call-ID and this tag in From."""
        _, _, line = self.up_to_tag.rpartition(b"\r\nFrom: ")
        from_ = line.partition(b"\r\n")[0].decode("utf-8", "surrogateescape")
        call = f"\r\nCall-ID: {call_id}\r\n".encode("utf-8", "surrogateescape")
        return self.after_tag.startswith(call) and tag_of(from_) == from_tag


class MovedSender(NamedTuple):
    """The responses to a request that has come again from another source: NAT has given its sender another address."""

    peer: Peer
    """The peer that gets them from now on."""
    before: bytes
    """``up_to_tag`` of the stem, with the earlier source in Via."""
    after: bytes
    """``up_to_tag`` with the present source."""

    @classmethod
    def over(cls, stem: ResponseStem, peer: Peer) -> "MovedSender":
        """Return a sender that is reached over another connection since its request."""
        return cls(peer, stem.up_to_tag, _with_source(stem.up_to_tag, stem.peer, peer))

    def stem(self, stem: ResponseStem) -> ResponseStem:
        """Return the stem of further responses."""
        return replace(stem, up_to_tag=self.after, peer=self.peer)

    def response(self, sent: Datagram) -> Datagram:
        """Return a response that was sent before."""
        return Datagram(self.peer, sent.data.replace(self.before, self.after, 1))


def over_connection(response: Datagram, peer: Peer) -> Datagram:
    """Return a response as it goes over another connection of its receiver."""
    return Datagram(peer, _with_source(response.data, response.peer, peer))


def _with_source(text: bytes, before: Peer, after: Peer) -> bytes:
    """Replace the source of a request in the topmost Via (``rport`` and ``received``)."""
    head, via, rest = text.partition(b"Via: ")
    top, end, below = rest.partition(b"\r\n")
    top = top.replace(b";rport=%d" % before.port, b";rport=%d" % after.port, 1)
    top = top.replace(f";received={before.host}".encode(), f";received={after.host}".encode(), 1)
    return head + via + top + end + below


class PartsState(msgspec.Struct, Generic[TextT, PeerT], frozen=True, array_like=True, gc=False):
    """Fields of an INVITE of ours that its CANCEL and the ACK of its failure must repeat (section 9.1, 17.1.1.3)."""

    uri: TextT
    via: TextT
    from_: TextT
    to: TextT
    call_id: TextT
    sequence: int
    peer: PeerT
    route: TextT = EMPTY
    """A whole Route line, if the INVITE is within a dialog that has a route set."""
    credentials: TextT = EMPTY
    """Whole lines with our credentials; the ACK of a 2xx repeats them (section 22.1)."""
    nat: Nat = Nat.NO
    """Whether the answering peer is reached at the address the INVITE was sent to, whatever its Contact says."""
    user: str = ""
    """The called user, if it is registered with us."""


class InviteParts(PartsState[str, Peer], frozen=True, gc=False):
    """The fields of an INVITE of this process, with what answers the challenges of its peer."""

    answers: "Answers | None" = None
    """The peer's challenges so far; None = we have no credentials there."""
    device: Device | None = None
    """The device of the called user that the INVITE went to; None = unknown."""
    server_name: str = ""
    """The name that the certificate of its connection must bear; empty = one of those that lead to the peer."""
