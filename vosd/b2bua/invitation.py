"""The INVITE of one attempt as it was written, so that it can be said again with what the gateway wants of it.

A gateway may want a longer session interval (RFC 4028 section 7.3). The next INVITE has the same Call-ID, From and To,
and the next number.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from vosd.base.clock import Instant
from vosd.routing.dialect import CalleeDialect, Reliability
from vosd.routing.pipeline import RouteChoice
from vosd.routing.tables import Address
from vosd.sip.compose import InviteParts, Peer, escape_user, host_text
from vosd.sip.dialog.identity import Dialog
from vosd.sip.dialog.session_timer import TIMER
from vosd.sip.endpoint import Endpoint
from vosd.sip.flows import Listener
from vosd.sip.transaction.invite_client import InviteClient


class Invitation(NamedTuple):
    """All of an INVITE but the lines that may change; ``is_fixed``: it may not take another transport."""

    parts: InviteParts
    hops: int
    headers: str
    content: str
    """The lines that speak of the body, or of those that may answer it."""
    body: bytes
    is_fixed: bool

    def send(self, endpoint: Endpoint, lines: str, owner: Any, now: Instant) -> InviteClient:
        """Send it, with more header lines."""
        headers = f"{self.headers}{lines}{self.content}"
        return endpoint.client.send_invite(
            self.parts, self.hops, headers, self.body, owner, now, is_fixed=self.is_fixed
        )

    def again(self, endpoint: Endpoint, latest: InviteParts, early: Iterable[Dialog]) -> "Invitation":
        """Return the next one after ``latest``, which a challenge may have made another already.

        Requests within ``early`` dialogs of it have counted on.
        """
        sequence = max([latest.sequence, *(dialog.local_sequence for dialog in early)]) + 1
        via = endpoint.flows.new_via(self.parts.peer.flow)
        return self._replace(parts=self.parts._replace(via=via, sequence=sequence))


def addressed(choice: RouteChoice, address: Address, peer: Peer, listener: Listener) -> tuple[str, str]:
    """Return the Request-URI and To of an INVITE: a phone is asked for as it has said itself (RFC 3261 16.5)."""
    user = escape_user(choice.callee_out)
    if address.uri:
        return address.uri, f"<sip:{user}@{host_text(listener.host)}>"
    theirs = f"sip:{user}@{host_text(peer.host)}"
    transport = "" if listener.transport == "udp" else f";transport={listener.transport}"
    return f"{theirs}:{peer.port}{transport}", f"<{theirs}>"


def extensions(dialect: CalleeDialect, *, may_be_reliable: bool) -> str:
    """Return the lines that name what an INVITE asks for and knows."""
    must = may_be_reliable and dialect.reliability is Reliability.REQUIRED
    known = ["100rel"] if may_be_reliable and not must else []
    if dialect.session_timer.enabled:
        known.append(TIMER)
    required = "Require: 100rel\r\n" if must else ""
    return f"{required}Supported: {', '.join(known)}\r\n" if known else required
