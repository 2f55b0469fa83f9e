"""Connected identity (RFC 4916): the number of the callee, as it says it in P-Asserted-Identity, shown to the caller.

It stands in the answer of the call, and in re-INVITE and UPDATE once it has changed. A number that the callee withholds
is not shown, and nothing but the number is: host and name are not forwarded.
"""

import re
from typing import TYPE_CHECKING, Final

from vosd.base.number import for_matching, without_separators
from vosd.sip.door.messages import Outgoing, OutgoingReinvite, OutgoingRequest, OutgoingSuccess
from vosd.sip.headers.name_addr import NameAddr
from vosd.sip.headers.phone_context import number_of
from vosd.sip.headers.privacy import WITHHOLDS_CALLER, WITHHOLDS_SESSION, hides_party, wishes
from vosd.sip.wire.errors import ParseError
from vosd.sip.wire.message import Message, Response
from vosd.trunks.gateways import CallerNumbers
from vosd.trunks.header_rules import without

if TYPE_CHECKING:
    from vosd.b2bua.leg import Leg

_NUMBER_MAX: Final = 32
_PARTIES_MAX: Final = 10
"""Values of Remote-Party-ID that are looked at: a message may have thousands, and each takes time."""
_OWN_HOST: Final = re.compile(r"^Contact: <sip:(?:[^@>\s]+@)?(\[[^\]>]*\]|[^:;>]+)", re.MULTILINE)


def asserted_number(message: Message) -> str:
    """Return the number that a side says it has; empty where it says none, or withholds it."""
    if message.header("p-asserted-identity") is None or withholds_sender(message):
        return ""
    for value in message.headers("p-asserted-identity"):
        try:
            number = without_separators(number_of(NameAddr.parse(value).uri))
        except ParseError:
            continue  # another one may be readable
        bare = for_matching(number)
        if bare.isascii() and bare.isdigit() and len(number) <= _NUMBER_MAX:
            return number
    return ""


def withholds_sender(message: Message) -> bool:
    """Return whether the sender of a message asks to withhold who it is, by Privacy or Remote-Party-ID."""
    return not WITHHOLDS_CALLER.isdisjoint(_wishes_of(message)) or _hides_its_party(message)


def withholds_session(message: Message) -> bool:
    """Return whether the sender of a message asks to withhold who has written its session description."""
    return not WITHHOLDS_SESSION.isdisjoint(_wishes_of(message)) or _hides_its_party(message)


def _wishes_of(message: Message) -> tuple[str, ...]:
    return wishes(";".join(message.values("privacy")))


def _hides_its_party(message: Message) -> bool:
    """Return whether a Remote-Party-ID of a message withholds its sender.

    In a response that of the calling party is of the other side. A request within a dialog is of either party.
    """
    if message.header("remote-party-id") is None:
        return False
    for value in message.headers("remote-party-id")[:_PARTIES_MAX]:
        try:
            party = NameAddr.parse(value)
        except ParseError:
            continue  # another one may be readable
        is_others = isinstance(message, Response) and (party.param("party") or "").lower() == "calling"
        if hides_party(party) and not is_others:
            return True
    return False


def show_connected(message: Outgoing, leg: "Leg") -> None:
    """Put the callee's number into a message for the caller, or that of the one that takes the callee's place."""
    kind, call = type(message), leg.call
    callee = None if call.callee is None or call.callee.progress.has_left else call.callee.leg
    bridge, caller = call.conversation.bridge, call.caller.leg
    newcomer = None if bridge is None or caller is None else bridge.newcomer_for(caller)
    if leg is newcomer or leg is callee:
        return
    if newcomer is not None:
        callee = newcomer
    if kind is OutgoingSuccess and not leg.facts.is_confirmed and isinstance(call.conversation.to_forward, Response):
        if callee is not None:
            identity_came(callee, call.conversation.to_forward)
    elif kind not in {OutgoingSuccess, OutgoingReinvite} and not (
        isinstance(message, OutgoingRequest) and (message.method == "UPDATE")
    ):
        return
    leg.facts.connected = number = "" if callee is None else callee.facts.asserted
    if number:
        message.headers = with_number(message.headers, number)


def with_number(headers: str, number: str) -> str:
    """Return header lines that say a number at the host of their Contact; as they are if they have none."""
    host = _OWN_HOST.search(headers)
    if host is None:
        return headers
    return f"{without(headers, 'p-asserted-identity')}P-Asserted-Identity: <sip:{number}@{host[1]}>\r\n"


def identity_came(callee: "Leg", message: Message) -> None:
    """Note the number that a callee has now; the caller is shown it with the next message that can carry it.

    One that has taken the call over keeps that of its INVITE: its route is that of the phone that it has replaced.
    """
    attempt, choice = callee.call.callee, callee.route_choice
    if attempt is None or attempt.leg is not callee or not attempt.progress.newcomer:
        note_number(callee, message, None if choice is None else choice.gateway.caller_numbers)


def note_number(leg: "Leg", message: Message, own: CallerNumbers | None) -> None:
    """Note the number that a side says; a phone has its ``own``, and those that it may show as a caller."""
    number = asserted_number(message)
    if number:
        leg.facts.asserted = number if own is None else own.permitted(number)
