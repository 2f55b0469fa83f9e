"""Header lines of the messages of a leg; ``invitation`` has those of the INVITE of an attempt.

Identification of transaction and dialog, Content-Length and credentials are added where a message is written
(``sip.wire.compose``, ``Dialog.request``).
"""

from typing import Final

from vosd.sip.dialog.dialog import Dialog
from vosd.sip.dialog.session_timer import SessionTimer
from vosd.sip.endpoint import Endpoint
from vosd.sip.screening import ACCEPT, ALLOW, EXPLAINED, SUPPORTED_HEADER, SUPPORTED_WITHOUT_TIMER

SDP: Final = "Content-Type: application/sdp\r\n"
_SIPFRAG: Final = "Content-Type: message/sipfrag;version=2.0\r\n"
_REFER_SUB: Final = "Refer-Sub: false\r\n"
_TIMER: Final = "Supported: timer\r\n"

# -- responses ------------------------------------------------------------------------------------------------------


def of_response(endpoint: Endpoint, status: int, lines: str = "") -> str:
    """Return the headers of a response that changes no session; ``lines`` in place of those that explain a status."""
    return f"{endpoint.server_header}{lines or EXPLAINED.get(status, '')}"


def retry_later(endpoint: Endpoint) -> str:
    """Return the line of a 500 to an offer that came while another of its side waits: up to 10 s (section 14.2)."""
    return f"Retry-After: {int(endpoint.token()[-2:], 36) % 11}\r\n"


def of_ringing(endpoint: Endpoint, dialog: Dialog, session: bytes) -> str:
    """Return the headers of a provisional response that makes an early dialog (RFC 3261 section 12.1.1)."""
    routes = "".join([f"Record-Route: {route}\r\n" for route in dialog.routes]) if dialog.routes else ""
    return f"{routes}{endpoint.flows.contacts[dialog.peer.flow]}{SDP if session else ''}"


def of_reliable_ringing(endpoint: Endpoint, dialog: Dialog, session: bytes, number: int) -> str:
    """Return the same for a response that is repeated until its PRACK (RFC 3262)."""
    return (
        f"{endpoint.server_header}Require: 100rel\r\nRSeq: {number}\r\n{of_ringing(endpoint, dialog, session)}{ALLOW}"
    )


def of_answer(endpoint: Endpoint, dialog: Dialog, session: bytes, timer: SessionTimer, agreed: str) -> str:
    """Return the headers of the 200 to the INVITE of a caller; ``agreed`` are the lines of its session timer."""
    routes = "".join([f"Record-Route: {route}\r\n" for route in dialog.routes]) if dialog.routes else ""
    supported = SUPPORTED_HEADER if timer.settings.enabled else SUPPORTED_WITHOUT_TIMER
    content = SDP if session else ""
    contact = endpoint.flows.contacts[dialog.peer.flow]
    return f"{endpoint.server_header}{routes}{contact}{content}{ALLOW}{supported}{agreed}"


def of_agreement(endpoint: Endpoint, dialog: Dialog, session: bytes, timer: SessionTimer, agreed: str) -> str:
    """Return the headers of the 200 to an INVITE or UPDATE within a dialog."""
    supported = SUPPORTED_HEADER if timer.settings.enabled else SUPPORTED_WITHOUT_TIMER
    content = SDP if session else ""
    return f"{endpoint.server_header}{endpoint.flows.contacts[dialog.peer.flow]}{ALLOW}{supported}{agreed}{content}"


def of_rejection(endpoint: Endpoint, status: int, reason: str) -> str:
    """Return the headers of the failure that ends an unanswered call; ``reason`` are whole Reason lines."""
    return endpoint.server_header + EXPLAINED.get(status, "") + reason


def of_referral(endpoint: Endpoint, dialog: Dialog, *, notifies: bool) -> str:
    """Return the lines of the 202 to a REFER: it refreshes the target, so it has a Contact (RFC 3515 section 2.2)."""
    return f"{endpoint.flows.contacts[dialog.peer.flow]}{'' if notifies else _REFER_SUB}"


# -- requests -------------------------------------------------------------------------------------------------------


def of_proposal(endpoint: Endpoint, dialog: Dialog, session: bytes, timer: SessionTimer, offered: str) -> str:
    """Return the headers of an INVITE or UPDATE within a dialog; ``offered`` are the lines of its session timer."""
    knows_timer = _TIMER if timer.settings.enabled else ""
    content = SDP if session else ""
    return f"{endpoint.flows.contacts[dialog.peer.flow]}{endpoint.agent_header}{ALLOW}{knows_timer}{offered}{content}"


def of_prack(endpoint: Endpoint, rack: str, session: bytes) -> str:
    """Return the headers of a PRACK; ``rack`` is its whole RAck line."""
    return f"{endpoint.agent_header}{rack}{SDP if session else ''}"


def of_information(endpoint: Endpoint, content: str) -> str:
    """Return the headers of an INFO; ``content`` are the Content header lines of its body."""
    return f"{endpoint.agent_header}{content}"


def of_probe(endpoint: Endpoint, dialog: Dialog) -> str:
    """Return the headers of an OPTIONS within a dialog."""
    return f"{endpoint.agent_header}{endpoint.flows.contacts[dialog.peer.flow]}{ACCEPT}"


def of_notification(endpoint: Endpoint, dialog: Dialog, event: str, status: int) -> str:
    """Return the headers of a NOTIFY that says how a transfer stands (RFC 3515 section 2.4.4)."""
    state = "active;expires=180" if status < 200 else "terminated;reason=noresource"
    contact = endpoint.flows.contacts[dialog.peer.flow]
    return f"{endpoint.agent_header}{contact}Event: {event}\r\nSubscription-State: {state}\r\n{_SIPFRAG}"
