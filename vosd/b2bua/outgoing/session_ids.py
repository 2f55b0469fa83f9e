"""Session-ID (RFC 7989): the identifiers of both ends of a call, as a trunk is sent them.

Each end has an identifier of its own, which it sends as the first value; the second one is that of the other end. They
are read when a message is about to leave, so that trunks without Session-ID cost nothing.
"""

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from vosd.sip.wire.message import Message, Response
from vosd.trunks.header_rules import SessionIdUse

if TYPE_CHECKING:
    from vosd.b2bua.leg import Leg

NIL: Final = "0" * 32
"""The second value while the other end's identifier is not known (RFC 7989 section 5)."""
_NAMESPACE: Final = UUID("a58587da-c93d-11e2-ae90-f4ea67801e29")
"""Namespace of identifiers that are made for an end that has none (RFC 7989 section 4.1)."""
_IDENTIFIER: Final = re.compile(r"\s*([0-9A-Fa-f]{32})\s*(?:;|\Z)", re.ASCII)
_REMOTE: Final = re.compile(r";\s*remote\s*=\s*([0-9A-Fa-f]{32})\s*(?:;|\Z)", re.ASCII | re.IGNORECASE)


def session_id_line(leg: "Leg", use: SessionIdUse, *, is_first: bool) -> str:
    """Return the whole header line for a message of a leg; empty where its other end has no identifier.

    ``is_first``: it is an INVITE that begins a dialog, whose callee is not known.
    """
    call, facts = leg.call, leg.facts
    latest, inviter = call.conversation.to_forward, call.caller.inviter
    invite = None if inviter is None else inviter.invite_message
    answer = latest if isinstance(latest, Response) else None
    if leg.route_choice is None:
        end = "callee"
        facts.session_id = facts.session_id or identifier_in(invite)
        facts.other_session_id = identifier_in(answer) or facts.other_session_id
    else:
        end, callee = "caller", call.callee
        facts.other_session_id = facts.other_session_id or identifier_in(invite)
        if not is_first and callee is not None and callee.leg is leg:
            facts.session_id = identifier_in(answer) or facts.session_id
    if use is SessionIdUse.MAKE and not facts.other_session_id:
        facts.other_session_id = made_identifier(call.arrival.call_id, end)
    return line_of(facts.other_session_id, facts.session_id)


def line_of(identifier: str, remote: str) -> str:
    """Return a header line with the identifier of one end and that of the one that is sent it."""
    return f"Session-ID: {identifier};remote={remote or NIL}\r\n" if identifier else ""


def made_identifier(call_id: str, end: str) -> str:
    """Return the identifier of an end that has none: the same for all messages and attempts of a call."""
    return uuid5(_NAMESPACE, f"{call_id} {end}").hex


def identifier_in(message: Message | None) -> str:
    """Return the identifier of the end that a message came from; empty if it has none that can be read."""
    value = None if message is None else message.header("session-id")
    found = None if value is None else _IDENTIFIER.match(value)
    return "" if found is None or found[1] == NIL else found[1].lower()


def remote_in(message: Message) -> str:
    """Return the identifier of the other end in a message; empty if it has none that can be read."""
    found = _REMOTE.search(message.header("session-id") or "")
    return "" if found is None or found[1] == NIL else found[1].lower()
