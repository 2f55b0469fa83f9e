"""Messages of a leg as its trunk wants them: our name in Contact and User-Agent, the trunk's header rules, and bodies.

``Leg.send`` calls this for trunks that have such settings; all others pay nothing for it. Rules of requests apply to
INVITE, UPDATE, INFO and BYE, rules of responses to those that answer an INVITE, but for 100. ACK, PRACK and CANCEL
belong to another message, which had the headers already; they have a Session-ID as all others.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from vosd.b2bua.outgoing.connected import show_connected, withholds_sender
from vosd.b2bua.outgoing.headers import SDP
from vosd.b2bua.outgoing.presentation import shows_number
from vosd.b2bua.outgoing.session_ids import line_of, session_id_line
from vosd.b2bua.states import OVER
from vosd.routing.pipeline import RouteChoice
from vosd.sip.door.messages import (
    Outgoing,
    OutgoingAck,
    OutgoingBye,
    OutgoingCancel,
    OutgoingInvite,
    OutgoingReliable,
    OutgoingRequest,
    OutgoingResponse,
    OutgoingSuccess,
)
from vosd.sip.transaction.server import InviteServer
from vosd.sip.wire.body import passed_parts
from vosd.sip.wire.compose import escape_user
from vosd.sip.wire.message import Message, Request, Response
from vosd.sip.wire.multipart import SESSION, BodyPart, composed
from vosd.trunks.dialect import LOCATION
from vosd.trunks.header_rules import SentAs, SessionIdUse, TrunkHeaders, without

if TYPE_CHECKING:
    from vosd.b2bua.call_port import CallPort
    from vosd.b2bua.leg import Leg

_RULED_METHODS: Final = frozenset({"UPDATE", "INFO", "MESSAGE"})
_UNRULED: Final = frozenset({OutgoingAck, OutgoingCancel})
_TRYING: Final = 100
_FAILURE: Final = 300


def rule(message: Outgoing, leg: "Leg", sent_as: SentAs) -> None:
    """Change the headers of a message as its trunk wants them."""
    if leg.call.state is OVER:
        _name_after_end(message, leg, sent_as)
        return
    if not sent_as.has_only_rules:
        _name_and_enclose(message, leg, sent_as)
    if sent_as.headers is not None and type(message) not in _UNRULED:
        _apply_rules(message, leg, sent_as.headers)
    if sent_as.has_only_rules:
        return
    if sent_as.shows_connected:
        show_connected(message, leg)
    if sent_as.causes is not None:
        message.headers = sent_as.causes.written(message.headers)
    if sent_as.session_id is not SessionIdUse.OFF:
        line = session_id_line(leg, sent_as.session_id, is_first=type(message) is OutgoingInvite)
        if line:
            message.headers = without(message.headers, "session-id") + line


def _name_after_end(message: Outgoing, leg: "Leg", sent_as: SentAs) -> None:
    """Name us in a message of a call that is over, as the answer to an INFO: it has no sides that rules could read."""
    message.headers = sent_as.named(message.headers)
    if sent_as.session_id is not SessionIdUse.OFF:
        message.headers += line_of(leg.facts.other_session_id, leg.facts.session_id)


def _name_and_enclose(message: Outgoing, leg: "Leg", sent_as: SentAs) -> None:
    if sent_as.names_us:
        message.headers = sent_as.named(message.headers)
    if sent_as.user_agent and type(message) is OutgoingBye:
        message.headers = f"User-Agent: {sent_as.user_agent}\r\n{message.headers}"
    if sent_as.bodies:
        _enclose(message, leg, types_sent(leg))


def _apply_rules(message: Outgoing, leg: "Leg", of_trunk: TrunkHeaders) -> None:
    # ``match`` asks the metaclass of a struct for each class: too dear for the messages of every call.
    rules, kind = of_trunk.requests, type(message)
    received: Message | None = None
    if kind is OutgoingInvite:
        caller = leg.call.caller.inviter
        received = None if caller is None else caller.invite_message
    elif kind is OutgoingBye:
        received = _forwarded_request(leg, "BYE")
    elif kind is OutgoingSuccess:
        rules = of_trunk.responses
        received = _forwarded_response(leg, 200)
    elif type(message) is OutgoingResponse or type(message) is OutgoingReliable:
        rules = of_trunk.responses
        if rules.are_none or message.status == _TRYING or not isinstance(message.transaction, InviteServer):
            return
        received = _forwarded_response(leg, message.status)
    elif isinstance(message, OutgoingRequest) and message.method not in _RULED_METHODS:
        return
    if not rules.are_none:
        message.headers = rules.applied(message.headers, received, CallFacts(leg.call, leg, received))


def _enclose(message: Outgoing, leg: "Leg", types: frozenset[str]) -> None:
    """Let a message carry the parts of the message that it forwards which its trunk is sent.

    They stand beside the session description once the message leaves (``with_enclosed``): media relays need it alone.
    """
    received: Message | None = None
    if isinstance(message, OutgoingAck):
        received = _forwarded_request(leg, "ACK")
    elif isinstance(message, OutgoingRequest) and message.method == "PRACK":
        received = _forwarded_request(leg, "PRACK")
    elif isinstance(message, OutgoingInvite):
        caller = leg.call.caller.inviter
        received = None if caller is None else caller.invite_message
    elif isinstance(message, OutgoingBye):
        received = None if message.acceptance is not None else _forwarded_request(leg, "BYE")
    elif isinstance(message, OutgoingSuccess):
        received = _forwarded_response(leg, 200)
    elif (
        isinstance(message, OutgoingResponse | OutgoingReliable)
        and message.status != _TRYING
        and isinstance(message.transaction, InviteServer)
    ):
        received = _forwarded_response(leg, message.status)
    if received is not None:
        message.enclosed = passed_parts(received, types)


def parts_for(leg: "Leg", received: Message | None) -> tuple[BodyPart, ...]:
    """Return the parts of a message of the other side that the trunk of a leg is sent by its rule."""
    types = types_sent(leg)
    return passed_parts(received, types) if types and received is not None else ()


def types_sent(leg: "Leg") -> frozenset[str]:
    """Return the types of bodies that the trunk of a leg is sent by its rule."""
    if leg.sent_as is None:
        return frozenset()
    types, choice = leg.sent_as.bodies, leg.route_choice
    if LOCATION in types and choice is not None and not leg.call.board.is_emergency:
        return types - {LOCATION} if _hides_caller(leg.call, choice) else types
    return types


def _hides_caller(call: "CallPort", choice: RouteChoice) -> bool:
    """Return whether the peer of a route must not see who has made the call, or who is in it in place of that one."""
    return choice.hides_caller or not shows_number(call.caller.caller_identity, choice.gateway.dialect)


def with_enclosed(message: Outgoing) -> None:
    """Make one body of the session description of a message and the parts that it is to carry."""
    message.headers, message.body = beside_session(message.headers, message.body, message.enclosed)
    message.enclosed = ()


def beside_session(headers: str, session: bytes, parts: Sequence[BodyPart]) -> tuple[str, bytes]:
    """Return headers and body of a message with a session description, which may be empty, and further parts."""
    if not parts:
        return headers, session
    first = (BodyPart(bytes(session), SESSION),) if session else ()
    content, body = composed((*first, *parts))
    return headers.replace(SDP, "", 1) + content, body


def _forwarded_response(leg: "Leg", status: int) -> Message | None:
    """Return the vendor's response that a response to the caller forwards: the latest, if it means the same."""
    latest = leg.call.conversation.to_forward
    if not isinstance(latest, Response) or leg.call.caller.leg is not leg:
        return None
    means_same = latest.status // 100 == status // 100 or (latest.status >= _FAILURE and status >= _FAILURE)
    return latest if means_same else None


def _forwarded_request(leg: "Leg", method: str) -> Message | None:
    """Return the request of the other side that a request forwards."""
    latest = leg.call.conversation.to_forward
    return latest if isinstance(latest, Request) and latest.method == method else None


class CallFacts:
    """The facts of a call that values of rules may contain (``MessageFacts``)."""

    __slots__ = ("_call", "_leg", "_received")

    def __init__(self, call: "CallPort", leg: "Leg", received: Message | None) -> None:
        """``received`` is the message that is forwarded."""
        self._call = call
        self._leg = leg
        self._received = received

    def fact(self, name: str) -> str:
        """Return a fact as it may be shown to the peer."""
        customer = self._call.board.customer
        if name == "account":
            return "" if customer is None else customer.account
        if name == "call_id":
            return self._call.arrival.call_id
        if name == "customer":
            return "" if customer is None else customer.name
        return self._gateway() if name == "gateway" else escape_user(self._number(name))

    def hides_caller(self) -> bool:
        """Return whether this leg is a vendor's that must not see the caller, or is sent what a callee withholds."""
        choice = self._leg.route_choice
        if choice is None:
            return isinstance(self._received, Response) and withholds_sender(self._received)
        return self._drops_caller() or _hides_caller(self._call, choice)

    def _drops_caller(self) -> bool:
        """Return whether the trunk that the call came from has its calling numbers dropped (``caller_drop``)."""
        customer = self._call.board.customer
        return customer is not None and customer.drops_caller

    def _gateway(self) -> str:
        callee = self._call.callee
        choice = self._leg.route_choice or (None if callee is None else callee.choice)
        return "" if choice is None else choice.gateway.name

    def _number(self, name: str) -> str:
        """Return a number: as received, or as this leg has it; none of a caller that the peer may not see."""
        arrival, choice = self._call.arrival, self._leg.route_choice
        if name.startswith("callee"):
            return arrival.callee_in if choice is None or name == "callee_in" else choice.callee_out
        if choice is None:
            return arrival.caller_in
        if _hides_caller(self._call, choice):
            return ""
        if name == "caller":
            return choice.caller_out
        return "" if self._drops_caller() else arrival.caller_in
